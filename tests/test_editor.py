"""How the inpainting editor cuts a picture up and puts it together; with networks whose answer is known."""

import doctest
import functools
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from vaekit import faces
from vaekit.apps.inpaint import editor as module
from vaekit.apps.inpaint.editor import Editor, downscale_with_hole, even_out, windows


def editor_with(network) -> Callable[..., np.ndarray]:
    made = object.__new__(Editor)
    made.latent_dim, made.network = 4, network
    return functools.partial(made, fill="network")


def scattered_holes(shape, seed=0):
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, bool)
    for _ in range(12):
        y, x = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        mask[y : y + rng.integers(1, 60), x : x + rng.integers(1, 60)] = True
    return mask


def test_examples_in_docstrings():
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("shape", [(600, 500), (300, 1000), (70, 40), (17, 300)])
def test_every_hole_pixel_is_repaired_once(shape):
    mask = scattered_holes(shape)
    owners = np.zeros(shape, int)
    for window in windows(mask):
        owners[window.rows, window.columns] += window.owns & mask[window.rows, window.columns]
    np.testing.assert_array_equal(owners, mask.astype(int))


@pytest.mark.parametrize("shape", [(600, 500), (70, 40), (17, 300)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_constant_answer_fills_every_hole_without_seams(shape, dtype):
    image = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (*shape, 3), dtype)
    mask = scattered_holes(shape)
    edit = editor_with(lambda image, mask, hint, z: np.full_like(image, 0.25))
    repaired = edit(image, mask)
    np.testing.assert_array_equal(repaired[~mask], image[~mask])
    assert set(repaired[mask].ravel()) == {round(0.25 * np.iinfo(dtype).max)}


def test_progress_is_told_after_every_hole():
    told = []
    mask = np.zeros((200, 200), bool)
    mask[10:20, 10:20] = mask[150:160, 150:180] = True
    answer = editor_with(lambda image, mask, hint, z: image)
    answer(np.zeros((200, 200, 3), np.uint8), mask, progress=told.append)
    assert told == [0.25, 1.0]


def test_the_network_sees_sides_it_can_take_and_each_pass_hints_the_next():
    seen = []

    def network(image, mask, hint, z):
        seen.append((image.shape[1:3], float(hint[..., 3].mean())))
        return np.where(hint[..., 3:] > 0, hint[..., :3], 0.75)

    image = np.zeros((500, 400, 3), np.uint8)
    mask = np.zeros((500, 400), bool)
    mask[100:350, 100:320] = True
    repaired = editor_with(network)(image, mask)
    assert all(side % module.STRIDE == 0 and side <= module.TILE for shape, _ in seen for side in shape)
    hinted = [share for _, share in seen]
    assert hinted == sorted(hinted)  # only the first pass is without
    assert (hinted[0], hinted[-1]) == (0.0, 1.0)
    # the coarsest pass's answer, handed up; enlarging mixes it with what is known at the rim
    np.testing.assert_array_equal(repaired[140:310, 140:280], 191)


def test_iterations_give_the_last_answer_back_as_a_hint():
    image = np.zeros((80, 80, 3), np.uint8)
    mask = np.zeros((80, 80), bool)
    mask[4:76, 4:76] = True
    edit = editor_with(lambda image, mask, hint, z: np.where(hint[..., 3:] > 0, hint[..., :3] + 0.12, 0.12))
    for times in (1, 2, 3):  # in the middle, which the blur of the hint does not reach
        assert set(edit(image, mask, iterations=times)[36:44, 36:44].ravel()) == {round(30.6 * times)}


def test_the_coarsest_answer_is_the_mean_of_the_picture_s_and_its_mirror_image_s():
    def network(image, mask, hint, z):
        return np.broadcast_to(np.linspace(0, 0.8, image.shape[2])[:, None], image.shape)

    image, mask = np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), bool)
    mask[10:30, 5:60] = True
    assert set(editor_with(network)(image, mask)[mask].ravel()) == {102}


