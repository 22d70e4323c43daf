"""`vaekit apply`: what models of the family do with pictures, beyond drawing and redrawing them."""

import csv
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from vaekit import apps, checkpoints, images
from vaekit.apps.family.applying import Applied
from vaekit.recipe import load_recipe
from vaekit.training import build

SMALL = {"siamese": "widths=[4, 8]", "pix2pix": "widths=[4, 8]", "cyclegan": "widths=[4, 8]", "srgan": "width=4"}


@pytest.fixture
def here(tmp_path):
    """A folder of three pictures, 20 x 13."""
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for name in "abc":
        images.write(tmp_path / "in" / f"{name}.png", rng.integers(0, 255, (20, 13, 3), np.uint8))
    return tmp_path


def run_of(name, folder, *changes):
    """A run of a model with random weights, as training would leave it after its first epoch."""
    model = f"model.{SMALL.get(name, 'base=4')}"
    shape = () if name in ("pix2pix",) else ("model.image_shape=[16, 16, 3]",)
    size = ("train.image_size=[16, 16]", "train.batch_size=2", "train.epochs=1", "train.steps_per_epoch=1")
    recipe = load_recipe(apps.recipe_path(name), [*apps.implied(name), model, *shape, *size, *changes], ["rendered:9"])
    made = build(recipe, apps.task(name))
    for network in (network for networks in made.players.values() for network in networks):
        rng = np.random.default_rng(1)
        # The last layers of some begin at 0.
        network.set_weights([w + rng.normal(0, 0.05, w.shape) if w.ndim > 1 else w for w in network.get_weights()])
    checkpoints.write(folder / "recipe.json", recipe.model_dump_json().encode())
    checkpoints.save(made, checkpoints.path(folder, 1))
    (folder / "log.jsonl").write_text(json.dumps({"epoch": 1, "seconds": 1}))
    return made, recipe


def pixels(path):
    return images.read(path).pixels


def test_srgan_enlarges_files_of_any_size(here, vaekit_here):
    model, _ = run_of("srgan", here / "run")
    assert vaekit_here("apply", "run", "in", "-o", "out").returncode == 0
    found = pixels(here / "out" / "a.png")
    assert found.shape == (80, 52, 3)
    padded = np.pad(pixels(here / "in" / "a.png"), ((0, 12), (0, 3), (0, 0)), mode="symmetric")
    expected = keras.ops.convert_to_numpy(model.enlarge(padded[None]))[0, :80, :52]
    np.testing.assert_allclose(found, 255 * expected.clip(0, 1), atol=0.51)


def test_pix2pix_that_has_learned_to_colour_is_shown_the_luma(here):
    model, recipe = run_of("pix2pix", here / "run")
    applied = Applied(model, recipe)
    picture = pixels(here / "in" / "a.png")
    grey = np.repeat(np.rint(picture @ [0.299, 0.587, 0.114]).astype(np.uint8)[..., None], 3, axis=2)
    found = applied(picture)
    assert found.shape == picture.shape
    np.testing.assert_allclose(found, applied(grey), atol=2)
    assert np.abs(found.astype(int) - grey).max() > 5


def test_cyclegan_translates_both_ways(here, vaekit_here):
    model, _ = run_of("cyclegan", here / "run")
    for does, translate in (("to_y", model.to_y), ("to_x", model.to_x)):
        assert vaekit_here("apply", "run", "in/a.png", "--does", does, "-o", f"{does}.png").returncode == 0
        found = pixels(here / f"{does}.png")
        padded = np.pad(pixels(here / "in" / "a.png"), ((0, 12), (0, 3), (0, 0)), mode="symmetric")
        expected = keras.ops.convert_to_numpy(translate(padded[None] / np.float32(255.0)))[0, :20, :13]
        np.testing.assert_allclose(found, 255 * expected.clip(0, 1), atol=0.51)


def test_numbers_are_printed_as_a_table(here, vaekit_here):
    run_of("semi_supervised_gan", here / "run", "model.classes=3")
    done = vaekit_here("apply", "run", "in")
    rows = list(csv.reader(done.stdout.splitlines()))
    assert (done.returncode, rows[0]) == (0, ["file", "0", "1", "2"])
    assert [row[0] for row in rows[1:]] == [os.path.join("in", f"{name}.png") for name in "abc"]
    assert np.isfinite(np.array([row[1:] for row in rows[1:]], float)).all()


def test_siamese_tells_how_far_pictures_are_from_one(here, vaekit_here):
    run_of("siamese", here / "run")
    done = vaekit_here("apply", "run", "in", "--does", "distance", "--with", "in/b.png")
    far = [float(row["0"]) for row in csv.DictReader(done.stdout.splitlines())]
    assert (done.returncode, far[1] < 1e-6 < min(far[0], far[2])) == (0, True)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("gan", (), "a gan takes no pictures: it can sample alone"),
        ("srgan", ("--does", "embed"), "--does embed: a srgan can enlarge"),
        ("siamese", ("--does", "distance"), "--with is needed: distance takes two pictures"),
        ("siamese", ("--with", "in/a.png"), "--with in/a.png: embed takes one picture"),
        ("srgan", ("-o", "-"), "this command writes files"),
    ],
)
def test_what_cannot_be_is_told(name, arguments, message, here, vaekit_here):
    run_of(name, here / "run")
    done = vaekit_here("apply", "run", "in/a.png", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_one_bad_file_does_not_end_a_folder(here):
    run_of("srgan", here / "run")
    (here / "in" / "b.png").write_bytes(b"no")
    command = [sys.executable, "-m", "vaekit", "apply", "run", "in", "-o", "out"]
    done = subprocess.run(command, cwd=here, check=False, capture_output=True, text=True)
    assert (done.returncode, sorted(p.name for p in (here / "out").iterdir())) == (1, ["a.png", "c.png"])
    assert "b.png" in done.stderr
    assert "Traceback" not in done.stderr
