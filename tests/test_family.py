"""Every model of the family is trained, and used, from the command line and on anyone's pictures."""

import csv
import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from vaekit import images
from vaekit.apps import implied, recipe_path, task
from vaekit.data import DataError
from vaekit.models import FAMILY, LABELLED, model_class
from vaekit.recipe import RecipeError, load_recipe
from vaekit.training import batches, build, sources


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve pictures, 32x16 of three people, listed in a CSV, and four others."""
    base = tmp_path_factory.mktemp("family")
    rng = np.random.default_rng(0)
    for name, count in (("faces", 12), ("others", 4)):
        (base / name).mkdir()
        for number in range(count):
            images.write(base / name / f"{number}.png", rng.integers(0, 255, (32, 16, 3), np.uint8))
    with (base / "faces.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "person", "glasses", "hat"])
        rows.writerows([f"{n}.png", f"p{n % 3}", n % 2, int(n > 6)] for n in range(12))
    return base


def recipe(name, folder, *changes):
    model = ["model.base=4"] if name not in ("siamese", "pix2pix", "cyclegan") else ["model.widths=[4, 8]"]
    every = ["train.batch_size=4", "train.epochs=1", "train.steps_per_epoch=2", "data.holdout.every=12"]
    return load_recipe(recipe_path(name), [*implied(name), *model, *every, *changes], [str(folder / "faces")])


@pytest.mark.parametrize("name", FAMILY)
def test_every_model_takes_its_shape_and_classes_from_the_data(name, folder):
    told = {"siamese": ["data.partner=person"], "cyclegan": [f"data.other={folder / 'others'}"]}
    labels = ["data.labels=person"] if name in LABELLED else []
    trained = task(name)
    loaded = trained.complete(recipe(name, folder, *labels, *told.get(name, [])))
    model = build(loaded, trained)
    assert isinstance(model, model_class(name))
    shape = getattr(model, "image_shape", (32, 16, 3))
    assert shape == (32, 16, 3)
    if name in LABELLED and hasattr(model, "classes"):
        assert model.classes == 3
    batch = batches(loaded, trained, "train")[0]
    assert batch["image"].shape == (4, 32, 16, 3)
    losses, _ = model.objective({key: keras.ops.convert_to_tensor(value) for key, value in batch.items()})
    assert all(np.isfinite(float(loss)) for loss in losses.values())
    assert trained.preview(model, batch).dtype == np.uint8
    assert all(len(values) == 4 for values in trained.measure(model, batch).values())


def test_attributes_are_a_condition_too(folder):
    loaded = task("cvae").complete(recipe("cvae", folder, "data.labels=['glasses', 'hat']"))
    assert loaded.model["classes"] == 2
    assert batches(loaded, task("cvae"), "train")[0]["label"].shape == (4, 2)


def test_what_the_recipe_says_goes_before_what_the_data_says(folder):
    said = ["data.labels=person", "train.image_size=[8, 8]", "model.classes=7"]
    loaded = task("cgan").complete(recipe("cgan", folder, *said))
    assert (loaded.model["image_shape"], loaded.model["classes"]) == ((8, 8, 3), 7)
    assert batches(loaded, task("cgan"), "train")[0]["image"].shape == (4, 8, 8, 3)


@pytest.mark.parametrize(
    ("name", "changes", "match"),
    [
        ("cvae", [], "without labels"),
        ("siamese", ["data.labels=person"], "without partners"),
        ("cyclegan", [], "nothing to translate"),
    ],
)
def test_what_is_missing_is_told(name, changes, match, folder):
    with pytest.raises(DataError, match=match):
        batches(task(name).complete(recipe(name, folder, *changes)), task(name), "train")[0]


def test_srgan_learns_from_crops_with_the_pixels_of_the_pictures(tmp_path):
    """Of a picture whose red is its row and whose green its column: neighbours in a crop differ by 1 in one of them."""
    rows, columns = np.mgrid[:130, :201]
    images.write(tmp_path / "large.png", np.stack([rows, columns, 0 * rows], axis=-1).astype(np.uint8))
    images.write(tmp_path / "other.png", np.stack([rows, columns, 0 * rows], axis=-1).astype(np.uint8))
    settings = ["train.batch_size=8", "data.holdout.every=2"]
    loaded = load_recipe(recipe_path("srgan"), [*implied("srgan"), *settings], [str(tmp_path)])
    loaded = task("srgan").complete(loaded)
    assert (loaded.train.image_size, loaded.model["image_shape"]) == ((96, 96), (96, 96, 3))
    batch = batches(loaded, task("srgan"), "train")[0]
    assert batch["small"].shape == (8, 24, 24, 3)
    steps = np.abs(
        np.rint(255 * np.stack([np.diff(batch["image"], axis=1)[:, :, :95], np.diff(batch["image"], axis=2)[:, :95]]))
    )
    # Turned by quarters and mirrored, either red or green goes by one along each axis.
    assert set(steps[..., 0].ravel()) == set(steps[..., 1].ravel()) == {0.0, 1.0}
    np.testing.assert_array_equal(steps.sum(axis=(0, 4)), 2.0)
    assert len({float(image[0, 0, 0]) for image in batch["image"]}) > 4


def test_srgans_crops_are_multiples_of_its_scale(tmp_path):
    for name in "ab":
        images.write(tmp_path / f"{name}.png", np.zeros((50, 37, 3), np.uint8))
    loaded = load_recipe(recipe_path("srgan"), ["data.holdout.every=2", *implied("srgan")], [str(tmp_path)])
    assert task("srgan").complete(loaded).train.image_size == (48, 36)


def test_srgan_is_trained_here_at_one_scale(folder):
    with pytest.raises(RecipeError, match="pictures are shrunk 4 times here"):
        task("srgan").complete(recipe("srgan", folder, "model.scale=2"))


def test_classes_that_are_said_need_no_labels_to_be_counted(folder):
    loaded = task("cvae").complete(recipe("cvae", folder, "model.classes=7"))
    assert loaded.model["classes"] == 7


def test_the_others_are_drawn_from_their_own_folder(folder):
    loaded = task("cyclegan").complete(recipe("cyclegan", folder, f"data.other={folder / 'others'}"))
    others = [images.read(path).pixels / 255 for path in (folder / "others").iterdir()]
    for drawn in batches(loaded, task("cyclegan"), "train")[0]["other"]:
        assert any(np.allclose(drawn, other, atol=1e-6) for other in others)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A run of a conditional model on pictures of 12x12, and two of them."""
    base = tmp_path_factory.mktemp("digits")
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 255, (24, 12, 12), np.uint8), rng.integers(0, 3, 24)
    np.savez(base / "digits.npz", x_train=x, y_train=y)
    for number in range(2):
        images.write(base / f"{number}.png", cv2.cvtColor(x[number], cv2.COLOR_GRAY2RGB))
    settings = ["model.base=4", "model.latent_dim=3", "train.epochs=1", "train.steps_per_epoch=1", "train.batch_size=8"]
    done = run(
        base, "train", "cvae", "--data", "digits.npz", "--out", "run", *(a for s in settings for a in ("--set", s))
    )
    assert done.returncode == 0, done.stderr
    return base


