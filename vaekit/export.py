"""From a run to a bundle: SavedModel with named signatures, the same network as ONNX, card, warm-up."""

import datetime
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from vaekit.bundle import CARD, EXTRA, ONNX, digest, onnx_input
from vaekit.weights import HalfWeights

CONFIG = "models.config"
EMPTY_CONFIG = """\
# TensorFlow Serving, all bundles: tensorflow_model_server --model_config_file=/models/models.config
# with this folder at /models, as its container image has it.
model_config_list {
}
"""
WARMUP = f"{EXTRA}/tf_serving_warmup_requests"
Signature = dict[str, tf.TensorSpec]


@dataclass(frozen=True)
class Exportable:
    """What an app says of its trained model.

    Attributes:
        weights: what `tensors` and `serving` wear.
        inputs: signature -> names and specs of what it takes.
        tensors: signature -> keyword tensors -> image [N, H, W, 3] float32 in 0..1, or what else it is named for;
            the one called "tensor" is the usual one.
        serving_inputs: names and specs of `serving_default`.
        serving: keyword tensors -> {"image_bytes": [N] PNG strings, ...}.
        warmup: one small request to `serving_default`, which TensorFlow Serving plays when it loads the bundle.
        card: facts for the card.
    """

    weights: HalfWeights
    inputs: dict[str, Signature]
    tensors: dict[str, Callable[..., tf.Tensor]]
    serving_inputs: Signature
    serving: Callable[..., dict[str, tf.Tensor]]
    warmup: dict[str, tf.Tensor]
    card: dict


def export(model: Exportable, name: str, folder: Path) -> Path:
    """Write the next version of bundle `name` into `folder`; all of it or nothing.

    Returns:
        The version's folder.
    """

    def write(path: Path) -> None:
        _save_model(model, path)
        (path / EXTRA).mkdir()
        (path / ONNX).write_bytes(to_onnx(model))
        write_warmup(path / WARMUP, name, model.warmup)

    return write_version(name, folder, model.card, write)


def write_version(name: str, folder: Path, facts: dict, write: Callable[[Path], None]) -> Path:
    """Write the next version of bundle `name` into `folder`, with its card; all of it or nothing.

    Args:
        name: the bundle's.
        folder: of bundles.
        facts: for the card.
        write: makes a folder and its files, the card excepted.

    Returns:
        The version's folder.
    """
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    version = max((int(v.name) for v in target.iterdir() if v.name.isdecimal()), default=0) + 1
    with tempfile.TemporaryDirectory(dir=target, prefix=".partial-") as partial:
        path = Path(partial) / "bundle"
        write(path)
        # An index of a TensorFlow build, of no use to a reader of the bundle, and different every time.
        (path / "fingerprint.pb").unlink(missing_ok=True)
        files = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
        card = {
            "name": name,
            "version": version,
            "exported": datetime.date.today().isoformat(),
            **facts,
            "sha256": {file: digest(path / file) for file in files},
        }
        (path / CARD).write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")
        final = target / str(version)
        os.replace(path, final)
    _list(name, folder)
    return final


def _list(name: str, folder: Path) -> None:
    """Name a bundle in the file by which TensorFlow Serving serves a folder of bundles; what is in it stays."""
    path, partial = folder / CONFIG, folder / f".partial-{CONFIG}"
    text = path.read_text("utf-8") if path.exists() else EMPTY_CONFIG
    if re.search(rf'\bname:\s*"{re.escape(name)}"', text):
        return
    entry = (
        f'  config {{\n    name: "{name}"\n    base_path: "/models/{name}"\n    model_platform: "tensorflow"\n  }}\n'
    )
    before, brace, after = text.rpartition("}")
    partial.write_text(before + entry + brace + after, "utf-8")
    os.replace(partial, path)


