"""Batches that an accelerator makes: pictures as the CPU's functions make them, and trainings that go on exactly."""

import json
import os
import shutil
import subprocess
import sys

import cv2
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from vaekit import apps, checkpoints, training
from vaekit.data import DataError, JoinedSource, degrade, jax_degrade, open_source
from vaekit.data.degrade import gaussian
from vaekit.data.on_device import DeviceBatches, Making, kept
from vaekit.recipe import RecipeError, load_recipe
from vaekit.resample import bicubic


def photo(side: int) -> np.ndarray:
    """A picture with edges, slopes and grain, [side, side, 3] in 0..1."""
    rng = np.random.default_rng(3)
    picture = cv2.resize(rng.random((9, 9, 3)), (side, side), interpolation=cv2.INTER_CUBIC)
    cv2.circle(picture, (side // 3, side // 2), side // 5, (0.9, 0.2, 0.1), -1)
    return np.clip(picture + rng.normal(0, 0.02, picture.shape), 0.0, 1.0).astype(np.float32)


def on_canvas(picture: np.ndarray, side: int) -> np.ndarray:
    beyond = side - len(picture)
    return np.pad(picture, ((0, beyond), (0, beyond), (0, 0)), mode="symmetric")


@pytest.mark.parametrize("to", [16, 24, 48, 40])
@pytest.mark.parametrize(
    ("kind", "flag"),
    [
        (jax_degrade.AREA, cv2.INTER_AREA),
        (jax_degrade.LINEAR, cv2.INTER_LINEAR),
        (jax_degrade.CUBIC, cv2.INTER_CUBIC),
        (jax_degrade.LANCZOS, cv2.INTER_LANCZOS4),
    ],
)
def test_a_picture_on_a_canvas_is_resized_as_opencv_resizes_it(kind, flag, to):
    picture = photo(48)
    matrix = jax_degrade.resizer(48, to, kind, 64, 80)
    found = np.asarray(jax_degrade.resized(on_canvas(picture, 80), matrix))
    wanted = cv2.resize(picture, (to, to), interpolation=flag)
    # OpenCV's Lanczos takes its weights from a table, of 32 places a pixel.
    np.testing.assert_allclose(found[:to, :to], wanted, atol=6e-3 if kind == jax_degrade.LANCZOS else 2e-6)
    np.testing.assert_allclose(found, on_canvas(found[:to, :to], 64), atol=1e-6)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_a_clean_picture_is_shrunk_by_antialiased_bicubic(scale):
    picture = photo(48)
    small = 48 // scale
    found = np.asarray(jax_degrade.shrink(on_canvas(picture, 80), 48, scale, 48))[:small, :small]
    np.testing.assert_allclose(255.0 * found, np.round(255.0 * bicubic(picture, (small, small)).clip(0, 1)), atol=1.01)
    assert np.mean(np.abs(found - np.round(255.0 * bicubic(picture, (small, small)).clip(0, 1)) / 255.0) > 1e-4) < 1e-3


def test_a_picture_is_blurred_as_by_its_kernel():
    picture = photo(48)
    found = np.asarray(jax_degrade.blurred(on_canvas(picture, 64), 48, jnp.array([3.0, 1.2]), 0.5))[:48, :48]
    wanted = cv2.filter2D(picture, -1, gaussian(np.array([3.0, 1.2]), 0.5), borderType=cv2.BORDER_REFLECT)
    np.testing.assert_allclose(found, wanted, atol=4e-3)


@pytest.mark.parametrize("quality", [20, 50, 90])
@pytest.mark.parametrize("halved", [True, False])
def test_a_jpeg_file_loses_what_libjpeg_loses(quality, halved):
    picture = photo(48)
    found = np.asarray(jax_degrade.as_jpeg(on_canvas(picture, 64), 48, float(quality), halved))[:48, :48]
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420 if halved else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    _, file = cv2.imencode(".jpg", np.round(255.0 * picture).astype(np.uint8)[..., ::-1], options)
    wanted = cv2.imdecode(file, cv2.IMREAD_COLOR_RGB) / 255.0
    lost = np.abs(picture - wanted).mean()
    assert np.abs(found - wanted).mean() < 0.2 * lost


@pytest.mark.parametrize("scale", [1, 4])
def test_pictures_are_degraded_as_often_and_as_much(scale):
    picture, count = photo(16 * scale), 1600
    rng = np.random.default_rng(0)
    wanted = [degrade(picture, scale, rng) for _ in range(count)]
    canvas = jnp.array(on_canvas(picture, 64))
    worn = jax.jit(jax.vmap(lambda key: jax_degrade.degrade(canvas, 16 * scale, scale, key, 16)))
    small, severity = (np.asarray(part) for part in worn(jax.random.split(jax.random.key(0), count)))
    assert small.shape == (count, 16, 16, 3)
    np.testing.assert_array_equal(np.round(255.0 * small), np.round(255.0 * small).clip(0, 255))
    clean = bicubic(picture, (16, 16))

    def errors(pictures):
        return np.quantile([np.sqrt(np.mean((each - clean) ** 2)) for each in pictures], [0.25, 0.5, 0.75])

    np.testing.assert_allclose(errors(small), errors([each for each, _ in wanted]), rtol=0.12)
    assert severity.mean() == pytest.approx(np.mean([each for _, each in wanted]), abs=0.04)
    assert severity.min() >= 0.1
    assert severity.max() <= 1.0


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        picture = np.round(255.0 * photo(150 + 10 * number)[: 120 + 5 * number]).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), picture[..., ::-1])
    return folder


