"""The serving contract as TensorFlow Serving keeps it, with its own messages and without its binary."""

import io
import json
import re
import subprocess
from pathlib import Path
from urllib.request import urlopen

import cv2
import keras
import numpy as np
import pytest
from PIL import Image

import vaekit
from vaekit import apps, images
from vaekit.bundle import find
from vaekit.export import write_version

if keras.backend.backend() != "tensorflow":
    pytest.skip("reads SavedModels", allow_module_level=True)

import grpc
import tensorflow as tf
from google.protobuf import text_format
from serving_stub import Stub
from serving_stub import shape as list_shape
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2, prediction_service_pb2_grpc
from tensorflow_serving.config import model_server_config_pb2

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "saved_models"
APPS = apps.names("testing")
DOCS = (ROOT / "docs" / "serving.md").read_text("utf-8")


def signatures(folder: Path) -> dict[str, SignatureDef]:
    """What saved_model_cli shows."""
    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    (graph,) = model.meta_graphs
    assert list(graph.meta_info_def.tags) == ["serve"]
    return {name: found for name, found in graph.signature_def.items() if not name.startswith("__")}


def described(tensors):
    kinds = {tf.string.as_datatype_enum: "DT_STRING", tf.int32.as_datatype_enum: "DT_INT32"}
    return {
        name: (kinds.get(info.dtype, "DT_FLOAT"), [int(side.size) for side in info.tensor_shape.dim])
        for name, info in tensors.items()
    }


# === What is loaded ===


@pytest.mark.parametrize("app", APPS)
def test_both_servers_say_the_same_of_a_bundles_inputs(bundles, server, app):
    with urlopen(f"{server}/v1/models/{app}/metadata") as answer:
        ours = json.load(answer)["metadata"]["signature_def"]["signature_def"]
    theirs = signatures(bundles / app / "1")
    assert theirs.keys() <= ours.keys()  # the page of `vaekit serve` asks it for more
    for name, signature in theirs.items():
        found = {
            key: (tensor["dtype"], [int(side["size"]) for side in tensor["tensor_shape"]["dim"]])
            for key, tensor in ours[name]["inputs"].items()
        }
        assert found == described(signature.inputs)
        assert ours[name]["outputs"].keys() == signature.outputs.keys()
        assert ours[name]["method_name"] == signature.method_name


def test_every_shipped_bundle_keeps_the_contract_and_is_listed():
    text = (SHIPPED / "models.config").read_text("utf-8")
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    listed = {each.name: each for each in config.model_config_list.config}
    shipped = {path.name: find(str(path)).path for path in SHIPPED.iterdir() if any(path.glob("[0-9]*"))}
    assert listed.keys() == shipped.keys()
    for name, each in listed.items():
        assert (each.base_path, each.model_platform) == (f"/models/{name}", "tensorflow")
        found = signatures(shipped[name])
        assert described(found["serving_default"].inputs)["image_bytes"] == ("DT_STRING", [-1])
        assert described(found["serving_default"].outputs) == {"image_bytes": ("DT_STRING", [-1])}
        assert described(found["tensor"].inputs)["image"][0] == "DT_FLOAT"
        (record,) = tf.data.TFRecordDataset(str(shipped[name] / "assets.extra/tf_serving_warmup_requests"))
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        assert request.model_spec.name == name
        assert request.inputs.keys() == found["serving_default"].inputs.keys()


def test_an_export_lists_the_bundle_beside_what_is_listed(tmp_path):
    def names():
        text = (tmp_path / "models.config").read_text("utf-8")
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
        return {each.name: each.base_path for each in config.model_config_list.config}

    def write(folder):
        (folder / "assets.extra").mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(b"")

    for name in ("one", "two", "one"):
        write_version(name, tmp_path, {}, write)
    assert names() == {"one": "/models/one", "two": "/models/two"}
    config = (tmp_path / "models.config").read_text("utf-8")
    mine = config.replace('"tensorflow"', '"tensorflow" model_version_policy { all {} }  # both', 1)
    (tmp_path / "models.config").write_text(mine)
    for name in ("two", "three"):
        write_version(name, tmp_path, {}, write)
    assert list(names()) == ["one", "two", "three"]
    assert mine.rstrip()[:-1] in (tmp_path / "models.config").read_text("utf-8")


