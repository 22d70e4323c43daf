"""From a run to a bundle: SavedModel with named signatures, the same network as ONNX, card, warm-up."""

import datetime
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from vaekit import onnx_files
from vaekit.bundle import CARD, EXTRA, GRAPHS, Bundle, digest
from vaekit.errors import UserError
from vaekit.runtime import open_network
from vaekit.weights import HalfWeights

CONFIG = "models.config"
EMPTY_CONFIG = """\
# TensorFlow Serving, all bundles: tensorflow_model_server --model_config_file=/models/models.config
# with this folder at /models, as its container image has it.
model_config_list {
}
"""
SIDE = 64
"""Of the pictures on which networks are compared."""
ALIKE = 0.5 / 255
"""What their answers, in 0..1, may differ."""
WARMUP = f"{EXTRA}/tf_serving_warmup_requests"
Signature = dict[str, tf.TensorSpec]


@dataclass(frozen=True)
class Exportable:
    """What an app says of its trained model.

    Attributes:
        weights: what `tensors` and `one` wear.
        inputs: signature -> names and specs of what it takes.
        tensors: signature -> keyword tensors -> image [N, H, W, 3] float32 in 0..1, or what else it is named for;
            the one called "tensor" is the usual one.
        one: the files and numbers of one item of `serving_default`, by name -> the answer's file, a string.
        warmup: one small request to `serving_default`, which TensorFlow Serving plays when it loads the bundle; any
            number of items of the same names and types makes another.
        card: facts for the card.
    """

    weights: HalfWeights
    inputs: dict[str, Signature]
    tensors: dict[str, Callable[..., tf.Tensor]]
    one: Callable[..., tf.Tensor]
    warmup: dict[str, tf.Tensor]
    card: dict


def export(model: Exportable, name: str, folder: Path) -> Path:
    """Write the next version of bundle `name` into `folder`; all of it or nothing.

    Returns:
        The version's folder.
    """

    def write(path: Path) -> None:
        _save_model(model, path)
        (path / GRAPHS).mkdir(parents=True)
        graphs = {
            name: model.weights.pack(onnx_files.convert(tensor, model.inputs[name], name))
            for name, tensor in model.tensors.items()
        }
        onnx_files.write(graphs, path / GRAPHS)
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


def facts(card: dict) -> dict:
    """What a card says beside what `write_version` writes itself."""
    return {key: value for key, value in card.items() if key not in ("name", "version", "exported", "sha256")}


