"""Black-and-white photos come back so from every editor, though the networks draw in colours."""

import cv2
import numpy as np
import pytest
from PIL import Image

import vaekit
from vaekit import images
from vaekit.grey import is_grey, keep_grey


def photo(shape=(96, 112), dtype=np.uint8, alpha=False):
    rng = np.random.default_rng(0)
    level = cv2.resize(rng.uniform(size=(5, 6)).astype(np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR)
    level = np.rint(level * np.iinfo(dtype).max).astype(dtype)
    return np.dstack([level] * (4 if alpha else 3))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_grey_already_keeps_every_value(dtype):
    levels = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(-1, 16)
    edited = np.dstack([levels] * 3)
    before = edited.copy()
    assert keep_grey(edited, photo()) is edited
    np.testing.assert_array_equal(edited, before)


def test_colours_become_their_luma_and_alpha_stays():
    edited = np.zeros((70, 2, 4), np.uint8)
    edited[:, 0] = (100, 200, 50, 7)
    keep_grey(edited, photo(), photo(alpha=True))
    luma = round(0.299 * 100 + 0.587 * 200 + 0.114 * 50)
    np.testing.assert_array_equal(edited[:, 0], np.tile([luma, luma, luma, 7], (70, 1)))


def test_a_lossy_webp_is_grey_to_a_255th_and_keeps_what_was_not_edited(tmp_path):
    Image.fromarray(photo()).save(tmp_path / "grey.webp", quality=80)
    image = images.read(tmp_path / "grey.webp").pixels
    assert np.ptp(image.astype(int), axis=2).max() == 1  # or there is nothing to test
    edited = image.copy()
    edited[30:40, 20:50] = (10, 200, 90)
    kept = keep_grey(edited.copy(), image)
    np.testing.assert_array_equal(kept[40:], image[40:])
    assert np.ptp(kept[30:40, 20:50], axis=2).max() == 0


def test_one_coloured_pixel_of_one_picture_lets_all_colours_be():
    colour = photo()
    colour[-1, -1, 2] ^= 2
    assert not is_grey(colour)
    edited = np.full((3, 3, 3), (1, 2, 3), np.uint8)
    keep_grey(edited, photo(), colour)
    np.testing.assert_array_equal(edited, np.full((3, 3, 3), (1, 2, 3)))


def edits(bundles, image):
    """By name, what every editor makes of a picture."""
    mask = np.zeros(image.shape[:2], bool)
    mask[20:60, 30:70] = True
    inpaint, superres, edit, frontalize = (
        vaekit.load(str(bundles / name)) for name in ("inpaint", "superres", "edit", "frontalize")
    )
    return {
        "inpaint": inpaint(image, mask),
        "superres": superres(image, 2, detail=1.0),
        "superres between": superres(image, 1.5, detail=1.0),
        "edit": edit(image, {"smiling": 1.0}),
        "frontalize": frontalize(image),
        "paste": frontalize.pasted(image),
        "transfer": frontalize.transfer(image, image[:, ::-1]),
        "morph": frontalize.morph(image, image[:, ::-1], [0.5])[0],
    }


@pytest.mark.parametrize(("dtype", "alpha"), [(np.uint8, False), (np.uint16, True)])
def test_every_editor_keeps_a_grey_photo_grey(bundles, dtype, alpha):
    image = photo(dtype=dtype, alpha=alpha)
    grey = edits(bundles, image)
    assert {name: is_grey(edited) for name, edited in grey.items()} == dict.fromkeys(grey, True)
    image[0, 0, 0] ^= np.iinfo(dtype).max // 255 * 4
    coloured = edits(bundles, image)
    assert not any(is_grey(edited) for edited in coloured.values())
