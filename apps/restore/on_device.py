"""Batches for the restoring enlargement, made by the accelerator: what `training.example` makes."""

import jax
import jax.numpy as jnp

from vaekit.apps.restore.training import RIM
from vaekit.apps.superres.editor import SCALES
from vaekit.apps.upscale.on_device import realistic, square
from vaekit.data.jax_degrade import Draws, Pictures, cut, degrade, sharp_crop, shrink
from vaekit.data.on_device import Making
from vaekit.recipe import Recipe, RecipeError


def making(recipe: Recipe) -> Making:
    """How a recipe's batches are made.

    Raises:
        RecipeError: crops are not square, or not a multiple of 16, or the data differ in their degradation.
    """
    size, count, share = square(recipe), recipe.train.batch_size, realistic(recipe)
    if size % 16:
        raise RecipeError("train.on_device: train.image_size is a multiple of 16")
    inner = size + 2 * RIM
    canvas = SCALES[-1] * inner

    def make(pictures: Pictures, key) -> dict:
        def example(key, scale):
            draw = Draws(key, 3)
            zoom = jnp.where(scale == 1, 2.0, 1.0), jnp.where(scale == 1, 2.0, 1.0 + 2.0 / scale)
            keys = jax.random.split(jax.random.fold_in(key, 1))
            large = sharp_crop(pictures, scale * inner, zoom, keys[0], canvas)
            worn, severity = degrade(large, scale * inner, scale, keys[1], inner)
            degraded = draw.chance(share) | (scale == 1)
            small = jnp.where(degraded, worn, shrink(large, scale * inner, scale, inner))
            at = jnp.stack([draw.below(2 * RIM + 1), draw.below(2 * RIM + 1)])
            return large, cut(small, at, size), jnp.where(degraded, severity, 0.0), at

        # All scales are one program on canvases of the largest's side.
        scales = jnp.repeat(jnp.array(SCALES), count)
        large, small, severity, at = jax.vmap(example)(jax.random.split(key, len(SCALES) * count), scales)
        batch = {}
        for place, s in enumerate(SCALES):
            rows = slice(place * count, (place + 1) * count)
            cuts = jax.vmap(lambda canvas, at, scale=s: cut(canvas, scale * at, scale * size))
            batch[f"large_{s}"] = cuts(large[rows], at[rows])
            batch[f"small_{s}"], batch[f"severity_{s}"] = small[rows], severity[rows]
        return batch

    return Making(make, 2 * canvas)