def test_a_crop_is_a_part_of_a_picture_turned_or_mirrored(photos):
    source = JoinedSource([open_source(str(photos))])
    pictures = kept(source, Making(None, 64))
    assert pictures.pixels.shape == (4, 180, 180, 3)
    crop = np.asarray(jax_degrade.sharp_crop(pictures, 32, (1.0, 1.0), jax.random.key(1), 40))
    np.testing.assert_array_equal(crop, on_canvas(crop[:32, :32], 40))
    inner = np.round(255.0 * crop[:32, :32]).astype(np.uint8)
    nearest = min(
        cv2.matchTemplate(source[i]["image"], np.ascontiguousarray(np.rot90(side, quarter)), cv2.TM_SQDIFF).min()
        for i in range(4)
        for side in (inner, inner[:, ::-1])
        for quarter in range(4)
    )
    assert nearest < 1.0


def test_a_picture_is_warped_as_opencv_warps_it():
    picture = np.round(255.0 * photo(48)[:40]).astype(np.uint8)
    canvas = np.pad(picture, ((0, 24), (0, 16), (0, 0)))
    turn, shift = np.array([[0.8, -0.1], [0.12, -0.85]], np.float32), np.array([3.0, 30.0], np.float32)
    found = np.asarray(jax_degrade.warped(jnp.array(canvas), (40, 48), jnp.array(turn), jnp.array(shift), (32, 36)))
    wanted = cv2.warpAffine(picture, np.column_stack([turn, shift]), (36, 32), borderMode=cv2.BORDER_REFLECT_101)
    assert np.abs(255.0 * found - wanted).max() <= 4  # OpenCV rounds places to 32nds of a pixel
    assert np.abs(255.0 * found - wanted).mean() < 0.5


def test_faces_are_cropped_as_the_cpu_crops_them(tmp_path, monkeypatch):
    """A grey slope: its mean and its steepness tell where, how large and how turned a crop is."""
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    (tmp_path / "faces").mkdir()
    y, x = np.mgrid[:160, :160]
    for number in range(4):
        cv2.imwrite(str(tmp_path / "faces" / f"{number}.png"), np.stack([0 * x, y, x], axis=-1))
    (tmp_path / "faces.csv").write_text("file,Smiling,Male\n0.png,0,1\n1.png,1,1\n2.png,0,1\n3.png,1,1\n")
    settings = ("train.batch_size=256", "data.labels=['Smiling', 'Male']", "model.attributes=['smiling', 'male']")
    of, task = recipe("edit", tmp_path / "faces", *settings), apps.task("edit")
    found, wanted = training.device_batches(of, task)[0], training.batches(of, task, "train")[0]
    assert {key: value.shape for key, value in found.items()} == {key: value.shape for key, value in wanted.items()}
    for key in ("label", "label_mask"):
        assert np.asarray(found[key]).mean(axis=0) == pytest.approx(wanted[key].mean(axis=0), abs=0.1)
    gain = [np.asarray(batch["image"])[..., 1].mean(axis=(1, 2)) for batch in (found, wanted)]
    steep = [np.diff(np.asarray(batch["image"])[..., 1], axis=1).mean(axis=(1, 2)) / g for batch, g in
             zip((found, wanted), gain, strict=True)]  # fmt: skip
    slant = [np.diff(np.asarray(batch["image"])[..., 1], axis=2).mean(axis=(1, 2)) / g for batch, g in
             zip((found, wanted), gain, strict=True)]  # fmt: skip
    mirrored = [(np.diff(np.asarray(batch["image"])[..., 0], axis=2).mean(axis=(1, 2)) < 0).mean() for batch in
                (found, wanted)]  # fmt: skip
    for ours, theirs in (gain, steep, slant):
        assert ours.mean() == pytest.approx(theirs.mean(), abs=0.3 * theirs.std())
        assert ours.std() == pytest.approx(theirs.std(), rel=0.2)
    assert mirrored[0] == pytest.approx(mirrored[1], abs=0.12)


def test_pictures_are_drawn_by_their_weights(photos):
    source = JoinedSource([open_source(str(photos)), open_source("rendered:12")], weights=[3, 1])
    shares = np.asarray(kept(source, Making(None)).shares)
    np.testing.assert_allclose(np.diff(shares, prepend=0.0), [0.75 / 4] * 4 + [0.25 / 12] * 12, atol=1e-6)


