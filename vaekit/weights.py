"""Weights as bundles store them: smaller than networks compute with, read back into float32 as ever."""

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
    """Store every large float32 weight of an ONNX graph as int8 and a scale a channel, multiplied where it is used.

    What was rounded so before is multiples of its scales: they are found again, and nothing is lost.
    """
    return _pack(proto, _in_bytes)


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
        self.module.copies = [_constant(self.smaller(keras.ops.convert_to_numpy(v))) for v in self._originals]

    def smaller(self, weight: np.ndarray) -> np.ndarray:
        """What is stored of one of the networks' weights."""
        return weight.astype(np.float16)

    def load(self, bundle: Path) -> None:
        """Give the networks the weights of the same networks that a bundle's folder holds."""
        stored = tf.train.load_checkpoint(str(bundle / "variables" / "variables"))
        for index, variable in enumerate(self._originals):
            variable.assign(self._read(stored, index))

    def _read(self, stored, index: int) -> np.ndarray:
        return stored.get_tensor(f"copies/{index}/.ATTRIBUTES/VARIABLE_VALUE")

    def worn(self):
        """A context within which the networks compute with the copies; open it inside the traced function."""
        pairs = zip(self._originals, self._restored(), strict=True)
        return keras.StatelessScope([(variable, tf.cast(copy, variable.dtype)) for variable, copy in pairs])

    def _restored(self):
        return self.module.copies


class ByteWeights(HalfWeights):
    """int8 copies with a float32 scale for each output channel: a quarter of the file."""

    pack = staticmethod(byte_weights)

    def __init__(self, networks: list[keras.Model]):
        super().__init__(networks)
        weights = [keras.ops.convert_to_numpy(v) for v in self._originals]
        self.module.scales = [_constant(scales(w)) if w.size > SMALLEST else _constant(np.float32(1)) for w in weights]

    def smaller(self, weight: np.ndarray) -> np.ndarray:
        """int8 where it is large."""
        return to_bytes(weight, scales(weight)) if weight.size > SMALLEST else super().smaller(weight)

    def _read(self, stored, index: int) -> np.ndarray:
        scale = stored.get_tensor(f"scales/{index}/.ATTRIBUTES/VARIABLE_VALUE")
        return super()._read(stored, index).astype(np.float32) * scale

    def _restored(self):
        pairs = zip(self.module.copies, self.module.scales, strict=True)
        return [tf.cast(copy, tf.float32) * scale for copy, scale in pairs]