def run(folder, *arguments):
    command = [sys.executable, "-m", "vaekit", *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "COLUMNS": "200"}, check=False, capture_output=True, encoding="utf-8"
    )


def shape(path):
    return images.read(path).pixels.shape


def test_a_trained_model_samples(digits, vaekit_here):
    here = functools.partial(vaekit_here, folder=digits)
    assert run(digits, "sample", "run", "-o", "all.png", "-n", 10).returncode == 0
    assert shape(digits / "all.png") == (2 * 12, 8 * 12, 3)
    assert here("sample", "run", "-o", "twos.png", "-n", 3, "--label", 2).returncode == 0
    assert shape(digits / "twos.png") == (12, 3 * 12, 3)
    done = here("sample", "run", "-o", "nines.png", "--label", 9)
    assert (done.returncode, "3 classes" in done.stderr) == (2, True)
    for name, seed in (("again", 0), ("other", 1)):
        assert here("sample", "run", "-o", f"{name}.png", "-n", 10, "--seed", seed).returncode == 0
    pixels, again, other = (images.read(digits / f"{name}.png").pixels for name in ("all", "again", "other"))
    np.testing.assert_array_equal(pixels, again)
    assert np.any(pixels != other)


def test_a_trained_model_reconstructs_and_morphs(digits, vaekit_here):
    here = functools.partial(vaekit_here, folder=digits)
    done = run(digits, "reconstruct", "run", "0.png", "1.png", "-o", "redrawn.png", "--label", 1)
    assert done.returncode == 0, done.stderr
    assert shape(digits / "redrawn.png") == (2 * 12, 2 * 12, 3)
    for name in ("strip.png", "walk.gif"):
        done = run(digits, "morph", "0.png", "1.png", "--run", "run", "-o", name, "--steps", 5, "--label", 1)
        assert done.returncode == 0, done.stderr
    assert shape(digits / "strip.png") == (12, 5 * 12, 3)
    from PIL import Image, ImageSequence

    with Image.open(digits / "walk.gif") as walk:
        assert walk.size == (12, 12)
        # Eight frames there and back; Pillow writes equal ones as one that lasts longer.
        assert sum(frame.info["duration"] for frame in ImageSequence.Iterator(walk)) == 8 * 80
    walked = here("morph", "0.png", "1.png", "--run", "run", "-o", "searched.png", "--through", "prior", "--label", 1)
    assert (walked.returncode, shape(digits / "searched.png")) == (0, (12, 9 * 12, 3)), walked.stderr
    again = here("morph", "0.png", "1.png", "--run", "run", "-o", "walk.gif", "--label", 1)
    assert (again.returncode, "already exists" in again.stderr, "Traceback" in again.stderr) == (2, True, False)
    for arguments in (("reconstruct", "run", "0.png"), ("morph", "0.png", "1.png", "--run", "run")):
        done = here(*arguments, "-o", "new.png")
        told = [line for line in done.stderr.splitlines() if line.startswith("vaekit: ")]
        assert (done.returncode, told) == (2, ["vaekit: --label is needed: the model has 3 classes, 0 to 2"])


