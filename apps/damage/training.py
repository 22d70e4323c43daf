"""Training side of damage: photos made old, damaged, and where that can be seen."""

import numpy as np
from keras import ops

from vaekit.apps.upscale.training import crop
from vaekit.data import crop_resize, to_unit
from vaekit.data.aged import age, grey, scan, with_thin_things
from vaekit.data.damage import damage, visible
from vaekit.models.segmenter import Segmenter
from vaekit.training import Task

RECENT, THIN, WHOLE, GREY = 0.3, 0.2, 0.25, 0.4
"""Shares of the pictures that are not aged, that get wires or words, that stay undamaged, that are scanned grey."""


def example(item: dict, data, shape: tuple[int, int], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A crop "image" [H, W, 3] in 0..1, aged, damaged and scanned, and its "mask" [H, W, 1] of 0 and 1; float32."""
    if rng.random() < 0.5:
        image = crop(item["image"], shape, rng)
    else:
        image = to_unit(crop_resize(item["image"], shape, rng, zoom=data.zoom or (0.3, 1.0)))
    if rng.random() < THIN:
        image = with_thin_things(image, rng)
    if rng.random() > RECENT:
        image = age(image, rng)
    damaged = image if rng.random() < WHOLE else damage(image, rng)
    if rng.random() < GREY:
        image, damaged = grey(image), grey(damaged)
    mask = visible(image, damaged)[..., None].astype(np.float32)
    return {"image": scan(damaged, rng), "mask": mask}


def measure(model: Segmenter, batch: dict) -> dict[str, np.ndarray]:
    """Precision, recall and F1 of each picture's pixels, [N]; 1 where there is nothing, and nothing is found."""
    mask = np.asarray(batch["mask"]) > 0.5
    found = ops.convert_to_numpy(model.probability(batch["image"])) > 0.5
    right, marked, true = (np.sum(x, axis=(1, 2, 3)) for x in (mask & found, found, mask))
    none = (marked + true) == 0
    return {
        "precision": np.where(marked == 0, none, right / np.maximum(marked, 1)),
        "recall": np.where(true == 0, none, right / np.maximum(true, 1)),
        "f1": np.where(none, 1.0, 2 * right / np.maximum(marked + true, 1)),
    }


def preview(model: Segmenter, batch: dict) -> np.ndarray:
    """Rows of: picture, true mask, probability; uint8 [rows * H, 3 * W, 3]."""
    image, mask = (np.asarray(batch[key][:8]) for key in ("image", "mask"))
    found = ops.convert_to_numpy(model.probability(image))
    columns = [image, np.repeat(mask, 3, axis=-1), np.repeat(found, 3, axis=-1)]
    sheet = np.concatenate([np.concatenate(list(column), axis=0) for column in columns], axis=1)
    return np.round(255.0 * np.clip(sheet, 0.0, 1.0)).astype(np.uint8)


TASK = Task(Segmenter, example, measure, preview)
