"""Batches of aligned faces, made by the accelerator: what `training.example` makes."""

import jax
import jax.numpy as jnp
import numpy as np

from vaekit.apps.edit.training import GAIN, JITTER, TURN, ZOOM, told
from vaekit.data.jax_degrade import Draws, Pictures, crop_resize, drawn
from vaekit.data.on_device import Making
from vaekit.data.sources import DataError
from vaekit.recipe import Recipe, RecipeError


def making(recipe: Recipe) -> Making:
    """How a recipe's batches are made.

    Raises:
        RecipeError: the data differ in zoom or labels.
    """
    if len({(data.zoom, data.labels) for data in recipe.data}) > 1:
        raise RecipeError("train.on_device: data.zoom and data.labels are the same for all data")
    data, shape, count = recipe.data[0], recipe.train.image_size, recipe.train.batch_size
    zoom = data.zoom or ZOOM

    def make(pictures: Pictures, key) -> dict:
        def example(key):
            draw, turned = Draws(key, 2), jax.random.fold_in(key, 1)
            which = drawn(pictures, draw.uniform())
            image = crop_resize(pictures.pixels[which], pictures.sizes[which], shape, zoom, TURN, JITTER, turned)
            facts = {name: values[which] for name, values in pictures.facts.items()}
            return {"image": jnp.clip(image * draw.uniform(*GAIN), 0.0, 1.0), **facts}

        return jax.vmap(example)(jax.random.split(key, count))

    def facts(item: dict) -> dict[str, np.ndarray]:
        if min(item["image"].shape[:2]) * zoom[1] > max(shape) / 0.6:
            raise DataError(f"train.on_device: faces of up to {int(max(shape) / 0.6 / zoom[1])} pixels a side")
        label, label_mask = told(item, data)
        return {"label": np.asarray(label, np.float32), "label_mask": np.asarray(label_mask, np.float32)}

    return Making(make, facts=facts)
