"""Run a bundle's network by ONNX Runtime: a graph a signature, and one file with the weights of all.

Nothing is read but what the card's checksums cover: weights are handed over in memory, and ONNX Runtime refuses a graph
that asks for another file.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vaekit.bundle import GRAPHS, ONNX, WEIGHTS, Bundle, BundleError, onnx_input
from vaekit.runtime import LEAST, check_cancelled
from vaekit.workers import cores

if TYPE_CHECKING:
    from vaekit.runtime import Network

EXTERNAL = b"location"
"""The key that every tensor of an ONNX file has that is kept in another file."""


def open_network(bundle: Bundle, threads: int = 0) -> Network:
    """Check a bundle's ONNX files and open them; see vaekit.runtime.open_network."""
    if not bundle.graphs:
        bundle.check(ONNX)
        return _Combined(bundle, threads)
    bundle.check(*bundle.graphs.values(), *(name for name in bundle.card["sha256"] if name == WEIGHTS))
    return _Graphs(bundle, threads)


def _session(path: Path, threads: int, weights: bytes | None = None) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Counted here: left to itself ONNX Runtime takes cores that this process may not use.
    options.intra_op_num_threads = threads or cores()
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # planning for one size takes half as much memory again, and no less time
    data = path.read_bytes()
    if weights is not None:
        options.add_external_initializers_from_files_in_memory([Path(WEIGHTS).name], [weights], [len(weights)])
    elif EXTERNAL in data:
        raise BundleError(f"{path}: keeps weights in other files, which no checksum covers")
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base class
        raise BundleError(f"{path}: {str(error).splitlines()[0]}") from None


def _shapes(session: Any) -> dict[str, tuple[int | None, ...]]:
    return {
        value.name: tuple(None if isinstance(side, str) else side for side in value.shape)
        for value in session.get_inputs()
    }


class _Graphs:
    """GRAPHS/SIGNATURE.onnx, each opened when it is first asked for, but `tensor` at once."""

    def __init__(self, bundle: Bundle, threads: int):
        self.path, self.files, self.threads = bundle.path, bundle.graphs, threads
        weights = bundle.path / WEIGHTS
        self.weights = weights.read_bytes() if WEIGHTS in bundle.card["sha256"] else None
        self.lock = threading.Lock()
        self.sessions: dict[str, Any] = {}
        self._session(next(iter(self.files)))

    @property
    def inputs(self) -> dict[str, dict[str, tuple[int | None, ...]]]:
        return {signature: _shapes(self._session(signature)) for signature in self.files}

    def __call__(self, signature: str = "tensor", /, **inputs: np.ndarray) -> np.ndarray:
        check_cancelled()
        if signature not in self.files:
            raise BundleError(f"{self.path / GRAPHS}: no signature {signature}")
        return self._session(signature).run(None, inputs)[0]

    def _session(self, signature: str) -> Any:
        with self.lock:
            if signature not in self.sessions:
                path = self.path / self.files[signature]
                self.sessions[signature] = _session(path, self.threads, self.weights)
            return self.sessions[signature]


class _Combined:
    """All signatures in one graph, as bundles had them that were exported before."""

    def __init__(self, bundle: Bundle, threads: int):
        self.file = bundle.onnx
        self.session = _session(self.file, threads)
        shapes = _shapes(self.session)
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
