"""`vaekit frontalize`, `transfer` and `morph`: the editor, with a network whose answer is known and with a bundle."""

import keras
import numpy as np
import pytest

from vaekit import faces, images
from vaekit.apps.frontalize.editor import Editor
from vaekit.bundle import find
from vaekit.data.rendered import Look, RenderedFaces, render


def portrait(shape=(32, 32, 3), dtype=np.uint8, seed=0):
    most = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(most // 3, most // 2, shape).astype(dtype)


def face_at(left, top, side) -> faces.Face:
    """A face whose crop to template N is that square."""
    points = side * faces.TIGHT_TEMPLATE + (left - 0.5, top - 0.5)
    return faces.Face(points.astype(np.float32), (left, top, side, side), 1.0)


@pytest.fixture
def editor() -> Editor:
    """An editor whose network paints who in red, how in green (from the one shown to the other), the turn in blue."""

    def network(signature="tensor", /, *, image, shown, shown_too, share, turn):
        assert image.shape == shown.shape == shown_too.shape == (1, 16, 16, 3)
        how = (1 - share[0]) * shown.mean() + share[0] * shown_too.mean()
        return np.broadcast_to(np.array([image.mean(), how, turn[0]], np.float32), (1, 16, 16, 3))

    made = object.__new__(Editor)
    made.side, made.network = 16, network
    return made


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_face_is_drawn_alone_and_of_the_images_type(editor, dtype):
    image = portrait((60, 80, 4), dtype)
    image[20:52, 30:62, :3] = 0
    front = editor(image, face_at(30, 20, 32))
    assert (front.shape, front.dtype) == ((16, 16, 3), dtype)
    most = np.iinfo(dtype).max
    np.testing.assert_allclose(front[0, 0] / most, [0.0, 0.0, 1.0], atol=0.03)
    assert editor(image, face_at(30, 20, 32), turn=0.25)[0, 0, 2] == round(0.25 * most)


def test_pasted_it_takes_the_old_faces_place_and_leaves_the_rest(editor):
    image = portrait((90, 120, 4))
    pasted = editor.pasted(image, face_at(30, 20, 60))
    assert (pasted.shape, pasted.dtype) == (image.shape, np.uint8)
    # Nothing of the noise that was there shines through.
    middle = pasted[45:55, 55:65, :3].reshape(-1, 3).astype(int)
    assert np.all(np.ptp(middle, axis=0) <= 1)
    assert middle[0, 2] == 255
    outside = np.ones(image.shape[:2], bool)
    outside[20:80, 30:90] = False
    np.testing.assert_array_equal(pasted[outside], image[outside])
    np.testing.assert_array_equal(pasted[..., 3], image[..., 3])


def test_who_comes_from_the_one_and_how_from_the_other(editor):
    who, how = np.full((20, 20, 3), 51, np.uint8), np.full((30, 40, 3), 204, np.uint8)
    who[-1, -1, 0] = how[-1, -1, 0] = 0  # in colour: of grey pictures grey is made
    np.testing.assert_array_equal(editor.transfer(who, how)[0, 0], [51, 204, 0])
    np.testing.assert_array_equal(editor.transfer(who, how, turn=1.0)[0, 0], [51, 204, 255])


def test_a_morph_changes_how_and_not_who(editor):
    first, second = np.full((20, 20, 3), 50, np.uint8), np.full((20, 20, 3), 150, np.uint8)
    first[-1, -1, 0] = second[-1, -1, 0] = 0  # in colour: of grey pictures grey is made
    drawn = [frame[0, 0].tolist() for frame in editor.morph(first, second, [0.0, 0.5, 1.0])]
    assert drawn == [[50, 50, 0], [50, 100, 0], [50, 150, 0]]


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_what_is_no_picture_is_refused(editor, image):
    with pytest.raises(ValueError, match="expected HxWx3 or HxWx4"):
        editor(image)


# --- With a bundle ---


@pytest.fixture(scope="module")
def opened(bundles):
    return Editor(str(bundles / "frontalize"))


def test_identity_attributes_and_turn_all_count(opened):
    first, second = portrait(), portrait(seed=1)
    drawn = opened.transfer(first, second)
    for who, how, turn in ((second, second, 0.0), (first, first, 0.0), (first, second, 1.0)):
        assert np.any(drawn != opened.transfer(who, how, turn=turn))


def test_both_runtimes_give_the_same_picture(bundles, opened):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("opens the SavedModel")
    other = Editor(str(bundles / "frontalize"), runtime="tensorflow")
    drawn = (e.transfer(portrait(), portrait(seed=1), turn=0.5).astype(int) for e in (opened, other))
    assert np.abs(np.subtract(*drawn)).max() <= 2


@pytest.mark.parametrize("shape", [(32, 32, 3), (64, 64, 3)])
def test_the_served_picture_is_the_editors(bundles, opened, shape):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("opens the SavedModel")
    import tensorflow as tf

    served = tf.saved_model.load(str(find(str(bundles / "frontalize")).path)).signatures["serving_default"]
    who, how = portrait(shape), portrait(seed=1)
    file, other = (tf.constant([images.encode(image, ".png")]) for image in (who, how))
    for turn in (0.0, 1.0):
        answer = served(image_bytes=file, shown_bytes=other, turn=tf.constant([turn]))["image_bytes"]
        found = tf.io.decode_png(answer.numpy()[0]).numpy().astype(int)
        assert np.abs(found - opened.transfer(who, how, turn=turn)).max() <= 4


# --- The commands ---


@pytest.fixture
def here(tmp_path):
    images.write(tmp_path / "face.png", portrait())
    images.write(tmp_path / "other.png", portrait(seed=1))
    return tmp_path


def test_an_aligned_face_beside_the_input(here, vaekit, opened):
    assert vaekit("frontalize", "face.png", "--aligned").returncode == 0
    np.testing.assert_array_equal(images.read(here / "face_frontalize.png").pixels, opened(portrait()))


def test_transfer_and_morph_write_one_file(here, vaekit, opened):
    done = vaekit("transfer", "face.png", "other.png", "--aligned", "-o", "both.png")
    assert (done.returncode, done.stderr) == (0, "")
    np.testing.assert_array_equal(images.read(here / "both.png").pixels, opened.transfer(portrait(), portrait(seed=1)))
    assert vaekit("morph", "face.png", "other.png", "--aligned", "-o", "strip.png", "--steps", 3).returncode == 0
    strip = images.read(here / "strip.png").pixels
    assert strip.shape == (32, 96, 3)
    np.testing.assert_array_equal(strip[:, :32], opened(portrait(), turn=0.0))
    refused = vaekit("morph", "face.png", "other.png", "--aligned", "-o", "none.png", "--max-pixels", 100)
    assert refused.returncode == 1
    assert "face.png" in refused.stderr
    assert not (here / "none.png").exists()


def test_faces_are_found_in_photos_and_pasted_back(here, vaekit):
    photo = np.full((260, 300, 3), (110, 140, 120), np.uint8)
    photo[20:240, 40:260] = render(RenderedFaces(400, seed=1).identity(13), Look(smile=0.2, light=0.1), 220)
    images.write(here / "photo.png", photo)
    assert vaekit("frontalize", "photo.png", "--paste", "-o", "pasted.png").returncode == 0
    changed = np.any(images.read(here / "pasted.png").pixels != photo, axis=2)
    assert changed[100:160, 120:180].mean() > 0.9
    assert not changed[:20].any()
    assert not changed[:, :40].any()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("frontalize", "face.png", "--face", "all"), 2, "one face is written a photo"),
        (("transfer", "face.png", "no.png", "--aligned", "-o", "x.png"), 1, "no.png"),
        (("frontalize", "face.png", "--bundle", "nothing", "--aligned"), 3, "nothing"),
    ],
)
def test_bad_wishes_are_one_clear_line(here, vaekit, arguments, status, said):
    done = vaekit(*arguments)
    assert (done.returncode, said in done.stderr, done.stderr.count("\n")) == (status, True, 1)