def export_anew(bundle: Bundle, model: Exportable, name: str, folder: Path) -> Path:
    """As `export`, of a bundle's own weights.

    Raises:
        UserError: the network, as the code has it today, answers otherwise with them than the bundle does.
    """
    network, rng = open_network(bundle), np.random.default_rng(0)
    for signature, specs in model.inputs.items():
        sides = {key: [2, *(SIDE if side is None else side for side in spec.shape[1:])] for key, spec in specs.items()}
        given = {key: rng.uniform(size=shape).astype(np.float32) for key, shape in sides.items()}
        far = np.abs(network(signature, **given) - model.tensors[signature](**given)).max()
        if far > ALIKE:
            raise UserError(
                f"{bundle.path}: its network is another one today: {signature} answers {far:.3f} away; train it anew"
            )
    return export(model, name, folder)


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

    def serving(**columns):
        file = tf.TensorSpec((), tf.string)
        return {"image_bytes": tf.map_fn(lambda item: model.one(**item), columns, fn_output_signature=file)}

    files = {name: tf.TensorSpec((None, *value.shape[1:]), value.dtype) for name, value in model.warmup.items()}
    tf.saved_model.save(
        model.weights.module,
        str(path),
        signatures={
            "serving_default": tf.function(serving, autograph=False).get_concrete_function(**_named(files)),
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


_ENTRY = r"\x12\x01\x03\x00\x01\x00\x00\x00[\x02-\x08]\x00", r"\x01\x12\x00\x03\x00\x00\x00\x01\x00[\x02-\x08]"
"""EXIF's tag 0x0112, one SHORT of 2 to 8; the lower byte first, and last."""
REFUSED = {
    "16 bits a channel": r"\CPNG\C{20}\x10\C*",
    "transparency": r"\CPNG\C{21}[\x04\x06]\C*|\CPNG\C*tRNS\C*",
    "an EXIF orientation": rf"\C*(?:Exif\x00\x00|eXIf)(?:II\x2a\x00\C*{_ENTRY[0]}|MM\x00\x2a\C*{_ENTRY[1]})\C*",
}
"""Of which files TensorFlow would decode another picture than vaekit: what they have, and RE2 of their first bytes.

Sources: PNG's IHDR and tRNS, https://www.w3.org/TR/png-3; EXIF's orientation, CIPA DC-008.
"""
HEAD = 1 << 17
"""Bytes that are looked at: a JPEG's EXIF takes up to 64 kB, from about its beginning."""


def decode_image(data, channels: int, largest: int):
    """Decode one PNG, JPEG, BMP or GIF string in the graph.

    Anything else raises there, as do sides above `largest`, and files that vaekit reads as another picture: REFUSED.

    Returns:
        [H, W, channels] float32 in 0..1, with 1 or 3 channels.
    """
    head = tf.strings.substr(data, 0, HEAD)
    known = [
        tf.debugging.Assert(~tf.strings.regex_full_match(head, pattern), [f"a file with {what} is for `vaekit serve`"])
        for what, pattern in REFUSED.items()
    ]
    with tf.control_dependencies(known):
        image = tf.cond(
            tf.io.is_jpeg(data),
            # As libjpeg decodes for everybody else: what decode_image takes is the faster transform.
            lambda: tf.io.decode_jpeg(data, channels, dct_method="INTEGER_ACCURATE"),
            lambda: tf.io.decode_image(data, channels, expand_animations=False),
        )
    image.set_shape((None, None, channels))
    side = tf.reduce_max(tf.shape(image)[:2])
    with tf.control_dependencies(
        [tf.debugging.assert_less_equal(side, largest, f"image larger than {largest} pixels")]
    ):
        return tf.cast(image, tf.float32) / 255.0


def any_size(network: Callable, pictures: Sequence, stride: int, factor: int = 1):
    """What a network answers to pictures whose sides its stride need not divide.

    They are mirrored at the rim, as the editors do it and NumPy's symmetric padding.

    Args:
        network: from pictures to [N, factor * H, factor * W, C].
        pictures: [N, H, W, C] each.
        stride: what divides the sides that the network takes.
        factor: how many times larger the answer is.
    """
    height, width = tf.unstack(tf.shape(pictures[0])[1:3])
    return network(*(_mirrored(picture, stride) for picture in pictures))[:, : factor * height, : factor * width]


def _mirrored(picture, stride: int):
    for axis in (1, 2):
        side = tf.shape(picture)[axis]
        places = tf.range((side + stride - 1) // stride * stride) % (2 * side)  # ONNX divides towards zero
        picture = tf.gather(picture, tf.minimum(places, 2 * side - 1 - places), axis=axis)
    return picture


def enlarge_cubic(image, size):
    """[N, H, W, C] at another size, as the editors' cv2.INTER_CUBIC has it; TensorFlow's bicubic has other weights.

    Source: Keys 1981, with a = -0.75 and the rim repeated.
    """
    for axis in (1, 2):
        before, after = tf.shape(image)[axis], size[axis - 1]
        at = (tf.cast(tf.range(after), tf.float32) + 0.5) * tf.cast(before / after, tf.float32) - 0.5
        first = tf.floor(at)
        far = at - first
        taps = [_far_tap(far + 1.0), _near_tap(far), _near_tap(1.0 - far), _far_tap(2.0 - far)]
        shape = [1, -1, 1, 1] if axis == 1 else [1, 1, -1, 1]
        image = tf.add_n(
            [
                tf.reshape(tap, shape)
                * tf.gather(image, tf.clip_by_value(tf.cast(first, tf.int32) + step, 0, before - 1), axis=axis)
                for step, tap in zip((-1, 0, 1, 2), taps, strict=True)
            ]
        )
    return image


def _near_tap(x):
    return (1.25 * x - 2.25) * x * x + 1.0


def _far_tap(x):
    return ((-0.75 * x + 3.75) * x - 6.0) * x + 3.0


def central_square(image):
    """The largest square in the middle of [H, W, C], and the (row, column) that it begins at."""
    size = tf.shape(image)[:2]
    side = tf.reduce_min(size)
    before = (size - side) // 2
    return image[before[0] : before[0] + side, before[1] : before[1] + side], before


def encode_image(image):
    """[H, W, 3] in 0..1 -> a PNG string."""
    return tf.io.encode_png(tf.cast(tf.round(tf.clip_by_value(image, 0.0, 1.0) * 255.0), tf.uint8))
