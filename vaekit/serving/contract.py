"""TensorFlow Serving's REST contract: JSON to columns of values and back, and what a server tells of a model.

Rows are `{"instances": [{...}, ...]}`, answered by `{"predictions": [...]}`; columns are `{"inputs": {...}}`,
answered by `{"outputs": ...}`. Bytes are `{"b64": "..."}`.

JSON is decoded into the types that the signature names, and every number is checked against its range on the way.
What does not fit is refused where it stands, before anything is built of what follows it.

Source: https://www.tensorflow.org/tfx/serving/api_rest
"""

import base64
import binascii
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np

MOST_VALUES = 4_000_000
"""JSON values in a request: a decoded one takes up to 64 bytes of memory, and it may be two characters long."""


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
    """A tensor of a signature.

    Attributes:
        dtype: DT_STRING (an encoded picture), DT_INT32 or DT_FLOAT.
        shape: batch first; -1 is any size.
        low, high: the range of its numbers, both ends included; None is no limit but the type's. NaN and infinity
            are always refused.
        enlarges: a picture's sides are multiplied by its numbers.
        label: what people read beside its control; its name where it is empty.
        names: of its numbers, where it has several.
        default: of its numbers, before somebody chooses others.
        automatic: a number below 0 leaves the choice to the editor.
    """

    dtype: str
    shape: tuple[int, ...] = (-1,)
    low: float | None = None
    high: float | None = None
    enlarges: bool = False
    label: str = ""
    names: tuple[str, ...] = ()
    default: float = 0.0
    automatic: bool = False


@dataclass(frozen=True)
class Signature:
    """What a signature takes and gives, batch first.

    Attributes:
        inputs, outputs: tensors by name.
        title: what the page calls it; empty where the page has no use for it.
        about: one sentence for the page.
    """

    inputs: Mapping[str, Spec]
    outputs: Mapping[str, Spec]
    title: str = ""
    about: str = ""

    @functools.cached_property
    def rows(self) -> msgspec.json.Decoder:
        """Decodes `instances`: a list of objects; of a lone input, or of the values themselves."""
        items = {name: _type(spec, len(spec.shape) - 1) for name, spec in self.inputs.items()}
        row: Any = msgspec.defstruct("Row", list(items.items()), forbid_unknown_fields=True)
        if len(items) == 1 and next(iter(self.inputs.values())).dtype != "DT_STRING":
            row |= next(iter(items.values()))
        return msgspec.json.Decoder(Annotated[list[row], msgspec.Meta(min_length=1)])

    @functools.cached_property
    def columns(self) -> msgspec.json.Decoder:
        """Decodes `inputs`: an object of lists; of a lone input, or of its list itself."""
        items = {name: _type(spec, len(spec.shape)) for name, spec in self.inputs.items()}
        columns: Any = msgspec.defstruct("Columns", list(items.items()))
        if len(items) == 1:
            columns |= next(iter(items.values()))
        return msgspec.json.Decoder(columns)


class _Bytes(msgspec.Struct, forbid_unknown_fields=True):
    b64: str


class _Body(msgspec.Struct):
    signature_name: str = ""
    instances: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    inputs: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_BODY = msgspec.json.Decoder(_Body)
_KINDS: dict[str, Any] = {"DT_INT32": np.int32, "DT_FLOAT": np.float32}


def _type(spec: Spec, depth: int) -> Any:
    """What msgspec decodes a tensor's values to: lists of lists, `depth` in all."""
    if spec.dtype == "DT_STRING":
        kind: Any = str | _Bytes
    elif spec.dtype == "DT_INT32":
        most = np.iinfo(np.int32)
        low, high = (most.min if spec.low is None else spec.low), (most.max if spec.high is None else spec.high)
        kind = Annotated[int, msgspec.Meta(ge=low, le=high)]
    else:
        kind = Annotated[float, msgspec.Meta(ge=spec.low, le=spec.high)]
    for _ in range(depth):
        kind = list[kind]
    return kind


Column = list[bytes] | list[np.ndarray] | np.ndarray
"""Values of a batch: files, or numbers."""


@dataclass(frozen=True)
class Request:
    """A call of a signature: `count` items, one column an input."""

    signature: str
    columns: dict[str, Column]
    count: int
    rows: bool
    """Whether it came as rows, and is answered so."""

    def where(self, number: int) -> str:
        """What an item is called in messages."""
        return f"instances[{number}]" if self.rows else f"item {number}"