def test_versions_and_labels_of_the_docs_are_a_model_config():
    (lines,) = re.findall(r"```\n(model_version_policy.*?)```", DOCS, re.DOTALL)
    config = text_format.Parse(lines, model_server_config_pb2.ModelConfig())
    assert list(config.model_version_policy.specific.versions) == [1, 2]
    assert dict(config.version_labels) == {"stable": 1, "canary": 2}


# === What is answered ===


@pytest.fixture(scope="module")
def address(bundles):
    """Of a gRPC server on the small bundles."""
    with Stub(bundles) as stub:
        yield stub.grpc.removeprefix("grpc://")


def predict(address, name, signature="", /, **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(value if isinstance(value, TensorProto) else tf.make_tensor_proto(value))
    with grpc.insecure_channel(address) as channel:
        return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, 60.0).outputs


def photo(height, width, seed=0):
    small = np.random.default_rng(seed).uniform(0, 255, (5, 7, 3)).astype(np.float32)
    return cv2.resize(small, (width, height)).astype(np.uint8)


def hole(height, width):
    mask = np.zeros((height, width), np.uint8)
    mask[height // 3 : height // 2, width // 3 : width // 2] = 255
    return mask


def files(*pictures):
    return [images.encode(picture, ".png") for picture in pictures]


def test_a_mixed_batch_an_empty_one_and_a_damaged_item_in_turn(address, bundles):
    sizes = [(47, 61), (64, 80)]
    batch = {
        "image_bytes": files(*(photo(*size) for size in sizes)),
        "mask_bytes": files(*(hole(*size) for size in sizes)),
        "seed": np.zeros(2, np.int32),
    }
    editor = vaekit.load(str(bundles / "inpaint"))
    expected = [editor(photo(*size), hole(*size) > 0) for size in sizes]

    def check():
        answers = tf.make_ndarray(predict(address, "inpaint", **batch)["image_bytes"])
        for answer, pixels in zip(answers, expected, strict=True):
            assert np.abs(images.decode(answer).pixels.astype(int) - pixels).max() <= 2

    check()
    nothing = tf.make_tensor_proto([], tf.string, [0])
    empty = predict(
        address, "inpaint", image_bytes=nothing, mask_bytes=nothing, seed=tf.make_tensor_proto([], tf.int32, [0])
    )
    assert list_shape(empty["image_bytes"]) == [0]
    with pytest.raises(grpc.RpcError) as error:
        predict(address, "inpaint", **(batch | {"image_bytes": [batch["image_bytes"][0], b"damaged"]}))
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    check()


def turned(kind, orientation, order):
    """A photo with an EXIF orientation, and another tag before it."""
    exif = Image.Exif()
    exif.endian = order
    exif[0x010F], exif[0x0112] = "maker", orientation
    file = io.BytesIO()
    Image.fromarray(photo(48, 64)).save(file, kind, exif=exif)
    return file.getvalue()


def saved(mode, **options):
    file = io.BytesIO()
    Image.fromarray(photo(48, 64)).convert(mode).save(file, "png", **options)
    return file.getvalue()


OTHERS = {
    "alpha": (saved("RGBA"), "transparency"),
    "grey and alpha": (saved("LA"), "transparency"),
    "a palette and alpha": (saved("P", transparency=3), "transparency"),
    "one transparent colour": (saved("RGB", transparency=(0, 0, 0)), "transparency"),
    "16 bits": (images.encode(photo(48, 64).astype(np.uint16) * 257, ".png"), "16 bits a channel"),
    "16 bits of grey": (images.encode(photo(48, 64)[..., 0].astype(np.uint16) * 257, ".png"), "16 bits a channel"),
    "a turned JPEG": (turned("jpeg", 6, "<"), "an EXIF orientation"),
    "a mirrored JPEG": (turned("jpeg", 2, ">"), "an EXIF orientation"),
    "a turned PNG": (turned("png", 8, "<"), "an EXIF orientation"),
}
ALIKE = {
    "a JPEG": turned("jpeg", 1, "<"),
    "a JPEG of the other order": turned("jpeg", 1, ">"),
    "a PNG": turned("png", 1, "<"),
    "grey": saved("L"),
    "a palette": saved("P"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_file_that_would_be_read_as_another_picture_is_refused(address, what):
    data, why = OTHERS[what]
    with pytest.raises(grpc.RpcError, match=f"a file with {why} is for `vaekit serve`") as error:
        predict(address, "damage", image_bytes=[data], threshold=np.float32([0.5]))
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("app", APPS)
def test_every_app_refuses_it(address, bundles, app):
    path = find(str(bundles / app)).path / "assets.extra/tf_serving_warmup_requests"
    (record,) = tf.data.TFRecordDataset(str(path))
    inputs = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request.inputs
    for name in (name for name in inputs if name.endswith("_bytes")):
        with pytest.raises(grpc.RpcError, match="transparency"):
            predict(address, app, **{**inputs, name: [saved("RGBA")]})


@pytest.mark.parametrize("what", ALIKE)
def test_a_file_that_both_read_alike_is_answered_alike(address, bundles, what):
    outputs = predict(address, "damage", image_bytes=[ALIKE[what]], threshold=np.float32([0.5]))
    (answer,) = tf.make_ndarray(outputs["image_bytes"])
    mask = vaekit.load(str(bundles / "damage"))(images.decode(ALIKE[what]).pixels, 0.5)
    assert ((images.decode(answer).pixels[..., 0] > 127) != mask).mean() < 0.02


@pytest.mark.parametrize("app", APPS)
def test_warm_up_requests_are_replayed(address, bundles, app):
    path = find(str(bundles / app)).path / "assets.extra/tf_serving_warmup_requests"
    (record,) = tf.data.TFRecordDataset(str(path))
    request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
    outputs = predict(address, app, request.model_spec.signature_name, **request.inputs)
    (answer,) = tf.make_ndarray(outputs["image_bytes"])
    assert images.decode(answer).pixels.ndim == 3


@pytest.mark.parametrize("which", ["vaekit serve", "TensorFlow Serving"])
def test_curl_of_the_docs_repairs_the_example_photo(bundles, server, tmp_path, which):
    (commands,) = re.findall(r"```bash\n(.*?)```", DOCS, re.DOTALL)
    (tmp_path / "apps").symlink_to(ROOT / "apps")
    with Stub(bundles) as stub:
        commands = commands.replace("http://localhost:8501", server if which == "vaekit serve" else stub.rest)
        run = subprocess.run(
            ["bash", "-o", "pipefail", "-c", commands], cwd=tmp_path, check=False, capture_output=True, text=True
        )
    assert (run.returncode, run.stderr) == (0, "")
    repaired = images.read(tmp_path / "repaired.png").pixels
    given = images.read(ROOT / "apps/inpaint/example/photo.jpg").pixels
    mask = images.read_mask(ROOT / "apps/inpaint/example/mask.png")
    np.testing.assert_array_equal(repaired[~mask], given[~mask])
    assert (repaired[mask] != given[mask]).any()


@pytest.mark.parametrize("size", [(37, 53), (101, 71)])
@pytest.mark.parametrize("app", ["inpaint", "superres", "damage"])
def test_pictures_of_odd_sizes_are_answered_as_the_editor_does(address, bundles, app, size):
    pixels, editor = photo(*size), vaekit.load(str(bundles / app))
    given = {"image_bytes": files(pixels)}
    if app == "inpaint":
        given |= {"mask_bytes": files(hole(*size)), "seed": np.zeros(1, np.int32)}
        expected = editor(pixels, hole(*size) > 0, fill="network")
    elif app == "superres":
        given |= {"scale": np.int32([3]), "detail": np.float32([0.5]), "seed": np.zeros(1, np.int32)}
        expected = editor(pixels, 3, detail=0.5)
    else:
        given |= {"threshold": np.float32([0.5])}
        expected = np.repeat(255 * editor(pixels, 0.5).astype(np.uint8)[..., None], 3, axis=-1)
    (answer,) = tf.make_ndarray(predict(address, app, **given)["image_bytes"])
    far = np.abs(images.decode(answer).pixels.astype(int) - expected)
    assert far.max() <= 2 or (app == "damage" and (far > 0).mean() < 0.001)  # a probability of just the threshold


@pytest.mark.parametrize("kind", ["urllib", "grpc"])
def test_the_clients_of_the_docs_repair_a_photo(address, server, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    images.write("photo.png", photo(64, 80))
    images.write("mask.png", hole(64, 80))
    (client,) = (code for code in re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL) if kind in code)
    client = client.replace("http://localhost:8501", server).replace("localhost:8500", address)
    exec(compile(client, "docs/serving.md", "exec"), {})
    repaired, mask = images.read("repaired.png").pixels, hole(64, 80) > 0
    np.testing.assert_array_equal(repaired[~mask], photo(64, 80)[~mask])
    assert np.any(repaired[mask] != photo(64, 80)[mask])
