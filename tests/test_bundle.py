"""What a bundle holds, as TensorFlow Serving and ONNX Runtime see it."""

import json
import os
import shutil
import subprocess
import sys

import cv2
import keras
import numpy as np
import onnxruntime
import pytest

from vaekit import apps, images
from vaekit.apps.inpaint.editor import Editor
from vaekit.bundle import CARD, GRAPHS, ONNX, WEIGHTS, BundleError, digest, find
from vaekit.errors import UserError
from vaekit.runtime import open_network
from vaekit.saved_model import check_ops

if keras.backend.backend() != "tensorflow":
    pytest.skip("reads SavedModels", allow_module_level=True)

import onnx
import tensorflow as tf

from vaekit import presets
from vaekit.export import any_size, export_anew, facts


@pytest.fixture(scope="module")
def bundle(bundles):
    return find(str(bundles / "inpaint"))


@pytest.fixture(scope="module")
def loaded(bundle):
    return tf.saved_model.load(str(bundle.path))


def encoded(height, width, seed=0):
    rng = np.random.default_rng(seed)
    picture = cv2.resize(rng.uniform(0, 255, (5, 6, 3)), (width, height)).astype(np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[height // 3 : height // 2, width // 4 : width // 2] = 255
    return picture, mask > 0, images.encode(picture, ".png"), images.encode(mask, ".png")


def served(loaded, pictures, masks, seeds):
    arguments = {
        "image_bytes": tf.constant(pictures, tf.string),
        "mask_bytes": tf.constant(masks, tf.string),
        "seed": tf.constant(seeds, tf.int32),
    }
    return loaded.signatures["serving_default"](**arguments)["image_bytes"].numpy()


def test_signatures_have_the_names_of_the_contract(loaded):
    inputs = {name: set(loaded.signatures[name].structured_input_signature[1]) for name in loaded.signatures}
    assert inputs == {
        "serving_default": {"image_bytes", "mask_bytes", "seed"},
        "tensor": {"image", "mask", "hint", "z"},
    }
    outputs = {name: set(loaded.signatures[name].structured_outputs) for name in loaded.signatures}
    assert outputs == {"serving_default": {"image_bytes"}, "tensor": {"image"}}


def test_files_of_different_sizes_are_served_in_one_batch(loaded):
    examples = [encoded(90, 140), encoded(200, 170, 1)]
    answers = served(loaded, [e[2] for e in examples], [e[3] for e in examples], [0, 0])
    for (picture, mask, _, _), answer in zip(examples, answers, strict=True):
        repaired = images.decode(answer).pixels
        np.testing.assert_array_equal(repaired[~mask], picture[~mask])
        assert np.any(repaired[mask] != picture[mask])


def test_serving_answers_as_the_editor_does(loaded, bundle):
    picture, mask, *files = encoded(64, 80)
    (answer,) = served(loaded, *([file] for file in files), [0])
    ours = Editor(str(bundle.path))(picture, mask)
    assert np.abs(images.decode(answer).pixels.astype(int) - ours).max() <= 2


def test_a_seed_decides_the_answer(loaded):
    files = [[file] * 4 for file in encoded(60, 60)[2:]]
    first, again, other, faithful = served(loaded, *files, [7, 7, 8, 0])
    assert first == again
    assert len({first, other, faithful}) == 3


def test_an_empty_batch_is_answered_by_an_empty_one(loaded):
    assert served(loaded, [], [], []).shape == (0,)
    tensor = loaded.signatures["tensor"]
    shapes = {"image": (0, 32, 32, 3), "mask": (0, 32, 32, 1), "hint": (0, 32, 32, 4), "z": (0, 4)}
    assert tensor(**{name: tf.zeros(shape) for name, shape in shapes.items()})["image"].shape == (0, 32, 32, 3)


def test_a_bad_item_does_not_pass_silently(loaded):
    _, _, picture, mask = encoded(60, 60)
    _, _, _, other_mask = encoded(60, 61)
    for bad in (b"not an image", b"", picture[:60]):
        with pytest.raises(tf.errors.InvalidArgumentError):
            served(loaded, [picture, bad], [mask, mask], [0, 0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="mask and image differ in size"):
        served(loaded, [picture], [other_mask], [0])


def test_the_warm_up_request_is_one_that_the_signature_takes(bundle, loaded):
    from tensorflow_serving.apis import prediction_log_pb2

    (record,) = tf.data.TFRecordDataset(str(bundle.path / "assets.extra/tf_serving_warmup_requests"))
    request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
    assert (request.model_spec.name, request.model_spec.signature_name) == ("inpaint", "serving_default")
    inputs = {name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()}
    (answer,) = loaded.signatures["serving_default"](**inputs)["image_bytes"].numpy()
    assert images.decode(answer).pixels.shape == (192, 192, 3)


def test_both_runtimes_answer_alike(bundle):
    rng = np.random.default_rng(0)
    inputs = {
        "image": rng.uniform(size=(3, 48, 32, 3)),
        "mask": (rng.uniform(size=(3, 48, 32, 1)) > 0.6),
        "hint": rng.uniform(size=(3, 48, 32, 4)).round(),
        "z": rng.normal(size=(3, 4)),
    }
    inputs = {name: value.astype(np.float32) for name, value in inputs.items()}
    onnx, tensorflow = (open_network(bundle, runtime)(**inputs) for runtime in ("onnx", "tensorflow"))
    assert np.abs(onnx - tensorflow).max() < 2 / 255
    known = np.broadcast_to(inputs["mask"] == 0, onnx.shape)
    np.testing.assert_allclose(onnx[known], inputs["image"][known], atol=1e-6)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux lets a process be kept to some cores")
def test_the_network_keeps_to_the_cores_that_the_process_may_use(bundle):
    one = min(os.sched_getaffinity(0))
    code = f"""
import os
os.sched_setaffinity(0, {{{one}}})
from vaekit.apps.inpaint.editor import Editor
Editor({str(bundle.path)!r})
threads = [int(name) for name in os.listdir("/proc/self/task")]
assert all(os.sched_getaffinity(thread) == {{{one}}} for thread in threads), threads
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_card_lists_every_file_but_itself(bundle):
    files = {p.relative_to(bundle.path).as_posix() for p in bundle.path.rglob("*") if p.is_file()}
    assert set(bundle.card["sha256"]) == files - {"assets.extra/card.json"}
    bundle.check()


def test_bundles_are_found_by_name_path_and_version(bundles, bundle, monkeypatch):
    monkeypatch.setenv("VAEKIT_MODELS", str(bundles))
    assert find("inpaint").path == bundle.path
    assert find("inpaint", 1).path == bundle.path
    assert find(str(bundle.path)).path == bundle.path
    with pytest.raises(BundleError, match="no bundle inpaint version 7"):
        find("inpaint", 7)


@pytest.mark.parametrize("card", ["", "[]", "{}", '{"sha256": 3}', "{"])
def test_a_card_that_is_none_is_told(tmp_path, card):
    extra = tmp_path / "mine" / "1" / "assets.extra"
    extra.mkdir(parents=True)
    (extra / "card.json").write_text(card)
    with pytest.raises(BundleError, match=r"card\.json"):
        find(str(tmp_path / "mine"))


def test_what_every_app_exports_is_made_of_ops_that_only_compute(bundles):
    for name in ("inpaint", "superres", "edit", "frontalize"):
        exported = find(str(bundles / name))
        assert not exported.shipped
        check_ops(exported.path)


def saved(folder, function, *, module=None):
    """A bundle of a TensorFlow module with one signature, its checksums all right."""
    module = module or tf.Module()
    spec = tf.TensorSpec((None,), tf.float32)
    signature = tf.function(function, input_signature=[spec], autograph=False).get_concrete_function()
    tf.saved_model.save(module, str(folder), signatures={"tensor": signature})
    (folder / "fingerprint.pb").unlink()
    shutil.rmtree(folder / "assets")
    (folder / ONNX).parent.mkdir()
    (folder / ONNX).write_bytes(b"")
    sums = {p.relative_to(folder).as_posix(): digest(p) for p in folder.rglob("*") if p.is_file()}
    (folder / CARD).write_text(json.dumps({"sha256": sums}))
    return find(str(folder))


def test_a_foreign_saved_model_that_writes_files_is_not_run(tmp_path):
    target = str(tmp_path / "written")

    def writes(image):
        with tf.control_dependencies([tf.io.write_file(target, "x")]):
            return {"image": tf.identity(image)}

    def hidden(image):
        return {"image": tf.cond(image[0] > 0, lambda: writes(image)["image"], lambda: image)}

    def reads(image):
        return {"image": image + tf.cast(tf.strings.length(tf.io.read_file(target)), tf.float32)}

    for number, function in enumerate((writes, hidden, reads)):
        bundle = saved(tmp_path / "bundle" / str(number), function)
        with pytest.raises(BundleError, match=r"holds the op (WriteFile|ReadFile), which can do more than compute"):
            open_network(bundle, "tensorflow")
    plain = saved(tmp_path / "bundle" / "9", lambda image: {"image": image * 2.0})
    assert open_network(plain, "tensorflow")(image=np.ones(3, np.float32)).tolist() == [2.0, 2.0, 2.0]
    (plain.path / "saved_model.pbtxt").write_text("")
    with pytest.raises(BundleError, match=r"saved_model\.pbtxt: not listed"):
        open_network(plain, "tensorflow")
    with pytest.raises(BundleError, match=r"only saved_model\.pb is loaded"):
        check_ops(plain.path)
    (plain.path / "saved_model.pbtxt").unlink()
    (plain.path / "saved_model.pb").write_bytes(b"\xff" * 9)
    with pytest.raises(BundleError, match=r"saved_model\.pb: cannot be read"):
        check_ops(plain.path)


def test_weights_in_other_files_are_refused(tmp_path):
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.ones((2000,), np.float32), "w")
    node = helper.make_node("Add", ["image", "w"], ["tensor"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2000]) for name in ("image", "tensor")]
    model = helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:], [weight]))
    model.ir_version = 8
    path = tmp_path / "mine" / "1" / ONNX
    path.parent.mkdir(parents=True)
    for external in (False, True):
        path.unlink(missing_ok=True)
        onnx.save_model(model, path, save_as_external_data=external, location="weights.bin", size_threshold=0)
        (path.parents[1] / CARD).write_text(json.dumps({"sha256": {ONNX: digest(path)}}))
        if not external:
            assert open_network(find(str(tmp_path / "mine"))).inputs == {"tensor": {"image": (2000,)}}
    with pytest.raises(BundleError, match=r"model\.onnx: keeps weights in other files"):
        open_network(find(str(tmp_path / "mine")))


def test_graphs_read_no_file_but_the_weights_beside_them(bundles, tmp_path):
    shutil.copytree(bundles / "damage", tmp_path / "damage")
    found = find(str(tmp_path / "damage"))
    path = found.path / GRAPHS / "tensor.onnx"
    model = onnx.load(path, load_external_data=False)
    (tmp_path / "elsewhere.bin").write_bytes((found.path / WEIGHTS).read_bytes())
    for location in (str(tmp_path / "elsewhere.bin"), "../../../../elsewhere.bin"):
        for weight in model.graph.initializer:
            for entry in weight.external_data:
                if entry.key == "location":
                    entry.value = location
        path.write_bytes(model.SerializeToString())
        card = found.card | {"sha256": found.card["sha256"] | {f"{GRAPHS}/tensor.onnx": digest(path)}}
        (found.path / CARD).write_text(json.dumps(card))
        with pytest.raises(BundleError, match=r"tensor\.onnx: .*elsewhere\.bin"):
            open_network(find(str(tmp_path / "damage")))


FIXED = ("edit", "frontalize")
"""What these take are faces of one size; the others take pictures of any."""


@pytest.mark.parametrize("app", apps.names("testing"))
def test_onnx_runtime_alone_runs_a_graph_of_each_signature(bundles, app):
    found = find(str(bundles / app))
    there = tf.saved_model.load(str(found.path)).signatures
    graphs = {path.stem: path for path in (found.path / GRAPHS).glob("*.onnx")}
    assert graphs.keys() == there.keys() - {"serving_default"} == found.graphs.keys()
    rng = np.random.default_rng(0)
    for name, path in graphs.items():
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        shapes = {value.name: value.shape for value in session.get_inputs()}
        assert shapes.keys() == there[name].structured_input_signature[1].keys()
        assert {shape[0] for shape in shapes.values()} == {"batch"}
        if app not in FIXED:
            assert {tuple(shape[1:3]) for shape in shapes.values() if len(shape) == 4} == {("height", "width")}
        (output,) = session.get_outputs()
        assert (output.name, output.shape[0]) == (name, "batch")
        sides = {"batch": 2, "height": 23, "width": 37}
        given = {key: rng.uniform(size=[sides.get(s, s) for s in shape]).astype("f4") for key, shape in shapes.items()}
        (here,) = session.run(None, given)
        answer = there[name](**{key: tf.constant(value) for key, value in given.items()})["image"].numpy()
        assert here.shape == answer.shape
        np.testing.assert_allclose(here, answer, atol=2e-3)


def test_graphs_share_their_weights(bundles):
    folder = find(str(bundles / "superres")).path / GRAPHS
    whole = [len(onnx.load(path).SerializeToString()) for path in folder.glob("tensor*.onnx")]
    assert len(whole) == 4
    assert sum(path.stat().st_size for path in folder.iterdir()) < 0.75 * sum(whole)


def test_a_bundle_is_exported_anew_from_its_own_weights(tmp_path, vaekit_here):
    pixels = (255 * np.random.default_rng(0).uniform(size=(70, 90, 3))).astype(np.uint8)
    for number in (1, 2):  # of a bundle as it ships, and of one that this version has written
        source = "damage" if number == 1 else tmp_path / "out/mine"
        done = vaekit_here("export", source, "mine", "--out", "out")
        assert (done.returncode, done.stdout) == (0, f"out/mine/{number}\n"), done.stderr
    shipped, *written = (find(name) for name in ("damage", *(str(tmp_path / f"out/mine/{n}") for n in (1, 2))))
    wanted = open_network(shipped)(image=pixels[None, :64, :80] / np.float32(255))
    for version, bundle in enumerate(written, 1):
        bundle.check()
        assert (bundle.name, bundle.version) == ("mine", version)
        assert facts(bundle.card) == facts(shipped.card)
        np.testing.assert_allclose(
            open_network(bundle)(image=pixels[None, :64, :80] / np.float32(255)), wanted, atol=1e-5
        )
    done = vaekit_here("export", "nothing", "mine")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_a_bundle_whose_network_is_another_today_is_not_written(tmp_path):
    bundle = find("damage")
    model = presets.load("damage")
    kernel = model.segmenter.weights[0]
    kernel.assign(kernel + 0.1)  # stands for a layer that does something else
    made = apps.exportable("damage")(model, facts(bundle.card))
    with pytest.raises(UserError, match=r"its network is another one today: tensor answers 0\.\d+ away; train it anew"):
        export_anew(bundle, made, "mine", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_picture_of_any_size_is_mirrored_at_the_rim():
    seen = []

    def network(picture):
        seen.append(picture.numpy())
        return tf.repeat(tf.repeat(picture, 2, axis=1), 2, axis=2)

    picture = np.random.default_rng(0).uniform(size=(2, 5, 11, 3)).astype("f4")
    for rows, below in ((5, 3), (2, 6)):
        part = picture[:, :rows]
        answer = any_size(network, [tf.constant(part)], 8, 2)
        assert answer.shape == (2, 2 * rows, 22, 3)
        np.testing.assert_array_equal(seen.pop(), np.pad(part, ((0, 0), (0, below), (0, 5), (0, 0)), mode="symmetric"))


def test_the_card_is_json_without_a_path_of_the_machine_that_made_it(bundle):
    text = (bundle.path / "assets.extra" / "card.json").read_text("utf-8")
    assert json.loads(text)["title"] == "for tests"
    assert str(bundle.path.parent.parent) not in text
