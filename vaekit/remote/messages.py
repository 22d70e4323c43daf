"""The messages of TensorFlow Serving's PredictionService that a client needs, without TensorFlow.

The `tensorflow-serving-api` package imports all of TensorFlow, of which a client has no use. On the wire a message is
numbered fields, so here are their numbers. Packed floats look as bytes do there, and are declared so: no number becomes
a Python object.

Source: predict.proto, get_model_metadata.proto and model.proto of tensorflow/serving; tensor.proto,
tensor_shape.proto and meta_graph.proto of tensorflow/tensorflow.
"""

from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FLOAT = 1
"""DT_FLOAT."""

FIELDS = {
    "Side": {"size": (1, "int64")},
    "Shape": {"sides": (2, "Side*")},
    "Tensor": {"kind": (1, "int32"), "shape": (2, "Shape"), "content": (4, "bytes"), "floats": (5, "bytes*")},
    "Version": {"value": (1, "int64")},
    "Model": {"name": (1, "string"), "version": (2, "Version"), "signature": (3, "string")},
    "NamedTensor": {"name": (1, "string"), "tensor": (2, "Tensor")},
    "PredictRequest": {"model": (1, "Model"), "inputs": (2, "NamedTensor*")},
    "PredictResponse": {"outputs": (1, "NamedTensor*")},
    "MetadataRequest": {"model": (1, "Model"), "fields": (2, "string*")},
    "MetadataResponse": {"found": (2, "NamedAny*")},
    "NamedAny": {"name": (1, "string"), "any": (2, "Any")},
    "Any": {"value": (2, "bytes")},
    "Signatures": {"signatures": (1, "NamedSignature*")},
    "NamedSignature": {"name": (1, "string"), "signature": (2, "Signature")},
    "Signature": {"inputs": (1, "NamedInfo*")},
    "NamedInfo": {"name": (1, "string"), "info": (2, "Info")},
    "Info": {"shape": (3, "Shape")},
}
"""Message -> field -> number and type; * is repeated, as maps are."""
PLAIN = {
    "int32": descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    "bytes": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
}


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="vaekit/remote.proto", package="vaekit", syntax="proto3")
    for message, fields in FIELDS.items():
        described = file.message_type.add(name=message)
        for name, (number, told) in fields.items():
            kind = told.removesuffix("*")
            field = described.field.add(name=name, number=number, label=3 if kind != told else 1)
            if kind in PLAIN:
                field.type = PLAIN[kind]
            else:
                field.type, field.type_name = field.TYPE_MESSAGE, f".vaekit.{kind}"
    # A pool of their own: TensorFlow's messages may be there too.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"vaekit.{name}")) for name in FIELDS}


CLASSES = _classes()
"""By the names in FIELDS."""


def to_tensor(array: np.ndarray) -> Any:
    """A contiguous float32 array as a Tensor."""
    sides = [{"size": side} for side in array.shape]
    return CLASSES["Tensor"](kind=FLOAT, shape={"sides": sides}, content=array.astype("<f4", copy=False).tobytes())


def to_array(tensor: Any) -> np.ndarray:
    """A Tensor of floats as an array.

    Raises:
        ValueError: it is of another type, or of another size than it says.
    """
    if tensor.kind != FLOAT:
        raise ValueError(f"a tensor of type {tensor.kind}, not of floats")
    values = np.frombuffer(tensor.content or b"".join(tensor.floats), "<f4")
    return values.reshape([side.size for side in tensor.shape.sides])
