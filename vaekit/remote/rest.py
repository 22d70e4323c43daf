"""TensorFlow Serving's REST API.

Tensors of numbers are lists in JSON there; base64 is for strings alone. A client of large pictures takes gRPC.

Source: https://www.tensorflow.org/tfx/serving/api_rest
"""

from typing import Any

import numpy as np
import orjson
import urllib3
from urllib3.exceptions import NewConnectionError

from vaekit.remote.transport import CONNECTING, SECONDS, AwayError, RefusedError, Shapes, is_network, one_line

BUSY = (429, 502, 503, 504)
"""Statuses of a server, or a proxy before it, that may answer later."""
CONNECTIONS = 16
"""That are kept for threads that ask at the same time."""


class Rest:
    """A version of a model at http://HOST:PORT[/PATH]."""

    def __init__(self, address: str, name: str, version: int):
        self._model = f"{address}/v1/models/{name}/versions/{version}"
        timeout = urllib3.Timeout(connect=CONNECTING, read=SECONDS)
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, retries=False, timeout=timeout)

    def inputs(self) -> Shapes:
        """As Transport."""
        found = self._answer("GET", "/metadata")["metadata"]["signature_def"]["signature_def"]
        return {
            signature: {name: _shape(tensor["tensor_shape"]) for name, tensor in told["inputs"].items()}
            for signature, told in found.items()
            if is_network(signature)
        }

    def predict(self, signature: str, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """As Transport."""
        body = orjson.dumps({"signature_name": signature, "inputs": inputs}, option=orjson.OPT_SERIALIZE_NUMPY)
        return np.array(self._answer("POST", ":predict", body)["outputs"], np.float32)

    def _answer(self, method: str, what: str, body: bytes | None = None) -> Any:
        headers = {"Content-Type": "application/json"}
        try:
            answer = self._pool.request(method, self._model + what, body=body, headers=headers)
        except urllib3.exceptions.LocationValueError as error:
            raise RefusedError(one_line(error)) from None
        except urllib3.exceptions.HTTPError as error:
            raise AwayError(_reason(error)) from None
        try:
            told = orjson.loads(answer.data)
        except orjson.JSONDecodeError:
            told = None
        if answer.status == 200 and isinstance(told, dict):
            return told
        reason = told["error"] if isinstance(told, dict) and "error" in told else f"HTTP status {answer.status}"
        raise (AwayError if answer.status in BUSY else RefusedError)(one_line(reason))


def _shape(told: dict) -> tuple[int | None, ...]:
    sides = [int(side["size"]) for side in told["dim"]]
    return tuple(None if side < 0 else side for side in sides)


def _reason(error: Exception) -> str:
    """Why there was no answer, without the addresses of objects that urllib3 tells of."""
    # A connection that is refused is a timeout too, by inheritance.
    if isinstance(error, urllib3.exceptions.TimeoutError) and not isinstance(error, NewConnectionError):
        return "it took too long"
    cause = error.__cause__ or error.__context__ or error
    return (getattr(cause, "strerror", None) or one_line(cause)).lower()
