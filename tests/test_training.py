"""Training through the command line: recipes, runs, resuming, export."""

import contextlib
import functools
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings

import h5py
import keras
import numpy as np
import pytest

from vaekit import apps, checkpoints, images, starting
from vaekit.apps.inpaint.training import TASK, Inpainter
from vaekit.apps.recognise.training import TASK as RECOGNISE
from vaekit.data import DataError
from vaekit.errors import UserError
from vaekit.recipe import RecipeError, kept_recipe, load_recipe
from vaekit.training import batches, blend, build, evaluate, restore, train


@pytest.fixture(scope="module")
def looped(tmp_path_factory):
    """A recipe of a model that is soon traced, on drawn faces."""
    path = tmp_path_factory.mktemp("recipe") / "looped.toml"
    path.write_text(
        'app = "vaegan"\n[[data]]\nsource = "rendered:40"\n'
        "[train]\nbatch_size = 4\nepochs = 4\nsteps_per_epoch = 3\nimage_size = [16, 12]\n"
        "[model]\nbase = 4\nlatent_dim = 4\n"
    )
    return path


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A recipe of an inpainter, without data."""
    path = tmp_path_factory.mktemp("recipe") / "small.toml"
    path.write_text(
        'app = "inpaint"\ndata = [{ source = "nowhere" }]\n'
        "[train]\nbatch_size = 4\nepochs = 4\nsteps_per_epoch = 3\nimage_size = [32, 24]\n"
        "[model]\nwidths = [8, 8]\nlatent_dim = 4\n"
        "[optimizers.generator]\nlearning_rate = 1e-3\nfinal_learning_rate = 1e-4\n"
    )
    return path


def command(*arguments):
    return [sys.executable, "-m", "vaekit", *map(str, arguments)]


def arrays(checkpoint):
    found = {}
    with h5py.File(checkpoint) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def last(run):
    return sorted((run / "checkpoints").glob("epoch-*.weights.h5"))[-1]


# One worker trains the run that these tests share.
with_run = pytest.mark.xdist_group("run")


@pytest.fixture(scope="module")
def whole(looped, tmp_path_factory):
    """A finished run of 4 epochs."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    subprocess.run(command("train", looped, "--out", folder), check=True, capture_output=True)
    return folder


