"""Micro-batching: calls of a network that wait for a core at the same time are answered by one."""

import contextvars
import threading
from dataclasses import dataclass, field

import numpy as np

from vaekit.runtime import Network, WorkCancelledError, cancellation, check_cancelled

MOST = 8
"""Pictures in one call of the network."""


@dataclass(eq=False)
class _Call:
    signature: str
    inputs: dict[str, np.ndarray]
    cancelled: threading.Event | None
    woken: threading.Event = field(default_factory=threading.Event)
    joined: "list[_Call]" = field(default_factory=list)
    """Calls that it is to run, itself the first; none where another one has run it."""
    answer: np.ndarray | None = None
    error: BaseException | None = None

    @property
    def size(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def kind(self) -> tuple:
        return (self.signature, *((name, value.shape[1:]) for name, value in sorted(self.inputs.items())))


class Batching:
    """A network that joins waiting calls of the same kind. A call never waits for company.

    Cores go to calls in the order in which they came, so that what takes many calls does not keep others waiting.
    A call that was cancelled (vaekit.runtime.cancellation) gets none.

    Args:
        network: may be called from several threads at once.
        parallel: calls of it at the same time.
    """

    def __init__(self, network: Network, parallel: int):
        self.network, self.inputs = network, network.inputs
        self._free = parallel
        self._lock = threading.Lock()
        self._waiting: list[_Call] = []

    def __call__(self, signature: str = "tensor", /, **inputs: np.ndarray) -> np.ndarray:
        """Run one of the bundle's signatures; raises WorkCancelledError as check_cancelled does."""
        check_cancelled()
        call = _Call(signature, inputs, cancellation.get())
        with self._lock:
            self._waiting.append(call)
            self._hand_out()
        call.woken.wait()
        if call.joined:
            try:
                self._run(call.joined)
            finally:
                with self._lock:
                    self._free += 1
                    self._hand_out()
                for other in call.joined[1:]:
                    other.woken.set()
        if call.error is not None:
            raise call.error
        assert call.answer is not None
        return call.answer

    def _hand_out(self) -> None:
        """Give the free cores to the first calls, each with those of its kind that fit beside it."""
        while self._free and self._waiting:
            first = self._waiting.pop(0)
            if first.cancelled is not None and first.cancelled.is_set():
                first.error = WorkCancelledError()
                first.woken.set()
                continue
            first.joined = [first]
            size = first.size
            for call in [call for call in self._waiting if call.kind == first.kind]:
                if size + call.size > MOST:
                    break
                size += call.size
                first.joined.append(call)
                self._waiting.remove(call)
            self._free -= 1
            first.woken.set()

    def _run(self, calls: list[_Call]) -> None:
        try:
            together = {
                name: np.concatenate([call.inputs[name] for call in calls]) if len(calls) > 1 else value
                for name, value in calls[0].inputs.items()
            }
            # In a context of its own: that the first call is cancelled must not stop the others.
            answers = contextvars.Context().run(self.network, calls[0].signature, **together)
            ends = np.cumsum([call.size for call in calls])[:-1]
            for call, answer in zip(calls, np.split(answers, ends), strict=True):
                call.answer = answer
        except BaseException as error:
            for call in calls:
                call.error = error
            if not isinstance(error, Exception):
                raise
