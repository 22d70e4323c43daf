"""TensorFlow Serving's REST contract: JSON to columns of values and back, and what a server tells of a model.

Rows are `{"instances": [{...}, ...]}`, answered by `{"predictions": [...]}`; columns are `{"inputs": {...}}`,
answered by `{"outputs": ...}`. Bytes are `{"b64": "..."}`.
Source: https://www.tensorflow.org/tfx/serving/api_rest
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


class RequestError(Exception):
    """What a client is told.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Spec:
    """A tensor of a signature: `dtype` is DT_STRING, DT_INT32 or DT_FLOAT; of `shape` -1 is any size."""

    dtype: str
    shape: tuple[int, ...] = (-1,)


@dataclass(frozen=True)
class Signature:
    """What a signature takes and gives, batch first."""

    inputs: Mapping[str, Spec]
    outputs: Mapping[str, Spec]


Column = list[bytes] | np.ndarray
"""Values of a batch: files, or numbers."""


@dataclass(frozen=True)
class Request:
    """A call of a signature: `count` items, one column an input."""

    signature: str
    columns: dict[str, Column]
    count: int
    rows: bool
    """Whether it came as rows, and is answered so."""


def parse(body: bytes, signatures: Mapping[str, Signature]) -> Request:
    """Read the body of a `:predict`.

    Raises:
        RequestError: it is not what the contract or the signature asks for; the message says where.
    """
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"JSON Parse error: {error}") from None
    if not isinstance(asked, dict):
        raise RequestError("the body is no JSON object")
    if unknown := asked.keys() - {"signature_name", "instances", "inputs"}:
        raise RequestError(f"unexpected keys: {', '.join(sorted(unknown))}")
    name = asked.get("signature_name", "serving_default")
    if not isinstance(name, str) or name not in signatures:
        raise RequestError(f'Serving signature name: "{name}" not found in signature def')
    wanted = signatures[name].inputs
    if ("instances" in asked) == ("inputs" in asked):
        raise RequestError("exactly one of instances and inputs is expected")
    rows = "instances" in asked
    given = _columns(asked["instances"], wanted) if rows else _alone(asked["inputs"], wanted)
    if given.keys() != wanted.keys():
        raise RequestError(f"inputs are {', '.join(sorted(given)) or 'none'}, expected {', '.join(sorted(wanted))}")
    columns = {key: _values(key, values, wanted[key]) for key, values in given.items()}
    counts = {len(values) for values in columns.values()}
    if len(counts) != 1:
        raise RequestError(f"inputs differ in their first dimension: {', '.join(map(str, sorted(counts)))}")
    return Request(name, columns, counts.pop(), rows)


def _columns(instances: Any, wanted: Mapping[str, Spec]) -> dict[str, list]:
    if not isinstance(instances, list):
        raise RequestError("instances is not a list")
    columns: dict[str, list] = {key: [] for key in wanted}
    for number, instance in enumerate(instances):
        values = _alone(instance, wanted)
        if values.keys() != wanted.keys():
            has, expected = (", ".join(sorted(keys)) or "nothing" for keys in (values, wanted))
            raise RequestError(f"instances[{number}] has {has}, expected {expected}")
        for key, value in values.items():
            columns[key].append(value)
    return columns


def _alone(values: Any, wanted: Mapping[str, Spec]) -> dict[str, Any]:
    """Values by name; of a lone input the name may be left out."""
    if isinstance(values, dict) and not (values.keys() == {"b64"} and len(wanted) == 1):
        return values
    if len(wanted) == 1:
        return {next(iter(wanted)): values}
    raise RequestError(f"expected an object with {', '.join(sorted(wanted))}")


def _values(name: str, values: Any, spec: Spec) -> Column:
    if not isinstance(values, list):
        raise RequestError(f"{name} is not a list")
    if spec.dtype == "DT_STRING":
        return [_bytes(f"{name}[{number}]", value) for number, value in enumerate(values)]
    kind = {"DT_INT32": np.int32, "DT_FLOAT": np.float32}[spec.dtype]
    if not values:
        return np.zeros([max(side, 0) for side in spec.shape], kind)
    try:
        numbers = np.array(values)
    except ValueError:
        raise RequestError(f"{name} is ragged") from None
    whole = numbers.dtype.kind in "iu"
    if not (whole or (numbers.dtype.kind == "f" and kind is np.float32)):
        raise RequestError(f"{name} is not of type {spec.dtype}")
    if kind is np.int32 and numbers.size and not -(2**31) <= numbers.min() <= numbers.max() < 2**31:
        raise RequestError(f"{name} is out of range")
    fits = len(numbers.shape) == len(spec.shape) and all(
        expected in (-1, side) for expected, side in zip(spec.shape, numbers.shape, strict=True)
    )
    if not fits:
        raise RequestError(f"{name} is of shape {list(numbers.shape)}, expected {list(spec.shape)}")
    return numbers.astype(kind)


def _bytes(name: str, value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, dict) or value.keys() != {"b64"} or not isinstance(value["b64"], str):
        raise RequestError(f'{name} is neither a string nor {{"b64": "..."}}')
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError):
        raise RequestError(f"{name} is not base64") from None


def render(output: Column, *, rows: bool) -> bytes:
    """The body that answers a `:predict` of a signature with one output, whose name the contract leaves out."""
    items = (
        [{"b64": base64.b64encode(item).decode()} for item in output] if isinstance(output, list) else output.tolist()
    )
    return json.dumps({"predictions" if rows else "outputs": items}).encode()


def status(versions: Sequence[int]) -> dict:
    """The answer to a status request."""
    fine = {"error_code": "OK", "error_message": ""}
    return {
        "model_version_status": [
            {"version": str(version), "state": "AVAILABLE", "status": fine}
            for version in sorted(versions, reverse=True)
        ]
    }


def metadata(name: str, version: int, signatures: Mapping[str, Signature]) -> dict:
    """The answer to a metadata request."""

    def tensors(specs: Mapping[str, Spec]) -> dict:
        return {
            key: {
                "dtype": spec.dtype,
                "tensor_shape": {"dim": [{"size": str(s), "name": ""} for s in spec.shape], "unknown_rank": False},
                "name": "",
            }
            for key, spec in specs.items()
        }

    definitions = {
        key: {
            "inputs": tensors(signature.inputs),
            "outputs": tensors(signature.outputs),
            "method_name": "tensorflow/serving/predict",
            "defaults": {},
        }
        for key, signature in signatures.items()
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": {"signature_def": definitions}},
    }