def train_here(out, name, *changes, data=(), resume=False):
    """What `vaekit train` does, in this process and untraced, as tracing a step takes longer than a few steps."""
    eager = keras.backend.backend() == "tensorflow"
    if eager:
        import tensorflow as tf

        tf.config.run_functions_eagerly(True)
    start = functools.partial(starting.weights, tasks=apps.task, exporters=apps.exportable)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Even though the `tf.config")  # batches are made by tf.data all the same
            recipe = load_recipe(apps.recipe_path(name), changes, data)
            train(recipe, apps.task, start, out, progress=False, resume=resume)
    finally:
        if eager:
            tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def run(recipe, tmp_path_factory):
    """A finished run of an inpainter."""
    folder = tmp_path_factory.mktemp("runs") / "inpainter"
    train_here(folder, recipe, "train.epochs=1", data=["rendered:40"])
    return folder


@with_run
def test_a_run_keeps_its_recipe_log_previews_and_last_checkpoints(whole):
    kept = json.loads((whole / "recipe.json").read_text())["model"]
    assert kept == {"image_shape": [16, 12, 3], "base": 4, "latent_dim": 4}
    log = [json.loads(line) for line in (whole / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in log] == [1, 2, 3, 4]
    assert {"decoder_loss", "encoder_loss", "discriminator_loss", "kl", "likelihood"} <= set(log[0])
    assert [p.name for p in sorted((whole / "checkpoints").iterdir())] == [f"epoch-00000{n}.weights.h5" for n in (3, 4)]
    assert list((whole / "logs" / "train").glob("events.out.tfevents.*"))
    assert [p.name for p in sorted((whole / "previews").iterdir())] == [f"epoch-00000{n}.png" for n in (1, 2, 4)]


@with_run
def test_killed_and_resumed_ends_with_the_very_weights_of_an_uninterrupted_run(whole, looped, tmp_path):
    start = command("train", looped, "--out", tmp_path / "cut", "--set", "train.workers=2")
    process = subprocess.Popen(start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list((tmp_path / "cut" / "checkpoints").glob("epoch-*")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert last(tmp_path / "cut").name < "epoch-000004"
    # The run alone says how it goes on.
    subprocess.run(command("train", "--resume", "--out", tmp_path / "cut"), check=True, capture_output=True)
    expected, found = arrays(last(whole)), arrays(last(tmp_path / "cut"))
    assert expected.keys() == found.keys()
    assert {"encoder", "decoder", "discriminator", "optimizer"} <= {name.partition("/")[0] for name in expected}
    assert "vars/seed_0" in expected  # what noise comes next
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_worker_processes_make_the_very_batches_and_tell_when_one_ends(looped):
    recipe, task = load_recipe(looped), apps.task("vaegan")
    alone = batches(recipe, task, "train", start_epoch=1)
    with contextlib.closing(batches(recipe, task, "train", start_epoch=1, processes=2)) as pooled:
        for index in range(3):
            expected, found = alone[index], pooled[index]
            assert expected.keys() == found.keys()
            for name, value in expected.items():
                np.testing.assert_array_equal(found[name], value, err_msg=name)
        for process in multiprocessing.active_children():
            process.kill()
        with pytest.raises(DataError, match="has ended"):
            pooled[0]


@with_run
def test_a_run_without_its_log_and_with_a_checkpoint_cut_short_is_used_all_the_same(whole, tmp_path, caplog):
    shutil.copytree(whole, tmp_path / "copy")
    (tmp_path / "copy" / "log.jsonl").unlink()
    newest = last(tmp_path / "copy")
    newest.write_bytes(newest.read_bytes()[:3000])
    _, _, card = restore(tmp_path / "copy", apps.task)
    assert (card["steps"], card["seconds"]) == (9, 0)  # of the three epochs before
    assert [record.getMessage().count("\n") for record in caplog.records if record.name.startswith("vaekit")] == [0, 0]
    (tmp_path / "copy" / "log.jsonl").write_text('{"epoch": 1, "seconds": 60}\n{"epoch": 2, "secon')
    assert restore(tmp_path / "copy", apps.task)[2]["seconds"] == 60


@with_run
def test_a_run_goes_on_as_it_was_begun_or_is_left_alone(whole, looped, vaekit_here):
    kept = (whole / "recipe.json").read_bytes()
    again = ("train", looped, "--out", whole, "--resume")
    done = vaekit_here(*again, "--set", "model.latent_dim=5", "--set", "train.seed=1", "--set", "train.epochs=9")
    assert done.returncode == 2
    expected = f"vaekit: {whole} was begun with another model.latent_dim, train.seed: resume it as it was begun"
    assert done.stderr.splitlines()[-1] == expected
    assert (whole / "recipe.json").read_bytes() == kept
    assert last(whole).name == "epoch-000004.weights.h5"


def test_what_a_run_goes_on_with_is_what_it_keeps(tmp_path):
    table = load_recipe(
        apps.recipe_path("cvaegan"), ["app=cvaegan", "data.labels=kind", "train.batch_size=5"], ["photos"]
    ).model_dump_json()
    (tmp_path / "recipe.json").write_text(table, "utf-8")
    kept = kept_recipe(tmp_path)
    assert (kept.app, kept.train.batch_size, kept.data[0].source) == ("cvaegan", 5, "photos")
    assert kept_recipe(tmp_path, data=["photos"]) == kept
    assert kept_recipe(tmp_path, ["train.epochs=9"]).train.epochs == 9
    assert [data.source for data in kept_recipe(tmp_path, data=["a", "b"]).data] == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "a recipe or a name is needed"),
        (("--resume",), "recipe.json"),
    ],
)
def test_training_needs_a_recipe_or_a_run(vaekit, tmp_path, arguments, message):
    done = vaekit("train", "--out", tmp_path, *arguments)
    assert done.returncode == 2
    assert message in done.stderr


@with_run
def test_a_run_does_not_go_on_as_another_model(whole, vaekit):
    done = vaekit("train", "vae", "--out", whole, "--resume")
    assert done.returncode == 2
    assert "was begun with another app, vaegan" in done.stderr


@with_run
def test_a_run_can_start_from_anothers_averages_and_leave_the_judge_out(run, recipe, tmp_path):
    train_here(
        tmp_path / "next", recipe, f'train.start=["{run.as_posix()}"]',
        "model.adversarial=0", "model.feature=0", "model.center=0", "train.epochs=1", "train.steps_per_epoch=1",
        "optimizers.generator.learning_rate=1e-30", "optimizers.generator.final_learning_rate=1e-31",
        data=["rendered:40"],
    )  # fmt: skip
    (line,) = (json.loads(line) for line in (tmp_path / "next" / "log.jsonl").read_text().splitlines())
    assert "discriminator_loss" not in line
    other, *_ = restore(run, lambda _: TASK)
    following, *_ = restore(tmp_path / "next", lambda _: TASK)
    assert set(following.players) == {"encoder", "generator"}
    raw = other.generator.get_weights()
    with other.averages():
        expected = other.generator.get_weights()
    assert any((a != b).any() for a, b in zip(raw, expected, strict=True))
    for a, b in zip(following.generator.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_recogniser_is_trained_and_lends_its_features(recipe, tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "faces").mkdir()
    for number in range(1, 25):
        images.write(tmp_path / "faces" / f"{number}.png", rng.integers(0, 256, (32, 24, 3), np.uint8))
    rows = ["file,hat,grin", *(f"{number}.png,{number % 2},{number % 3 % 2}" for number in range(1, 25))]
    (tmp_path / "faces.csv").write_text("\n".join(rows), "utf-8")
    short = ("model.attributes=2", "train.epochs=1", "train.steps_per_epoch=2")
    train_here(
        tmp_path / "first", "recognise", *short, "train.batch_size=4", "train.image_size=[32, 24]",
        f"root={tmp_path}", 'data=[{source="faces", labels=["hat", "grin"]}]',
    )  # fmt: skip
    lender = f'train.start=["{(tmp_path / "first").as_posix()}"]'
    train_here(tmp_path / "next", recipe, *short, lender, "model.recognised=1", data=["rendered:40"])
    lent, *_ = restore(tmp_path / "first", lambda _: RECOGNISE)
    taken, *_ = restore(tmp_path / "next", lambda _: TASK)
    for a, b in zip(taken.recogniser.get_weights(), lent.recogniser.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loss_that_is_no_number_stops_the_run_and_is_named(looped, vaekit_here, tmp_path):
    done = vaekit_here("train", looped, "--out", tmp_path / "run", "--set", "optimizers.decoder.learning_rate=1e30")
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if line.startswith("vaekit: ")]
    assert len(told) == 1
    assert "decoder_loss" in told[0]
    assert "not finite at step" in told[0]
    assert (tmp_path / "run" / "non-finite.weights.h5").is_file()


@with_run
def test_an_existing_run_is_not_trained_over(whole, looped, vaekit_here):
    done = vaekit_here("train", looped, "--out", whole)
    assert done.returncode == 2
    assert "holds a training already" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "train.epoch=3"], "train.epoch"),
        (["--set", "train.epochs=none"], "train.epochs"),
        (["--data", "{here}", "--set", "model.width=3"], "model"),
        (["--data", "{here}", "--set", "optimizers.banker.learning_rate=1e-3"], "no player is called banker"),
        (["--set", "train"], "expected key=value"),
        (
            ["--data", "{here}", "--set", "model.recognised=1"],
            "train.start names no run that has trained the recogniser",
        ),
        ([], "nowhere: no such folder"),
        (["--data", "."], "no images in it"),
        (["--set", 'data=[{source="rendered:9", label="mood"}]'], "data.0.label"),
        (["--set", 'data=[{source="{here}", labels="mood"}]'], "mood"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_one_clear_line(recipe, vaekit_here, tmp_path, arguments, message):
    (tmp_path / "faces").mkdir()
    for number in (1, 2, 20, 40):
        images.write(tmp_path / "faces" / f"{number}.png", np.zeros((8, 8, 3), np.uint8))
    arguments = [argument.replace("{here}", str(tmp_path / "faces")) for argument in arguments]
    (tmp_path / "empty").mkdir()
    arguments = [str(tmp_path / "empty") if argument == "." else argument for argument in arguments]
    done = vaekit_here("train", recipe, "--out", tmp_path / "run", *arguments)
    assert done.returncode == 2, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("vaekit: ")]
    assert len(told) == 1
    assert message in told[0]


@pytest.mark.parametrize(
    ("name", "hint"), [("vaegn", "did you mean vaegan?"), ("zzz", "there are inpaint, superres, edit")]
)
def test_a_misspelt_recipe_is_guessed(name, hint, vaekit_here):
    done = vaekit_here("train", name)
    assert done.returncode == 2
    assert f"vaekit: {name}: no such recipe; {hint}" in done.stderr


def test_a_missing_recipe_is_told(vaekit):
    done = vaekit("train", "nobody.toml")
    assert done.returncode == 2
    assert "nobody.toml" in done.stderr


@with_run
def test_evaluate_measures_the_averaged_weights(run, vaekit):
    done = vaekit("evaluate", run, "--steps", 2, "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert 5 < figures["pull_push_hole_psnr"] < 60
    assert 5 < figures["hole_psnr"] < 60
    assert np.isfinite(list(figures.values())).all()


@with_run
def test_export_makes_versions_that_open_and_say_how_they_came_about(run, vaekit, vaekit_here, tmp_path):
    for version, verb, mixed in ((1, vaekit, ()), (2, vaekit_here, ("--blend", run, "--share", "0.25"))):
        done = verb("export", run, "mine", "--out", tmp_path / "bundles", *mixed)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip().endswith(os.path.join("mine", str(version)))
    assert sorted(p.name for p in (tmp_path / "bundles" / "mine").iterdir()) == ["1", "2"]
    card = json.loads(vaekit("models", "mine", models=tmp_path / "bundles").stdout)
    assert (card["version"], card["steps"], card["images"], card["data"]) == (
        2,
        3,
        12,
        [{"source": "rendered:40", "images": 38}],
    )
    assert card["recipe"]["model"] == {"widths": [8, 8], "latent_dim": 4}
    assert card["blended"] == f"0.25 of the weights of {run.name}, 0.75 of {run.name}"
    of_run, of_bundle = (
        json.loads(vaekit_here("evaluate", name, "--steps", 2, "--json").stdout)
        for name in (run, tmp_path / "bundles" / "mine")
    )
    assert set(of_bundle) == {"hole_psnr", "pull_push_hole_psnr"}
    assert of_bundle == pytest.approx({name: of_run[name] for name in of_bundle}, abs=0.05)
    # Another training may start from the bundle as from the run, of which it holds the generator in float16.
    of_run, of_bundle = (
        starting.weights(str(name), apps.task, apps.exportable) for name in (run, tmp_path / "bundles" / "mine")
    )
    assert (set(of_run), set(of_bundle)) == ({"encoder", "generator", "discriminator"}, {"generator"})
    for expected, found in zip(*(part["generator"][0] for part in (of_run, of_bundle)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-7)
    with pytest.raises(RecipeError, match="neither a run nor a bundle"):
        starting.weights(str(tmp_path), apps.task, apps.exportable)


def test_blending_moves_the_weights_by_a_share():
    def model(value):
        made = Inpainter(latent_dim=4, widths=(8, 8))
        for variable in made.generator.trainable_variables:
            variable.assign(keras.ops.full_like(variable, value))
        return made

    one = model(1.0)
    blend(one, model(5.0), 0.25)
    assert all(np.all(weights == 2.0) for weights in one.generator.get_weights())
    with pytest.raises(RecipeError, match="no generator of the same shape"):
        blend(one, Inpainter(latent_dim=4, widths=(8, 16)), 0.5)


def test_export_of_what_is_no_run_is_told(vaekit_here, tmp_path):
    done = vaekit_here("export", tmp_path, "mine")
    assert done.returncode == 2
    assert "recipe.json" in done.stderr


def test_the_precision_of_a_recipe_is_its_models_alone(recipe):
    before = keras.config.dtype_policy()
    model = build(load_recipe(recipe, ["train.precision=mixed_bfloat16"]), TASK)
    assert keras.config.dtype_policy() is before
    layers = list(model._flatten_layers(include_self=False))
    assert {layer.dtype_policy.name for layer in layers if layer.weights} <= {"mixed_bfloat16", "float32"}
    assert any(layer.dtype_policy.name == "mixed_bfloat16" for layer in layers)


@pytest.fixture(scope="module")
def watched(looped, tmp_path_factory):
    """A run that keeps its best epoch and ends after one that was not better."""
    folder = tmp_path_factory.mktemp("watched") / "run"
    train_here(folder, looped, *WATCHED)
    return folder


WATCHED = ("train.monitor=val_kl", "train.patience=1", "train.epochs=12", "train.keep=12", "train.steps_per_epoch=1")


def lines(run):
    return [{**json.loads(line), "seconds": 0} for line in (run / "log.jsonl").read_text().splitlines()]


def test_validation_is_logged_and_changes_no_step(looped, tmp_path):
    for name, steps in (("with", 2), ("without", 0)):
        train_here(tmp_path / name, looped, f"train.validation_steps={steps}", "train.epochs=2")
    with_, without = (lines(tmp_path / name) for name in ("with", "without"))
    assert {"val_psnr", "val_kl", "val_encoder_loss", "val_discriminator_loss"} <= set(with_[0])
    assert [{key: value for key, value in line.items() if not key.startswith("val_")} for line in with_] == without
    found, expected = (arrays(last(tmp_path / name)) for name in ("with", "without"))
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)
    # Of the averaged weights, on the same batches as `vaekit evaluate` takes.
    model, recipe, _ = restore(tmp_path / "with", apps.task)
    with model.averages():
        figures = evaluate(model, recipe, apps.task("vaegan"), 2)
    assert with_[-1]["val_psnr"] == pytest.approx(figures["psnr"], rel=1e-4)
    assert with_[-1]["val_kl"] == pytest.approx(figures["kl"], rel=1e-4)


def test_the_best_epoch_is_kept_and_training_ends_after_one_that_is_not_better(watched):
    figures = [line["val_kl"] for line in lines(watched)]
    worse = [later >= min(figures[: place + 1]) for place, later in enumerate(figures[1:])]
    assert worse.index(True) == len(figures) - 2 if True in worse else len(figures) == 12
    best = int(np.argmin(figures)) + 1
    kept, expected = arrays(watched / "best.weights.h5"), arrays(checkpoints.path(watched, best))
    for key, value in expected.items():
        np.testing.assert_array_equal(kept[key], value, err_msg=key)
    assert restore(watched / "best.weights.h5", apps.task)[2]["steps"] == best
    assert restore(watched, apps.task)[2]["steps"] == len(figures)


def test_the_best_epoch_is_exported(watched, vaekit_here, tmp_path):
    assert vaekit_here("export", watched / "best.weights.h5", "best", "--out", tmp_path).returncode == 0
    best = int(np.argmin([line["val_kl"] for line in lines(watched)])) + 1
    assert json.loads((tmp_path / "best" / "1" / "assets.extra" / "card.json").read_text())["steps"] == best


def test_a_resumed_training_knows_which_epoch_was_best(watched, looped, tmp_path):
    train_here(tmp_path / "run", looped, *WATCHED, "train.epochs=1")
    train_here(tmp_path / "run", looped, *WATCHED, resume=True)
    assert lines(tmp_path / "run") == lines(watched)
    train_here(tmp_path / "run", looped, *WATCHED, "train.epochs=20", resume=True)
    assert len(lines(tmp_path / "run")) in (len(lines(watched)), 20)  # patience has ended it before


def test_a_figure_that_the_log_does_not_have_is_told(looped, tmp_path):
    with pytest.raises(UserError, match=r"no figure is called val_fid; there are .*val_psnr"):
        train_here(tmp_path / "run", looped, "train.monitor=val_fid")


def test_a_damaged_best_epoch_is_told(watched, tmp_path):
    shutil.copytree(watched, tmp_path / "run")
    (tmp_path / "run" / "best.weights.h5").write_bytes(b"no")
    with pytest.raises(checkpoints.CheckpointError, match=r"best\.weights\.h5: cannot be read"):
        restore(tmp_path / "run" / "best.weights.h5", apps.task)
