"""ONNX files: a graph a signature, and the weights of all in one file beside them."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from vaekit.bundle import WEIGHTS

SIDES = ("batch", "height", "width")
ANSWER_SIDES = ("batch", "answer_height", "answer_width")
"""Names of the dimensions of any size, of inputs and outputs."""
ALIGNMENT = 64
"""Of a tensor in the file of weights, in bytes: a cache line."""
SMALLEST = 256
"""Bytes up to which a tensor stays in its graph."""


def convert(tensor: Callable[..., tf.Tensor], inputs: dict[str, tf.TensorSpec], name: str) -> Any:
    """A function of named tensors as an ONNX graph of the same inputs, and one output, called `name`."""
    import tf2onnx

    specs = [tf.TensorSpec(spec.shape, spec.dtype, key) for key, spec in inputs.items()]

    def call(*tensors):
        # An ONNX value has one name in the whole graph: an answer cannot be called "image" as an input is.
        return {name: tensor(**dict(zip(inputs, tensors, strict=True)))}

    function = tf.function(call, input_signature=specs, autograph=False)
    proto, _ = tf2onnx.convert.from_function(function, input_signature=specs, opset=18)
    for value in proto.graph.input:
        _name_sides(value, inputs[value.name].shape, SIDES)
    for value in proto.graph.output:
        shape = function.get_concrete_function().structured_outputs[value.name].shape
        _name_sides(value, shape, ANSWER_SIDES)
    return proto


def _name_sides(value: Any, shape: tf.TensorShape, names: tuple[str, ...]) -> None:
    sides = value.type.tensor_type.shape.dim
    del sides[:]
    for place, side in enumerate(shape):
        if side is None:
            sides.add(dim_param=names[place])
        else:
            sides.add(dim_value=side)


def _shorten(proto: Any) -> None:
    """Number the values within a graph: TensorFlow's names are an eighth of the file. Inputs and outputs keep them."""
    kept = {value.name for value in (*proto.graph.input, *proto.graph.output)}
    if any(attribute.HasField("g") for node in proto.graph.node for attribute in node.attribute):
        return  # a branch or a loop refers to values by name
    numbers: dict[str, str] = {}

    def short(name):
        return name if not name or name in kept else numbers.setdefault(name, f"v{len(numbers)}")

    for node in proto.graph.node:
        node.name = ""
        node.input[:] = [short(name) for name in node.input]
        node.output[:] = [short(name) for name in node.output]
    for weight in proto.graph.initializer:
        weight.name = short(weight.name)
    del proto.graph.value_info[:]


def write(graphs: dict[str, Any], folder: Path) -> None:
    """Write NAME.onnx of every graph into a folder, and the large weights of all, each once, into one file."""
    from onnx import TensorProto

    places: dict[bytes, int] = {}
    path = folder / Path(WEIGHTS).name
    with path.open("wb") as file:
        for name, proto in graphs.items():
            _shorten(proto)
            for weight in proto.graph.initializer:
                data = weight.raw_data
                if len(data) <= SMALLEST:
                    continue
                key = hashlib.sha256(data).digest()
                if key not in places:
                    file.write(bytes(-file.tell() % ALIGNMENT))
                    places[key] = file.tell()
                    file.write(data)
                weight.ClearField("raw_data")
                weight.data_location = TensorProto.EXTERNAL
                for told, value in (("location", path.name), ("offset", places[key]), ("length", len(data))):
                    weight.external_data.add(key=told, value=str(value))
            (folder / f"{name}.onnx").write_bytes(proto.SerializeToString())
    if not places:
        path.unlink()
