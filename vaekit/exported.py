"""A model's signatures as a SavedModel or as ONNX."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import tensorflow as tf

from vaekit.bundle import EXTRA
from vaekit.export import even_of_nothing, write_version
from vaekit.game import Signature
from vaekit.specs import Labels

Signatures = dict[str, Signature]


def save_model(signatures: Signatures, path) -> None:
    """Write a SavedModel; the first of the signatures is `serving_default` too."""
    functions = {name: _concrete(name, signature) for name, signature in signatures.items()}
    functions["serving_default"] = next(iter(functions.values()))
    module = tf.Module()
    # Only what the signatures compute with: no discriminator, and no optimizer's slots.
    module.weights = list({id(v): v for f in functions.values() for v in f.graph.variables}.values())

    def write(folder: Path) -> None:
        tf.saved_model.save(module, str(folder), signatures=functions)
        (folder / "fingerprint.pb").unlink(missing_ok=True)  # of a TensorFlow build
        shutil.rmtree(folder / "assets", ignore_errors=True)

    _replace(path, write)


def save_onnx(signatures: Signatures, path) -> None:
    """Write NAME.onnx for every signature into a folder."""
    try:
        import tf2onnx
    except ImportError as error:
        raise ImportError("ONNX is written by tf2onnx: pip install tf2onnx onnx") from error

    def write(folder: Path) -> None:
        for name, signature in signatures.items():
            specs = _specs(signature)
            proto, _ = tf2onnx.convert.from_function(_positional(signature), input_signature=specs, opset=18)
            (folder / f"{name}.onnx").write_bytes(proto.SerializeToString())

    _replace(path, write)


def export(signatures: Signatures, name: str, folder: Path, card: dict) -> Path:
    """Write the next version of bundle `name`: the SavedModel, and where tf2onnx is installed ONNX files beside it.

    Returns:
        The version's folder.
    """

    def write(path: Path) -> None:
        save_model(signatures, path)
        (path / EXTRA).mkdir()
        with contextlib.suppress(ImportError):
            save_onnx(signatures, path / EXTRA / "onnx")

    return write_version(name, folder, card, write)


def _replace(path, write) -> None:
    """Write a folder: all of it or nothing, in the place of an older one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".partial-") as partial:
        new, old = Path(partial) / "new", Path(partial) / "old"
        new.mkdir()
        write(new)
        if path.exists():
            os.replace(path, old)
        os.replace(new, path)


def _concrete(name: str, signature: Signature):
    def call(**inputs):
        def answer(**given):
            return _answer(signature, [given[key] for key in signature.inputs])

        return {signature.output: even_of_nothing(answer, inputs)}

    specs = _specs(signature)
    return tf.function(call, autograph=False).get_concrete_function(**{spec.name: spec for spec in specs})


def _positional(signature: Signature):
    def call(*tensors):
        return {signature.output: _answer(signature, tensors)}

    return tf.function(call, input_signature=_specs(signature), autograph=False)


def _answer(signature: Signature, tensors):
    return tf.cast(signature.call(*tensors), tf.float32)


def _specs(signature: Signature) -> list[tf.TensorSpec]:
    # Labels are rows: one-hot, or attributes.
    return [
        tf.TensorSpec((None, spec.count) if isinstance(spec, Labels) else (None, *spec.shape), tf.float32, name)
        for name, spec in signature.inputs.items()
    ]
