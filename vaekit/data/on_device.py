"""Training batches made by the accelerator that trains, from pictures that its memory keeps (JAX).

Processes that read, crop and degrade pictures cannot feed an accelerator: it does so itself, tens of times as fast.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import jax
import keras
import numpy as np

from vaekit.data.augment import match_channels
from vaekit.data.jax_degrade import Pictures
from vaekit.data.sources import DataError, JoinedSource

ROOM = 16 * 2**30
"""Bytes that pictures may take."""


@dataclass(frozen=True)
class Making:
    """How an app's batches are made.

    Attributes:
        make: (pictures, key) -> a training batch; it is compiled.
        side: at least so many pixels a side are kept of every picture, mirrored beyond its end.
        facts: what else of an item is kept: item -> arrays by name.
    """

    make: Callable[[Pictures, jax.Array], dict[str, jax.Array]]
    side: int = 0
    facts: Callable[[dict], dict[str, np.ndarray]] | None = None


class DeviceBatches(keras.utils.PyDataset):
    """Training batches for `fit`: dicts of arrays that never leave the accelerator.

    The order is not that of vaekit.data.Batches: every example draws its picture anew. It follows from the seed and
    the step alone, so that a resumed training goes on exactly.

    Args:
        source: what is drawn from.
        making: how.
        steps_per_epoch: batches an epoch.
        seed: of every draw.

    Raises:
        DataError: the pictures take more than ROOM.
    """

    def __init__(self, source: JoinedSource, making: Making, *, steps_per_epoch: int, seed: int = 0):
        super().__init__(workers=0)
        self.source, self.steps_per_epoch, self.epoch = source, steps_per_epoch, 0
        self._key, self._pictures = jax.random.key(seed), kept(source, making)
        self._make = jax.jit(making.make)

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


def kept(source: JoinedSource, making: Making) -> Pictures:
    """All pictures of a source, in the accelerator's memory.

    Raises:
        DataError: they take more than ROOM.
    """

    def read(at: tuple[int, int]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        item = source.draw(*at)
        return match_channels(item["image"], 3), making.facts(item) if making.facts else {}

    places = [(place, index) for place, part in enumerate(source.sources) for index in range(len(part))]
    shares = [source.shares[place] / len(source.sources[place]) for place, _ in places]
    with ThreadPoolExecutor() as pool:
        pixels, facts = zip(*pool.map(read, places), strict=True)
    sizes = np.array([each.shape[:2] for each in pixels], np.int32)
    side = max(making.side, int(sizes.max()))
    if len(pixels) * side * side * 3 > ROOM:
        raise DataError(
            f"{len(pixels)} pictures of up to {sizes.max()} pixels a side are too many for the accelerator's memory: "
            "shrink them, or leave out train.on_device"
        )
    whole = np.empty((len(pixels), side, side, 3), np.uint8)
    for row, picture in zip(whole, pixels, strict=True):
        beyond = [(0, side - length) for length in picture.shape[:2]]
        row[:] = np.pad(picture, (*beyond, (0, 0)), mode="symmetric")
    told = {name: np.stack([fact[name] for fact in facts]) for name in facts[0]}
    return Pictures(*jax.device_put((whole, sizes, np.cumsum(shares, dtype=np.float32), told)))
