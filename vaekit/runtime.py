"""Run a bundle's network on arrays: ONNX Runtime by default, TensorFlow on request."""

from typing import Literal, Protocol

import numpy as np

from vaekit.bundle import ONNX, Bundle, BundleError, onnx_input

RuntimeName = Literal["onnx", "tensorflow"]
LEAST = 16
"""A side of a picture, in pixels, that every network takes."""


class Network(Protocol):
    """A function from named float32 arrays, batch first, to one array."""

    def __call__(self, signature: str = "tensor", /, **inputs: np.ndarray) -> np.ndarray:
        """Run one of the bundle's signatures."""


def open_network(bundle: Bundle, runtime: RuntimeName = "onnx", threads: int = 0) -> Network:
    """Check a bundle's files and load its network.

    Args:
        bundle: from vaekit.bundle.find.
        runtime: "onnx", or "tensorflow" for the SavedModel.
        threads: for ONNX Runtime, within one call; 0 takes all cores.

    Raises:
        BundleError: a file is missing or damaged, or the runtime refuses it.
    """
    if runtime == "tensorflow":
        bundle.check()
        return _tensorflow(bundle)
    bundle.check(ONNX)
    return _onnx(bundle, threads)


def _onnx(bundle: Bundle, threads: int) -> Network:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # planning ahead for one size takes half as much memory again, and no less time
    try:
        session = onnxruntime.InferenceSession(bundle.onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base class
        raise BundleError(f"{bundle.onnx}: {str(error).splitlines()[0]}") from None
    signatures = {output.name for output in session.get_outputs()}
    # The whole graph is computed, whichever answer is asked for: the others are given little to do.
    idle = {
        value.name: np.zeros([1, *(LEAST if isinstance(side, str | None) else side for side in value.shape[1:])], "f4")
        for value in session.get_inputs()
    }

    def run(signature="tensor", /, **inputs):
        if signature not in signatures:
            raise BundleError(f"{bundle.onnx}: no signature {signature}")
        asked = {onnx_input(name, signature): value for name, value in inputs.items()}
        return session.run([signature], {**idle, **asked})[0]

    return run


def _tensorflow(bundle: Bundle) -> Network:
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(bundle.path))
    except (OSError, ValueError) as error:
        raise BundleError(f"{bundle.path}: {str(error).splitlines()[0]}") from None

    def run(signature="tensor", /, **inputs):
        if signature not in loaded.signatures:
            raise BundleError(f"{bundle.path}: no signature {signature}")
        outputs = loaded.signatures[signature](**{name: tf.constant(value) for name, value in inputs.items()})
        return outputs["image"].numpy()

    return run
