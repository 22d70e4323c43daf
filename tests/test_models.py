"""What single models do beyond the conformance table."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from vaekit import losses
from vaekit.apps.edit.training import single_changes
from vaekit.backends.gradients import input_gradient
from vaekit.models.acgan import ACGAN
from vaekit.models.aegan import AEGAN
from vaekit.models.attribute_cvaegan import CHANGED, AttributeCVAEGAN
from vaekit.models.cvaegan import CVAEGAN
from vaekit.models.face_ipgan import FaceIPGAN
from vaekit.models.gaia import GAIA
from vaekit.models.gan import GAN
from vaekit.models.infogan import InfoGAN
from vaekit.models.ipgan import IPGAN
from vaekit.models.semi_supervised_gan import SemiSupervisedGAN
from vaekit.models.siamese import Siamese
from vaekit.models.three_class_vaegan import ThreeClassVAEGAN
from vaekit.models.vae import VAE
from vaekit.models.vaegan import VAEGAN
from vaekit.models.wgan import WGAN, WGANGP
from vaekit.networks.blocks import BilinearUpsampling
from vaekit.networks.centers import MovingCenters, MovingGaussian
from vaekit.networks.convolutional import embedder, gaussian_encoder, place_encoder
from vaekit.networks.dense import NormalizedDense, maxout_discriminator
from vaekit.networks.fill import pull_push


def numbers(tensor):
    return ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("iterations", [1, 5, 10])
def test_repair_is_the_papers_algorithm(iterations):
    """x <- M x' + (1 - M) x: with x' = x / 2 + 1/4, n rounds bring the hole from 0 to (1 - 2^-n) / 2."""
    model = CVAEGAN((8, 8, 3), classes=2, latent_dim=2, base=4)
    model.reconstruct = lambda images, labels: images / 2 + 0.25
    images = np.full((2, 8, 8, 3), 0.9, np.float32)
    masks = np.zeros((2, 8, 8, 1), np.float32)
    masks[:, 2:5, 3:6] = 1
    images = images * (1 - masks)
    repaired = numbers(model.repair(images, masks, np.array([0, 1]), iterations))
    hole = masks[..., 0] > 0
    np.testing.assert_allclose(repaired[hole], (1 - 2.0**-iterations) / 2, rtol=1e-6)
    np.testing.assert_array_equal(repaired[~hole], images[~hole])


def test_repair_with_the_networks_changes_the_hole_alone():
    model = CVAEGAN((16, 12, 1), classes=3, latent_dim=2, base=4)
    images = np.random.default_rng(0).uniform(size=(2, 16, 12, 1)).astype(np.float32)
    masks = np.zeros((2, 16, 12, 1), np.float32)
    masks[:, 4:9, 4:9] = 1
    repaired = numbers(model.repair(images, masks, np.array([0, 2]), 3))
    hole = masks > 0
    np.testing.assert_array_equal(repaired[~hole], images[~hole])
    assert np.all(repaired[hole] != images[hole])


def test_pull_push_continues_a_constant_and_keeps_what_is_known():
    rng = np.random.default_rng(0)
    known = (rng.uniform(size=(1, 33, 47, 1)) > 0.7).astype(np.float32)
    constant = np.full((1, 33, 47, 3), 0.3, np.float32)
    np.testing.assert_allclose(numbers(pull_push(constant * known + 9 * (1 - known), known)), 0.3, atol=1e-5)
    image = rng.uniform(size=(1, 33, 47, 3)).astype(np.float32)
    fill = numbers(pull_push(image, known))
    np.testing.assert_allclose(fill * known, image * known, atol=1e-6)
    assert fill.min() >= 0
    assert fill.max() <= 1


def test_pull_push_of_nothing_known_is_grey():
    np.testing.assert_allclose(numbers(pull_push(np.ones((1, 8, 8, 3)), np.zeros((1, 8, 8, 1)))), 0.5, atol=1e-6)


def test_ipgan_pairs_two_of_every_four_with_each_other_and_the_rest_with_themselves():
    model = IPGAN((8, 8, 1), identities=2, identity_dim=3, attribute_dim=2, base=4)
    x_s = np.arange(10, dtype=np.float32).reshape(10, 1, 1, 1)
    x_a, own = model.pair(x_s)
    assert numbers(x_a).ravel().tolist() == [0, 1, 3, 2, 4, 5, 7, 6, 8, 9]
    assert numbers(own).tolist() == [1, 1, 0, 0, 1, 1, 0, 0, 1, 1]
    model.mixed = False
    x_a, own = model.pair(x_s)
    assert numbers(x_a).ravel().tolist() == list(range(10))
    assert numbers(own).tolist() == [1] * 10


def test_ipgan_draws_the_identity_of_one_and_the_attributes_of_the_other():
    """With networks that only pass on: who is the first pixel, how is the second, and G puts both side by side."""
    model = IPGAN((8, 8, 1), identities=2, identity_dim=1, attribute_dim=1, base=4)
    model.identity = lambda x, training: {"features": x[:, 0, 0]}
    model.encoder = lambda x, training: (x[:, 0, 1], None)
    model.generator = lambda codes, training: ops.concatenate(codes[::-1], axis=-1)
    x_s, x_a = np.random.default_rng(0).uniform(size=(2, 3, 8, 8, 1)).astype(np.float32)
    expected = np.concatenate([x_s[:, 0, 0], x_a[:, 0, 1]], axis=-1)
    np.testing.assert_allclose(numbers(model.transfer(x_s, x_a)), expected)


def small_face_ipgan(**kwargs):
    sizes = {"side": 16, "embedder_widths": (4, 6, 8), "encoder_widths": (4,), "decoder_widths": (8,)}
    return FaceIPGAN((16, 16, 1), 2, 4, **sizes, **kwargs)


@pytest.fixture
def face_ipgan():
    return small_face_ipgan()


@pytest.mark.parametrize(
    ("mixed", "x_a", "same"),
    [
        (True, [0, 21, 13, 12, 4, 15, 17, 16, 8, 29], [1, 1, 0, 0, 1, 1, 0, 0, 1, 1]),
        (False, [0, 21, 12, 13, 4, 15, 16, 17, 8, 29], [1] * 10),
    ],
)
def test_face_ipgan_pairs_within_four(face_ipgan, mixed, x_a, same):
    """Pictures are numbered from 0, partners from 10, fronts from 20; the front of 0, 1, 2, 8 and 9 is known."""
    image, partner, front = (np.arange(n, n + 10, dtype=np.float32).reshape(10, 1, 1, 1) for n in (0, 10, 20))
    fronted = np.isin(np.arange(10), (0, 1, 2, 8, 9)).astype(np.float32)
    face_ipgan.mixed = mixed
    found = face_ipgan.pair({"image": image, "partner": partner, "front": front, "fronted": fronted})
    assert [numbers(part).ravel().tolist() for part in found] == [x_a, same, [0, 1, 0, 0, 0, 0, 0, 0, 0, 1]]


@pytest.mark.parametrize("known", [0, 1])
def test_the_turner_is_told_by_the_code_of_the_front(face_ipgan, known):
    """With codes of two pixels, and a pose mapper that answers 1, which to_front adds to the code."""
    face_ipgan.encoder = lambda x, training: (x[:, 0, :2, 0], ops.zeros((len(x), 2)))
    face_ipgan.pose_mapper = ops.ones_like
    image, partner, front = np.random.default_rng(0).uniform(size=(3, 4, 16, 16, 1)).astype(np.float32)
    fronted = np.array([1, known, 1, 1], np.float32)
    found, terms = face_ipgan.objective({"image": image, "partner": partner, "front": front, "fronted": fronted})
    # The encoder sees pictures in -1..1. One row of four has a front, the second.
    miss = (2 * image[1, 0, :2, 0] - 1) + 1 - (2 * front[1, 0, :2, 0] - 1)
    assert (
        float(terms["front"]) == float(found["pose_mapper"]) == pytest.approx(known * (miss**2).sum() / 2 / 4, rel=1e-5)
    )


@pytest.mark.parametrize(("squared", "expected"), [(False, 0.25), (True, 0.5 * (0.25 * 0.5**2 + 0.75 / 6**2))])
def test_pixels_are_compared_by_half_their_squared_difference_where_asked(squared, expected):
    """A quarter of x_a's pixels is .5 off, the others a sixth."""
    model = small_face_ipgan(squared=squared, mixed=False)
    model.decode = lambda who, how, training: ops.full((4, 16, 16, 1), 0.5)
    image = np.full((4, 16, 16, 1), 0.5 + 1 / 6, np.float32)
    image[:, :4] = 1.0
    _, terms = model.objective({"image": image, "partner": image, "front": image, "fronted": np.ones(4, np.float32)})
    assert float(terms["pixel"]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_without_an_adversarial_weight_nobody_judges(weight):
    model = small_face_ipgan(adversarial=weight)
    image = np.random.default_rng(0).uniform(size=(4, 16, 16, 1)).astype(np.float32)
    found, terms = model.objective({"image": image, "partner": image, "front": image, "fronted": np.ones(4)})
    told = {"discriminator_loss", "adversarial"} & set(model.trackers)
    assert ("discriminator" in model.players, "discriminator" in found, "adversarial" in terms) == (weight > 0,) * 3
    assert len(told) == (2 if weight else 0)
    parts = model.kl * terms["kl"] + model.pixel * terms["pixel"] + model.feature * terms["feature"]
    parts = float(parts + model.identity * terms["identity"]) + weight * float(terms.get("adversarial", 0.0))
    np.testing.assert_allclose(float(found["generator"]), parts, rtol=1e-4)


def test_who_a_face_is_is_told_by_it_a_closer_crop_and_their_mirror_images(face_ipgan):
    """With embeddings made up for each, to which the identity adapter adds (0, .8) and the first once more."""
    views, told = [], iter([[5.0, -1.0], [2.0, -3.0], [-2.0, 0.0], [1.0, -4.0]])  # together (6, -8)

    def look(images):
        views.append(numbers(images))
        return {"embedding": np.array([next(told)], np.float32)}

    face_ipgan.look = look
    face_ipgan.identity_adapter = lambda embeddings: embeddings * np.array([1.0, 0.0]) + np.array([0.0, 0.8])
    x = np.broadcast_to(np.arange(16, dtype=np.float32)[:, None], (1, 16, 16, 1))
    np.testing.assert_allclose(numbers(face_ipgan.identify(x)), [[1.0, 0.0]], rtol=1e-6, atol=1e-6)
    # Of 16 pixels the closer crop has 14, each of its 16 as wide as 7/8 of them; those at its ends repeat.
    ramp = (1 + (np.arange(16) + 0.5) * 7 / 8 - 0.5).clip(1, 14)
    np.testing.assert_allclose(views[0], x)
    np.testing.assert_allclose(views[2], np.broadcast_to(ramp[:, None], x.shape), rtol=1e-5)
    for view, mirrored in (views[:2], views[2:]):
        np.testing.assert_array_equal(mirrored, view[:, :, ::-1])


def test_l_who_draws_faces_to_their_fronts_and_away_from_other_people(face_ipgan):
    """With embeddings of four pixels: of four fronts two look alike, and a face may be like its own or between all."""
    fronts = np.zeros((4, 16, 16, 1), np.float32)
    fronts[[0, 1, 2, 3], :, [0, 1, 0, 1]] = 1.0
    between = np.zeros_like(fronts)
    between[:, :, :2] = math.sqrt(0.5)
    batch = {"partner": fronts, "front": fronts, "fronted": np.ones(4, np.float32)}
    look = face_ipgan.look
    face_ipgan.look = lambda images: look(images) | {"embedding": images[:, 0, :4, 0]}
    face_ipgan.identify = lambda images: face_ipgan.straighten(face_ipgan.look(images)["embedding"])
    face_ipgan.decode = lambda who, how, training: ops.zeros((4, 16, 16, 1))
    # What the kernel makes of pixels that are 0 is 0, but its size counts.
    kernel = np.zeros((4, 4), np.float32)
    kernel[2:, 2:] = 0.5
    face_ipgan.identity_adapter.layers[-1].kernel.assign(kernel)
    # The choice at temperature .1 is between cosines 1, 1, 0 and 0, or four that are alike.
    for image, expected in ((fronts, math.log(2 + 2 * math.exp(-10))), (between, 1 - math.sqrt(0.5) + math.log(4))):
        found, terms = face_ipgan.objective(batch | {"image": image})
        assert float(terms["who"]) == float(found["identity_adapter"]) == pytest.approx(expected + 0.002, rel=1e-5)


def test_an_embedder_drops_features_in_training_alone():
    network = embedder((16, 16, 1), 3, (4, 8), dropout=0.5)
    image = np.random.default_rng(0).uniform(size=(2, 16, 16, 1)).astype(np.float32)
    trained, again, asked, repeated = (
        numbers(network(image, training=t)["embedding"]) for t in (True, True, False, False)
    )
    assert np.abs(trained - again).max() > 0.01
    np.testing.assert_array_equal(asked, repeated)


@pytest.fixture(scope="module")
def attribute_model():
    """One of four attributes, two of which exclude each other, with weights that make it do something."""
    model = AttributeCVAEGAN(
        ["smiling", "dark", "fair", "old"], exclusive=[["dark", "fair"]], latent_channels=4, widths=(8, 8, 8, 8)
    )
    rng = np.random.default_rng(0)
    for variable in (*model.encoder.variables, *model.generator.variables):
        if variable.ndim > 1:
            variable.assign(rng.normal(0, 0.2, variable.shape))
    return model


def test_changes_turn_attributes_round_and_keep_groups_exclusive(attribute_model):
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, (4000, 4)).astype(np.float32)
    label[:, 2] *= 1 - label[:, 1]  # dark or fair or neither
    change = numbers(attribute_model.draw_change(label))
    target = label + change
    assert set(np.unique(change)) == {-1, 0, 1}
    assert set(np.unique(target)) == {0, 1}
    assert np.all(np.abs(change).sum(axis=1) >= 1)
    assert np.all(target[:, 1] + target[:, 2] <= 1)
    drawn = CHANGED + (1 - CHANGED / 4) ** 4  # of four; where none is, it is one
    assert np.abs(change[:, [0, 3]]).mean() == pytest.approx(drawn / 4, abs=0.03)
    neither = label[:, 1] + label[:, 2] == 0
    assert target[neither][:, 1].mean() == pytest.approx(target[neither][:, 2].mean(), abs=0.05)