def parse(body: bytes | bytearray, signatures: Mapping[str, Signature], max_items: int | None = None) -> Request:
    """Read the body of a `:predict`.

    Args:
        body: JSON.
        signatures: of the model.
        max_items: of a request; None is any number.

    Raises:
        RequestError: it is not what the contract or the signature asks for; the message says where.
    """
    asked = _decode(_BODY, body, "the body")
    name = asked.signature_name or "serving_default"
    if name not in signatures:
        raise RequestError(f'Serving signature name: "{name}" not found in signature def')
    signature = signatures[name]
    rows = asked.instances is not msgspec.UNSET
    if rows == (asked.inputs is not msgspec.UNSET):
        raise RequestError("exactly one of instances and inputs is expected")
    if rows:
        items = _decode(signature.rows, asked.instances, "instances")
        lone = next(iter(signature.inputs))
        values = {
            key: [getattr(item, key) if isinstance(item, msgspec.Struct) else item for item in items]
            for key in signature.inputs
        }
    else:
        given = _decode(signature.columns, asked.inputs, "inputs")
        lone = next(iter(signature.inputs))
        values = (
            {key: getattr(given, key) for key in signature.inputs}
            if isinstance(given, msgspec.Struct)
            else {lone: given}
        )
    counts = {len(column) for column in values.values()}
    if len(counts) != 1:
        raise RequestError(f"inputs differ in their first dimension: {', '.join(map(str, sorted(counts)))}")
    count = counts.pop()
    if max_items is not None and count > max_items:
        raise RequestError(f"{count} items are more than the limit of {max_items} in a request")
    return Request(name, {key: _column(key, values[key], spec) for key, spec in signature.inputs.items()}, count, rows)


def _decode(decoder: msgspec.json.Decoder, data: Any, what: str) -> Any:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise RequestError(f"{what}{path.removesuffix('`')}: {message[:1].lower()}{message[1:]}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"JSON Parse error: {_not_finite(data, str(error)) or error}") from None


def _not_finite(data: bytes | bytearray, error: str) -> str:
    """Names the field where JSON breaks off because of a NaN, which TensorFlow Serving would read."""
    found = re.search(r"\(byte (\d+)\)", error)
    at = int(found[1]) if found else 0
    # The parser stops at the letter of -Infinity.
    token = re.match(rb"NaN|-?Infinity|nan|inf", bytes(data[at : at + 9]))
    if found is None or token is None:
        return ""
    before = re.search(rb'"([A-Za-z0-9_]+)"\s*:[\s\[\d.,eE+-]*$', bytes(data[max(at - 200, 0) : at]))
    return f"{before[1].decode() if before else f'byte {at}'}: {token[0].decode()} is not a finite number"


def _column(name: str, values: list, spec: Spec) -> Column:
    if spec.dtype == "DT_STRING":
        return [_bytes(f"{name}[{number}]", value) for number, value in enumerate(values)]
    kind = _KINDS[spec.dtype]
    if not values:
        return np.zeros([max(side, 0) for side in spec.shape], kind)
    try:
        with np.errstate(over="ignore"):
            numbers = np.array(values, kind)
    except ValueError:
        raise RequestError(f"{name} is ragged") from None
    if not np.isfinite(numbers).all():
        raise RequestError(f"{name} has a number that is out of the range of {spec.dtype}")
    # Lists that are empty end early: their shape has fewer dimensions.
    if len(numbers.shape) != len(spec.shape) or any(
        expected not in (-1, side) for expected, side in zip(spec.shape, numbers.shape, strict=True)
    ):
        raise RequestError(f"{name} is of shape {list(numbers.shape)}, expected {list(spec.shape)}")
    return numbers


def _bytes(name: str, value: str | _Bytes) -> bytes:
    """The bytes of a string; of base64 as TensorFlow Serving takes it: with white space, and padded or not."""
    if isinstance(value, str):
        return value.encode()
    text = "".join(value.b64.split())
    digits = text.rstrip("=")
    padding = "=" * (-len(digits) % 4)
    if text != digits and text != digits + padding:
        raise RequestError(f"{name} is not base64")
    try:
        return base64.b64decode(digits + padding, validate=True)
    except (binascii.Error, ValueError):
        raise RequestError(f"{name} is not base64") from None


def render(output: Column, *, rows: bool) -> bytes:
    """The body that answers a `:predict` of a signature with one output, whose name the contract leaves out."""
    # An item at a time: as Python's own numbers a tensor takes eight times the memory.
    items = (
        msgspec.json.encode({"b64": item} if isinstance(item, bytes) else np.asarray(item).tolist()) for item in output
    )
    return b'{"%s":[%s]}' % (b"predictions" if rows else b"outputs", b",".join(items))


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
    """The answer to a metadata request.

    Beside TensorFlow Serving's `signature_def` it has `actions`: the signatures that people have a use for, with the
    title, range and default of everything that they can set.
    """

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
        "metadata": {
            "signature_def": {"signature_def": definitions},
            "actions": {key: _action(signature) for key, signature in signatures.items() if signature.title},
        },
    }


def _action(signature: Signature) -> dict:
    def described(key: str, spec: Spec) -> dict:
        told = {"label": spec.label or key, "dtype": spec.dtype, "low": spec.low, "high": spec.high}
        return {**told, "names": spec.names, "default": spec.default, "automatic": spec.automatic}

    return {
        "title": signature.title,
        "about": signature.about,
        "inputs": {key: described(key, spec) for key, spec in signature.inputs.items()},
        "output": next(iter(signature.outputs)),
    }