def test_an_iteration_is_hinted_at_without_the_detail_of_the_last():
    image = np.zeros((80, 80, 3), np.uint8)
    mask = np.zeros((80, 80), bool)
    mask[4:76, 4:76] = True
    grain = (np.indices((80, 80))[0] % 2)[None, ..., None] * 0.5

    def network(image, mask, hint, z):
        return np.where(hint[..., 3:] > 0, hint[..., :3], grain)

    edit = editor_with(network)
    assert np.ptp(edit(image, mask)[36:44, 36:44]) > 100
    assert np.ptp(edit(image, mask, iterations=2)[36:44, 36:44]) <= 1


def test_opacity_is_continued_into_the_hole():
    image = np.full((80, 80, 4), 200, np.uint8)
    image[:, 40:, 3] = 100
    mask = np.zeros((80, 80), bool)
    mask[10:20, 10:20] = mask[50:60, 60:70] = True
    image[mask] = 0
    repaired = editor_with(lambda image, mask, hint, z: np.full_like(image, 0.5))(image, mask)
    assert np.abs(repaired[10:20, 10:20, 3].astype(int) - 200).max() <= 1
    assert np.abs(repaired[50:60, 60:70, 3].astype(int) - 100).max() <= 1


def test_even_out_takes_a_shift_of_colour_away_at_the_seam():
    truth = np.full((60, 60, 3), 0.6, np.float32)
    hole = np.zeros((60, 60), bool)
    hole[15:45, 15:45] = True
    fill = np.where(hole[..., None], truth - 0.2, truth).astype(np.float32)
    evened = even_out(truth, fill, hole, depth=8.0)
    np.testing.assert_allclose(evened[15, 30], 0.6, atol=1e-3)
    np.testing.assert_allclose(evened[30, 30], 0.4, atol=1e-6)  # deeper than 8 nothing changes
    np.testing.assert_array_equal(evened[~hole], truth[~hole])


def test_shrinking_never_mixes_in_what_is_unknown():
    image = np.full((40, 40, 3), 0.3, np.float32)
    hole = np.zeros((40, 40), bool)
    hole[10:30, 10:31] = True
    image[hole] = 99.0
    small, small_hole = downscale_with_hole(image, hole, (20, 20))
    assert small_hole.sum() in (100, 110)
    np.testing.assert_allclose(small[~small_hole], 0.3, atol=1e-5)


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (np.zeros((8, 8), np.uint8), np.zeros((8, 8), bool), "HxWx3"),
        (np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), bool), "uint8"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9), bool), "mask of"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8), "bool mask"),
        (np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), bool), "whole image"),
    ],
)
def test_what_does_not_fit_is_refused(image, mask, message):
    with pytest.raises(ValueError, match=message):
        editor_with(None)(image, mask)


@pytest.mark.parametrize("degrees", [0, 40, 180])
def test_a_hole_in_a_face_is_repaired_upright_in_its_crop(degrees):
    """The network answers with a slope down the picture that it sees: down the face, however that is turned."""
    turn = cv2.getRotationMatrix2D((150, 140), degrees, 1.5)
    points = cv2.transform((100 * faces.WIDE_TEMPLATE + (100, 90))[None], turn)[0]
    face = faces.Face(points.astype(np.float32), (0, 0, 1, 1), 1.0)
    sides = set()

    def network(image, mask, hint, z):
        sides.add(image.shape[1])
        rows = np.linspace(0.2, 0.8, image.shape[1])
        return np.broadcast_to(rows[None, :, None, None], image.shape).astype(np.float32)

    image = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    mask = np.zeros((300, 300), bool)
    mask[120:170, 130:180] = True
    mask[5:15, 5:15] = True  # outside of the face
    edit = editor_with(network)
    repaired = edit(image, mask, found=[face])
    np.testing.assert_array_equal(repaired[~mask], image[~mask])
    crop = faces.align(repaired, faces.alignment(face, 150), 150)
    hole = faces.align(mask.astype(np.uint8) * 255, faces.alignment(face, 150), 150) > 0.999
    down, expected = crop[hole].mean(axis=-1), np.linspace(0.2, 0.8, 150)[np.nonzero(hole)[0]]
    assert np.abs(down - expected).mean() < 0.06
    plain = edit(image, mask)
    np.testing.assert_array_equal(repaired[:20, :20], plain[:20, :20])
    assert np.any(repaired[mask] != plain[mask])


