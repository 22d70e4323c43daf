"""Training side of the faithful enlargement: large crops, and what antialiased bicubic shrinking leaves of them."""

import cv2
import numpy as np
from keras import ops

from vaekit.apps.superres.editor import LARGER
from vaekit.data import shrink, to_unit
from vaekit.metrics import psnr
from vaekit.models.upscaler import Upscaler
from vaekit.networks.enlarging import enlarge
from vaekit.training import Task


def example(item: dict, data, shape: tuple[int, int], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """For every scale s a crop "large_s" [s * H, s * W, 3] and its bicubic "small_s" [H, W, 3]; float32 in 0..1.

    Crops are turned and mirrored by whole quarters.
    """
    found = {}
    for s in LARGER:
        found[f"large_{s}"] = sharp_crop(item["image"], s, (s * shape[0], s * shape[1]), rng)
        found[f"small_{s}"] = shrink(found[f"large_{s}"], s, rng, data.realistic)
    return found


def sharp_crop(image: np.ndarray, scale: int, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A crop [H, W, 3] for an enlargement by `scale`; half of them, and all of scale 1, are shrunk from larger ones.

    Shrinking removes what a camera or a lossy file has done to the pixels. It must leave room for the crop, so the
    larger the scale, the less is shrunk.
    """
    if scale > 1 and rng.random() < 0.5:
        return crop(image, shape, rng)
    zoom = 2.0 if scale == 1 else rng.uniform(1.0, 1.0 + 2.0 / scale)
    larger = crop(image, (round(zoom * shape[0]), round(zoom * shape[1])), rng)
    return cv2.resize(larger, shape[::-1], interpolation=cv2.INTER_AREA)


def crop(image: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A crop [H, W, 3] of an image, uint8, turned by quarters and mirrored; float32 in 0..1."""
    image = at_least(image, shape)
    y, x = (rng.integers(0, a - b + 1) for a, b in zip(image.shape, shape, strict=False))
    part = image[y : y + shape[0], x : x + shape[1]]
    if shape[0] == shape[1]:
        part = np.rot90(part, int(rng.integers(4)))
    return to_unit(part[:, ::-1] if rng.random() < 0.5 else part)


def at_least(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The image, mirrored beyond its bottom and its right until it has `shape`."""
    extra = [max(b - a, 0) for a, b in zip(image.shape, shape, strict=False)]
    return np.pad(image, ((0, extra[0]), (0, extra[1]), (0, 0)), mode="symmetric") if any(extra) else image


def measure(model: Upscaler, batch: dict) -> dict[str, np.ndarray]:
    """PSNR of every scale over all channels, and of bicubic enlargement; dB, [N]."""
    found = {}
    for s in model.scales:
        small, large = np.asarray(batch[f"small_{s}"]), np.asarray(batch[f"large_{s}"])
        for name, answer in (("psnr", model.answer(small, s)), ("bicubic", enlarge(ops.convert_to_tensor(small), s))):
            rows = zip(np.clip(ops.convert_to_numpy(answer), 0.0, 1.0), large, strict=True)
            found[f"{name}_x{s}"] = np.array([psnr(picture, truth) for picture, truth in rows])
    return found


def preview(model: Upscaler, batch: dict) -> np.ndarray:
    """Rows of: the smallest picture's bicubic enlargement, the model's, truth; uint8 [rows * H, 3 * W, 3]."""
    s = model.scales[-1]
    small, large = (np.asarray(batch[f"{key}_{s}"][:8]) for key in ("small", "large"))
    columns = [enlarge(ops.convert_to_tensor(small), s), model.answer(small, s), large]
    stacked = [np.concatenate(list(ops.convert_to_numpy(column)), axis=0) for column in columns]
    return np.round(255.0 * np.clip(np.concatenate(stacked, axis=1), 0.0, 1.0)).astype(np.uint8)


def on_device(recipe):
    """How an accelerator makes its batches (JAX)."""
    from vaekit.apps.upscale.on_device import making

    return making(recipe)


TASK = Task(Upscaler, example, measure, preview, on_device=on_device)
