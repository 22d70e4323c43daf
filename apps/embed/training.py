"""Training side of the embedder: aligned faces, and a teacher's embeddings of them."""

import cv2
import numpy as np
from keras import ops

from vaekit import faces
from vaekit.data import DataError, crop_resize, erase, to_unit
from vaekit.models.embedder import Embedder
from vaekit.training import Task


def example(item: dict, data, shape: tuple[int, int], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A face "image" [H, W, 3] float32 in 0..1 in template N with its "label" [D].

    Photos are worn at random; drawn faces are as many as one likes, and only some are mirrored. Its "partner" is the
    label of another face of the same person, or its own where nobody knows of one.
    """
    if "label" not in item or np.ndim(item["label"]) != 1:
        raise DataError("faces without embeddings: name FILE.npz:ARRAY in the data's labels")
    image = faces.narrowed(item["image"]) if data.wide else item["image"]
    if "yaw" in item:
        image = to_unit(crop_resize(image, shape, rng, jitter=0.0)).astype(np.float32)
        return {"image": image, "label": item["label"], "partner": item["label"]}
    # People are few: what is not worn at random is learnt by heart, and new people's profiles are mistaken.
    image = crop_resize(image, shape, rng, zoom=(0.85, 1.1), rotate=6.0)
    if rng.random() < BLURRED:
        side = int(rng.integers(shape[0] // 3, shape[0]))
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(image.shape)
    light = to_unit(image) * rng.uniform(0.75, 1.25) * rng.uniform(0.9, 1.1, image.shape[-1]) + rng.uniform(-0.08, 0.08)
    if rng.random() < GREY:
        light[:] = light.mean(axis=-1, keepdims=True)
    if rng.random() < ERASED:
        erase(light, rng)
    partner = item["partner_label"](rng) if "partner_label" in item else item["label"]
    return {"image": np.clip(light, 0.0, 1.0).astype(np.float32), "label": item["label"], "partner": partner}


BLURRED = 0.2
"""Share of the examples that come from a small picture."""
GREY = 0.1
"""Share of those without colours."""
ERASED = 0.5
"""Share of those of which a rectangle is hidden."""


def measure(model: Embedder, batch: dict) -> dict[str, np.ndarray]:
    """Cosine to the teacher's embedding, and, to compare, to the next example's; [N]."""
    found = ops.convert_to_numpy(model.embedder(batch["image"], training=False)["embedding"])
    teacher = np.asarray(batch["label"])
    teacher = teacher / np.linalg.norm(teacher, axis=1, keepdims=True)
    return {
        "cosine": (found * teacher).sum(axis=1),
        "cosine_to_another": (found * np.roll(teacher, 1, axis=0)).sum(axis=1),
    }


TASK = Task(Embedder, example, measure)
