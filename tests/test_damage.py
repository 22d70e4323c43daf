"""Drawn damage, the network that finds it, and `vaekit inpaint --mask auto`."""

import json

import cv2
import keras
import numpy as np
import pytest

from vaekit import images
from vaekit.apps.damage.editor import SMALL, TILE, Editor
from vaekit.bundle import find
from vaekit.data import aged
from vaekit.data.damage import KINDS, damage, visible
from vaekit.data.noise import smooth_field, smooth_line


def photo(height=90, width=140, seed=0):
    rng = np.random.default_rng(seed)
    small = rng.uniform(0.2, 0.8, (6, 9, 3)).astype(np.float32)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def to_bytes(image):
    return np.rint(255 * image).astype(np.uint8)


# === Data ===


def test_visible_is_what_has_changed_enough_or_continues_it_and_one_pixel_round():
    before = np.full((20, 30, 3), 0.5, np.float32)
    after = before.copy()
    after[5, 4:10] += 0.2
    after[5, 10:14] += 0.06  # continues it
    after[15, 4:14] += 0.06  # alone
    after[10, 20:24, 1] -= 0.12  # one channel is enough
    after[18, 20:24] += 0.03
    expected = np.zeros((20, 30), bool)
    expected[4:7, 3:15] = expected[9:12, 19:25] = True
    np.testing.assert_array_equal(visible(before, after), expected)


def test_the_more_uneven_a_picture_is_the_more_has_to_change():
    before = np.full((40, 40, 3), 0.5, np.float32)
    before[:, 20:] += 0.3 * (np.indices((40, 20)).sum(axis=0) % 2 - 0.5)[..., None]
    after = before.copy()
    after[10, 5:11] += 0.12
    after[10, 28:34] += 0.12
    found = visible(before, after)
    assert found[:, :20].any()
    assert not found[:, 20:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_seen_is_not_everywhere_and_follows_from_the_seed(kind):
    image = photo(160, 200)
    before = image.copy()
    shares = []
    for seed in range(8):
        damaged = damage(image, np.random.default_rng(seed), [kind])
        np.testing.assert_array_equal(damaged, damage(image, np.random.default_rng(seed), [kind]))
        assert (damaged.dtype, damaged.shape) == (np.float32, image.shape)
        assert 0 <= damaged.min() <= damaged.max() <= 1
        shares.append(visible(image, damaged).mean())
    np.testing.assert_array_equal(image, before)
    assert np.mean(np.array(shares) > 0) >= 0.75
    assert np.median(shares) < 0.3


@pytest.mark.parametrize("shape", [(24, 24), (33, 300)])
def test_any_size_can_be_damaged_and_aged(shape):
    image = photo(*shape)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        old = aged.scan(damage(aged.age(aged.with_thin_things(image, rng), rng), rng, list(KINDS)), rng)
        assert (old.dtype, old.shape) == (np.float32, image.shape)
        np.testing.assert_allclose(255 * old, np.rint(255 * old), atol=1e-4)


def test_grey_is_luma():
    image = np.full((2, 2, 3), (0.2, 0.4, 0.6), np.float32)
    np.testing.assert_allclose(aged.grey(image), 0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.6, rtol=1e-5)


def test_smooth_noise_is_of_its_period():
    rng = np.random.default_rng(0)
    assert smooth_line(rng, 1000, 20).shape == (1000,)
    field = smooth_field(rng, (200, 300), 20)
    assert field.shape == (200, 300)
    for axis in (0, 1):
        steps = np.abs(np.diff(field, axis=axis)).mean() / field.std()
        assert 0.01 < steps < 0.1


# === Finding ===


@pytest.fixture(scope="module")
def finder(bundles):
    return Editor(str(bundles / "damage"))


def middle_of(finder, image):
    """A threshold that marks a part of a picture."""
    padded = np.pad(image, [(0, -side % 16) for side in image.shape[:2]] + [(0, 0)], mode="symmetric")
    return float(np.quantile(finder.network(image=padded[None].astype(np.float32) / 255.0), 0.7))


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 3), (np.uint16, 4)])
def test_a_mask_of_the_pictures_size(finder, dtype, channels):
    image = to_bytes(photo(70, 101))
    threshold = middle_of(finder, image)
    picture = image.astype(dtype) * (257 if dtype == np.uint16 else 1)
    if channels == 4:
        alpha = np.full(image.shape[:2], np.iinfo(dtype).max, dtype)
        alpha[:, :50] = 0
        picture = np.dstack([picture, alpha])
    mask = finder(picture, threshold)
    assert (mask.dtype, mask.shape) == (bool, (70, 101))
    assert mask.any()
    assert not mask.all()
    if channels == 4:
        assert not mask[:, :50].any()
        np.testing.assert_array_equal(mask[:, 50:], finder(image, threshold)[:, 50:])