def test_no_change_adds_nothing_and_a_change_does(attribute_model):
    image = np.random.default_rng(2).uniform(size=(2, 32, 32, 3)).astype(np.float32)
    nothing, smile = np.zeros((2, 4), np.float32), np.array([[1, 0, 0, 0], [2, 0, 0, 0]], np.float32)
    code = numbers(attribute_model.encode(image))
    assert code.shape == (2, 32 // attribute_model.stride, 32 // attribute_model.stride, 4)
    assert not numbers(attribute_model.edit(image, nothing)).any()
    np.testing.assert_allclose(numbers(attribute_model.edit(image, nothing, np.zeros_like(code))), 0, atol=1e-6)
    assert numbers(attribute_model.edit(image, smile)).any()
    assert numbers(attribute_model.edit(image, nothing, np.ones_like(code))).any()


def test_a_change_is_as_strong_as_its_attribute_and_its_way_ask_and_little_stronger_beyond_1():
    model = AttributeCVAEGAN(["a", "b"], latent_channels=4, widths=(8, 8, 8, 8), strength={"b": (2.0, 0.5)})
    asked = np.array([[1, 1], [-1, -1], [0.5, -0.5], [2, 2], [-2, -2], [0, 0]], np.float32)
    reached = [[1, 2], [-1, -0.5], [0.5, -0.25], [1.25, 2.5], [-1.25, -0.625], [0, 0]]
    np.testing.assert_allclose(numbers(model.scale_change(asked)), reached)
    with pytest.raises(ValueError, match="strength of c, which is no attribute"):
        AttributeCVAEGAN(["a", "b"], strength={"c": (1.0, 1.0)})


def test_an_edit_is_compared_with_faces_that_have_what_was_asked_for():
    """With a discriminator that says .2 and .5 for the attributes, -.4 and .1 against them, whatever it sees."""
    model = AttributeCVAEGAN(["a", "b"], latent_channels=4, widths=(8, 8, 8, 8), recogniser_widths=(4, 4, 4))
    model.discriminator = lambda seen, training: np.full((2, 1, 1, 4), (0.2, 0.5, -0.4, 0.1), np.float32)
    label, change = np.array([[1, 0], [0, 1]], np.float32), np.array([[-1, 1], [0, -1]], np.float32)
    model.draw_change = lambda told: change
    image = np.random.default_rng(0).uniform(size=(2, 32, 32, 3)).astype(np.float32)
    found, terms = model.objective({"image": image, "label": label, "label_mask": np.array([[1.0, 1.0], [1.0, 0.0]])})
    # As they are: .2 for a, .1 against b; -.4 against a, and no example of b. Edited: -.4 against a, .5 for b; .1
    # against b.
    real, edited = ((0.8 + 0.9) / 2 + 1.4) / 2, ((0.6 + 1.5) / 2 + 1.1) / 2
    assert float(found["discriminator"]) == pytest.approx(real + edited, rel=1e-5)
    assert float(terms["adversarial"]) == pytest.approx(-((-0.4 + 0.5) / 2 + 0.1) / 2, rel=1e-5)


def test_companions_of_what_is_asked_for_may_change_too():
    model = AttributeCVAEGAN(
        ["a", "b", "c"], co_occurring={"a": ["b"]}, latent_channels=4, widths=(8, 8, 8, 8), recogniser_widths=(4, 4, 4)
    )
    image = np.random.default_rng(0).uniform(size=(2, 32, 32, 3)).astype(np.float32)
    seen = [np.zeros((2, 3), np.float32)] * 2 + [np.array([[9, 1, 2], [1, 2, 9]], np.float32)]  # x, x', edited
    sights = iter([{"logits": logits, "layers": [np.zeros((2, 16, 16, 4), np.float32)] * 3} for logits in seen])
    model.recognise = lambda picture: next(sights)
    model.discriminator = lambda seen, training: np.zeros((2, 1, 1, 6), np.float32)
    model.draw_change = lambda told: np.array([[1, 0, 0], [0, 0, 1]], np.float32)
    label = np.zeros((2, 3), np.float32)
    terms = model.objective({"image": image, "label": label, "label_mask": np.ones((2, 3))})[1]
    off = np.log1p(np.exp([1, 2])) - 0.5 * np.array([1, 2])  # of logits 1 and 2, where 1/2 was seen
    assert float(terms["other"]) == pytest.approx((off[1] + off.sum()) / 2, rel=1e-5)
    with pytest.raises(ValueError, match="co_occurring of d, which is no attribute"):
        AttributeCVAEGAN(["a", "b"], co_occurring={"a": ["d"]})


def test_every_attribute_is_turned_round_by_itself():
    changes = single_changes(np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], np.float32), [[1, 2]])
    np.testing.assert_array_equal(changes[0], [[1, 0, 0], [0, -1, 0], [0, -1, 1]])
    np.testing.assert_array_equal(changes[1], [[-1, 0, 0], [0, 1, 0], [0, 0, 1]])