def _save_model(model: Exportable, path: Path) -> None:
    def signature(name, tensor):
        function = tf.function(lambda **inputs: {"image": even_of_nothing(tensor, inputs)}, autograph=False)
        return function.get_concrete_function(**_named(model.inputs[name]))

    serving = tf.function(model.serving, autograph=False)
    tf.saved_model.save(
        model.weights.module,
        str(path),
        signatures={
            "serving_default": serving.get_concrete_function(**_named(model.serving_inputs)),
            **{name: signature(name, tensor) for name, tensor in model.tensors.items()},
        },
    )
    shutil.rmtree(path / "assets", ignore_errors=True)


def even_of_nothing(tensor: Callable[..., tf.Tensor], inputs: dict[str, tf.Tensor]) -> tf.Tensor:
    """Answer an empty batch with an empty one: TensorFlow's fused convolutions raise on it, so one is made up."""
    count = tf.shape(next(iter(inputs.values())))[0]
    extra = tf.cast(count == 0, tf.int32)
    padded = {name: tf.pad(value, [[0, extra], *[[0, 0]] * (len(value.shape) - 1)]) for name, value in inputs.items()}
    return tensor(**padded)[:count]


def write_warmup(path: Path, name: str, inputs: dict[str, tf.Tensor]) -> None:
    """One request to `serving_default`, as TensorFlow Serving reads it."""
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = "serving_default"
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value.numpy()))
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    with tf.io.TFRecordWriter(str(path)) as file:
        file.write(log.SerializeToString())


def _named(signature: Signature) -> Signature:
    return {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in signature.items()}


def to_onnx(model: Exportable) -> bytes:
    """All of `tensors` as one ONNX graph that shares the weights; stored small, computed in float32.

    ONNX Runtime computes the whole graph whichever output is asked for. So every signature but "tensor" has inputs
    of its own, called NAME_SIGNATURE, and what is not asked for is given the least there is to do.
    """
    import tf2onnx

    places = [(name, signature) for signature in model.tensors for name in model.inputs[signature]]
    taken = [model.inputs[signature][name] for name, signature in places]
    specs = [
        tf.TensorSpec(spec.shape, spec.dtype, onnx_input(*place)) for spec, place in zip(taken, places, strict=True)
    ]

    def call(*tensors):
        # An ONNX value has one name in the whole graph: an answer cannot be called "image" as an input is.
        given = dict(zip(places, tensors, strict=True))
        return {
            signature: tensor(**{name: given[name, signature] for name in model.inputs[signature]})
            for signature, tensor in model.tensors.items()
        }

    function = tf.function(call, input_signature=specs, autograph=False)
    proto, _ = tf2onnx.convert.from_function(function, input_signature=specs, opset=18)
    return _short_names(model.weights.pack(proto)).SerializeToString()


def _short_names(proto):
    """Number the values within a graph: TensorFlow's names are an eighth of the file. Inputs and outputs keep them."""
    kept = {value.name for value in (*proto.graph.input, *proto.graph.output)}
    if any(attribute.HasField("g") for node in proto.graph.node for attribute in node.attribute):
        return proto  # a branch or a loop refers to values by name
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
    return proto


def decode_image(data, channels: int, largest: int):
    """Decode one PNG, JPEG, BMP or GIF string in the graph; anything else raises there, and sides above `largest`.

    Returns:
        [H, W, channels] float32 in 0..1, with 1 or 3 channels.
    """
    image = tf.io.decode_image(data, channels=channels, dtype=tf.uint8, expand_animations=False)
    image.set_shape((None, None, channels))
    side = tf.reduce_max(tf.shape(image)[:2])
    with tf.control_dependencies(
        [tf.debugging.assert_less_equal(side, largest, f"image larger than {largest} pixels")]
    ):
        return tf.cast(image, tf.float32) / 255.0


def central_square(image):
    """The largest square in the middle of [H, W, C], and the (row, column) that it begins at."""
    size = tf.shape(image)[:2]
    side = tf.reduce_min(size)
    before = (size - side) // 2
    return image[before[0] : before[0] + side, before[1] : before[1] + side], before


def encode_image(image):
    """[H, W, 3] in 0..1 -> a PNG string."""
    return tf.io.encode_png(tf.cast(tf.round(tf.clip_by_value(image, 0.0, 1.0) * 255.0), tf.uint8))
