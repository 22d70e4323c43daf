"""Models of the applications: what their losses weigh, and what they are told."""

import numpy as np
import pytest
from keras import ops
from models import use_small_networks

from vaekit.data.captions import NAMED, Vocabulary, describe
from vaekit.data.rendered import PARTS, Identity, Look, RenderedFaces, parts, render
from vaekit.models.adversarial_segmenter import AdversarialSegmenter
from vaekit.models.captioner import Captioner
from vaekit.models.perceptual_gan import PerceptualGAN
from vaekit.models.pix2pixhd import Pix2PixHD
from vaekit.models.text_to_image import TextToImage
from vaekit.models.video_predictor import VideoPredictor


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        use_small_networks(patch.setattr)
        yield


def logits(value):
    """A discriminator that says the same of everything."""
    return lambda pair, training: {"logits": ops.full((len(pair), 1), value), "layers": [pair]}


# === Segmentation ===


def test_a_segmenter_weighs_its_adversary_by_lambda():
    """Logits of 0: cross-entropy log 2 a pixel, and log 2 for each of the discriminator's answers."""
    model = AdversarialSegmenter(channels=1, classes=2, widths=(8, 8), adversarial=0.1)
    model.segmenter = lambda x, training: ops.zeros((2, 8, 8, 2))
    model.discriminator = logits(0.0)
    maps = np.eye(2, dtype=np.float32)[np.zeros((2, 8, 8), int)]
    found, terms = model.objective({"image": np.ones((2, 8, 8, 1), np.float32), "maps": maps})
    assert float(terms["cross_entropy"]) == pytest.approx(np.log(2))
    assert float(found["segmenter"]) == pytest.approx(1.1 * np.log(2))
    assert float(found["discriminator"]) == pytest.approx(2 * np.log(2))


def test_the_adversary_sees_true_maps_and_probabilities():
    model = AdversarialSegmenter(channels=1, classes=2, widths=(8, 8))
    seen = []
    model.segmenter = lambda x, training: ops.zeros((1, 8, 8, 2))
    model.discriminator = lambda pair, training: seen.append(pair) or {"logits": ops.zeros((1, 1))}
    maps = np.eye(2, dtype=np.float32)[np.ones((1, 8, 8), int)]
    model.objective({"image": np.full((1, 8, 8, 1), 0.75, np.float32), "maps": maps})
    true, predicted = (ops.convert_to_numpy(pair)[0, 0, 0] for pair in seen)
    assert true.tolist() == [0.5, -1.0, 1.0]  # the picture, then the map, both in -1..1
    assert predicted == pytest.approx([0.5, 0.0, 0.0])


# === Video ===


def test_an_untrained_predictor_repeats_the_newest_frame():
    past = np.random.default_rng(0).uniform(size=(2, 16, 16, 3)).astype("float32")
    model = VideoPredictor(channels=1, frames=3, scales=1, width=4)
    np.testing.assert_allclose(ops.convert_to_numpy(model.next_frame(past)), past[..., 2:], atol=1e-6)
    following = ops.convert_to_numpy(model.continued(past, 2))
    np.testing.assert_allclose(following, np.repeat(past[..., 2:], 2, axis=-1), atol=1e-6)


def test_a_predictor_sums_its_losses_over_the_scales():
    """Of a black past and a white frame, every scale is 1 off at each pixel, and has no edges."""
    model = VideoPredictor(channels=1, frames=2, scales=2, width=4, adversarial=0.05, gradient=1.0)
    model.discriminators = [logits(0.0), logits(0.0)]
    found, terms = model.objective(
        {"past": np.zeros((1, 8, 8, 2), np.float32), "image": np.ones((1, 8, 8, 1), np.float32)}
    )
    assert float(terms["distance"]) == pytest.approx(2.0)
    assert float(terms["gradient_difference"]) == pytest.approx(0.0, abs=1e-6)
    assert float(found["generator"]) == pytest.approx(2.0 + 0.05 * 2 * np.log(2))
    assert float(found["discriminator"]) == pytest.approx(4 * np.log(2))


# === pix2pixHD ===


