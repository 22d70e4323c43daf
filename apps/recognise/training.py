"""Training side of recognition: attributes of faces, from crops of any place and light."""

import numpy as np
from keras import ops

from vaekit.data import DataError, crop_resize, to_unit
from vaekit.models.recogniser import Recogniser, right_answers
from vaekit.training import Task


def example(item: dict, data, shape: tuple[int, int], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A crop "image" [H, W, 3] float32 in 0..1, lighter or darker, with its "label" [K]."""
    if "label" not in item:
        raise DataError("faces without attributes: name their columns in the data's labels")
    image = to_unit(crop_resize(item["image"], shape, rng, zoom=data.zoom or (0.6, 1.1)))
    return {"image": np.clip(image * rng.uniform(0.8, 1.2), 0.0, 1.0), "label": item["label"]}


def measure(model: Recogniser, batch: dict) -> dict[str, np.ndarray]:
    """Share of the attributes that are recognised, [N]."""
    logits = model.recogniser(batch["image"], training=False)["logits"]
    right = ops.convert_to_numpy(right_answers(batch["label"], logits))
    return {"accuracy": right.mean(axis=1)}


TASK = Task(Recogniser, example, measure=measure)
