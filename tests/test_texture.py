"""Filling holes with patches of the image itself."""

import numpy as np
import pytest

from vaekit import texture


def filled(image, hole, usable=None, seed=None):
    """The whole image, filled, and how sure that is."""
    result = texture.fill(image, hole, ~hole if usable is None else usable, seed)
    whole = image.astype(np.float32)
    whole[result.box][hole[result.box]] = result.image[hole[result.box]]
    return whole, result.confidence


def disc(shape, centre, radius):
    y, x = np.indices(shape)
    return np.hypot(y - centre[0], x - centre[1]) < radius


def noise(shape, seed=0, most=255):
    return np.random.default_rng(seed).integers(0, most + 1, shape, np.uint8 if most < 256 else np.uint16)


@pytest.mark.parametrize(("dtype", "value"), [(np.uint8, 128), (np.uint16, 40_000)])
def test_a_hole_in_one_colour_is_filled_with_it(dtype, value):
    image = np.full((150, 170, 3), value, dtype)
    hole = disc(image.shape[:2], (70, 80), 40)
    image[hole] = 7
    repaired, confidence = filled(image, hole)
    np.testing.assert_allclose(repaired, value, atol=1e-3 * value)
    assert confidence > 0.95


def test_a_regular_pattern_goes_on_in_the_hole():
    y, x = np.indices((160, 160))
    truth = np.where((y // 8 + x // 8) % 2, 220, 40).astype(np.uint8)[..., None].repeat(3, axis=2)
    hole = disc(truth.shape[:2], (80, 84), 30)
    image = np.where(hole[..., None], 0, truth).astype(np.uint8)
    repaired, confidence = filled(image, hole)
    assert np.abs(repaired - truth)[hole].mean() < 30  # 90 where it does not go on
    assert confidence > 0.8


def test_the_fill_is_as_sharp_as_the_image():
    image = noise((140, 140, 3))
    hole = disc((140, 140), (70, 70), 30)
    image[hole] = 0
    repaired, _ = filled(image, hole)
    assert 0.7 < repaired[hole].std() / image[~hole].std() < 1.3


def test_nothing_is_copied_from_the_hole_or_what_is_not_usable():
    image = noise((120, 160, 3), most=100)
    hole = disc((120, 160), (60, 50), 20)
    usable = ~hole
    usable[:, 100:] = False
    image[~usable] = 255
    repaired, _ = filled(image, hole, usable)
    assert np.mean(repaired[hole] > 100) < 0.1  # the blend of seams changes colours a little


def test_a_seed_gives_the_same_fill_again_and_another_one_another():
    image = noise((120, 120, 3))
    hole = disc((120, 120), (60, 60), 20)
    first, again, other = (filled(image, hole, seed=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other)[hole].mean() > 20


def test_a_large_hole_is_searched_at_a_smaller_size_and_copied_at_its_own(monkeypatch):
    monkeypatch.setattr(texture, "SEARCHED", 500)
    image = noise((203, 230, 3), most=60_000)
    hole = disc((203, 230), (110, 100), 30)
    repaired, _ = filled(image, hole)
    assert 0.7 < repaired[hole].std() / image[~hole].std() < 1.3


def test_a_hole_at_the_border():
    image = np.full((100, 90, 3), 50, np.uint8)
    hole = np.zeros((100, 90), bool)
    hole[60:, :30] = True
    np.testing.assert_allclose(filled(image, hole)[0], 50, atol=0.1)


def test_too_few_patches_are_refused():
    image = np.zeros((30, 30, 3), np.uint8)
    hole = np.zeros((30, 30), bool)
    hole[4:26, 4:26] = True
    with pytest.raises(texture.TooLittleError, match="7x7"):
        texture.fill(image, hole, ~hole)
