"""Worker processes that make batches, as many at once as there are processes."""

import os
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol

import numpy as np

from vaekit.data.sources import DataError

Rows = dict[str, np.ndarray]


class Reader(Protocol):
    """What makes the rows of a step."""

    def rows(self, step: int, which: Iterable[int]) -> Rows:
        """As vaekit.data.Batches.rows."""


class ReaderPool:
    """A reader in every one of several processes.

    Decoding and augmentation hold Python's interpreter lock for much of their time, so threads of one process share
    a core. Each process opens the data for itself.

    Args:
        make: opens a reader; it goes to the processes by pickling.
        processes: how many.
    """

    def __init__(self, make: Callable[[], Reader], processes: int):
        import multiprocessing

        # A fork would take over locks that other threads hold.
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(make,))

    def rows(self, step: int, which: Iterable[int]) -> Rows:
        """Some rows of the batch of a step; waits for them. Several threads may call it at once.

        Raises:
            DataError: the data cannot be used, or the processes have ended.
        """
        try:
            return self.pool.submit(_rows, step, list(which)).result()
        except BrokenProcessPool:
            raise DataError("a process that reads the data has ended, out of memory perhaps") from None

    def close(self) -> None:
        """End the processes."""
        self.pool.shutdown(wait=True, cancel_futures=True)


_open: list[Reader] = []
"""In a process of the pool: its reader."""


def _begin(make: Callable[[], Reader]) -> None:
    import cv2

    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the training decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _open[:] = [make()]


def _rows(step: int, which: list[int]) -> Rows:
    return _open[0].rows(step, which)


def _end_with_parent() -> None:
    from multiprocessing import connection, parent_process

    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
