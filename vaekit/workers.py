"""What runs a command's work: this process, a process a core, or Ray."""

import functools
import itertools
import logging
import os
import pickle
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol


class Work(Protocol):
    """Goes to other processes by pickling."""

    def open(self, threads: int) -> Callable[[Any], list]:
        """Load what the tasks share; returns what does a task and answers with its results."""

    def lost(self, task: Any, reason: str) -> list:
        """The results of a task whose process has ended over it."""


Engine = Callable[[Work, Sequence[Any], int | None], Generator[Any]]
"""engine(work, tasks, jobs): the results of all tasks, in any order; what `Work.open` raises is raised.

`jobs` is in how many processes; None takes all cores there are, and never more than there are tasks.
"""


ATTEMPTS = 3
"""Pools of processes in a row that may end without a result."""

_shared: dict[str, Any] = {}
"""In a process of the pool: the pickled work, and the threads of each."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes(work: Work, tasks: Sequence[Any], jobs: int | None) -> Generator[Any]:
    """In processes that share this machine's cores; one that ends over a task costs that task alone.

    A lone task is done in this process. Tasks that no process had begun when the processes ended go to new ones, as
    long as some of those get anything done.

    Closing the iterator waits for the tasks under way; a second Ctrl-C does not.
    """
    if len(tasks) == 1:
        yield from work.open(0)(tasks[0])
        return
    jobs = min(jobs or cores(), len(tasks))
    pickled = pickle.dumps(work)
    left, fruitless = list(tasks), 0
    while left and fruitless < ATTEMPTS:
        before = len(left)
        yield from _pooled(work, pickled, left, jobs)
        fruitless = fruitless + 1 if len(left) == before else 0
    for task in left:
        yield from work.lost(task, "no process could be kept running for it, out of memory perhaps")


def _pooled(work: Work, pickled: bytes, left: list[Any], jobs: int) -> Generator[Any]:
    """The results of tasks by one pool of processes, as long as it lasts; what is done is taken from `left`."""
    import multiprocessing

    from pebble import ProcessPool

    threads = max(1, cores() // jobs)
    others = set(multiprocessing.active_children())
    # Spawned: a fork would take over locks that other threads hold.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPool(max_workers=jobs, initializer=_begin, initargs=(pickled, threads), context=context)
    coming = iter(list(left))
    pending: dict[Any, Any] = {}
    try:
        while True:
            # One task ahead of every process, and no more: the rest of a folder waits here.
            for task in itertools.islice(coming, 2 * jobs - len(pending)):
                pending[_scheduled(pool, task)] = task
            if not pending:
                break
            done = wait(pending, timeout=1.0, return_when=FIRST_COMPLETED).done
            if not done and not pool.active:
                raise BrokenProcessPool
            for future in done:
                task = pending.pop(future)
                results = _results(work, task, future)
                left.remove(task)
                yield from results
    except BrokenProcessPool:  # Pebble gives up where a process ends that had no task
        pending.clear()
        pool.stop()
    finally:
        try:
            for future in pending:
                if not future.running():
                    future.cancel()
            if pool.active:
                pool.close()
            pool.join()
        except KeyboardInterrupt:
            pool.stop()
            pool.join()
            raise
        finally:
            _kill(set(multiprocessing.active_children()) - others)


def _kill(surplus: Iterable[Any]) -> None:
    """End processes that replace ended ones and may still be starting: without their pool they would fail aloud."""
    for process in surplus:
        process.kill()


def _results(work: Work, task: Any, future: Any) -> list:
    from pebble import ProcessExpired

    try:
        return future.result()
    except ProcessExpired as error:
        return work.lost(task, f"its process ended (status {error.exitcode}), out of memory perhaps")
    except MemoryError:
        return work.lost(task, "not enough memory")


def _scheduled(pool: Any, task: Any) -> Any:
    try:
        return pool.schedule(_do, args=[task])
    except RuntimeError as error:  # the pool is broken
        raise BrokenProcessPool from error


def _begin(work: bytes, threads: int) -> None:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(threads))  # NumPy reads it when it is first imported
    import cv2

    _shared.update(work=work, threads=threads)
    cv2.setNumThreads(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the first process decides
    # Pebble's handler, in Python, may come too late in a process that ends by itself just then, and is complained of.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


@functools.cache  # once in a process, at its first task, whose failure it is then
def _opened() -> Callable[[Any], list]:
    return pickle.loads(_shared["work"]).open(_shared["threads"])


def _do(task: Any) -> list:
    return _opened()(task)


def _end_with_parent() -> None:
    from multiprocessing import connection, parent_process

    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def ray(work: Work, tasks: Sequence[Any], jobs: int | None) -> Generator[Any]:
    """On Ray Data, one core an actor: on the cluster that RAY_ADDRESS names, or else a local one.

    Raises:
        UserError: Ray is not installed, or gives up, as where processes keep ending.
    """
    from vaekit.errors import UserError

    try:
        import ray as cluster
        import ray.data as datasets
    except ImportError:
        raise UserError("--engine ray needs Ray: pip install 'vaekit[ray]'") from None
    work.open(1)  # what it raises is told here, and not by every actor

    class Actor:
        def __init__(self):
            import cv2

            cv2.setNumThreads(1)
            self.do = work.open(1)

        def __call__(self, batch):
            return {"results": [pickle.dumps(self.do(task)) for task in map(pickle.loads, batch["task"])]}

    cluster.init(ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR)
    jobs = min(jobs or int(cluster.cluster_resources()["CPU"]), len(tasks))
    rows = datasets.from_items([{"task": pickle.dumps(task)} for task in tasks])
    try:
        for row in rows.map_batches(Actor, concurrency=jobs, batch_size=1, num_cpus=1).iter_rows():
            yield from pickle.loads(row["results"])
    except cluster.exceptions.RayError as error:
        raise UserError(f"--engine ray: {type(error).__name__}: {str(error).splitlines()[0]}") from None


ENGINES: dict[str, Engine] = {"processes": processes, "ray": ray}
"""By the names that the command line has for them."""
