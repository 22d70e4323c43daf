"""Batches for the detail of enlargements, made by the accelerator: what `training.example` makes."""

import jax
import jax.numpy as jnp
import numpy as np

from vaekit.apps.superres.editor import SCALES
from vaekit.apps.superres.training import STEP
from vaekit.apps.upscale.on_device import realistic, square
from vaekit.data.jax_degrade import Draws, Pictures, cut, degrade, sharp_crop, shrink
from vaekit.data.on_device import Making
from vaekit.models.image_cvaegan import turns
from vaekit.recipe import Recipe, RecipeError


def making(recipe: Recipe) -> Making:
    """How a recipe's batches are made.

    Raises:
        RecipeError: crops are not square, sizes do not divide as they must, or the data differ in their degradation.
    """
    size, count, share = square(recipe), recipe.train.batch_size, realistic(recipe)
    if size % 48 or count % len(SCALES):
        raise RecipeError("train.on_device: train.image_size is a multiple of 48, train.batch_size one of 4")
    canvas = size + 4 * STEP
    # Which scale each row is enlarged by; the model needs none of its other small pictures, and they stay black.
    which = np.empty(count, int)
    which[np.asarray(turns(count, len(SCALES)))] = np.arange(count) % len(SCALES)

    def make(pictures: Pictures, key) -> dict:
        def example(key, scale):
            draw = Draws(key, 3)
            keys = jax.random.split(jax.random.fold_in(key, 1))
            large = sharp_crop(pictures, canvas, (1.0, 2.0), keys[0], canvas)
            worn, severity = degrade(large, canvas, scale, keys[1], canvas)
            degraded = draw.chance(share) | (scale == 1)
            small = jnp.where(degraded, worn, shrink(large, canvas, scale, canvas))
            at = STEP * jnp.stack([draw.below(5), draw.below(5)])
            return cut(large, at, size), small, jnp.where(degraded, severity, 0.0), at

        image, small, severity, at = jax.vmap(example)(jax.random.split(key, count), jnp.array(SCALES)[which])
        batch = {"image": image}
        for place, s in enumerate(SCALES):
            rows = np.flatnonzero(which == place)
            cuts = jax.vmap(lambda canvas, at, scale=s: cut(canvas, at // scale, size // scale))(small[rows], at[rows])
            batch[f"small_{s}"] = jnp.zeros((count, *cuts.shape[1:])).at[rows].set(cuts)
            batch[f"severity_{s}"] = jnp.zeros(count).at[rows].set(severity[rows])
        return batch

    return Making(make, 2 * canvas)
