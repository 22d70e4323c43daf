"""What `vaekit inpaint` promises, each line through a process of its own."""

import json
import os
import shutil
import stat
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from vaekit import images

HEIGHT, WIDTH = 90, 140


def picture(seed=0, shape=(HEIGHT, WIDTH, 3), dtype=np.uint8):
    rng = np.random.default_rng(seed)
    small = rng.uniform(size=(6, 9, shape[2])).astype(np.float32)
    large = cv2.resize(small, shape[1::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)
    return np.rint(large * np.iinfo(dtype).max).astype(dtype)


def hole(shape=(HEIGHT, WIDTH)):
    mask = np.zeros(shape, bool)
    mask[30:50, 40:75] = True
    mask[70:80, 100:110] = True
    return mask


@pytest.fixture
def here(tmp_path):
    """photo.png and mask.png."""
    images.write(tmp_path / "photo.png", picture())
    write_mask(tmp_path / "mask.png", hole())
    return tmp_path


def write_mask(path, mask):
    path.parent.mkdir(parents=True, exist_ok=True)
    images.write(path, mask.astype(np.uint8) * 255)


def pixels(path):
    return images.read(path).pixels


def assert_repaired(before, after, mask):
    """Outside the hole bit for bit the same, inside not all the same."""
    assert after.dtype == before.dtype
    np.testing.assert_array_equal(after[~mask], before[~mask])
    assert np.any(after[mask] != before[mask])


def test_a_file_beside_the_input_and_one_summary_line(here, vaekit):
    done = vaekit("inpaint", "photo.png", "--mask", "mask.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("inpaint: 1 done (photo_inpaint.png) in ")
    assert done.stdout.count("\n") == 1
    assert_repaired(picture(), pixels(here / "photo_inpaint.png"), hole())


def test_editing_a_photo_imports_no_tensorflow(here, bundles):
    code = (
        "import sys; from vaekit.cli import main\n"
        "sys.argv = ['vaekit', 'inpaint', 'photo.png', '--mask', 'mask.png']\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    environment = {**os.environ, "VAEKIT_MODELS": str(bundles)}
    subprocess.run([sys.executable, "-c", code], cwd=here, env=environment, check=True)


def test_both_runtimes_give_the_same_picture(here, vaekit):
    assert vaekit("inpaint", "photo.png", "-m", "mask.png", "-o", "a.png").returncode == 0
    done = vaekit("inpaint", "photo.png", "-m", "mask.png", "-o", "b.png", "--runtime", "tensorflow")
    assert done.returncode == 0, done.stderr
    difference = np.abs(pixels(here / "a.png").astype(int) - pixels(here / "b.png"))
    assert difference.max() <= 2


def test_the_threshold_is_127_and_invert_mask_exchanges(here, vaekit):
    level = np.full((HEIGHT, WIDTH), 127, np.uint8)
    level[hole()] = 128
    images.write(here / "grey.png", level)
    images.write(here / "inverse.png", 255 - level)
    assert vaekit("inpaint", "photo.png", "-m", "grey.png", "-o", "a.png").returncode == 0
    assert vaekit("inpaint", "photo.png", "-m", "mask.png", "-o", "b.png").returncode == 0
    # 255 - 127 = 128 is above the threshold too, so the inverse of it is nothing but the old hole
    assert vaekit("inpaint", "photo.png", "-m", "inverse.png", "--invert-mask", "-o", "c.png").returncode == 0
    assert (here / "a.png").read_bytes() == (here / "b.png").read_bytes() == (here / "c.png").read_bytes()


def test_a_mask_of_another_size_names_both_and_resize_mask_fits_it(here, vaekit):
    small = hole()[::2, ::2]
    write_mask(here / "small.png", small)
    done = vaekit("inpaint", "photo.png", "-m", "small.png")
    assert done.returncode == 1
    assert "70x45" in done.stderr
    assert "140x90" in done.stderr
    assert vaekit("inpaint", "photo.png", "-m", "small.png", "--resize-mask").returncode == 0
    assert_repaired(picture(), pixels(here / "photo_inpaint.png"), np.kron(small, np.ones((2, 2), bool)))


def test_an_empty_mask_copies_the_file_and_a_full_one_is_refused(here, vaekit):
    write_mask(here / "none.png", np.zeros((HEIGHT, WIDTH), bool))
    write_mask(here / "all.png", np.ones((HEIGHT, WIDTH), bool))
    done = vaekit("inpaint", "photo.png", "-m", "none.png")
    assert done.returncode == 0
    assert "empty" in done.stderr
    assert (here / "photo_inpaint.png").read_bytes() == (here / "photo.png").read_bytes()
    done = vaekit("inpaint", "photo.png", "-m", "all.png", "--overwrite")
    assert done.returncode == 1
    assert done.stderr.startswith("vaekit: photo.png: the mask covers the whole picture")


def folder(here):
    names = ["a.png", "b.jpg", "deep/a.png"]
    for number, name in enumerate(names):
        (here / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        images.write(here / "in" / name, picture(number))
    (here / "in" / "notes.txt").write_text("not an image")
    return names


def test_a_folder_with_one_mask_leaves_its_folders_alone(here, vaekit):
    folder(here)
    done = vaekit("inpaint", "in", "-m", "mask.png", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (here / "out").rglob("*")) == ["a.png", "b.jpg"]
    assert_repaired(picture(0), pixels(here / "out" / "a.png"), hole())


def test_masks_pair_by_path_and_stem_and_a_missing_one_fails_alone(here, vaekit):
    folder(here)
    shifted = np.roll(hole(), 10, axis=1)
    write_mask(here / "masks" / "a.png", hole())
    write_mask(here / "masks" / "deep" / "a_mask.webp", shifted)
    done = vaekit("inpaint", "in", "-m", "masks", "-o", "out", "--recursive")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "b.jpg: no mask for it" in done.stderr
    assert done.stdout.startswith("inpaint: 2 done (2 files)")
    assert "1 failed" in done.stdout
    assert_repaired(picture(0), pixels(here / "out" / "a.png"), hole())
    assert_repaired(picture(2), pixels(here / "out" / "deep" / "a.png"), shifted)


def test_a_glob_and_a_second_run_that_takes_no_output_for_input(here, vaekit):
    folder(here)
    for _ in range(2):
        done = vaekit("inpaint", "in/**/*.png", "-m", "mask.png", "--overwrite")
        assert done.returncode == 0
        assert "2 done" in done.stdout
    assert sorted(p.name for p in (here / "in").rglob("*_inpaint*")) == ["a_inpaint.png", "a_inpaint.png"]


def test_nothing_is_overwritten_unless_asked(here, vaekit):
    (here / "photo_inpaint.png").write_bytes(b"dear to me")
    done = vaekit("inpaint", "photo.png", "-m", "mask.png")
    assert done.returncode == 1
    assert "already exists" in done.stderr
    assert (here / "photo_inpaint.png").read_bytes() == b"dear to me"
    assert vaekit("inpaint", "photo.png", "-m", "mask.png", "--overwrite").returncode == 0
    assert_repaired(picture(), pixels(here / "photo_inpaint.png"), hole())


def test_two_inputs_never_share_an_output(here, vaekit):
    for name in ("one", "two"):
        (here / name).mkdir()
        images.write(here / name / "same.png", picture())
    done = vaekit("inpaint", "one/same.png", "two/same.png", "-m", "mask.png", "-o", "out", "--overwrite")
    assert done.returncode == 1
    assert "is the output of one" in done.stderr.replace("\\", "/")


def test_transparency_and_16_bit_come_back(here, vaekit):
    rgba = np.dstack([picture(1), np.full((HEIGHT, WIDTH), 128, np.uint8)])
    deep = picture(2, dtype=np.uint16)
    images.write(here / "rgba.webp", rgba)
    images.write(here / "deep.png", deep)
    assert vaekit("inpaint", "rgba.webp", "deep.png", "-m", "mask.png").returncode == 0
    assert_repaired(rgba, pixels(here / "rgba_inpaint.webp"), hole())
    assert_repaired(deep, pixels(here / "deep_inpaint.png"), hole())
    done = vaekit("inpaint", "rgba.webp", "-m", "mask.png", "-o", "x.jpg")
    assert done.returncode == 1
    assert "transparency" in done.stderr
    assert not (here / "x.jpg").exists()


def test_a_format_that_is_only_read_becomes_png_and_animation_is_told(here, vaekit):
    frames = [Image.fromarray(picture(i)) for i in range(2)]
    frames[0].save(here / "moving.gif", save_all=True, append_images=frames[1:])
    done = vaekit("inpaint", "moving.gif", "-m", "mask.png")
    assert done.returncode == 0
    assert "animated: only the first frame is used" in done.stderr
    assert pixels(here / "moving_inpaint.png").shape == (HEIGHT, WIDTH, 3)


def test_orientation_is_applied_once_and_metadata_kept(here, vaekit):
    exif = Image.Exif()
    exif[274], exif[271] = 6, "Maker"
    stored = np.rot90(picture())  # turned clockwise it is upright
    Image.fromarray(stored).save(here / "turned.png", exif=exif, icc_profile=b"")
    assert vaekit("inpaint", "turned.png", "-m", "mask.png").returncode == 0
    assert_repaired(picture(), pixels(here / "turned_inpaint.png"), hole())
    with Image.open(here / "turned_inpaint.png") as written:
        assert (written.getexif()[274], written.getexif()[271]) == (1, "Maker")


def test_json_tells_what_was_done_and_what_failed(here, vaekit):
    (here / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    done = vaekit("inpaint", "photo.png", "bad.png", "-m", "mask.png", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["command"] == "inpaint"
    assert [entry["outputs"] for entry in told["done"]] == [["photo_inpaint.png"]]
    assert [entry["input"] for entry in told["failed"]] == ["bad.png"]
    assert told["failed"][0]["error"] in done.stderr


def test_the_report_says_what_filled_each_hole(here, vaekit):
    done = vaekit("inpaint", "photo.png", "-m", "mask.png", "--fill", "texture", "--json")
    fills = json.loads(done.stdout)["done"][0]["fills"]
    assert [fill["box"] for fill in fills] == [[40, 30, 70, 50]]  # both holes: they lie close together
    assert {fill["method"] for fill in fills} == {"texture"}
    assert all(0 <= fill["confidence"] <= 1 for fill in fills)
    done = vaekit("inpaint", "photo.png", "-m", "mask.png", "--fill", "network", "--overwrite")
    assert ", network 1, least sure " in done.stdout


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"hello, I am text", "not an image"),
        (lambda whole: whole[:400], "truncated or damaged"),
    ],
    ids=["empty", "text", "truncated"],
)
def test_a_bad_file_is_one_line_and_the_rest_is_done(here, vaekit, content, reason):
    whole = (here / "photo.png").read_bytes()
    (here / "bad.png").write_bytes(content(whole) if callable(content) else content)
    done = vaekit("inpaint", "bad.png", "photo.png", "-m", "mask.png")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("vaekit: bad.png: ")
    assert reason in done.stderr
    assert_repaired(picture(), pixels(here / "photo_inpaint.png"), hole())


def test_more_pixels_than_the_limit_are_refused(here, vaekit):
    done = vaekit("inpaint", "photo.png", "-m", "mask.png", "--max-pixels", 12599)
    assert done.returncode == 1
    assert "140x90 is more than the limit of 12599 pixels" in done.stderr


def test_an_unwritable_place_is_told_and_nothing_left(here, vaekit):
    (here / "file").write_text("in the way")
    done = vaekit("inpaint", "photo.png", "-m", "mask.png", "-o", "file/x.png")
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("vaekit: ")
    assert sorted(p.name for p in here.iterdir()) == ["file", "mask.png", "photo.png"]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="needs permissions that bind")
def test_an_unreadable_file_is_told(here, vaekit):
    (here / "photo.png").chmod(0)
    done = vaekit("inpaint", "photo.png", "-m", "mask.png")
    (here / "photo.png").chmod(stat.S_IRUSR)
    assert done.returncode == 1
    assert "permission denied" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("inpaint", "nothing.png", "-m", "mask.png"),
        ("inpaint", "photo.png", "-m", "nothing.png"),
        ("inpaint", "empty", "-m", "mask.png"),
        ("inpaint", "*.tif", "-m", "mask.png"),
        ("inpaint", "photo.png", "mask.png", "-m", "mask.png", "-o", "photo.png"),
        ("inpaint", "photo.png"),
        ("inpaint", "photo.png", "-m", "mask.png", "--samples", "0"),
        ("inpaint", "photo.png", "-m", "mask.png", "--no-such-option"),
    ],
)
def test_wrong_usage_ends_with_2(here, vaekit, arguments):
    (here / "empty").mkdir()
    before = (here / "photo.png").read_bytes()
    done = vaekit(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert not done.stdout
    assert (here / "photo.png").read_bytes() == before


def test_a_missing_or_damaged_bundle_ends_with_3_and_is_named(here, vaekit, bundles):
    done = vaekit("inpaint", "photo.png", "-m", "mask.png", "--bundle", "nobody")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "nobody" in done.stderr
    shutil.copytree(bundles, here / "mine")
    network = here / "mine" / "inpaint" / "1" / "assets.extra" / "onnx" / "tensor.onnx"
    damaged = bytearray(network.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    network.write_bytes(damaged)
    done = vaekit("inpaint", "photo.png", "-m", "mask.png", models=here / "mine")
    assert done.returncode == 3
    assert "tensor.onnx: damaged" in done.stderr
    network.unlink()
    done = vaekit("inpaint", "photo.png", "-m", "mask.png", models=here / "mine")
    assert done.returncode == 3
    assert "tensor.onnx: No such file" in done.stderr
    assert not (here / "photo_inpaint.png").exists()


def test_unicode_paths(here, vaekit):
    place = here / "Zoë 写真 🙂"
    place.mkdir()
    (here / "photo.png").rename(place / "фото.png")
    done = vaekit("inpaint", place / "фото.png", "-m", "mask.png", "-o", place / "größer.png")
    assert done.returncode == 0, done.stderr
    assert "größer.png" in done.stdout
    assert_repaired(picture(), pixels(place / "größer.png"), hole())


def test_samples_differ_and_come_again_with_their_seed(here, vaekit):
    assert vaekit("inpaint", "photo.png", "-m", "mask.png", "--samples", 3, "--seed", 5).returncode == 0
    drawn = [pixels(here / f"photo_inpaint_{number}.png") for number in (1, 2, 3)]
    for sample in drawn:
        assert_repaired(picture(), sample, hole())
    assert not np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[1], drawn[2])
    assert vaekit("inpaint", "photo.png", "-m", "mask.png", "--seed", 6).returncode == 0
    np.testing.assert_array_equal(pixels(here / "photo_inpaint.png"), drawn[1])


def test_iterations_repair_the_repair(here, vaekit):
    for times in (1, 2):
        assert (
            vaekit("inpaint", "photo.png", "-m", "mask.png", "--iterations", times, "-o", f"{times}.png").returncode
            == 0
        )
    assert_repaired(pixels(here / "1.png"), pixels(here / "2.png"), hole())


def test_dilate_grows_the_hole_by_that_much_and_feather_stays_inside(here, vaekit):
    assert vaekit("inpaint", "photo.png", "-m", "mask.png", "-o", "plain.png").returncode == 0
    assert vaekit("inpaint", "photo.png", "-m", "mask.png", "--dilate", 4, "-o", "grown.png").returncode == 0
    assert vaekit("inpaint", "photo.png", "-m", "mask.png", "--feather", 6, "-o", "soft.png").returncode == 0
    distance = cv2.distanceTransform((~hole()).astype(np.uint8), cv2.DIST_L2, 5)
    changed = np.any(pixels(here / "grown.png") != picture(), axis=2)
    assert changed[distance > 4.5].sum() == 0
    assert changed[(distance > 2) & (distance < 4)].mean() > 0.5
    assert_repaired(picture(), pixels(here / "soft.png"), hole())
    depth = cv2.distanceTransform(hole().astype(np.uint8), cv2.DIST_L2, 5)
    shifted = np.any(pixels(here / "soft.png") != pixels(here / "plain.png"), axis=2)
    assert shifted[depth > 7].sum() == 0
    assert shifted[(depth > 0) & (depth < 3)].mean() > 0.5


def test_a_picture_smaller_than_the_network(here, vaekit):
    tiny = picture(4, (20, 11, 3))
    images.write(here / "tiny.png", tiny)
    mask = np.zeros((20, 11), bool)
    mask[4:9, 3:8] = True
    write_mask(here / "tinymask.png", mask)
    assert vaekit("inpaint", "tiny.png", "-m", "tinymask.png").returncode == 0
    assert_repaired(tiny, pixels(here / "tiny_inpaint.png"), mask)


def test_the_version_is_shown(vaekit):
    assert vaekit("--version").stdout == "vaekit 0.1.0\n"


def test_help_shows_examples(vaekit):
    shown = vaekit("inpaint", "--help").stdout
    assert "vaekit inpaint photo.jpg --mask mask.png" in shown
    assert "Commands:" in vaekit("--help").stdout


def test_models_lists_the_card_and_checks(vaekit, bundles, here):
    assert "for tests" in vaekit("models").stdout
    card = json.loads(vaekit("models", "inpaint").stdout)
    assert card["latent_dim"] == 4
    assert "whole" in vaekit("models", "--check").stdout
    shutil.copytree(bundles, here / "mine")
    variables = here / "mine" / "inpaint" / "1" / "variables" / "variables.index"
    variables.write_bytes(variables.read_bytes()[:-1])
    done = vaekit("models", "--check", models=here / "mine")
    assert done.returncode == 3
    assert "variables.index: damaged" in done.stderr