def test_batches_follow_from_the_step(photos):
    def make(pictures, key):
        return {"image": jax_degrade.sharp_crop(pictures, 16, (1.0, 2.0), key, 16), **pictures.facts}

    def batches():
        making = Making(make, facts=lambda item: {"height": np.array(len(item["image"]))})
        return DeviceBatches(JoinedSource([open_source(str(photos))]), making, steps_per_epoch=3, seed=1)

    first, again = batches(), batches()
    first.on_epoch_end()
    again.epoch = 1
    np.testing.assert_array_equal(first[2]["image"], again[2]["image"])
    assert np.any(np.asarray(first[1]["image"]) != np.asarray(first[2]["image"]))
    assert first[0]["height"].tolist() == [120, 125, 130, 135]


def test_too_many_pictures_are_refused(photos, monkeypatch):
    monkeypatch.setattr("vaekit.data.on_device.ROOM", 1000)
    with pytest.raises(DataError, match="4 pictures of up to 180 pixels a side are too many"):
        kept(JoinedSource([open_source(str(photos))]), Making(None))


def recipe(app: str, photos, *settings: str):
    return load_recipe(apps.recipe_path(app), [*settings], [str(photos)])


@pytest.mark.parametrize(
    ("app", "settings"),
    [
        ("upscale", ("train.image_size=[16, 16]", "train.batch_size=2")),
        ("restore", ("train.image_size=[16, 16]", "train.batch_size=2", "data.realistic=0.5")),
        ("superres", ("train.image_size=[48, 48]", "train.batch_size=8", "data.realistic=0.5")),
    ],
)
def test_batches_are_those_of_the_cpu(app, settings, photos, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    of, task = recipe(app, photos, *settings), apps.task(app)
    found, wanted = training.device_batches(of, task)[0], training.batches(of, task, "train")[0]
    assert {key: value.shape for key, value in found.items()} == {key: value.shape for key, value in wanted.items()}
    assert {value.dtype for value in found.values()} == {np.dtype("float32")}
    assert min(map(np.min, found.values())) >= 0.0
    assert max(map(np.max, found.values())) <= 1.0
    seen = 0
    for s in (1, 2, 3, 4):
        smalls = np.asarray(found.get(f"small_{s}", ()))
        larges = np.asarray(found.get(f"large_{s}", found.get("image", ())))
        severities = found.get(f"severity_{s}", np.zeros(len(smalls)))
        for small, large, severity in zip(smalls, larges, severities, strict=True):
            if small.any():  # rows that the model enlarges by another scale are black
                seen += 1
                far = np.abs(small - bicubic(large, small.shape[:2]))[2:-2, 2:-2].mean()
                assert far < (0.004 if severity == 0 else 0.2)
                assert s > 1 or severity > 0
    assert seen == {"upscale": 6, "restore": 8, "superres": 8}[app]


@pytest.mark.parametrize(
    ("app", "setting", "message"),
    [
        ("upscale", "train.image_size=[16, 32]", "crops are square"),
        ("upscale", "data.realistic=0.5", "upscale learns from clean pictures alone"),
        ("restore", "train.image_size=[20, 20]", "a multiple of 16"),
        ("superres", "train.batch_size=6", "train.batch_size one of 4"),
        ("damage", "train.batch_size=6", "batches of damage are made by the CPU alone"),
    ],
)
def test_what_the_device_cannot_make_is_told(app, setting, message, photos, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RecipeError, match=message):
        training.device_batches(recipe(app, photos, setting), apps.task(app))


def test_a_training_on_the_device_goes_on_exactly(photos, tmp_path):
    settings = ("image_size=[16, 16]", "batch_size=1", "on_device=true", "steps_per_epoch=1")
    small = ["model.width=4", "model.depth=1", *(f"train.{each}" for each in settings)]

    def train(run, *more):
        sets = [part for each in (*small, "train.epochs=2") for part in ("--set", each)]
        command = [sys.executable, "-m", "vaekit", "train", "restore", "--data", photos, "--out", run, *sets, *more]
        environment = {**os.environ, "KERAS_BACKEND": "jax"}
        done = subprocess.run(command, env=environment, cwd=tmp_path, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        return [{**json.loads(line), "seconds": 0} for line in (run / "log.jsonl").read_text().splitlines()]

    whole = train(tmp_path / "whole")
    part = tmp_path / "part"  # as it was after one of the two epochs
    shutil.copytree(tmp_path / "whole", part)
    checkpoints.path(part, 2).unlink()
    log = part / "log.jsonl"
    log.write_text(log.read_text().splitlines(keepends=True)[0])
    assert train(part, "--resume") == whole


def test_another_backend_is_told(photos):
    if keras.backend.backend() != "jax":
        with pytest.raises(RecipeError, match="set KERAS_BACKEND=jax"):
            training.device_batches(recipe("restore", photos), apps.task("restore"))
