"""TensorFlow Serving's gRPC API: tensors as they lie in memory."""

from typing import Any

import grpc
import numpy as np

from vaekit.remote.messages import CLASSES, to_array, to_tensor
from vaekit.remote.transport import SECONDS, TELLING, AwayError, RefusedError, Shapes, is_network, one_line

SERVICE = "/tensorflow.serving.PredictionService"
BUSY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
OPTIONS = [
    # The limit of 4 MB is less than one tile enlarged.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # The next attempt is a new connection, whatever became of the last one.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class Grpc:
    """A version of a model at HOST:PORT."""

    def __init__(self, target: str, name: str, version: int):
        self._model = {"name": name, "version": {"value": version}}
        self._channel = grpc.insecure_channel(target, OPTIONS)
        self._predict = self._method("Predict", "PredictResponse")
        self._metadata = self._method("GetModelMetadata", "MetadataResponse")

    def inputs(self) -> Shapes:
        """As Transport."""
        request = CLASSES["MetadataRequest"](model=self._model, fields=["signature_def"])
        (packed,) = (each.any.value for each in _answer(self._metadata, request, TELLING).found)
        return {
            each.name: {told.name: _shape(told.info.shape) for told in each.signature.inputs}
            for each in CLASSES["Signatures"].FromString(packed).signatures
            if is_network(each.name)
        }

    def predict(self, signature: str, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """As Transport."""
        tensors = [{"name": name, "tensor": to_tensor(value)} for name, value in inputs.items()]
        request = CLASSES["PredictRequest"](model={**self._model, "signature": signature}, inputs=tensors)
        (output,) = _answer(self._predict, request).outputs
        return to_array(output.tensor)

    def _method(self, name: str, response: str) -> Any:
        return self._channel.unary_unary(
            f"{SERVICE}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=CLASSES[response].FromString,
        )


def _answer(method: Any, request: Any, seconds: float = SECONDS) -> Any:
    try:
        return method(request, timeout=seconds)
    except grpc.RpcError as error:
        raise (AwayError if error.code() in BUSY else RefusedError)(_reason(error)) from None


def _reason(error: Any) -> str:
    """Why there was no answer; of a connection that could not be made gRPC tells more, and the reason at the end."""
    told = one_line(error.details())
    return told.rpartition(": ")[2].lower() if told.startswith("failed to connect") else told


def _shape(told: Any) -> tuple[int | None, ...]:
    return tuple(None if side.size < 0 else side.size for side in told.sides)
