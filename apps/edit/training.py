"""Training side of attribute editing: aligned faces and their attributes."""

import numpy as np
from keras import ops

from vaekit.data import DataError, crop_resize, to_unit
from vaekit.faces import WIDE_TEMPLATE
from vaekit.models.attribute_cvaegan import AttributeCVAEGAN
from vaekit.training import Task

GLASSES = "Eyeglasses"
"""CelebA's column of glasses of all kinds. Many are sunglasses, which are easier to draw and hide the eyes."""
DARK = 0.47
"""How bright lenses are, as a share of the cheeks, below which they are taken for those of sunglasses."""
JITTER = 0.3
"""How far faces are off their place in training, as a share of crop_resize's: they come aligned by five points."""
ZOOM, TURN, GAIN = (0.92, 1.08), 3.0, (0.85, 1.15)
"""Of crops, where the data say none; standard deviation in degrees; brightness."""


def example(item: dict, data, shape: tuple[int, int], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """An aligned face "image" [H, W, 3] float32 in 0..1, nearly as it is, with "label" and "label_mask" [K]."""
    label, label_mask = told(item, data)
    image = to_unit(crop_resize(item["image"], shape, rng, zoom=data.zoom or ZOOM, rotate=TURN, jitter=JITTER))
    image = np.clip(image * rng.uniform(*GAIN), 0.0, 1.0).astype(np.float32)
    return {"image": image, "label": label, "label_mask": label_mask}


def told(item: dict, data) -> tuple[np.ndarray, np.ndarray]:
    """A face's attributes [K], and which of them it is an example of [K].

    Raises:
        DataError: it has none.
    """
    if "label" not in item or np.ndim(item["label"]) != 1:
        raise DataError("faces without attributes: name their columns in the data's labels")
    label_mask = np.ones_like(item["label"])
    if isinstance(data.labels, tuple) and GLASSES in data.labels:
        worn = data.labels.index(GLASSES)
        label_mask[worn] = not (item["label"][worn] and dark_lenses(item["image"]))
    return item["label"], label_mask


def dark_lenses(image: np.ndarray) -> bool:
    """Whether the eyes of a face [H, W, C] aligned to template W are darker than DARK of the cheeks: sunglasses."""
    sides = np.array(image.shape[1::-1])

    def brightness(centres: np.ndarray, reach: tuple[float, float]) -> float:
        """Median of the pixels of boxes that reach so far from their centres to the sides, and up and down."""
        corners = np.round(np.stack([centres - reach, centres + reach], axis=1) * sides).astype(int)
        boxes = [image[top:bottom, left:right].mean(axis=-1).ravel() for (left, top), (right, bottom) in corners]
        return float(np.median(np.concatenate(boxes)))

    eyes = WIDE_TEMPLATE[:2]
    cheeks = eyes + np.array((0.0, 0.14))
    return brightness(eyes, (0.06, 0.045)) < DARK * brightness(cheeks, (0.045, 0.04))


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


def on_device(recipe):
    """How an accelerator makes its batches (JAX)."""
    from vaekit.apps.edit.on_device import making

    return making(recipe)


TASK = Task(AttributeCVAEGAN, example, measure, preview, on_device=on_device)
