"""`vaekit superres`: the editor, with networks whose answer is known and with a bundle, and the command."""

import json
import shutil
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from vaekit import apps, images
from vaekit.apps.superres import editor as module
from vaekit.apps.superres.editor import Editor, tiles
from vaekit.bundle import BundleError, find
from vaekit.resample import bicubic
from vaekit.runtime import open_network


def smooth(shape=(60, 44, 3), dtype=np.uint8, seed=0):
    """A picture with edges and slopes."""
    small = np.random.default_rng(seed).uniform(size=(9, 7, shape[2])).astype(np.float32)
    large = cv2.resize(small, shape[1::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)
    return np.rint(large * np.iinfo(dtype).max).astype(dtype)


def editor_with(network) -> Editor:
    made = object.__new__(Editor)
    made.latent_dim, made.network = 4, network
    return made


def repeating(signature, image, detail=None, clean=None, z=None):
    """Every pixel becomes a square; every picture is clean."""
    if signature == "severity":
        return np.zeros(1, np.float32)
    factor = {"tensor_x1": 1, "tensor_x2": 2, "tensor_x3": 3, "tensor": 4}[signature]
    assert image.shape[1] % 8 == image.shape[2] % 8 == 0
    return image.repeat(factor, axis=1).repeat(factor, axis=2)


@pytest.fixture(scope="module")
def editor(bundles):
    return Editor(str(bundles / "superres"))


@pytest.mark.parametrize("shape", [(600, 300), (257, 1), (256, 512)])
def test_tiles_keep_every_pixel_once_and_see_round_it(shape):
    kept = np.zeros(shape, int)
    for tile in tiles(*shape):
        own = tile.target(1)
        kept[own] += 1
        seen = np.zeros(shape, bool)
        seen[tile.seen] = True
        around = tuple(slice(max(s.start - module.RIM, 0), s.stop + module.RIM) for s in own)
        assert seen[around].all()
        assert seen.sum() == seen[around].sum()
    np.testing.assert_array_equal(kept, 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_flat_parts_stay_as_they_are_at_any_size(dtype, scale):
    most = np.iinfo(dtype).max
    image = np.full((300, 13, 3), most // 3, dtype)
    image[:, :, 0] = most
    enlarged = editor_with(repeating)(image, scale)
    assert enlarged.dtype == dtype
    np.testing.assert_array_equal(enlarged, image.repeat(scale, axis=0).repeat(scale, axis=1))


def test_a_tiled_picture_is_the_whole_one(editor, monkeypatch):
    image = smooth((200, 150, 3))
    for scale in (1, 2, 3, 4):
        whole = editor(image, scale, detail=1.0, clean=0.5)
        monkeypatch.setattr(module, "TILE", 64)
        tiled = editor(image, scale, detail=1.0, clean=0.5)
        monkeypatch.undo()
        assert np.abs(whole.astype(int) - tiled).max() <= 1


@pytest.mark.parametrize("detail", [0.0, 1.0])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_shrinking_gives_the_small_picture_back(editor, scale, detail):
    image = smooth()
    enlarged = editor(image, scale, detail=detail, clean=0)
    assert np.abs(bicubic(enlarged, image.shape[:2]) - image).mean() < 1.5


def test_noise_that_was_removed_comes_back_only_where_nothing_was_to_be_cleaned():
    noise = np.random.default_rng(0).integers(-20, 21, (48, 48, 3))
    image = (120 + noise).astype(np.uint8)

    def too_dark(signature, image, detail, clean, z):
        return np.full((1, 2 * image.shape[1], 2 * image.shape[2], 3), 100 / 255, np.float32)

    exact, cleaned = (editor_with(too_dark)(image, 2, clean=clean).astype(float) for clean in (0.0, 0.5))
    assert exact.std() > 8  # of 12
    assert cleaned.std() < 2
    assert abs(cleaned.mean() - 120) < 1


@pytest.mark.parametrize(("severity", "clean"), [(0.3, 0.0), (0.756, 0.46)])
def test_a_picture_is_cleaned_as_much_as_it_is_estimated_to_need(severity, clean):
    asked = []

    def network(signature, image, clean=None, **others):
        if signature == "severity":
            return np.array([severity], np.float32)
        asked.append(float(clean[0]))
        return repeating(signature, image)

    made = editor_with(network)
    image = smooth((40, 30, 4))
    assert made.estimate(image) == clean
    made(image, 2)
    made(image, 1, clean=0.7)
    assert asked == pytest.approx([clean, 0.7])


def test_a_large_picture_is_estimated_by_its_area(monkeypatch):
    def bright_is_noisy(signature, image):
        return np.array([float(image.mean() > 0.5)], np.float32)

    monkeypatch.setattr(module, "SEEN", 64)
    image = np.zeros((64, 256, 3), np.uint8)
    image[:, :192] = 255
    assert editor_with(bright_is_noisy).estimate(image) == 0.45


def test_a_picture_of_few_pixels_is_taken_for_clean():
    def network(*_, **__):
        raise AssertionError

    assert editor_with(network).estimate(smooth((15, 40, 3))) == 0


def test_progress_is_told_after_every_tile():
    told = []
    editor_with(repeating)(smooth((300, 520, 3)), 2, progress=told.append)
    np.testing.assert_allclose(told, np.arange(1, 7) / 6)


def test_cleaning_alone_keeps_the_size_and_changes_the_picture(editor):
    image = smooth()
    cleaned = editor(image, 1, clean=1)
    assert cleaned.shape == image.shape
    assert np.any(cleaned != image)


def test_a_bundle_of_an_earlier_version_is_refused(bundles, tmp_path):
    folder = tmp_path / "old"
    shutil.copytree(bundles / "superres", folder)
    card = next(folder.glob("*/assets.extra/card.json"))
    card.write_text(json.dumps({**json.loads(card.read_text("utf-8")), "restores": False}), "utf-8")
    with pytest.raises(BundleError, match="export its run again"):
        Editor(str(folder))


def test_detail_draws_no_specks():
    def speckled(signature, image, detail, clean, z):
        answer = np.full((1, 2 * image.shape[1], 2 * image.shape[2], 3), 0.5, np.float32)
        answer[:, 10, 10], answer[:, 20:, 20:] = 1.0, 0.9  # a speck, and a corner
        return answer

    image = np.full((32, 32, 3), 128, np.uint8)
    made = editor_with(speckled)
    detailed, faithful = (made(image, 2, detail=detail, clean=0).astype(int) for detail in (1, 0))
    assert faithful[10, 10, 0] - faithful[10, 13, 0] > 100
    assert abs(detailed[10, 10, 0] - detailed[10, 13, 0] - 255 * module.SPECK) < 10  # of 36
    assert np.abs(detailed - faithful)[28:, 28:].max() < 6


def test_the_served_median_is_the_editors():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("part of the SavedModel")
    from vaekit.apps.superres.exporting import _median

    image = np.random.default_rng(0).random((30, 20, 3), np.float32)
    np.testing.assert_array_equal(_median(image[None])[0], cv2.medianBlur(image, 3))


def test_the_served_blur_is_the_editors():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("part of the SavedModel")
    from vaekit.apps.superres.exporting import _blurred

    image = np.random.default_rng(0).random((30, 20, 3), np.float32)
    expected = cv2.GaussianBlur(image, (module.COLOUR_TAPS,) * 2, module.COLOUR, borderType=cv2.BORDER_REFLECT)
    np.testing.assert_allclose(_blurred(image[None])[0], expected, atol=1e-5)


def test_a_scale_between_is_averaged_from_the_next_larger(editor):
    image = smooth((40, 31, 3))
    enlarged = editor(image, 2.5)
    assert enlarged.shape == (100, 78, 3)
    expected = cv2.resize(editor(image, 3), (78, 100), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(enlarged, expected)


def test_no_detail_is_the_same_for_every_seed_and_detail_is_not(editor):
    image = smooth()
    np.testing.assert_array_equal(editor(image, 2, detail=0, seed=1), editor(image, 2, detail=0, seed=2))
    assert np.any(editor(image, 2, detail=1, seed=1) != editor(image, 2, detail=1, seed=2))
    np.testing.assert_array_equal(editor(image, 2, seed=5), editor(image, 2, seed=5))


def test_hidden_colours_do_not_bleed_into_seen_ones():
    image = np.full((32, 32, 4), 255, np.uint8)
    image[:, 16:] = [0, 255, 0, 0]  # a green that is not seen
    image[:, :16, :3] = [200, 100, 50]
    enlarged = editor_with(repeating)(image, 2)
    assert enlarged.shape == (64, 64, 4)
    seen = enlarged[..., 3] > 127
    assert seen.sum() == 64 * 32
    assert np.abs(enlarged[..., :3][seen].astype(int) - [200, 100, 50]).max() <= 2


def test_both_runtimes_give_the_same_picture(bundles, editor):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("opens the SavedModel")
    other = Editor(str(bundles / "superres"), runtime="tensorflow")
    for scale in (1, 2, 3, 4):
        first, second = editor(smooth(), scale), other(smooth(), scale)
        assert np.abs(first.astype(int) - second).max() <= 2


def test_the_served_picture_is_the_editors(bundles, editor):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("opens the SavedModel")
    import tensorflow as tf

    served = tf.saved_model.load(str(find(str(bundles / "superres")).path)).signatures["serving_default"]
    pictures = [smooth((64, 48, 3)), smooth((40, 72, 3), seed=1)]
    answers = served(
        image_bytes=tf.constant([images.encode(p, ".png") for p in pictures]),
        scale=tf.constant([4, 3]),
        detail=tf.constant([1.0, 0.0]),
        seed=tf.constant([0, 7]),
    )["image_bytes"].numpy()
    for answer, picture, scale, detail in zip(answers, pictures, (4, 3), (1.0, 0.0), strict=True):
        found = tf.io.decode_png(answer).numpy().astype(int)
        expected = editor(picture, scale, detail=detail)
        inside = slice(2 * scale, -2 * scale)  # bicubic shrinking differs at the border
        assert np.abs(found - expected)[inside, inside].max() <= 2


def test_what_is_served_is_cleaned_as_much_as_the_editor_cleans_it():
    """With the restorer that ships, which changes a noisy picture by much."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("opens the SavedModel")
    import tensorflow as tf

    shipped = Editor("superres")
    clean = images.read(Path(apps.__file__).parent / "inpaint" / "example" / "photo.jpg").pixels[40:184, 40:168, :3]
    noisy = np.random.default_rng(0).normal(clean[::2, ::2], 9).clip(0, 255).astype(np.uint8)
    assert shipped.estimate(noisy) > 0.3
    served = tf.saved_model.load(str(find("superres").path)).signatures["serving_default"]
    asked = {"scale": tf.constant([2]), "detail": tf.constant([0.0]), "seed": tf.constant([0])}
    answer = served(image_bytes=tf.constant([images.encode(noisy, ".png")]), **asked)["image_bytes"].numpy()[0]
    found, expected = tf.io.decode_png(answer).numpy().astype(int), shipped(noisy, 2, detail=0)
    inside = np.s_[8:-8, 8:-8]  # bicubic shrinking differs at the border
    assert np.abs(found - expected)[inside].max() <= 2
    assert np.abs(expected - shipped(noisy, 2, detail=0, clean=0).astype(int)).mean() > 3


@pytest.mark.parametrize("runtime", ["onnx", "tensorflow"])
def test_a_signature_that_a_bundle_lacks_is_named(bundles, runtime):
    if runtime == keras.backend.backend() or runtime == "onnx":
        network = open_network(find(str(bundles / "inpaint")), runtime)
        with pytest.raises(BundleError, match="no signature tensor_x2"):
            network("tensor_x2", image=np.zeros((1, 8, 8, 3), np.float32))


@pytest.mark.parametrize(
    ("image", "scale", "detail", "said"),
    [
        (np.zeros((4, 4), np.uint8), 2, 0, "HxWx3"),
        (np.zeros((4, 4, 3), np.float32), 2, 0, "float32"),
        (np.zeros((4, 4, 3), np.uint8), 0.5, 0, "scale"),
        (np.zeros((4, 4, 3), np.uint8), 5, 0, "scale"),
        (np.zeros((4, 4, 3), np.uint8), 2, 1.5, "detail"),
    ],
)
def test_what_does_not_fit_is_refused(image, scale, detail, said):
    with pytest.raises(ValueError, match=said):
        editor_with(repeating)(image, scale, detail=detail)


def test_an_amount_of_cleaning_beyond_all_is_refused():
    with pytest.raises(ValueError, match="clean"):
        editor_with(repeating)(smooth(), 2, clean=1.5)


# --- The command ---


@pytest.fixture
def here(tmp_path):
    """photo.png."""
    images.write(tmp_path / "photo.png", smooth())
    return tmp_path


def test_a_file_beside_the_input(here, vaekit, editor):
    done = vaekit("superres", "photo.png", "--scale", "2", "--clean", "0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("superres: 1 done (photo_superres.png) in ")
    np.testing.assert_array_equal(images.read(here / "photo_superres.png").pixels, editor(smooth(), 2, clean=0))


def test_what_is_cleaned_by_itself_is_told(here, vaekit, editor):
    amount = editor.estimate(smooth())
    assert amount > 0  # as untrained networks estimate
    done = vaekit("superres", "photo.png", "--scale", "1", "--json")
    (entry,) = json.loads(done.stdout)["done"]
    assert entry["clean"] == amount
    assert f"--clean {amount:.2f}" in entry["notes"][0]
    assert f"photo.png: cleaned as it looks (--clean {amount:.2f})" in done.stderr
    np.testing.assert_array_equal(images.read(here / "photo_superres.png").pixels, editor(smooth(), 1, clean=amount))


def test_a_picture_too_large_for_its_format_becomes_a_png(here, vaekit):
    images.write(here / "strip.webp", np.full((2, 4200, 3), 90, np.uint8))
    done = vaekit("superres", "strip.webp", "--clean", "0", "--json")
    assert done.returncode == 0, done.stderr
    (entry,) = json.loads(done.stdout)["done"]
    assert entry["notes"] == ["written as PNG: WEBP cannot hold more than 16383 pixels on a side"]
    assert images.read(here / "strip_superres.png").pixels.shape == (8, 16800, 3)


def test_a_folder_and_json(here, vaekit):
    (here / "in" / "deep").mkdir(parents=True)
    images.write(here / "in" / "a.png", smooth((20, 30, 3), np.uint16))
    images.write(here / "in" / "deep" / "b.png", smooth((20, 30, 4)))
    (here / "in" / "c.png").write_bytes(b"no image")
    done = vaekit("superres", "in", "-o", "out", "--recursive", "--json")
    assert done.returncode == 1
    assert "c.png" in done.stderr
    assert len(json.loads(done.stdout)["done"]) == 2
    deep, alpha = images.read(here / "out" / "a.png").pixels, images.read(here / "out" / "deep" / "b.png").pixels
    assert (deep.shape, deep.dtype) == ((80, 120, 3), np.uint16)
    assert (alpha.shape, alpha.dtype) == ((80, 120, 4), np.uint8)


def test_samples_differ_and_are_numbered(here, vaekit):
    done = vaekit("superres", "photo.png", "--samples", "2", "--seed", "3", "--detail", "1", "--scale", "2")
    assert done.returncode == 0
    first, second = (images.read(here / f"photo_superres_{n}.png").pixels for n in (1, 2))
    assert np.any(first != second)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--clean", "2"), 2, "--clean 2: expected auto or a number from 0 to 1"),
        (("--clean", "much"), 2, "--clean much"),
        (("--scale", "9"), 2, "--scale"),
        (("--detail", "2"), 2, "--detail"),
        (("--max-pixels", "3000"), 1, "would be 176x240"),
        (("--bundle", "nowhere"), 3, "nowhere"),
        (("--bundle", "inpaint"), 3, "a bundle of inpaint, not of superres"),
    ],
)
def test_bad_wishes_are_one_clear_line(here, vaekit, arguments, status, said):
    done = vaekit("superres", "photo.png", *arguments)
    assert done.returncode == status
    assert said in done.stderr
    assert not (here / "photo_superres.png").exists()
