"""`vaekit edit`: the editor, with networks whose answer is known and with a bundle, and the commands."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from vaekit import faces, images
from vaekit.apps.edit.editor import Editor
from vaekit.bundle import find
from vaekit.data.rendered import Look, RenderedFaces, render
from vaekit.errors import UserError
from vaekit.latent import Direction, DirectionError, load_direction

SEEN = np.array([0.0, 0.8, 0.25], np.float32)
"""What the network of the tests sees of smiling, dark and fair."""


def portrait(shape=(90, 120, 3), dtype=np.uint8, seed=0):
    """A picture that is bright and dark enough nowhere to be cut off by an edit."""
    most = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(most // 3, most // 2, shape).astype(dtype)


def face_at(left, top, side) -> faces.Face:
    """A face whose crop is that square."""
    points = side * faces.WIDE_TEMPLATE + (left - 0.5, top - 0.5)
    return faces.Face(points.astype(np.float32), (left, top, side, side), 1.0)


@pytest.fixture
def asked():
    """Changes that the network was asked for."""
    return []


@pytest.fixture
def editor(asked) -> Editor:
    """An editor whose network adds a tenth of the change of `smiling` and of the direction to every pixel."""

    def network(signature="tensor", /, image=None, change=None, direction=None):
        assert image.shape[1:] == (32, 32, 3)
        if signature == "attributes":
            return SEEN[None]
        if signature == "code":
            return image[:, :1, :1]
        asked.append(change[0])
        return image + 0.1 * (change[0, 0] + direction.mean())

    made = object.__new__(Editor)
    made.name, made.side, made.code = "edit/1", 32, (1, 1, 3)
    made.attributes, made.exclusive = ("smiling", "dark", "fair"), [["dark", "fair"]]
    made.network = network
    return made


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_face_gets_the_difference_and_the_rest_stays_bit_for_bit(editor, dtype):
    image = portrait((90, 120, 4), dtype)
    edited = editor(image, {"smiling": 1.0}, [face_at(30, 20, 60)])
    assert (edited.shape, edited.dtype) == (image.shape, dtype)
    added = edited.astype(int) - image
    middle = added[45:55, 55:65, :3] / np.iinfo(dtype).max
    np.testing.assert_allclose(middle, 0.1, atol=2 / 255)
    outside = np.ones(image.shape[:2], bool)
    outside[20:80, 30:90] = False
    assert not added[outside].any()
    assert not added[..., 3].any()


def test_zero_is_the_photo_itself(editor, asked):
    image = portrait()
    np.testing.assert_array_equal(editor(image, {"smiling": 0.0, "dark": 0.0}, [face_at(10, 10, 64)]), image)
    np.testing.assert_array_equal(editor(image, {"smiling": 1.0}, []), image)
    assert not asked


def test_every_face_that_is_named_is_changed(editor):
    image = portrait((60, 200, 3))
    edited = editor(image, {"smiling": -1.0}, [face_at(0, 0, 50), face_at(120, 5, 50)])
    changed = np.any(edited != image, axis=(0, 2))
    assert changed[25]
    assert changed[145]
    assert not changed[60:110].any()


def test_a_picture_that_is_a_face_needs_no_finding(editor):
    image = portrait((64, 64, 3))
    added = editor(image, {"smiling": 1.0}).astype(int) - image
    assert abs(added[30:34, 30:34].mean() - 25.5) < 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"smiling": 2.0}, [2.0, 0.0, 0.0]),
        ({"dark": -1.0}, [0.0, -1.0, 0.0]),  # to take a colour away calls for no other
        ({"fair": 1.0}, [0.0, -0.8, 1.0]),  # what is seen of the other goes
        ({"fair": 0.5}, [0.0, -0.4, 0.5]),
        ({"fair": 1.0, "dark": 1.0}, [0.0, 0.5, 0.5]),  # two colours: half of each
        ({"fair": 1.0, "dark": 0.5}, [0.0, 1 / 3, 2 / 3]),
        ({"fair": 1.0, "dark": -1.0}, [0.0, -1.8, 1.0]),
    ],
)
def test_of_exclusive_attributes_what_was_there_makes_way(editor, asked, values, expected):
    editor(portrait((32, 32, 3)), values)
    np.testing.assert_allclose(asked[0], expected, atol=1e-6)


def test_a_direction_is_followed_so_far_as_is_said(editor):
    image = portrait((32, 32, 3))
    direction = Direction(np.full((1, 1, 3), 0.5, np.float32), "edit/1")
    added = editor(image, {}, directions=[(direction, 2.0)]).astype(int) - image
    assert abs(added[14:18, 14:18].mean() - 25.5) < 1


@pytest.mark.parametrize(
    ("values", "directions", "error", "said"),
    [
        ({"hat": 1.0}, [], UserError, "no attribute hat; there are smiling, dark, fair"),
        ({"smiling": 2.5}, [], UserError, "smiling: 2.5 is not from -2 to 2"),
        ({"smiling": float("nan")}, [], UserError, "not from -2 to 2"),
        ({}, [(Direction(np.zeros((1, 1, 3), np.float32), "edit/2"), 1.0)], DirectionError, "bundle edit/2"),
        ({}, [(Direction(np.zeros((2, 2, 3), np.float32), "edit/1"), 1.0)], DirectionError, "not with edit/1"),
        ({}, [(Direction(np.zeros((1, 1, 3), np.float32), "edit/1"), 3.0)], UserError, "direction: 3"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(editor, values, directions, error, said):
    with pytest.raises(error, match=said):
        editor(portrait(), values, directions=directions)


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_what_is_no_picture_is_refused(editor, image):
    with pytest.raises(ValueError, match="expected HxWx3"):
        editor(image, {"smiling": 1.0})


def test_a_strip_grows_from_weak_to_strong_and_0_is_the_face(editor):
    image = portrait((90, 120, 3))
    strip = editor.strip(image, face_at(30, 20, 60), {"smiling": 1.0}, [-2, -1, 0, 1, 2])
    assert strip.shape == (60, 300, 3)
    middles = [strip[25:35, 60 * k + 25 : 60 * k + 35].mean() for k in range(5)]
    np.testing.assert_allclose(np.diff(middles), 25.5, atol=1)
    np.testing.assert_array_equal(strip[:, 120:180], image[20:80, 30:90])


def test_a_sheet_has_a_row_an_attribute(editor):
    sheet = editor.sheet(portrait((90, 120, 3)), face_at(30, 20, 60), [-1, 0, 1])
    assert sheet.shape[0] == 3 * 60
    cells = sheet[:, -180:].reshape(3, 60, 3, 60, 3)
    assert np.all(cells[:, :, 1] == cells[0, :, 1])  # strength 0 is the same in every row
    assert np.any(cells[0, :, 0] != cells[0, :, 1])


# --- A bundle ---


@pytest.fixture(scope="module")
def opened(bundles):
    return Editor(str(bundles / "edit"))


def test_the_bundles_code_and_attributes_have_the_sizes_of_its_card(opened):
    code, seen = opened.encode(portrait((64, 64, 3)))
    assert code.shape == opened.code == (4, 4, 4)
    assert seen.shape == (3,)
    assert np.all((seen > 0) & (seen < 1))


def test_both_runtimes_give_the_same_picture(bundles, opened):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("opens the SavedModel")
    other = Editor(str(bundles / "edit"), runtime="tensorflow")
    values = {"smiling": 1.0, "fair": 1.0}
    direction = [(Direction(np.full(opened.code, 0.3, np.float32), opened.name), 1.0)]
    first, second = (e(portrait((64, 64, 3)), values, directions=direction).astype(int) for e in (opened, other))
    assert np.any(first != portrait((64, 64, 3)))
    assert np.abs(first - second).max() <= 2


@pytest.mark.parametrize("shape", [(64, 64, 3), (64, 90, 3)])
def test_the_served_picture_is_the_editors(bundles, opened, shape):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("opens the SavedModel")
    import tensorflow as tf

    served = tf.saved_model.load(str(find(str(bundles / "edit")).path)).signatures["serving_default"]
    image = portrait(shape)
    for change in ([1.0, -0.5, 0.0], [0.0, 1.0, 0.5], [0.0, -1.0, 2.0]):
        files = tf.constant([images.encode(image, ".png")])
        answer = served(image_bytes=files, change=tf.constant([change]))["image_bytes"]
        found = tf.io.decode_png(answer.numpy()[0]).numpy().astype(int)
        expected = opened(image, dict(zip(opened.attributes, change, strict=True)))
        assert np.any(expected != image)
        assert np.abs(found - expected).max() <= 2


# --- The commands ---


@pytest.fixture
def here(tmp_path):
    """face.png, an aligned face as the small network takes it."""
    images.write(tmp_path / "face.png", portrait((64, 64, 3)))
    return tmp_path


def test_a_file_beside_the_input(here, vaekit, opened):
    done = vaekit("edit", "face.png", "--aligned", "--set", "smiling=1", "--set", "fair=-0.5")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("edit: 1 done (face_edit.png) in ")
    expected = opened(portrait((64, 64, 3)), {"smiling": 1.0, "fair": -0.5})
    np.testing.assert_array_equal(images.read(here / "face_edit.png").pixels, expected)


def test_0_copies_the_file_byte_for_byte(here, vaekit):
    (here / "face.jpg").write_bytes(images.encode(portrait((64, 64, 3)), ".jpg"))
    done = vaekit("edit", "face.jpg", "--set", "smiling=0")
    assert done.returncode == 0
    assert "nothing changes: copied" in done.stderr
    assert (here / "face_edit.jpg").read_bytes() == (here / "face.jpg").read_bytes()


def test_a_folder_with_a_file_that_is_no_picture(here, vaekit):
    (here / "in").mkdir()
    images.write(here / "in" / "ä.png", portrait((70, 64, 4), np.uint16))
    (here / "in" / "b.png").write_bytes(b"no image")
    done = vaekit("edit", "in", "-o", "out", "--aligned", "--set", "smiling=2", "--json")
    assert done.returncode == 1
    assert "b.png" in done.stderr
    assert len(json.loads(done.stdout)["done"]) == 1
    edited = images.read(here / "out" / "ä.png").pixels
    assert (edited.shape, edited.dtype) == ((70, 64, 4), np.uint16)


def test_strip_and_sheet_are_pictures_of_their_own(here, vaekit):
    assert vaekit("edit", "face.png", "--aligned", "--set", "smiling=1", "--strip", "-2..2").returncode == 0
    assert images.read(here / "face_edit.png").pixels.shape == (64, 5 * 64, 3)
    assert vaekit("edit", "face.png", "--aligned", "--sheet", "-o", "sheet.jpg").returncode == 0
    assert images.read(here / "sheet.jpg").pixels.shape[0] == 3 * 64


def test_a_direction_is_fitted_from_two_folders_and_used(here, vaekit, opened):
    light = [portrait((64, 64, 3), seed=s) for s in range(3)]
    for number, image in enumerate(light):
        for folder, pixels in (("light", image), ("dark", image // 2)):
            (here / folder).mkdir(exist_ok=True)
            images.write(here / folder / f"{number}.png", pixels)
    fit = ("direction", "fit", "--positive", "light", "--negative", "dark", "-o", "lit.npz", "--aligned")
    done = vaekit(*fit, "--method", "mean")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "direction: lit.npz, of 3 faces against 3\n"
    step = load_direction(here / "lit.npz").step
    expected = np.mean([opened.encode(i)[0] - opened.encode(i // 2)[0] for i in light], axis=0)
    np.testing.assert_allclose(step, expected, atol=1e-5)
    assert "already exists" in vaekit(*fit).stderr
    assert vaekit(*fit, "--overwrite").returncode == 0
    done = vaekit("edit", "face.png", "--aligned", "--direction", "lit.npz=2")
    assert (done.returncode, done.stderr) == (0, "")
    assert np.any(images.read(here / "face_edit.png").pixels != portrait((64, 64, 3)))


def test_too_few_faces_make_no_direction(here, vaekit):
    done = vaekit("direction", "fit", "--positive", "face.png", "--negative", "face.png", "-o", "x.npz", "--aligned")
    assert done.returncode == 2
    assert "face.png: 1 faces, and a direction needs 2 of each kind" in done.stderr
    assert not (here / "x.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((), 2, "nothing to change"),
        (("--set", "smiling"), 2, "expected NAME=NUMBER"),
        (("--set", "smiling=3"), 2, "smiling: 3 is not from -2 to 2"),
        (("--set", "hat=1"), 2, "no attribute hat; there are smiling, dark, fair"),
        (("--set", "smiling=1", "--face", "best"), 2, "no face is called 'best'"),
        (("--set", "smiling=1", "--face", "2"), 1, "no face 2: only 1 found"),
        (("--set", "smiling=1", "--strip", "1"), 2, "expected LOW..HIGH"),
        (("--set", "smiling=1", "--strip", "-1..1", "--sheet"), 2, "ask for one of them"),
        (("--set", "smiling=1", "--strip", "-1..1", "--face", "all"), 2, "show one face"),
        (("--set", "smiling=1", "--strip", "-3..1"), 2, "not from -2 to 2"),
        (("--direction", "hat.npz"), 2, "hat.npz: not a direction"),
        (("--set", "smiling=1", "--bundle", "inpaint"), 3, "a bundle of inpaint, not of edit"),
    ],
)
def test_bad_wishes_are_one_clear_line(here, vaekit, arguments, status, said):
    done = vaekit("edit", "face.png", "--aligned", *arguments)
    assert said in done.stderr
    assert done.returncode == status
    assert not (here / "face_edit.png").exists()


@pytest.fixture
def two_people(here):
    """people.png: two drawn people of different sizes, which MTCNN finds."""
    photo = np.full((260, 460, 3), (110, 140, 120), np.uint8)
    people = RenderedFaces(400, seed=1)
    photo[40:200, 20:180] = render(people.identity(4), Look(smile=0.2, light=0.1), 160)
    photo[20:240, 220:440] = render(people.identity(13), Look(smile=0.2, light=0.1), 220)
    images.write(here / "people.png", photo)
    return photo


@pytest.mark.parametrize(("face", "left", "right"), [("largest", False, True), ("2", False, True), ("all", True, True)])
def test_the_faces_that_are_asked_for_are_found_and_changed(two_people, here, vaekit, face, left, right):
    done = vaekit("edit", "people.png", "--set", "smiling=1", "--face", face)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 faces (0." in done.stdout
    changed = np.any(images.read(here / "people_edit.png").pixels != two_people, axis=(0, 2))
    assert (changed[60:140].any(), changed[290:370].any()) == (left, right)


def test_the_surest_face_is_changed_and_all_are_reported(two_people, here, vaekit):
    done = vaekit("edit", "people.png", "--set", "smiling=1", "--json")
    first, second = json.loads(done.stdout)["done"][0]["faces"]
    assert first["score"] > second["score"] > 0.97
    assert (first["edited"], second["edited"]) == (True, False)
    left, _, width, _ = first["box"]
    changed = np.any(images.read(here / "people_edit.png").pixels != two_people, axis=(0, 2))
    assert changed[round(left + width / 2)]
    assert not changed[290:370].any()


def test_no_face_is_changed_of_which_the_finder_is_less_sure(two_people, here, vaekit):
    done = vaekit("edit", "people.png", "--set", "smiling=1", "--min-score", 1)
    assert done.returncode == 1
    assert "people.png: no face found: the surest has a score of 0.99" in done.stderr
    assert not (here / "people_edit.png").exists()


def test_a_photo_without_a_face_is_named_and_nothing_written(here, vaekit):
    images.write(here / "wall.png", np.full((90, 90, 3), 120, np.uint8))
    done = vaekit("edit", "wall.png", "--set", "smiling=1")
    assert (done.returncode, done.stderr) == (1, "vaekit: wall.png: no face found\n")
    assert not (here / "wall_edit.png").exists()


def test_a_hole_in_a_face_is_repaired_upright(two_people, here, vaekit):
    turned = np.rot90(two_people).copy()
    mask = np.zeros(turned.shape[:2], np.uint8)
    mask[115:145, 160:180] = 255  # over the mouth of the larger one
    images.write(here / "turned.png", turned)
    images.write(here / "mask.png", np.dstack([mask] * 3))
    results = []
    for name, more in (("plain.png", ("--no-faces",)), ("upright.png", ("--faces",))):
        assert vaekit("inpaint", "turned.png", "--mask", "mask.png", "-o", name, *more).returncode == 0
        results.append(images.read(here / name).pixels)
        np.testing.assert_array_equal(results[-1][mask == 0], turned[mask == 0])
    assert np.any(results[0] != results[1])


def test_editing_imports_no_tensorflow(here, bundles):
    code = "import sys; from vaekit.cli import main\ntry: main()\nfinally: print('tensorflow' in sys.modules)"
    command = [sys.executable, "-c", code, "edit", "face.png", "--aligned", "--set", "smiling=1"]
    environment = {**os.environ, "VAEKIT_MODELS": str(bundles)}
    done = subprocess.run(command, cwd=here, env=environment, check=True, capture_output=True, encoding="utf-8")
    assert done.stdout.splitlines()[-1] == "False"
