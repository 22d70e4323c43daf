"""Batches whose content is a function of (seed, step), so that a resumed training sees the same data."""

import functools
from collections.abc import Callable, Iterable

import keras
import numpy as np

from vaekit.data.pool import ReaderPool
from vaekit.data.sources import JoinedSource

BLOCK = 1000
"""Examples over which sources get exactly their shares."""

Example = Callable[[dict, np.random.Generator], dict[str, np.ndarray]]


class Batches(keras.utils.PyDataset):
    """Training batches for `fit`: dicts of arrays [batch_size, ...].

    Each source is walked in a new random order every pass, so that its items are seen equally often.

    Args:
        source: what is drawn from.
        example: (item, generator) -> dict of arrays, one training example.
        batch_size: examples a batch.
        steps_per_epoch: batches an epoch.
        seed: of the order and of every example's generator.
        start_epoch: where a resumed training goes on.
        pool: worker processes that make the batches in place of this one.
        **kwargs: workers, max_queue_size, as in keras.utils.PyDataset.
    """

    def __init__(
        self,
        source: JoinedSource,
        example: Example,
        *,
        batch_size,
        steps_per_epoch,
        seed=0,
        start_epoch=0,
        pool: ReaderPool | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.source, self.example, self.pool = source, example, pool
        self.batch_size, self.steps_per_epoch, self.seed, self.epoch = (
            batch_size,
            steps_per_epoch,
            seed,
            start_epoch,
        )
        self._counts = _apportion(source.shares)

    def __len__(self):
        return self.steps_per_epoch

    def on_epoch_end(self):
        """Go on to the next epoch's batches."""
        self.epoch += 1

    def __getitem__(self, index):
        reader = self.pool or self
        return reader.rows(self.epoch * self.steps_per_epoch + index, range(self.batch_size))

    def close(self):
        """End the worker processes, if there are any."""
        if self.pool:
            self.pool.close()

    def rows(self, step: int, which: Iterable[int]) -> dict[str, np.ndarray]:
        """Some rows of the batch of a step, counted from the training's beginning."""
        rows = []
        for row in which:
            number = step * self.batch_size + row
            rng = np.random.default_rng((self.seed, number))
            rows.append(self.example(self.source.draw(*self._choose(number)), rng))
        return {key: np.stack([row[key] for row in rows]) for key in rows[0]}

    def _choose(self, number: int) -> tuple[int, int]:
        """Which source, and which of its items, example `number` is made of."""
        block, position = divmod(number, BLOCK)
        places = np.repeat(np.arange(len(self._counts)), self._counts)[_permutation(BLOCK, self.seed, block)]
        place = int(places[position])
        rank = block * self._counts[place] + int(np.count_nonzero(places[:position] == place))
        size = len(self.source.sources[place])
        turn, index = divmod(rank, size)
        return place, int(_permutation(size, self.seed, place, turn)[index])


@functools.lru_cache(64)
def _permutation(size: int, *seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(size)


def _apportion(shares: np.ndarray) -> list[int]:
    """How many of BLOCK draws each source gets: shares rounded so that they add up (largest remainders)."""
    exact = shares * BLOCK
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact)[: BLOCK - counts.sum()]] += 1
    return counts.tolist()
