"""What single models do beyond the conformance table."""

import numpy as np
import pytest
from keras import ops

from vaekit.apps.edit.training import single_changes
from vaekit.models.attribute_cvaegan import CHANGED, AttributeCVAEGAN
from vaekit.models.cvaegan import CVAEGAN
from vaekit.models.face_ipgan import FaceIPGAN
from vaekit.models.ipgan import IPGAN
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


def test_a_code_moves_to_the_front_along_the_turn_alone():
    model = FaceIPGAN((16, 16, 1), 3, 4, side=16, embedder_widths=(4, 6, 8), encoder_widths=(4,), decoder_widths=(8,))
    model.poses.centers.assign([[1.0, 2.0, 0.0], [1.0, -1.0, 4.0], [9.0, 9.0, 9.0]])
    # The turn is along (0, 3, -4) / 5; frontal codes lie at 6/5 of it.
    code = np.array([[7.0, -1.0, 4.0], [5.0, 2.0, 0.0]], np.float32)
    np.testing.assert_allclose(numbers(model.to_front(code)), [[7.0, 2.0, 0.0], [5.0, 2.0, 0.0]], atol=1e-5)


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


def test_every_attribute_is_turned_round_by_itself():
    changes = single_changes(np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], np.float32), [[1, 2]])
    np.testing.assert_array_equal(changes[0], [[1, 0, 0], [0, -1, 0], [0, -1, 1]])
    np.testing.assert_array_equal(changes[1], [[-1, 0, 0], [0, 1, 0], [0, 0, 1]])