def test_tiles_show_nothing_of_themselves(finder):
    """The network sees 64 pixels round each tile, more than this one's answer depends on."""
    image = to_bytes(photo(TILE + 90, 160, seed=1))
    threshold = middle_of(finder, image)
    whole = finder(image, threshold)
    np.testing.assert_array_equal(whole[200 : TILE + 90], finder(image[112:], threshold)[88:])


def test_large_pictures_are_searched_at_half_the_size_too(finder):
    image = to_bytes(photo(32, SMALL + 64, seed=2))
    threshold = middle_of(finder, image)
    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    found = finder(half, threshold)
    assert found.any()
    assert finder(image, threshold)[np.kron(found, np.ones((2, 2), bool))].all()


def test_progress_is_told_after_every_tile(finder):
    told = []
    height, width = 40, SMALL + 512  # two tiles, and one of half the size
    finder(np.zeros((height, width, 3), np.uint8), progress=told.append)
    total = height * width + height * width / 4
    np.testing.assert_allclose(told, [height * TILE / total, height * width / total, 1.0])


@pytest.mark.parametrize(
    ("image", "threshold"), [(np.zeros((8, 8), np.uint8), 0.5), (np.zeros((8, 8, 3), np.uint8), 2)]
)
def test_what_does_not_fit_is_refused(finder, image, threshold):
    with pytest.raises(ValueError, match="expected"):
        finder(image, threshold)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="reads a SavedModel")
@pytest.mark.parametrize("shape", [(70, 101), (48, SMALL + 40)], ids=["as it is", "at half the size too"])
def test_tensorflow_and_the_served_graph_find_the_same(finder, bundles, shape):
    import tensorflow as tf

    image = to_bytes(photo(*shape))
    threshold = middle_of(finder, image)
    found = finder(image, threshold)
    other = Editor(str(bundles / "damage"), runtime="tensorflow")(image, threshold)
    assert np.mean(found != other) < 0.001
    served = tf.saved_model.load(str(find(str(bundles / "damage")).path)).signatures["serving_default"]
    answer = served(image_bytes=tf.constant([images.encode(image, ".png")]), threshold=tf.constant([threshold]))
    mask = images.decode_mask(answer["image_bytes"].numpy()[0])
    # The half-size picture of the editor is of whole numbers.
    assert np.mean(found != mask) < 0.02


