"""Batches for the faithful enlargement, made by the accelerator: what `training.example` makes."""

import jax
import jax.numpy as jnp

from vaekit.apps.superres.editor import LARGER
from vaekit.data.jax_degrade import Pictures, sharp_crop, shrink
from vaekit.data.on_device import Making
from vaekit.recipe import Recipe, RecipeError


def making(recipe: Recipe) -> Making:
    """How a recipe's batches are made.

    Raises:
        RecipeError: small pictures are to be degraded, which `restore` does, or crops are not square.
    """
    if any(data.realistic for data in recipe.data):
        raise RecipeError("train.on_device: upscale learns from clean pictures alone; leave data.realistic out")
    size, count = square(recipe), recipe.train.batch_size

    def make(pictures: Pictures, key) -> dict:
        batch = {}
        for s in LARGER:

            def pair(key, scale=s):
                large = sharp_crop(pictures, scale * size, (1.0, 1.0 + 2.0 / scale), key, scale * size)
                return large, shrink(large, scale * size, scale, size)

            keys = jax.random.split(jax.random.fold_in(key, s), count)
            batch[f"large_{s}"], batch[f"small_{s}"] = jax.vmap(pair)(keys)
        return batch

    return Making(make, max(round((1.0 + 2.0 / s) * s * size) for s in LARGER))


def square(recipe: Recipe) -> int:
    """The side of the crops.

    Raises:
        RecipeError: they are not square.
    """
    height, width = recipe.train.image_size
    if height != width:
        raise RecipeError("train.on_device: crops are square: train.image_size has two sides that differ")
    return height


def realistic(recipe: Recipe) -> jax.Array:
    """The share of degraded pictures.

    Raises:
        RecipeError: it differs between the data.
    """
    shares = {data.realistic for data in recipe.data}
    if len(shares) > 1:
        raise RecipeError("train.on_device: data.realistic is the same for all data")
    return jnp.float32(shares.pop())