def step(model, batch, **optimizers):
    """One eager step on a batch; returns every player's arrays before and after."""
    model.compile(optimizers, average=0, run_eagerly=keras.backend.backend() == "tensorflow")
    before = {p: [numbers(v) for v in model.player_variables(p)] for p in model.players}
    model.train_on_batch(batch)
    return before, {p: [numbers(v) for v in model.player_variables(p)] for p in model.players}


def test_an_optimizer_for_nobody_is_refused():
    with pytest.raises(ValueError, match="no player is called banker"):
        VAE((8, 8, 1), latent_dim=2, base=4).compile({"banker": keras.optimizers.SGD(0.1)})


def test_moving_averages_warm_up_and_follow_where_the_weights_ended():
    """The momentum of step n is min(m, n / (9 + n)), and 0 in the first, whatever share of its step a player took."""
    model = VAEGAN((8, 8, 1), latent_dim=2, base=4)
    model.step_sizes = lambda terms: {"decoder": ops.convert_to_tensor(0.5)}
    model.compile({"decoder": keras.optimizers.SGD(0.1)}, average=0.25, run_eagerly=True)
    held = [numbers(v) for v in model.player_variables("decoder")]
    with model.averages():
        for own, before in zip(model.player_variables("decoder"), held, strict=True):
            np.testing.assert_array_equal(numbers(own), before)
    expected = None
    for momentum in (0.0, 2 / 11, 3 / 12, 0.25):  # 4 / 13 is above m
        model.train_on_batch({"image": pictures()})
        weights = [numbers(v) for v in model.player_variables("decoder")]
        expected = expected or weights
        expected = [momentum * a + (1 - momentum) * w for a, w in zip(expected, weights, strict=True)]
        with model.averages():
            for own, average in zip(model.player_variables("decoder"), expected, strict=True):
                np.testing.assert_allclose(numbers(own), average, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("image_shape", [(32, 32, 1), (64, 64, 3)])
def test_a_posterior_starts_near_the_prior(image_shape):
    """Within a tenth of a nat a dimension, however large the picture."""
    keras.utils.set_random_seed(0)
    mean, log_variance = gaussian_encoder(image_shape, 64)(pictures(8, image_shape), training=True)
    assert 0.0 < float(losses.kl_standard_normal(mean, log_variance)) < 6.4


def test_a_posterior_with_a_start_has_that_log_variance():
    keras.utils.set_random_seed(0)
    mean, log_variance = place_encoder((32, 32, 3), 16)(pictures(8, (32, 32, 3)))
    assert numbers(log_variance).mean() == pytest.approx(-4.0, abs=0.2)
    assert numbers(mean).std() > math.exp(-2.0)


def pictures(count=4, shape=(8, 8, 1)):
    return np.random.default_rng(0).uniform(size=(count, *shape)).astype(np.float32)


def test_an_input_gradient_is_that_of_the_sum_and_goes_on_to_the_weights():
    """Of f(x) = w x^2 it is 2 w x, and of its square's mean by w 2 w (2 x)^2."""
    weight = keras.Variable(3.0)
    x = ops.convert_to_tensor(np.array([[1.0], [2.0]], np.float32))
    np.testing.assert_allclose(numbers(input_gradient(lambda value: weight * value**2, x)), [[6.0], [12.0]])
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = ops.mean(input_gradient(lambda value: weight * value**2, x) ** 2)
        assert float(tape.gradient(loss, weight.value)) == pytest.approx(2 * 3 * (4 + 16) / 2)


def test_a_clipped_critic_stays_within_its_limit():
    model = WGAN((8, 8, 1), latent_dim=2, base=4, critic_steps=2, clip=0.02)
    _, after = step(model, {"image": pictures()})
    assert max(np.abs(values).max() for values in after["critic"]) == pytest.approx(0.02)
    assert max(np.abs(values).max() for values in after["generator"]) > 0.05


def test_a_critic_moves_several_times_in_a_step_and_the_generator_once():
    model = WGAN((8, 8, 1), latent_dim=2, base=4, critic_steps=3)
    step(model, {"image": pictures()})
    assert {p: int(o.iterations) for p, o in model.optimizer.by_player.items()} == {"critic": 3, "generator": 1}


def test_the_gradient_penalty_is_taken_between_real_and_generated_images():
    """With a critic that is a sum over pixels times w, of any x_hat: the gradient is w everywhere, 8 w long."""
    model = WGANGP((8, 8, 1), latent_dim=2, base=4)
    seen = []

    def score(images, training=False):
        seen.append(numbers(images))
        return 0.5 * ops.sum(images, axis=(1, 2, 3))[:, None]

    model.score = score
    model.generator = lambda z, training: ops.zeros((4, 8, 8, 1))
    x = pictures()
    terms = model.objective({"image": x})[1]
    assert float(terms["penalty"]) == pytest.approx((4.0 - 1.0) ** 2, rel=1e-5)
    shares = seen[2] / x
    np.testing.assert_allclose(shares, np.broadcast_to(shares[:, :1, :1], shares.shape), rtol=1e-4)
    assert len(np.unique(shares[:, 0, 0].round(4))) == 4


def test_who_is_gated_rests_and_the_others_move():
    model = VAEGAN((8, 8, 1), latent_dim=2, base=4, gated=True)
    model.step_sizes = lambda terms: {"discriminator": ops.zeros(())}
    before, after = step(model, {"image": pictures()})
    moved = {p: any(np.any(a != b) for a, b in zip(before[p], after[p], strict=True)) for p in before}
    assert moved == {"encoder": True, "decoder": True, "discriminator": False}


@pytest.mark.parametrize(
    ("real", "fake", "plays"), [(1.1, 1.1, (1, 1)), (0.7, 1.1, (0, 1)), (1.1, 1.5, (1, 0)), (0.7, 1.5, (1, 1))]
)
def test_three_classes_are_gated_round_log_3(real, fake, plays):
    """Between log 3 - .35 = .75 and log 3 + .35 = 1.45 both play."""
    model = ThreeClassVAEGAN((8, 8, 1), latent_dim=2, base=4, gated=True)
    sizes = model.step_sizes(model.gates(ops.convert_to_tensor(real), ops.convert_to_tensor(fake)))
    assert (float(sizes["discriminator"]), float(sizes["decoder"])) == plays


def test_cvaegans_discriminator_adds_what_it_says_of_both_fakes():
    """With logits of 0 for all images each of the three terms of Algorithm 1 is log 2."""
    model = CVAEGAN((8, 8, 1), classes=2, latent_dim=2, base=4)
    logits = next(layer for layer in reversed(model.discriminator.layers) if layer.weights)
    logits.set_weights([np.zeros((32, 1)), np.zeros(1)])
    found, _ = model.objective(
        {"image": ops.convert_to_tensor(pictures()), "label": ops.convert_to_tensor([0, 1, 0, 1])}
    )
    assert float(found["discriminator"]) == pytest.approx(3 * math.log(2.0), rel=1e-5)


def test_a_step_size_scales_the_step_whatever_the_optimizer():
    steps = {}
    for size in (1.0, 0.25):
        keras.utils.set_random_seed(1)
        model = GAIA((8, 8, 1), latent_dim=2, base=4)
        model.step_sizes = lambda terms, size=size: {"generator": ops.convert_to_tensor(size)}
        before, after = step(model, {"image": pictures()}, generator=keras.optimizers.Adam(0.1))
        steps[size] = after["generator"][0] - before["generator"][0]
    np.testing.assert_allclose(steps[0.25], 0.25 * steps[1.0], rtol=1e-3, atol=1e-6)


def test_gaia_balances_its_learning_rates_by_a_sigmoid():
    model = GAIA((8, 8, 1), latent_dim=2, base=4)
    sizes = model.step_sizes(model.objective({"image": pictures()})[1])
    assert float(sizes["discriminator"] + sizes["generator"]) == pytest.approx(1.0)
    terms = {name: float(v) for name, v in model.objective({"image": pictures()})[1].items()}
    gap = terms["real"] - (terms["reconstructed"] + terms["interpolated"]) / 2
    assert terms["balance"] == pytest.approx(1 / (1 + np.exp(-20 * gap)), rel=1e-4)


@pytest.mark.parametrize(
    ("real", "rec", "interpolated", "loss"), [(0.3, 0.2, 0.1, 0.0), (0.3, 0.4, 0.1, 0.2), (0.1, 0.2, 0.3, 0.1)]
)
def test_gaia_raises_what_is_redrawn_better_than_real_images(real, rec, interpolated, loss):
    model = GAIA((8, 8, 1), latent_dim=2, base=4)
    x, misses = pictures(), iter((real, rec, interpolated))
    model.decoder = lambda z, training: x
    model.reconstructed_by_discriminator = lambda images, training: images + next(misses)
    losses, _ = model.objective({"image": x})
    assert float(losses["discriminator"]) == pytest.approx(loss, abs=1e-6)


def test_unlabelled_rows_teach_no_class_and_the_rest_by_the_papers_sums():
    """Logits given: p(y | x, y <= k) is a softmax, and D(x) = Z / (Z + 1)."""
    model = SemiSupervisedGAN((8, 8, 1), classes=2, latent_dim=2, base=4)
    real = {"logits": np.array([[2.0, 0.0], [1.0, 3.0]], np.float32), "features": np.ones((2, 3), np.float32)}
    fake = {"logits": np.array([[0.0, 0.0], [0.0, -1.0]], np.float32), "features": np.full((2, 3), 3.0, np.float32)}
    answers = iter((real, fake))
    model.generator = lambda z, training: None
    model.discriminator = lambda images, training: next(answers)
    losses, terms = model.objective({"image": pictures(2), "label": np.array([0, -1])})
    assert float(terms["supervised"]) == pytest.approx(np.log(1 + np.exp(-2.0)), rel=1e-5)
    assert float(terms["accuracy"]) == 1.0
    z_real = np.exp([[2.0, 0.0], [1.0, 3.0]]).sum(axis=1)
    z_fake = np.exp([[0.0, 0.0], [0.0, -1.0]]).sum(axis=1)
    expected = -0.5 * (np.log(z_real / (z_real + 1)).mean() + np.log(1 / (z_fake + 1)).mean())
    assert float(terms["unsupervised"]) == pytest.approx(expected, rel=1e-5)
    assert float(losses["generator"]) == pytest.approx(0.5 * 3 * 4.0)


def test_normalized_weights_are_a_direction_and_a_length():
    layer = NormalizedDense(2)
    layer.build((None, 2))
    direction = np.array([[3.0, 0.0], [4.0, 2.0]], np.float32)
    for factor in (1.0, 7.0):
        layer.set_weights([factor * direction, np.array([10.0, 1.0]), np.array([0.0, 0.5])])
        # Directions (.6, .8) and (0, 1): 10 (.6 + .8), and 1 + .5
        np.testing.assert_allclose(numbers(layer(np.ones((1, 2), np.float32))), [[14.0, 1.5]], rtol=1e-6)


def test_the_dense_semi_supervised_gan_is_noisy_in_training_alone():
    model = SemiSupervisedGAN((8, 6, 1), classes=3, latent_dim=2, hidden=(12, 7, 5))
    images = pictures(4, shape=(8, 6, 1))
    first, second = (model.discriminator(images, training=False) for _ in range(2))
    np.testing.assert_array_equal(numbers(first["logits"]), numbers(second["logits"]))
    assert first["logits"].shape == (4, 3)
    assert first["features"].shape == (4, 5)
    noisy, other = (numbers(model.discriminator(images, training=True)["logits"]) for _ in range(2))
    assert np.abs(noisy - other).min() > 0
    drawn = numbers(model.sample(3))
    assert drawn.shape == (3, 8, 6, 1)
    assert drawn.min() > 0
    assert drawn.max() < 1


def test_the_discriminator_moves_k_times_before_the_generator_does():
    model = GAN((8, 8, 1), latent_dim=1, steps=2, hidden=((2,), (2,)))
    assert model.update_phases == (("discriminator",), ("discriminator",), ("generator",))
    moves, objective = [], model.objective
    model.objective = lambda batch, training: moves.append(1) or objective(batch, training)
    model.compile("sgd", run_eagerly=True)
    model.train_on_batch({"image": np.zeros((2, 8, 8, 1), np.float32)})
    assert [int(model.optimizer.by_player[p].iterations) for p in ("discriminator", "generator")] == [2, 1]
    assert len(moves) == 3
    together = GAN((8, 8, 1), latent_dim=1, hidden=((2,), (2,)))
    assert together.update_phases == (("generator", "discriminator"),)
    with pytest.raises(ValueError, match="at least 1"):
        GAN((8, 8, 1), steps=0)


def test_a_maxout_unit_is_the_largest_of_its_pieces():
    """Of a picture of ones, centred 1: pieces k = 0..4 of unit u have weights that add up to (u + 1)(k - 3)."""
    network = maxout_discriminator((2, 2, 1), hidden=(2,))
    kernel = np.array([(u + 1) * (k - 3) for u in range(2) for k in range(5)]) / 4
    network.set_weights([np.tile(kernel, (4, 1)), np.zeros(10), np.array([[1.0], [10.0]]), np.array([0.5])])
    found = network(np.ones((1, 2, 2, 1), np.float32))
    np.testing.assert_allclose(numbers(found["features"]), [[1.0, 2.0]], rtol=1e-6)
    np.testing.assert_allclose(numbers(found["logits"]), [[21.5]], rtol=1e-6)


@pytest.mark.parametrize(("real_classes", "expected"), [(False, 3.0), (True, 1.0)])
def test_acgans_discriminator_pays_for_the_classes_of_generated_images_where_the_paper_says(real_classes, expected):
    """Class losses of 1 on real and 2 on generated images beside log 4 for the source; the generator pays 2 in both."""
    model = ACGAN((8, 8, 1), classes=2, latent_dim=2, base=4, real_classes=real_classes)
    logits = {1.0: [0.0, 0.0, math.log(math.e - 1)], 0.0: [0.0, 0.0, math.log(math.e**2 - 1)]}  # -log p(0) = 1 and 2
    model.generator = lambda given, training: ops.zeros((2, 8, 8, 1))
    model.discriminator = lambda x, training: {"logits": ops.array([logits[float(x[0, 0, 0, 0])]] * 2)}
    found, _ = model.objective({"image": np.ones((2, 8, 8, 1), np.float32), "label": np.array([0, 0])})
    assert float(found["discriminator"]) == pytest.approx(2 * math.log(2) + expected, rel=1e-5)
    assert float(found["generator"]) == pytest.approx(math.log(2) + 2.0, rel=1e-5)


def test_infogans_networks_for_digits_are_the_papers():
    """Table 1: 64 and 128 maps, 1024 units, then 1 of D, and 128 and the codes of Q; G has 1024 and 7 x 7 x 128."""
    model = InfoGAN((28, 28, 1))
    dense = {
        name: [layer.units for layer in getattr(model, name).layers if isinstance(layer, keras.layers.Dense)]
        for name in ("discriminator", "generator")
    }
    assert (sorted(dense["discriminator"]), dense["generator"]) == ([1, 12, 128, 1024], [1024, 7 * 7 * 128])
    maps = [layer.filters for layer in model.discriminator.layers if isinstance(layer, keras.layers.Conv2D)]
    normalized = [w for layer in model.discriminator.layers for w in layer.weights if "gamma" in w.path]
    assert (maps, sorted(w.shape[0] for w in normalized)) == ([64, 128], [128, 128, 1024])
    assert model.latent_dim == 74


@pytest.mark.parametrize(("channels", "likelihood", "dims"), [(1, "bernoulli", 16), (3, "gaussian", 64)])
def test_defaults_are_for_digits_or_for_photos(channels, likelihood, dims):
    assert VAE((8, 8, channels), latent_dim=2, base=4).likelihood == likelihood
    assert AEGAN((8, 8, channels), base=4, width=4).latent_dim == dims


def test_a_decoder_can_say_how_sure_it_is_of_every_pixel():
    """A raw answer of 0 is a grey of 1/2 and a sigma of .1; whatever it is, sigma is from 1/200 to 2."""
    model = VAE((8, 8, 1), latent_dim=2, base=4, likelihood="gaussian", sigma=None)
    model.encoder = lambda x, training: [ops.zeros((1, 2)), ops.zeros((1, 2))]
    model.decoder = lambda z, training: ops.zeros((1, 8, 8, 2))
    found, terms = model.objective({"image": np.full((1, 8, 8, 1), 0.7, np.float32)})
    # 2 deviations off each of 64 pixels
    expected = 64 * (0.5 * 2.0**2 + 0.5 * math.log(2 * math.pi) + math.log(0.1))
    assert float(terms["nll"]) == pytest.approx(expected, rel=1e-5)
    assert float(found["autoencoder"]) == pytest.approx(expected, rel=1e-5)
    sigmas = np.exp(0.5 * numbers(model.log_variance(np.array([[-999.0, -999.0], [999.0, 999.0]], np.float32)))).ravel()
    np.testing.assert_allclose(sigmas, [0.1 * math.exp(-3), 0.1 * math.exp(3)], rtol=1e-5)


def test_infogan_draws_noise_a_category_and_uniform_codes():
    model = InfoGAN((8, 8, 1), categories=3, continuous=2, noise_dim=4, base=4)
    z = numbers(model.prior(600))
    assert z.shape == (600, 9)
    assert abs(z[:, :4].mean()) < 0.1
    assert z[:, :4].std() == pytest.approx(1.0, abs=0.1)
    assert set(np.unique(z[:, 4:7])) == {0.0, 1.0}
    np.testing.assert_array_equal(z[:, 4:7].sum(axis=1), 1.0)
    np.testing.assert_allclose(z[:, 4:7].mean(axis=0), 1 / 3, atol=0.08)
    assert -1.0 <= z[:, 7:].min() < -0.9
    assert 0.9 < z[:, 7:].max() <= 1.0


def test_the_negative_is_the_nearest_stranger_beyond_the_positive():
    """On a line: a at 0, p at .3. Strangers at .1, too hard, at .5 and at .9; .5 is taken: .09 - .25 + .2."""
    model = Siamese((16, 16, 1), embedding_dim=1, widths=(4,))
    model.embedder = lambda x, training: {"embedding": x[:, 0, 0]}
    image, partner = np.zeros((2, 4, 1, 1, 1), np.float32)
    image[:, 0, 0, 0], partner[:, 0, 0, 0] = [0.0, 0.1, 0.5, 0.9], [0.3, 0.1, 0.5, 0.9]
    batch = {"image": image, "partner": partner, "label": np.array([0, 1, 2, 3])}
    loss = float(model.objective(batch)[0]["embedding"])
    # the others: .1 -> 0 (.01), .5 -> .3 (.04), .9 -> .5 (.16), each with its p at distance 0
    expected = (0.04 + (0.2 - 0.01) + (0.2 - 0.04) + (0.2 - 0.16)) / 4
    assert loss == pytest.approx(expected, rel=1e-5)


def test_a_condition_is_a_class_or_attributes_or_nothing():
    model = VAE((8, 8, 1), latent_dim=2, base=4, classes=3)
    np.testing.assert_array_equal(numbers(model.condition(np.array([2, 0]))), [[0, 0, 1], [1, 0, 0]])
    attributes = np.array([[1.0, 0.0, 1.0]], np.float32)
    np.testing.assert_array_equal(numbers(model.condition(attributes)), attributes)
    assert VAE((8, 8, 1), latent_dim=2, base=4).condition(None) is None


def test_without_labels_all_classes_are_sampled_in_turn():
    model = GAN((8, 8, 1), latent_dim=2, base=4, classes=3)
    told = []
    model.decode = lambda z, labels: told.append(numbers(labels).tolist())
    model.sample(5)
    model.sample(2, np.array([1, 1]))
    assert told == [[0, 1, 2, 0, 1], [1, 1]]


def test_centres_of_attributes_count_an_example_in_each_it_has():
    centers = MovingCenters(2, momentum=0.0)
    features, members = np.array([[1.0], [3.0], [8.0]]), np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(numbers(centers(features, members)), [[2.0], [1.0]])


def test_the_gradient_of_centres_is_whole_though_their_past_is_most_of_them():
    centers = MovingCenters(3, momentum=0.9)
    features, members = np.array([[1.0], [3.0], [8.0]], "f"), np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0]], "f")
    centers(np.array([[20.0]], "f"), np.array([[0, 0, 1]], "f"))  # centres 0, 0 and 2 now

    def loss(x):
        return losses.center_loss(np.zeros((3, 1), "f"), centers(x, members, training=False))

    # Centres .2, .8 and 2; of two features each moves their mean by half.
    assert float(loss(ops.convert_to_tensor(features))) == pytest.approx((0.2**2 + 0.8**2 + 2**2) / 2)
    gradient = input_gradient(loss, ops.convert_to_tensor(features))
    np.testing.assert_allclose(numbers(gradient), [[0.1], [0.1], [0.8]], rtol=1e-5)


def test_a_moving_gaussian_has_the_codes_mean_and_spread_from_the_first_batch_on():
    gaussian = MovingGaussian(momentum=0.9)
    codes = np.random.default_rng(0).normal([3.0, -1.0], [0.5, 2.0], (4000, 2)).astype(np.float32)
    gaussian(codes)
    placed = numbers(gaussian.place(np.array([[0.0, 0.0], [1.0, 1.0]], np.float32)))
    np.testing.assert_allclose(placed, [[3.0, -1.0], [3.5, 1.0]], atol=0.1)


@pytest.mark.parametrize("shape", [(2, 1, 1, 3), (1, 4, 5, 2)])
def test_bilinear_upsampling_is_keras_own(shape):
    x = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    expected = keras.layers.UpSampling2D(2, interpolation="bilinear")(x)
    np.testing.assert_allclose(numbers(BilinearUpsampling()(x)), numbers(expected), atol=1e-6)
