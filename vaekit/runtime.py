"""Run a bundle's network on arrays: by ONNX Runtime, by TensorFlow, or on a server."""

import threading
from contextvars import ContextVar
from typing import Protocol

import numpy as np

from vaekit.bundle import ONNX, Bundle, BundleError, onnx_input
from vaekit.errors import MissingPackageError, UserError
from vaekit.workers import cores

RuntimeName = str
"""Of what runs a network: "onnx", "tensorflow", or the address of a server (vaekit.remote.Remote)."""
EXTERNAL = b"location"
"""The key that every tensor of an ONNX file has that is kept in another file."""
LEAST = 16
"""A side of a picture, in pixels, that every network takes."""


cancellation: ContextVar[threading.Event | None] = ContextVar("cancellation", default=None)
"""Set by whoever asks for work that may have to be stopped; the event says that nobody waits for it any more."""


class WorkCancelledError(Exception):
    """The work was stopped: nobody waits for it any more."""


def check_cancelled() -> None:
    """Stop here if the work was cancelled; for loops that take long. Every call of a network does this first.

    Raises:
        WorkCancelledError: the event in `cancellation` is set.
    """
    event = cancellation.get()
    if event is not None and event.is_set():
        raise WorkCancelledError


class Network(Protocol):
    """A function from named float32 arrays, batch first, to one array."""

    @property
    def inputs(self) -> dict[str, dict[str, tuple[int | None, ...]]]:
        """Signature -> names and shapes of what it takes; None is any size."""

    def __call__(self, signature: str = "tensor", /, **inputs: np.ndarray) -> np.ndarray:
        """Run one of the bundle's signatures; raises WorkCancelledError as check_cancelled does."""


def open_network(bundle: Bundle, runtime: RuntimeName = "onnx", threads: int = 0) -> Network:
    """Check a bundle's files and load its network.

    Args:
        bundle: from vaekit.bundle.find.
        runtime: "onnx", "tensorflow" for the SavedModel, or the address of a server that has the bundle:
            http://HOST:PORT, https://HOST:PORT or grpc://HOST:PORT.
        threads: for ONNX Runtime, within one call; 0 takes all cores.

    Raises:
        BundleError: a file is missing or damaged, the runtime refuses it, a SavedModel that did not come with vaekit
            holds ops that can do more than compute, or an ONNX graph keeps weights in other files.
        UserError: no runtime is called so.
    """
    if "://" in runtime:
        from vaekit.remote import Remote

        return Remote(bundle, runtime)
    if runtime not in ("onnx", "tensorflow"):
        raise UserError(f"no runtime {runtime}: there are onnx, tensorflow, and addresses (grpc://HOST:PORT)")
    if runtime == "tensorflow":
        bundle.check()
        if not bundle.shipped:
            from vaekit.saved_model import check_ops

            check_ops(bundle.path)
        return _TensorFlow(bundle)
    bundle.check(ONNX)
    return _Onnx(bundle, threads)


class _Onnx:
    def __init__(self, bundle: Bundle, threads: int):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # Counted here: left to itself ONNX Runtime takes cores that this process may not use.
        options.intra_op_num_threads = threads or cores()
        options.log_severity_level = 3
        options.enable_mem_pattern = False  # planning for one size takes half as much memory again, and no less time
        data = bundle.onnx.read_bytes()
        if EXTERNAL in data:
            raise BundleError(f"{bundle.onnx}: keeps weights in other files, which no checksum covers")
        try:
            self.session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base class
            raise BundleError(f"{bundle.onnx}: {str(error).splitlines()[0]}") from None
        self.file = bundle.onnx
        shapes = {
            value.name: tuple(None if isinstance(side, str) else side for side in value.shape)
            for value in self.session.get_inputs()
        }
        # The whole graph is computed, whichever answer is asked for: the others are given little to do.
        self.idle = {
            name: np.zeros([1, *(LEAST if side is None else side for side in shape[1:])], "f4")
            for name, shape in shapes.items()
        }
        signatures = [output.name for output in self.session.get_outputs()]
        self.inputs = {
            signature: {
                name.removesuffix(f"_{signature}"): shape
                for name, shape in shapes.items()
                if _belongs(name, signature, signatures)
            }
            for signature in signatures
        }

    def __call__(self, signature: str = "tensor", /, **inputs: np.ndarray) -> np.ndarray:
        check_cancelled()
        if signature not in self.inputs:
            raise BundleError(f"{self.file}: no signature {signature}")
        asked = {onnx_input(name, signature): value for name, value in inputs.items()}
        return self.session.run([signature], {**self.idle, **asked})[0]


def _belongs(name: str, signature: str, signatures: list[str]) -> bool:
    """Whether an input of the graph is the signature's; those of "tensor" have plain names (`onnx_input`)."""
    others = [s for s in signatures if s != "tensor" and name.endswith(f"_{s}")]
    return signature in others if others else signature == "tensor"


class _TensorFlow:
    def __init__(self, bundle: Bundle):
        try:
            import tensorflow as tf
        except ModuleNotFoundError:
            raise MissingPackageError("tensorflow") from None
        try:
            self.loaded = tf.saved_model.load(str(bundle.path))
        except (OSError, ValueError) as error:
            raise BundleError(f"{bundle.path}: {str(error).splitlines()[0]}") from None
        self.path, self.constant = bundle.path, tf.constant
        self.inputs = {
            name: {key: tuple(spec.shape) for key, spec in signature.structured_input_signature[1].items()}
            for name, signature in self.loaded.signatures.items()
            if name != "serving_default"
        }

    def __call__(self, signature: str = "tensor", /, **inputs: np.ndarray) -> np.ndarray:
        check_cancelled()
        if signature not in self.inputs:
            raise BundleError(f"{self.path}: no signature {signature}")
        outputs = self.loaded.signatures[signature](**{name: self.constant(v) for name, v in inputs.items()})
        return outputs["image"].numpy()