def test_pix2pixhd_matches_features_at_every_size():
    """An untrained G draws .5: on -1..1 that is 1 off white, of two channels one, at both sizes."""
    model = Pix2PixHD(1, condition_channels=1, widths=(8, 8), depth=1, sizes=2, matching=10.0)
    model.fine = lambda pair, training: ops.zeros((1, 16, 16, 1))
    model.discriminators = [logits(0.5), logits(0.5)]
    picture = np.ones((1, 16, 16, 1), np.float32)
    found, terms = model.objective({"condition": picture, "image": picture})
    assert float(terms["matching"]) == pytest.approx(2 * 0.5)
    assert float(found["generator"]) == pytest.approx(2 * 0.25 + 10.0)
    assert float(found["discriminator"]) == pytest.approx(2 * (0.25 + 0.25))


# === Text to image ===


def test_gan_cls_pairs_a_real_picture_with_the_next_ones_caption():
    model = TextToImage((16, 16, 1), words=4, length=2, latent_dim=4, text_dim=2, base=4)
    told = []
    model.text_encoder = lambda text, training: ops.cast(text, "float32")
    model.generator = lambda inputs, training: ops.zeros((3, 16, 16, 1))

    def discriminator(inputs, training):
        told.append(ops.convert_to_numpy(inputs[1])[:, 0].tolist())
        return {"logits": ops.zeros((3, 1))}

    model.discriminator = discriminator
    text = np.array([[1, 0], [2, 0], [3, 0]], np.int32)
    found, _ = model.objective({"image": ops.ones((3, 16, 16, 1)), "text": text})
    assert told == [[1, 2, 3], [3, 1, 2], [1, 2, 3]]
    # log 2 for the right pair, and half of two of them for the wrong and the generated one.
    assert float(found["discriminator"]) == pytest.approx(2 * np.log(2))
    assert float(found["generator"]) == pytest.approx(np.log(2))


def attributes(**given):
    return {**dict.fromkeys(NAMED, 0), "No_Beard": 1, **given}


def test_captions_name_what_a_face_has_and_nothing_else():
    rng = np.random.default_rng(0)
    seen = {describe(attributes(Smiling=1, Young=1, Black_Hair=1, Eyeglasses=1), rng) for _ in range(200)}
    assert "a smiling young woman with black hair and glasses" in seen
    assert "a young happy lady with spectacles and black hair" in seen
    assert not {word for caption in seen for word in caption.split()} & {"man", "guy", "old", "beard", "hat"}
    assert describe(attributes(Male=1, No_Beard=0), rng) in ("an old man with a beard", "an old guy with a beard")


def test_words_have_numbers_and_unknown_ones_are_refused():
    vocabulary = Vocabulary(["an old man", "a young woman"])
    assert vocabulary.words == ("", "a", "an", "man", "old", "woman", "young")
    assert vocabulary.encode(["a man"]).tolist() == [[1, 3, 0]]
    with pytest.raises(ValueError, match="unknown words: green"):
        vocabulary.encode(["a green man"])
    with pytest.raises(ValueError, match="more than 3 words"):
        vocabulary.encode(["a young old man"])


# === Parts of drawn faces ===


def test_parts_lie_where_the_picture_shows_them():
    who, look = Identity.draw(np.random.default_rng(3)), Look(smile=1.0)
    found, picture = parts(who, look, 64), render(who, look, 64) / 255.0
    assert found.shape == (64, 64) and found.dtype == np.uint8
    assert {PARTS[number] for number in np.unique(found)} == set(PARTS)
    inside = {name: picture[found == PARTS.index(name)].mean(axis=0) for name in PARTS}
    assert inside["background"] == pytest.approx(look.background, abs=0.02)
    skin, hair = np.asarray(who.skin), np.asarray(who.hair)
    assert np.abs(inside["hair"] - hair).max() < np.abs(inside["skin"] - hair).max()
    assert np.abs(inside["skin"] - skin).max() < np.abs(inside["hair"] - skin).max()


