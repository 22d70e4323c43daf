"""Training side of the restoring enlargement: large crops, and what bicubic shrinking or cameras leave of them."""

import numpy as np
from keras import ops

from vaekit.apps.superres.editor import SCALES
from vaekit.apps.upscale.training import sharp_crop
from vaekit.data import degrade, shrink
from vaekit.metrics import psnr
from vaekit.models.restorer import Restorer
from vaekit.networks.enlarging import enlarge
from vaekit.training import Task

RIM = 8
"""Pixels round a degraded small picture that are cut off, so that a crop begins anywhere in a block of JPEG."""


def example(item: dict, data, shape: tuple[int, int], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """For every scale s a crop "large_s" [s * H, s * W, 3], its "small_s" [H, W, 3], float32 in 0..1, and "severity_s".

    A share `data.realistic` of the small pictures is degraded, of scale 1 all.
    """
    found = {}
    for s in SCALES:
        degraded = s == 1 or rng.random() < data.realistic
        pair = degraded_pair if degraded else clean_pair
        found[f"large_{s}"], found[f"small_{s}"], severity = pair(item["image"], s, shape, rng)
        found[f"severity_{s}"] = np.float32(severity)
    return found


def clean_pair(image, scale: int, shape: tuple[int, int], rng: np.random.Generator):
    """A crop [s * H, s * W, 3], its bicubic small picture [H, W, 3], and severity 0."""
    large = sharp_crop(image, scale, (scale * shape[0], scale * shape[1]), rng)
    return large, shrink(large, scale, rng), 0.0


def degraded_pair(image, scale: int, shape: tuple[int, int], rng: np.random.Generator):
    """A crop [s * H, s * W, 3], a degraded small picture of it [H, W, 3], and its severity."""
    large = sharp_crop(image, scale, (scale * (shape[0] + 2 * RIM), scale * (shape[1] + 2 * RIM)), rng)
    small, severity = degrade(large, scale, rng)
    y, x = rng.integers(0, 2 * RIM + 1, 2)
    inner = large[scale * y : scale * (y + shape[0]), scale * x : scale * (x + shape[1])]
    return inner, small[y : y + shape[0], x : x + shape[1]], severity


def measure(model: Restorer, batch: dict) -> dict[str, np.ndarray]:
    """PSNR of every scale over all channels, and of bicubic enlargement, dB; the estimator's error; [N]."""
    found = {}
    for s in model.scales:
        small, large = np.asarray(batch[f"small_{s}"]), np.asarray(batch[f"large_{s}"])
        severity = np.asarray(batch[f"severity_{s}"])
        answers = model.answer(small, s, severity), enlarge(ops.convert_to_tensor(small), s)
        for name, answer in zip(("psnr", "bicubic"), answers, strict=True):
            rows = zip(np.clip(ops.convert_to_numpy(answer), 0.0, 1.0), large, strict=True)
            found[f"{name}_x{s}"] = np.array([psnr(picture, truth) for picture, truth in rows])
        found[f"estimate_x{s}"] = np.abs(ops.convert_to_numpy(model.estimator(small, training=False)) - severity)
    return found


def preview(model: Restorer, batch: dict) -> np.ndarray:
    """Rows of: the smallest picture's bicubic enlargement, the model's, truth; uint8 [rows * H, 3 * W, 3]."""
    s = model.scales[-1]
    small, large, severity = (np.asarray(batch[f"{key}_{s}"][:8]) for key in ("small", "large", "severity"))
    columns = [enlarge(ops.convert_to_tensor(small), s), model.answer(small, s, severity), large]
    stacked = [np.concatenate(list(ops.convert_to_numpy(column)), axis=0) for column in columns]
    return np.round(255.0 * np.clip(np.concatenate(stacked, axis=1), 0.0, 1.0)).astype(np.uint8)


def on_device(recipe):
    """How an accelerator makes its batches (JAX)."""
    from vaekit.apps.restore.on_device import making

    return making(recipe)


TASK = Task(Restorer, example, measure, preview, on_device=on_device)
