"""What REST and gRPC have in common."""

from typing import Protocol

import numpy as np

SECONDS = 60.0
"""That an answer may take."""
TELLING = 10.0
"""That it may take to tell what a model takes."""
CONNECTING = 5.0
"""Seconds that a connection may take."""

Shapes = dict[str, dict[str, tuple[int | None, ...]]]
"""Signature -> names and shapes of what it takes; None is any size."""


class AwayError(Exception):
    """Nobody answers, or the server has no time: worth another attempt."""


class RefusedError(Exception):
    """The server's answer is an error, which it would be again; the message is its own, in one line."""


class Transport(Protocol):
    """A connection to a server, for one version of one model; for several threads."""

    def inputs(self) -> Shapes:
        """What the model's signatures take, but those of encoded files.

        Raises:
            AwayError, RefusedError: as they say.
        """

    def predict(self, signature: str, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """The lone output of a signature, float32, of contiguous float32 arrays.

        Raises:
            AwayError, RefusedError: as they say.
        """


def is_network(signature: str) -> bool:
    """Whether a signature is of tensors: not of encoded files, and not TensorFlow's own."""
    return signature != "serving_default" and not signature.startswith("__")


def one_line(message: object) -> str:
    """The first line of a message that is not empty."""
    return next(iter(str(message).strip().splitlines()), "no reason given")
