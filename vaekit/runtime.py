"""Run a bundle's network on arrays: by ONNX Runtime, by TensorFlow, or on a server."""

import threading
from contextvars import ContextVar
from typing import Protocol

import numpy as np

from vaekit.bundle import Bundle, BundleError
from vaekit.errors import MissingPackageError, UserError

RuntimeName = str
"""Of what runs a network: "onnx", "tensorflow", or the address of a server (vaekit.remote.Remote)."""
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
    from vaekit import onnx_runtime

    return onnx_runtime.open_network(bundle, threads)


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