def test_a_hole_that_reaches_beyond_a_face_is_repaired_as_ever():
    face = faces.Face((60 * faces.WIDE_TEMPLATE + 100).astype(np.float32), (100, 100, 60, 60), 1.0)
    mask = np.zeros((300, 300), bool)
    mask[120:140, 90:140] = True
    image = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    edit = editor_with(lambda image, mask, hint, z: image[:, ::-1])
    np.testing.assert_array_equal(edit(image, mask, found=[face]), edit(image, mask))


def test_what_fills_a_hole_is_chosen_by_its_depth_and_reported():
    image = np.random.default_rng(0).integers(0, 256, (200, 220, 3), np.uint8)
    mask = np.zeros((200, 220), bool)
    mask[10:14, 20:200] = True  # thin
    mask[60:120, 80:150] = True
    edit = editor_with(lambda image, mask, hint, z: np.full_like(image, 0.25)).func
    result = edit.repair(image, mask)
    fills = {fill.method: fill for fill in result.fills}
    assert fills["network"].box == (20, 10, 180, 4)
    assert fills["texture"].box == (80, 60, 70, 60)
    assert all(0 <= fill.confidence <= 1 for fill in result.fills)
    assert set(result.image[10:14, 20:200].ravel()) == {64}
    assert result.image[60:120, 80:150].std() > 20
    np.testing.assert_array_equal(result.image[~mask], image[~mask])
    for method in ("network", "texture"):
        assert {fill.method for fill in edit.repair(image, mask, fill=method).fills} == {method}


def test_a_hole_in_a_face_is_the_network_s():
    face = faces.Face((150 * faces.WIDE_TEMPLATE + 50).astype(np.float32), (50, 50, 150, 150), 1.0)
    image = np.random.default_rng(0).integers(0, 256, (250, 250, 3), np.uint8)
    mask = np.zeros((250, 250), bool)
    mask[100:150, 100:150] = True
    edit = editor_with(lambda image, mask, hint, z: np.full_like(image, 0.25)).func
    assert [fill.method for fill in edit.repair(image, mask, found=[face]).fills] == ["network"]
    assert [fill.method for fill in edit.repair(image, mask).fills] == ["texture"]


def test_too_little_texture_leaves_the_hole_to_the_network():
    mask = np.zeros((40, 40), bool)
    mask[3:37, 3:37] = True
    edit = editor_with(lambda image, mask, hint, z: np.full_like(image, 0.25)).func
    assert [f.method for f in edit.repair(np.zeros((40, 40, 3), np.uint8), mask, fill="texture").fills] == ["network"]


def test_transparent_pixels_and_what_holes_hide_do_not_matter():
    image = np.random.default_rng(0).integers(0, 256, (160, 200, 4), np.uint8)
    image[..., 3] = 255
    image[:, 150:, 3] = 0
    mask = np.zeros((160, 200), bool)
    mask[50:90, 60:110] = True
    mask[130:150, 20:130] = True
    other = image.copy()
    other[:, 150:, :3] = 255
    other[mask] = 255
    edit = editor_with(None).func
    first, second = (edit(pixels, mask, fill="texture") for pixels in (image, other))
    np.testing.assert_array_equal(first[mask], second[mask])
    assert set(first[mask][:, 3]) == {255}


def test_the_network_does_not_see_transparent_pixels():
    image = np.full((64, 64, 4), 255, np.uint8)
    image[:, 40:, 3] = 0
    image[:, 40:, :3] = 7
    mask = np.zeros((64, 64), bool)
    mask[20:30, 20:30] = True
    seen = []

    def network(image, mask, hint, z):
        seen.append(image[~np.broadcast_to(mask, image.shape).astype(bool)])
        return np.full_like(image, 0.25)

    repaired = editor_with(network)(image, mask)
    assert min(known.min() for known in seen) > 0.9
    np.testing.assert_array_equal(repaired[~mask], image[~mask])