def test_the_shipped_network_finds_scratches_and_leaves_the_rest_alone():
    image = photo(240, 320, seed=4)
    drawn = np.zeros(image.shape[:2], np.uint8)
    for points in ([(20, 30), (120, 90), (260, 80)], [(200, 230), (230, 120), (300, 20)]):
        cv2.polylines(drawn, [np.array(points)], False, 1, 2)
    cv2.circle(drawn, (60, 180), 2, 1, -1)
    scratched = np.where(drawn[..., None] > 0, np.float32(0.97), image)
    found = Editor()(to_bytes(scratched))
    near = [cv2.dilate(x.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0 for x in (drawn, found)]
    assert near[1][drawn > 0].mean() > 0.9
    assert (found & ~near[0]).mean() < 0.002
    assert Editor()(to_bytes(image)).mean() < 0.001


# === vaekit inpaint --mask auto ===


@pytest.fixture
def threshold(finder, tmp_path):
    """photo.png, and what marks a part of it."""
    images.write(tmp_path / "photo.png", to_bytes(photo()))
    return middle_of(finder, to_bytes(photo()))


def test_the_saved_mask_is_what_was_found_and_repairs_the_same(vaekit, finder, threshold, tmp_path):
    found = ["--mask", "auto", "--mask-threshold", threshold, "--dilate", 1]
    done = vaekit("inpaint", "photo.png", *found, "--save-mask", "found.png", "-o", "a.png")
    assert done.returncode == 0, done.stderr
    mask = images.read_mask(tmp_path / "found.png")
    cross = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    expected = cv2.dilate(finder(to_bytes(photo()), threshold).astype(np.uint8), cross).astype(bool)
    np.testing.assert_array_equal(mask, expected)
    done = vaekit("inpaint", "photo.png", "--mask", "found.png", "--save-mask", "again.png", "-o", "b.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "found.png").read_bytes() == (tmp_path / "again.png").read_bytes()


def test_where_nothing_is_found_the_file_is_copied_and_a_note_says_so(vaekit, threshold, tmp_path):
    done = vaekit("inpaint", "photo.png", "--mask", "auto", "--mask-threshold", 1, "--save-mask", "m.png", "--json")
    assert (done.returncode, done.stderr) == (0, "vaekit: photo.png: no damage found: copied\n")
    assert json.loads(done.stdout)["done"][0]["notes"] == ["no damage found: copied"]
    assert (tmp_path / "photo_inpaint.png").read_bytes() == (tmp_path / "photo.png").read_bytes()
    assert not images.read_mask(tmp_path / "m.png").any()


def test_a_folder_gets_a_folder_of_masks(vaekit, threshold, tmp_path):
    for name in ("in/a.png", "in/deep/b.webp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        images.write(tmp_path / name, to_bytes(photo()))
    options = ["--mask", "auto", "--mask-threshold", threshold, "--save-mask", "masks", "--recursive", "--jobs", 1]
    done = vaekit("inpaint", "in", *options, "-o", "out")
    assert (done.returncode, done.stderr) == (0, "")
    written = sorted(p.relative_to(tmp_path).as_posix() for f in ("out", "masks") for p in (tmp_path / f).rglob("*.*"))
    assert written == ["masks/a.png", "masks/deep/b.png", "out/a.png", "out/deep/b.webp"]
    (tmp_path / "out" / "a.png").unlink()  # as an interruption leaves them
    done = vaekit("inpaint", "in", *options, "-o", "out", "--skip-existing")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / "a.png").exists()


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--mask", "auto", "--invert-mask"], 2, "--invert-mask and --resize-mask are for masks in files"),
        (["--mask", "photo.png", "--mask-threshold", 0.2], 2, "--mask-threshold goes with --mask auto"),
        (["--mask", "auto", "--mask-threshold", 0], 1, "photo.png: the mask covers the whole picture"),
        (["--mask", "auto", "--save-mask", "there.png"], 1, "photo.png: there.png already exists"),
        (["--mask", "auto", "--save-mask", "new.png", "-o", "new.png"], 1, "cannot both be new.png"),
    ],
)
def test_what_cannot_be_is_one_line_and_writes_nothing(vaekit, threshold, tmp_path, options, status, message):
    (tmp_path / "there.png").write_bytes(b"mine")
    done = vaekit("inpaint", "photo.png", *options)
    assert done.returncode == status
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["photo.png", "there.png"]
    assert (tmp_path / "there.png").read_bytes() == b"mine"