def test_the_parts_of_a_source_are_those_of_its_items():
    source = RenderedFaces(2, side=32)
    who, look = source.identity(0), source.look(0)
    background = source[0]["image"][parts(who, look, 32) == 0]
    # Where a part begins, a pixel may show some of both.
    assert np.mean(np.abs(background / 255.0 - look.background).max(axis=-1) < 0.01) > 0.9


# === Captions ===


def test_a_captioner_that_knows_the_next_word_writes_it():
    """A decoder that always scores the word after the last one, up to the end."""
    model = Captioner((16, 16, 1), words=4, length=4, latent_dim=2, state_dim=3, embedding_dim=2, base=4)

    def word_decoder(inputs, training):
        word, state, _ = inputs
        following = ops.where(ops.sum(word, axis=-1, keepdims=True) == 0, ops.one_hot([1], 4), ops.roll(word, 1, -1))
        return 9.0 * following, state

    model.word_decoder = word_decoder
    images = np.zeros((2, 16, 16, 1), np.float32)
    # 1, 2, 3, then 0: the end.
    assert ops.convert_to_numpy(model.caption(images)).tolist() == [[1, 2, 3, 0]] * 2
    text = np.array([[1, 2, 3, 0], [1, 2, 3, 0]], np.int32)
    _, terms = model.objective({"image": images, "text": text})
    # Of each word 9 against three of 0: -log softmax.
    assert float(terms["likelihood"]) == pytest.approx(np.log1p(3 * np.exp(-9)), rel=1e-3)


def test_words_behind_the_end_are_none():
    model = Captioner((16, 16, 1), words=3, length=4, latent_dim=2, state_dim=3, embedding_dim=2, base=4)
    words = np.eye(3, dtype=np.float32)[[[2, 0, 1, 1], [1, 1, 2, 0]]]
    assert ops.convert_to_numpy(model._numbers(words)).tolist() == [[2, 0, 0, 0], [1, 1, 2, 0]]


def test_an_evaluator_scores_inner_products():
    """r of a caption with its own picture 2, with the next one's 1: softplus(-2) + softplus(1) + softplus(of made)."""
    model = Captioner(
        (16, 16, 1), words=3, length=2, latent_dim=2, state_dim=3, embedding_dim=2, base=4, adversarial=1.0
    )
    model.image_embedder = lambda x, training: ops.convert_to_tensor([[2.0, 1.0], [1.0, 2.0]])
    model.text_embedder = lambda words, training: ops.convert_to_tensor([[1.0, 0.0], [0.0, 1.0]])
    batch = {"image": np.zeros((2, 16, 16, 1), np.float32), "text": np.ones((2, 2), np.int32)}
    losses_, terms = model.objective(batch)
    right, wrong, made = np.log1p(np.exp(-2)), np.log1p(np.exp(1)), np.log1p(np.exp(2))
    assert float(losses_["evaluator"]) == pytest.approx(right + wrong + made, rel=1e-5)
    assert float(losses_["generator"]) == pytest.approx(float(terms["likelihood"]) + right, rel=1e-5)


# === Small objects ===


def test_an_untrained_generator_leaves_small_objects_as_they_are():
    model = PerceptualGAN((16, 16, 1), classes=3, base=4)
    images = np.random.default_rng(0).uniform(size=(2, 16, 16, 1)).astype("float32")
    small, large = model.classify_small(images), model.classify_large(images)
    np.testing.assert_allclose(ops.convert_to_numpy(small), ops.convert_to_numpy(large), atol=1e-6)


def test_the_head_has_to_know_what_enhanced_features_show():
    model = PerceptualGAN((16, 16, 1), classes=3, base=4, adversarial=0.5)
    model.head = lambda features, training: ops.zeros((2, 3))
    model.discriminator = lambda features, training: ops.zeros((2, 1))
    images, label = np.zeros((2, 16, 16, 1), np.float32), np.array([0, 1], np.int32)
    found, _ = model.objective({"image": images, "small": images, "label": label, "small_label": label})
    assert float(found["classifier"]) == pytest.approx(2 * np.log(3))
    assert float(found["generator"]) == pytest.approx(np.log(3) + 0.5 * np.log(2))
    assert float(found["discriminator"]) == pytest.approx(2 * np.log(2))
