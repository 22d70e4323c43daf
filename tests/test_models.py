"""What single models do beyond the conformance table."""

import numpy as np
import pytest
from keras import ops

from vaekit.models.cvaegan import CVAEGAN
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
