"""One call a photo: what goes in comes out, and faces are found."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import vaekit
from vaekit import faces, images
from vaekit.data.rendered import Look, RenderedFaces, render
from vaekit.errors import UserError
from vaekit.faces import FaceError


def portrait():
    """A drawn person that MTCNN finds, [260, 300, 3]."""
    photo = np.full((260, 300, 3), (110, 140, 120), np.uint8)
    photo[20:240, 40:260] = render(RenderedFaces(400, seed=1).identity(4), Look(smile=0.2, light=0.1), 220)
    return photo


@pytest.fixture
def call(bundles):
    """Call a function of vaekit's, on the small networks of the tests."""
    return lambda name, *arguments, **options: getattr(vaekit, name)(*arguments, bundle=str(bundles / name), **options)


def test_an_array_is_given_back_as_an_array(call, bundles):
    photo = portrait()
    before = photo.copy()
    edited = call("edit", photo, smiling=1)
    np.testing.assert_array_equal(photo, before)
    (face,) = faces.find(photo, faces.open_finder())
    editor = vaekit.load(str(bundles / "edit"))
    np.testing.assert_array_equal(edited, editor(photo, {"smiling": 1.0}, [face]))
    assert np.any(edited != photo)
    assert not np.any(edited[:10] != photo[:10])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 3), (64, 64, 4)])
def test_arrays_keep_shape_and_type(call, shape, dtype):
    photo = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype)
    edited = call("edit", photo, {"dark": 0.5}, aligned=True)
    assert (edited.shape, edited.dtype) == (photo.shape, photo.dtype)
    large = call("superres", photo, 2)
    assert (large.shape, large.dtype) == ((128, 128, *shape[2:]), photo.dtype)
    turned = call("frontalize", photo, aligned=True)
    assert (turned.shape[2:], turned.dtype) == (shape[2:] and (3,), photo.dtype)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_a_pil_image_is_given_back_as_one(call, mode):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    photo = Image.fromarray(np.full((48, 64), 999, np.uint16)) if mode == "I;16" else photo.convert(mode)
    photo.info["icc_profile"] = b"a profile"
    mask = Image.new("L", photo.size, 0)
    mask.paste(255, (20, 20, 30, 30))
    repaired = call("inpaint", photo, mask, in_faces=False)
    expected = {"1": "L", "P": "RGB", "CMYK": "RGB"}.get(mode, mode)
    assert (repaired.mode, repaired.size) == (expected, photo.size)
    if mode in ("RGB", "RGBA", "L"):
        assert repaired.info["icc_profile"] == b"a profile"
        known = np.array(mask) == 0
        np.testing.assert_array_equal(np.array(repaired)[known], np.array(photo)[known])


def test_a_path_gives_a_pil_image(call, tmp_path):
    photo, mask = portrait(), np.zeros((260, 300), bool)
    mask[40:60, 60:90] = True
    images.write(tmp_path / "photo.png", photo)
    images.write(tmp_path / "mask.png", 255 * mask.astype(np.uint8))
    repaired = call("inpaint", tmp_path / "photo.png", str(tmp_path / "mask.png"))
    assert isinstance(repaired, Image.Image)
    np.testing.assert_array_equal(np.array(repaired), call("inpaint", photo, mask))
    grey = images.read(tmp_path / "photo.png").pixels[..., :1].repeat(3, axis=2)
    Image.fromarray(grey[..., 0]).save(tmp_path / "grey.png")
    assert call("superres", tmp_path / "grey.png", 2).mode == "L"


def test_the_face_is_found_and_turned(call):
    photo = portrait()
    assert call("frontalize", photo).shape == (32, 32, 3)
    pasted = call("frontalize", Image.fromarray(photo), paste=True)
    changed = np.any(np.array(pasted) != photo, axis=2)
    assert changed[100:160, 120:180].mean() > 0.9
    assert not changed[:20].any()


def test_what_cannot_be_done_is_said(call):
    with pytest.raises(FaceError, match="no face found"):
        call("edit", np.full((90, 90, 3), 120, np.uint8), smiling=1)
    with pytest.raises(FaceError, match="under 1 "):
        call("edit", portrait(), smiling=1, min_score=1.0)
    with pytest.raises(UserError, match="no attribute frowning"):
        call("edit", portrait(), frowning=1)
    with pytest.raises(TypeError, match="expected a path, a PIL image or an array, not int"):
        call("edit", 7, smiling=1)
    with pytest.raises(ValueError, match="expected HxWx3"):
        call("edit", np.zeros((9, 9, 3)), smiling=1)
    with pytest.raises(ValueError, match="the mask is 8x9, the photo 10x9"):
        call("inpaint", np.zeros((9, 10, 3), np.uint8), np.ones((9, 8), bool))
    with pytest.raises(ValueError, match="expected a mask"):
        call("inpaint", np.zeros((9, 10, 3), np.uint8), np.ones((9, 10, 3), bool))
    with pytest.raises(AttributeError, match="beautify"):
        vaekit.beautify  # noqa: B018


def test_importing_vaekit_imports_nothing_heavy():
    code = (
        "import sys, vaekit; print(*(name in sys.modules for name in ('numpy', 'cv2', 'keras')), callable(vaekit.edit))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False", "True"]