def test_a_trained_model_is_exported_with_its_signatures(digits, vaekit_here):
    import tensorflow as tf

    done = vaekit_here("export", "run", "mine", "--out", "bundles", folder=digits)
    assert (done.returncode, Path(done.stdout.strip())) == (0, Path("bundles/mine/1")), done.stderr
    folder = digits / "bundles" / "mine" / "1"
    card = json.loads((folder / "assets.extra" / "card.json").read_text())
    assert (card["app"], card["name"]) == ("cvae", "mine")
    found = tf.saved_model.load(str(folder)).signatures
    assert set(found) == {"serving_default", "reconstruct", "encode", "decode", "sample"}
    image = found["sample"](noise=tf.zeros((2, 3)), label=tf.eye(3)[:2])["image"]
    assert image.shape == (2, 12, 12, 1)


@pytest.mark.parametrize(
    ("option", "others"),
    [
        (["--through", "code"], []),
        (["--aligned"], ["--run", "run"]),
        (["--bundle", "mine"], ["--run", "run"]),
        (["--label", 1], []),
    ],
)
def test_a_morph_takes_no_option_without_a_use(tmp_path, vaekit_here, option, others):
    done = vaekit_here("morph", "0.png", "1.png", "-o", "strip.png", *option, *others)
    assert (done.returncode, done.stderr.startswith(f"vaekit: {option[0]} has no use")) == (2, True)


