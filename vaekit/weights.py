"""Weights as bundles store them: smaller than networks compute with, read back into float32 as ever."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

SMALLEST = 1024
"""Weights of up to so many numbers are not worth making smaller than float16, nor in ONNX smaller than float32."""


def scales(weight: np.ndarray, axis: int = -1) -> np.ndarray:
    """What one step of int8 stands for in each channel: the largest number over 127, shaped to be multiplied with.

    A vector has one for all.
    """
    others = tuple(i for i in range(weight.ndim) if weight.ndim == 1 or i != axis % weight.ndim)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    return (np.where(largest > 0, largest, 1.0) / 127).astype(np.float32)


def to_bytes(weight: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The nearest int8 multiples of the scales."""
    return np.rint(weight / scale).clip(-127, 127).astype(np.int8)


def _constant(value) -> tf.Variable:
    return tf.Variable(value, trainable=False)


def _halved(name: str, weight: np.ndarray):
    from onnx import TensorProto, helper, numpy_helper

    half = numpy_helper.from_array(weight.astype(np.float16), f"{name}.half")
    return [half], [helper.make_node("Cast", [half.name], [name], to=TensorProto.FLOAT)]


def _in_bytes(name: str, weight: np.ndarray):
    """Kernels of ONNX have the channels first that are Keras's last; matrices have them last."""
    from onnx import TensorProto, helper, numpy_helper

    scale = scales(weight, axis=0 if weight.ndim == 4 else -1)
    stored = [numpy_helper.from_array(to_bytes(weight, scale), f"{name}.bytes")]
    stored.append(numpy_helper.from_array(scale, f"{name}.scale"))
    cast = helper.make_node("Cast", [stored[0].name], [f"{name}.steps"], to=TensorProto.FLOAT)
    return stored, [cast, helper.make_node("Mul", [f"{name}.steps", stored[1].name], [name])]


def _pack(proto, smaller):
    """Replace large float32 initializers by what `smaller` makes of them: (initializers, nodes that undo it)."""
    from onnx import TensorProto, numpy_helper

    kept, undoing = [], []
    for weight in proto.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) <= SMALLEST:
            kept.append(weight)
            continue
        stored, nodes = smaller(weight.name, numpy_helper.to_array(weight))
        kept += stored
        undoing += nodes
    nodes = [*undoing, *proto.graph.node]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return proto


def halve_weights(proto):
    """Store every large float32 weight of an ONNX graph as float16, cast back where it is used.

    The cast is folded once when a session is made: half the file, the same speed.
    """
    return _pack(proto, _halved)


def byte_weights(proto):
    """Store large float32 weights of an ONNX graph as int8 and a scale a channel, multiplied where they are used.

    That is for what was rounded so before: it is multiples of its scales, which are found again, and nothing is lost.
    The others are stored as float16.
    """
    return _pack(proto, _in_bytes_or_halved)


def _in_bytes_or_halved(name: str, weight: np.ndarray):
    scale = scales(weight, axis=0 if weight.ndim == 4 else -1)
    off = np.abs(to_bytes(weight, scale) * scale - weight).max()
    return (_in_bytes if off < 1e-3 * scale.max() else _halved)(name, weight)


class HalfWeights:
    """float16 copies of networks' weights, to be stored in their stead: half the file.

    Attributes:
        networks: whose weights they are.
        module: holds the copies, and is all that is saved: a Keras model would drag its layers' functions and its
            optimizer's slots along.
    """

    pack = staticmethod(halve_weights)

    def __init__(self, networks: list[keras.Model]):
        self.networks = networks
        self._originals = [v for network in networks for v in network.variables]
        self.module = tf.Module()
        self.module.copies = [_constant(self.smaller(v)) for v in self._originals]

    def smaller(self, variable: keras.Variable) -> np.ndarray:
        """What is stored of one of the networks' weights."""
        return keras.ops.convert_to_numpy(variable).astype(np.float16)

    def load(self, bundle: Path) -> None:
        """Give the networks the weights of the same networks that a bundle's folder holds."""
        stored = tf.train.load_checkpoint(str(bundle / "variables" / "variables"))
        for index, variable in enumerate(self._originals):
            variable.assign(self._read(stored, index))

    def _read(self, stored, index: int) -> np.ndarray:
        return stored.get_tensor(f"copies/{index}/.ATTRIBUTES/VARIABLE_VALUE")

    def swapped_in(self, *networks: keras.Model):
        """A context within which networks compute with the copies, by default all; open it in the traced function.

        A function that runs some of the networks, and names them, has no nodes for the others' weights.
        """
        named = {id(variable) for network in networks or self.networks for variable in network.variables}
        return keras.StatelessScope(
            [
                (variable, tf.cast(self._restored(index), variable.dtype))
                for index, variable in enumerate(self._originals)
                if id(variable) in named
            ]
        )

    def _restored(self, index: int):
        return self.module.copies[index]


class ByteWeights(HalfWeights):
    """int8 copies with a float32 scale for each output channel: a quarter of the file.

    Args:
        networks: whose weights they are.
        halved: further networks, whose weights are stored as float16.
    """

    pack = staticmethod(byte_weights)

    def __init__(self, networks: list[keras.Model], halved: Sequence[keras.Model] = ()):
        self._exact = {id(variable) for network in halved for variable in network.variables}
        super().__init__([*networks, *halved])
        self.module.scales = [
            _constant(scales(keras.ops.convert_to_numpy(v)) if self._in_bytes(v) else np.float32(1))
            for v in self._originals
        ]

    def _in_bytes(self, variable: keras.Variable) -> bool:
        return int(np.prod(variable.shape)) > SMALLEST and id(variable) not in self._exact

    def smaller(self, variable: keras.Variable) -> np.ndarray:
        """int8 where it is large."""
        if not self._in_bytes(variable):
            return super().smaller(variable)
        weight = keras.ops.convert_to_numpy(variable)
        return to_bytes(weight, scales(weight))

    def _read(self, stored, index: int) -> np.ndarray:
        scale = stored.get_tensor(f"scales/{index}/.ATTRIBUTES/VARIABLE_VALUE")
        return super()._read(stored, index).astype(np.float32) * scale

    def _restored(self, index: int):
        return tf.cast(self.module.copies[index], tf.float32) * self.module.scales[index]
