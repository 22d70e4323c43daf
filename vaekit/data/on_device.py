"""Training batches made by the accelerator that trains, from pictures that its memory keeps (JAX).

Processes that read, crop and degrade pictures cannot feed an accelerator: it does so itself, tens of times as fast.
"""

from collections.abc import Callable

import jax
import keras
import numpy as np

from vaekit.data.augment import match_channels
from vaekit.data.jax_degrade import Pictures
from vaekit.data.sources import DataError, JoinedSource

ROOM = 16 * 2**30
"""Bytes that pictures may take."""

Maker = Callable[[Pictures, jax.Array], dict[str, jax.Array]]
"""(pictures, key) -> a training batch; it is compiled."""


class DeviceBatches(keras.utils.PyDataset):
    """Training batches for `fit`: dicts of arrays that never leave the accelerator.

    The order is not that of vaekit.data.Batches: every example draws its picture anew. It follows from the seed and
    the step alone, so that a resumed training goes on exactly.

    Args:
        source: what is drawn from.
        make: makes a batch.
        side: at least so many pixels a side are kept of every picture, mirrored beyond its end.
        steps_per_epoch: batches an epoch.
        seed: of every draw.

    Raises:
        DataError: the pictures take more than ROOM.
    """

    def __init__(self, source: JoinedSource, make: Maker, *, side: int, steps_per_epoch: int, seed: int = 0):
        super().__init__(workers=0)
        self.source, self.steps_per_epoch, self.epoch = source, steps_per_epoch, 0
        self._key, self._pictures = jax.random.key(seed), kept(source, side)
        self._make = jax.jit(make)

    def __len__(self):
        return self.steps_per_epoch

    def on_epoch_end(self):
        """Go on to the next epoch's batches."""
        self.epoch += 1

    def __getitem__(self, index):
        step = self.epoch * self.steps_per_epoch + index
        return self._make(self._pictures, jax.random.fold_in(self._key, step))

    def close(self):
        """Nothing is to be closed."""


def kept(source: JoinedSource, side: int) -> Pictures:
    """All pictures of a source, in the accelerator's memory.

    Raises:
        DataError: they take more than ROOM.
    """
    pixels, shares = [], []
    for place, (part, share) in enumerate(zip(source.sources, source.shares, strict=True)):
        pixels += [match_channels(source.draw(place, index)["image"], 3) for index in range(len(part))]
        shares += [share / len(part)] * len(part)
    sizes = np.array([each.shape[:2] for each in pixels], np.int32)
    side = max(side, int(sizes.max()))
    if len(pixels) * side * side * 3 > ROOM:
        raise DataError(
            f"{len(pixels)} pictures of up to {sizes.max()} pixels a side are too many for the accelerator's memory: "
            "shrink them, or leave out train.on_device"
        )
    whole = np.empty((len(pixels), side, side, 3), np.uint8)
    for row, picture in zip(whole, pixels, strict=True):
        beyond = [(0, side - length) for length in picture.shape[:2]]
        row[:] = np.pad(picture, (*beyond, (0, 0)), mode="symmetric")
    return Pictures(jax.device_put(whole), jax.device_put(sizes), jax.device_put(np.cumsum(shares, dtype=np.float32)))
