"""Micro-batching: calls of a network that wait for a core at the same time are answered by one."""

import threading
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from vaekit.runtime import Network

MOST = 8
"""Pictures in one call of the network."""


@dataclass(eq=False)
class _Call:
    inputs: dict[str, np.ndarray]
    taken: bool = False
    done: threading.Event = field(default_factory=threading.Event)
    answer: np.ndarray | None = None
    error: BaseException | None = None

    @property
    def size(self) -> int:
        return len(next(iter(self.inputs.values())))


class Batching:
    """A network that joins waiting calls. Whoever gets a core runs them all; a call never waits for company.

    Args:
        network: may be called from several threads at once.
        parallel: calls of it at the same time.
    """

    def __init__(self, network: Network, parallel: int):
        self.network, self.inputs = network, network.inputs
        self._cores = threading.Semaphore(parallel)
        self._lock = threading.Lock()
        self._waiting: dict[tuple, list[_Call]] = defaultdict(list)

    def __call__(self, signature: str = "tensor", /, **inputs: np.ndarray) -> np.ndarray:
        """Run one of the bundle's signatures."""
        call = _Call(inputs)
        kind = (signature, *((name, value.shape[1:]) for name, value in sorted(inputs.items())))
        with self._lock:
            self._waiting[kind].append(call)
        with self._cores:
            joined = [] if call.taken else self._take(kind, call)
            if joined:
                self._run(signature, joined)
        call.done.wait()
        if call.error is not None:
            raise call.error
        assert call.answer is not None
        return call.answer

    def _take(self, kind: tuple, first: _Call) -> list[_Call]:
        """The call and those of its kind that fit beside it."""
        with self._lock:
            if first.taken:
                return []
            waiting = self._waiting[kind]
            waiting.remove(first)
            joined = [first]
            while waiting and sum(call.size for call in joined) + waiting[0].size <= MOST:
                joined.append(waiting.pop(0))
            if not waiting:
                del self._waiting[kind]
            for call in joined:
                call.taken = True
            return joined

    def _run(self, signature: str, calls: list[_Call]) -> None:
        try:
            names = calls[0].inputs
            together = {name: np.concatenate([call.inputs[name] for call in calls]) for name in names}
            answers = self.network(signature, **together)
            ends = np.cumsum([call.size for call in calls])[:-1]
            for call, answer in zip(calls, np.split(answers, ends), strict=True):
                call.answer = answer
        except BaseException as error:
            for call in calls:
                call.error = error
            if not isinstance(error, Exception):
                raise
        finally:
            for call in calls:
                call.done.set()