@pytest.fixture(scope="module")
def flowers(tmp_path_factory):
    """Pictures of two classes, each in a folder of its name, and a list of them elsewhere."""
    base = tmp_path_factory.mktemp("flowers")
    rng = np.random.default_rng(0)
    for name in ("tulip", "daisy"):
        (base / "all" / name).mkdir(parents=True)
        for number in range(4):
            images.write(base / "all" / name / f"{number}.png", rng.integers(0, 255, (16, 16, 3), np.uint8))
    rows = [f"all/{name}/{number}.png,{name}" for name in ("tulip", "daisy") for number in (0, 1, 2)]
    (base / "some.csv").write_text("\n".join(["file,kind", *rows]))
    return base


def of_flowers(name, data, *changes):
    settings = ["model.base=4", "train.batch_size=4", "train.epochs=1", "train.steps_per_epoch=1", *changes]
    return load_recipe(recipe_path(name), [*implied(name), "data.holdout.every=4", *settings], [str(data)])


def test_folders_are_classes(flowers):
    loaded = task("cgan").complete(of_flowers("cgan", flowers / "all"))
    assert (loaded.data[0].labels, loaded.model["classes"]) == ("/", 2)
    source = sources(loaded, "train").sources[0].source
    assert source.classes == ["daisy", "tulip"]
    assert [source[i]["label"] for i in range(8)] == [0, 0, 0, 0, 1, 1, 1, 1]
    pairs = task("siamese").complete(of_flowers("siamese", flowers / "all", "model={widths=[4, 8]}"))
    assert pairs.data[0].partner == "/"


def test_a_list_is_data(flowers, tmp_path):
    loaded = task("cgan").complete(of_flowers("cgan", flowers / "some.csv", "data.labels=kind"))
    source = sources(loaded, "train").sources[0].source
    assert [path.relative_to(flowers).as_posix() for path in source.files][:2] == ["all/tulip/0.png", "all/tulip/1.png"]
    assert ([source[i]["label"] for i in range(6)], source.classes) == ([1, 1, 1, 0, 0, 0], ["daisy", "tulip"])
    (tmp_path / "list.csv").write_text(f"file\n{flowers / 'all' / 'tulip' / '0.png'}\nnone.png\n")
    with pytest.raises(DataError, match=r"list\.csv: names none\.png, which is not there"):
        sources(of_flowers("gan", tmp_path / "list.csv"), "train")


def test_a_picture_beside_the_folders_of_classes_is_told(flowers, tmp_path):
    shutil.copytree(flowers / "all", tmp_path / "all")
    shutil.copy(flowers / "all" / "tulip" / "0.png", tmp_path / "all" / "stray.png")
    with pytest.raises(DataError, match=r"stray\.png: lies in no folder that would be its class"):
        sources(of_flowers("cgan", tmp_path / "all", "data.labels=/"), "train")


def test_data_of_other_classes_are_not_joined(flowers, tmp_path):
    shutil.copytree(flowers / "all" / "tulip", tmp_path / "rose")
    shutil.copytree(flowers / "all" / "daisy", tmp_path / "daisy")
    loaded = load_recipe(recipe_path("cgan"), implied("cgan"), [str(flowers / "all"), str(tmp_path)])
    with pytest.raises(DataError, match="data of other classes: daisy, tulip, and daisy, rose"):
        task("cgan").complete(loaded)


def test_a_class_is_asked_for_by_its_name(flowers, tmp_path, vaekit_here):
    sets = ["model.base=4", "model.latent_dim=2", "train.epochs=1", "train.steps_per_epoch=1", "train.batch_size=2"]
    arguments = [part for each in (*sets, "data.holdout.every=4") for part in ("--set", each)]
    assert vaekit_here("train", "cgan", "--data", flowers / "all", "--out", "run", *arguments).returncode == 0
    for label, name in (("tulip", "named.png"), ("1", "numbered.png")):
        assert vaekit_here("sample", "run", "-o", name, "-n", 2, "--label", label).returncode == 0
    named, numbered = (images.read(tmp_path / f"{name}.png").pixels for name in ("named", "numbered"))
    np.testing.assert_array_equal(named, numbered)
    done = vaekit_here("sample", "run", "-o", "rose.png", "--label", "rose")
    assert done.returncode == 2
    assert "--label rose: the model has 2 classes, daisy, tulip" in done.stderr
