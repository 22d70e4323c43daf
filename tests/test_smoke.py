"""The weights that ship, through every verb that uses them: `pytest -m smoke`, in under two minutes."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import cv2
import numpy as np
import pytest

import vaekit
from vaekit import images

pytestmark = pytest.mark.smoke

EXAMPLE = Path(vaekit.__file__).parents[1] / "apps" / "inpaint" / "example"
ORIGINAL = Path(vaekit.__file__).parents[1] / "docs" / "images" / "sources" / "astronaut.jpg"


@pytest.fixture(scope="module")
def photo():
    """A portrait of 512x512, scratched."""
    return images.read(EXAMPLE / "photo.jpg").pixels


@pytest.fixture
def run(tmp_path, photo):
    """Run a command in a folder with photo.png, mask.png and face.png; its standard output."""
    images.write(tmp_path / "photo.png", images.read(EXAMPLE / "photo.jpg").pixels)
    images.copy(EXAMPLE / "mask.png", tmp_path / "mask.png")
    images.write(tmp_path / "face.png", photo[20:220, 120:320])
    environment = {name: value for name, value in os.environ.items() if name != "VAEKIT_MODELS"}

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "vaekit", *arguments],
            cwd=tmp_path, env=environment, check=False, capture_output=True, encoding="utf-8",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_every_file_of_the_bundles_is_as_it_was_shipped(run):
    run("models", "--check")


def test_scratches_are_repaired_and_nothing_else_is_changed(run, photo, tmp_path):
    run("inpaint", "photo.png", "--mask", "mask.png", "-o", "repaired.png")
    repaired, hole = images.read(tmp_path / "repaired.png").pixels, images.read_mask(EXAMPLE / "mask.png")
    np.testing.assert_array_equal(repaired[~hole], photo[~hole])
    # Where the damage is strong, the repair is much nearer to the portrait.
    original = images.read(ORIGINAL).pixels.astype(float)
    before, after = (np.abs(pixels - original).mean(axis=2) for pixels in (photo, repaired))
    strong = hole & (before > 60)
    assert after[strong].mean() < 0.5 * before[strong].mean()


def test_a_photo_is_enlarged_and_stays_itself(run, photo, tmp_path):
    run("superres", "photo.png", "--scale", "2", "-o", "large.png")
    large = images.read(tmp_path / "large.png").pixels
    assert large.shape == (1024, 1024, 3)
    small = cv2.resize(large, (512, 512), interpolation=cv2.INTER_AREA)
    assert cv2.PSNR(small, photo) > 25


def test_a_face_is_edited(run, photo, tmp_path):
    run("edit", "face.png", "--aligned", "--set", "smiling=1", "-o", "smiling.png")
    edited, face = images.read(tmp_path / "smiling.png").pixels, photo[20:220, 120:320]
    assert edited.shape == face.shape
    changed = np.abs(edited.astype(int) - face).max(axis=-1)
    assert changed.max() > 8
    assert changed[:5].max() == 0  # outside the oval


def test_a_direction_is_fitted_and_followed(run, photo, tmp_path):
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    for turn in range(2):
        face = photo[20 + turn : 220, 120 : 320 - turn]
        images.write(tmp_path / "without" / f"{turn}.png", face)
        images.write(tmp_path / "with" / f"{turn}.png", cv2.convertScaleAbs(face, alpha=0.5))
    run("direction", "fit", "--aligned", "--positive", "with", "--negative", "without", "-o", "dark.npz")
    run("edit", "face.png", "--aligned", "--direction", "dark.npz=1", "-o", "dark.png")
    assert np.any(images.read(tmp_path / "dark.png").pixels != photo[20:220, 120:320])


@pytest.mark.parametrize(
    ("arguments", "width"),
    [
        (("frontalize", "face.png"), 128),
        (("transfer", "face.png", "photo.png"), 128),
        (("morph", "face.png", "photo.png", "--steps", "3"), 3 * 128),
    ],
)
def test_a_face_is_drawn_anew(run, tmp_path, arguments, width):
    run(*arguments, "--aligned", "-o", "drawn.png")
    drawn = images.read(tmp_path / "drawn.png").pixels
    assert drawn.shape == (128, width, 3)
    assert drawn.std() > 10


def test_all_of_them_are_served():
    command = [sys.executable, "-m", "vaekit", "serve", "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if name != "VAEKIT_MODELS"}
    files = {
        name.split(".")[0]: {"b64": base64.b64encode((EXAMPLE / name).read_bytes()).decode()}
        for name in ("photo.jpg", "mask.png")
    }
    image = {"image_bytes": files["photo"]}
    items = {
        "inpaint": image | {"mask_bytes": files["mask"], "seed": 0},
        "superres": image | {"scale": 2, "detail": 0.5, "seed": 0},
        "edit": image | {"change": [1.0] + [0.0] * (len(vaekit.load("edit").attributes) - 1)},
        "frontalize": image | {"shown_bytes": files["photo"], "turn": 1.0},
    }
    shapes = {"inpaint": (512, 512, 3), "superres": (1024, 1024, 3), "edit": (512, 512, 3), "frontalize": (128, 128, 3)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            address = process.stdout.readline().split()[-1]
            for name, item in items.items():
                body = json.dumps({"instances": [item]}).encode()
                with urlopen(f"{address}/v1/models/{name}:predict", body) as answer:
                    (found,) = json.load(answer)["predictions"]
                assert images.decode(base64.b64decode(found["b64"])).pixels.shape == shapes[name]
        finally:
            process.kill()
