"""Training side of attribute editing: aligned faces and their attributes."""

import numpy as np
from keras import ops

from vaekit.data import DataError, crop_resize, to_unit
from vaekit.models.attribute_cvaegan import AttributeCVAEGAN
from vaekit.training import Task

GLASSES = "Eyeglasses"
"""CelebA's column of glasses of all kinds. Two in five are sunglasses, which are easier to draw and hide the eyes."""
DARK = 0.47
"""How bright lenses are, as a share of the cheeks, below which they are those of sunglasses, as seen in 906 faces."""

JITTER = 0.3
"""How far faces are off their place in training, as a share of crop_resize's: they come aligned by five points."""


def example(item: dict, data, shape: tuple[int, int], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """An aligned face "image" [H, W, 3] float32 in 0..1, nearly as it is, with "label" and "exemplary" [K]."""
    if "label" not in item or np.ndim(item["label"]) != 1:
        raise DataError("faces without attributes: name their columns in the data's labels")
    zoom = data.zoom or (0.92, 1.08)
    image = to_unit(crop_resize(item["image"], shape, rng, zoom=zoom, rotate=3.0, jitter=JITTER))
    image = np.clip(image * rng.uniform(0.85, 1.15), 0.0, 1.0).astype(np.float32)
    sunglasses = np.array([name == GLASSES and dark_lenses(item["image"]) for name in data.labels])
    exemplary = 1.0 - sunglasses * item["label"]
    return {"image": image, "label": item["label"], "exemplary": exemplary}


def dark_lenses(image: np.ndarray) -> bool:
    """Whether the eyes of a face [H, W, C] aligned to template W are darker than DARK of the cheeks: sunglasses."""
    rows, columns = image.shape[:2]

    def brightness(top: float, bottom: float, lefts: tuple[float, float], width: float) -> float:
        boxes = (image[round(top * rows) : round(bottom * rows), round(x * columns) :] for x in lefts)
        return float(np.median([box[:, : round(width * columns)].mean(axis=-1) for box in boxes]))

    eyes, cheeks = brightness(0.44, 0.53, (0.31, 0.56), 0.125), brightness(0.58, 0.66, (0.31, 0.59), 0.095)
    return eyes < DARK * cheeks


def single_changes(label: np.ndarray, exclusive: list[list[int]]) -> np.ndarray:
    """Every attribute turned round by itself, [N, K, K]; where one of an exclusive group comes, the others go."""
    count, attributes = label.shape
    changes = np.zeros((count, attributes, attributes), np.float32)
    for k in range(attributes):
        changes[:, k, k] = 1.0 - 2.0 * label[:, k]
        for other in {o for group in exclusive if k in group for o in group if o != k}:
            changes[:, k, other] = -label[:, other] * (label[:, k] < 0.5)
    return changes


def measure(model: AttributeCVAEGAN, batch: dict) -> dict[str, np.ndarray]:
    """Shares, in the eyes of the training's own classifier: edits that came out, other attributes that changed; [N].

    Every example has one of its attributes turned round.
    """
    image, label = np.asarray(batch["image"]), np.asarray(batch["label"])
    count, attributes = label.shape
    asked = np.arange(count) % attributes
    change = single_changes(label, model.groups)[np.arange(count), asked]
    edited = ops.convert_to_tensor(image) + model.edit(image, change)
    before, after = (
        ops.convert_to_numpy(model.recognise(ops.convert_to_tensor(p))["logits"]) > 0 for p in (image, edited)
    )
    wanted = (label + change > 0.5)[np.arange(count), asked]
    rest = change == 0
    return {
        "success": (after[np.arange(count), asked] == wanted).astype(float),
        "others_changed": ((before != after) & rest).sum(axis=1) / rest.sum(axis=1),
    }


def preview(model: AttributeCVAEGAN, batch: dict) -> np.ndarray:
    """A row a face: as it is, its reconstruction from z alone, every attribute turned round; uint8."""
    image, label = (np.asarray(batch[key][:8]) for key in ("image", "label"))
    z = model.encode(image)
    nothing = [ops.zeros_like(s) for s in model.encoder(image, training=False)["skips"]]
    alone, _ = model.decode_twice(z, ops.zeros_like(ops.convert_to_tensor(label)), nothing)
    changes = single_changes(label, model.groups)
    edits = [image + ops.convert_to_numpy(model.edit(image, changes[:, k])) for k in range(label.shape[1])]
    columns = [np.concatenate(list(column), axis=0) for column in (image, ops.convert_to_numpy(alone), *edits)]
    return np.round(255.0 * np.clip(np.concatenate(columns, axis=1), 0.0, 1.0)).astype(np.uint8)


TASK = Task(AttributeCVAEGAN, example, measure, preview)
