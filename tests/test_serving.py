"""`vaekit serve`: TensorFlow Serving's REST contract, and what a client cannot do to it."""

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit
from urllib.request import urlopen

import cv2
import numpy as np
import pytest

import vaekit as package
from vaekit import images
from vaekit.serving import contract
from vaekit.serving.batching import Batching
from vaekit.serving.contract import RequestError, Signature, Spec

# === The contract ===
pytestmark = pytest.mark.xdist_group("serving")  # one server

SIGNATURES = {
    "serving_default": Signature({"image_bytes": Spec("DT_STRING"), "seed": Spec("DT_INT32")}, {}),
    "tensor": Signature({"image": Spec("DT_FLOAT", (-1, -1, 2))}, {}),
}


def parsed(**body):
    return contract.parse(json.dumps(body).encode(), SIGNATURES)


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


def test_rows_and_columns_say_the_same():
    rows = parsed(instances=[{"image_bytes": b64(b"one"), "seed": 3}, {"seed": 4, "image_bytes": "two"}])
    columns = parsed(inputs={"image_bytes": [b64(b"one"), "two"], "seed": [3, 4]}, signature_name="serving_default")
    for found, as_rows in ((rows, True), (columns, False)):
        assert (found.signature, found.count, found.rows) == ("serving_default", 2, as_rows)
        assert found.columns["image_bytes"] == [b"one", b"two"]
        np.testing.assert_array_equal(found.columns["seed"], np.array([3, 4], np.int32))


def test_a_lone_input_needs_no_name():
    picture = [[[0, 0.5]], [[1, 2]]]
    for body in (
        {"instances": [picture]},
        {"inputs": [picture]},
        {"instances": [{"image": picture}]},
        {"inputs": {"image": [picture]}},
    ):
        with pytest.raises(RequestError, match=r"shape \[1, 2, 1, 2\], expected \[-1, -1, 2\]"):
            parsed(signature_name="tensor", **body)
    found = parsed(signature_name="tensor", instances=picture).columns["image"]
    np.testing.assert_array_equal(found, np.array(picture, np.float32))
    assert found.dtype == np.float32


def test_an_empty_batch_is_one():
    assert parsed(instances=[]).count == 0
    assert parsed(inputs={"image_bytes": [], "seed": []}).count == 0
    assert parsed(signature_name="tensor", inputs=[]).columns["image"].shape == (0, 0, 2)


GOOD = {"image_bytes": b64(b"x"), "seed": 0}


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "JSON Parse error"),
        (b"[" * 100_000, "JSON Parse error"),
        (b"\xff\xfe", "JSON Parse error"),
        (b"[]", "no JSON object"),
        (b"{}", "exactly one of"),
        ({"instances": [GOOD], "inputs": {}}, "exactly one of"),
        ({"instances": [GOOD], "more": 1}, "unexpected keys: more"),
        ({"instances": GOOD}, "not a list"),
        ({"instances": [3]}, "expected an object with image_bytes, seed"),
        ({"instances": [GOOD, {"seed": 0}]}, r"instances\[1\] has seed, expected image_bytes, seed"),
        ({"instances": [GOOD], "signature_name": "other"}, 'signature name: "other" not found'),
        ({"instances": [GOOD], "signature_name": ["tensor"]}, "not found"),
        ({"inputs": {"image_bytes": [], "seed": [1]}}, "differ in their first dimension: 0, 1"),
        ({"inputs": {"image_bytes": ["x"], "seed": 1}}, "seed is not a list"),
        ({"inputs": {"image_bytes": ["x"]}}, "inputs are image_bytes, expected image_bytes, seed"),
        ({"instances": [GOOD | {"seed": 0.5}]}, "seed is not of type DT_INT32"),
        ({"instances": [GOOD | {"seed": True}]}, "seed is not of type DT_INT32"),
        ({"instances": [GOOD | {"seed": "1"}]}, "seed is not of type DT_INT32"),
        ({"instances": [GOOD | {"seed": None}]}, "seed is not of type DT_INT32"),
        ({"instances": [GOOD | {"seed": 2**31}]}, "seed is out of range"),
        ({"instances": [GOOD | {"seed": 10**30}]}, "seed is not of type DT_INT32"),
        ({"instances": [GOOD | {"seed": [0]}]}, r"seed is of shape \[1, 1\]"),
        ({"instances": [GOOD | {"image_bytes": 3}]}, r"image_bytes\[0\] is neither"),
        ({"instances": [GOOD, GOOD | {"image_bytes": {"b64": "a*"}}]}, r"image_bytes\[1\] is not base64"),
        ({"instances": [GOOD | {"image_bytes": {"b64": 3}}]}, r"image_bytes\[0\] is neither"),
        ({"signature_name": "tensor", "inputs": [[[1, 2]], [[1]]]}, "image is ragged"),
        ({"signature_name": "tensor", "inputs": [[["a", "b"]]]}, "image is not of type DT_FLOAT"),
    ],
)
def test_what_is_wrong_is_told(body, word):
    with pytest.raises(RequestError, match=word) as error:
        contract.parse(body if isinstance(body, bytes) else json.dumps(body).encode(), SIGNATURES)
    assert error.value.status == 400


def test_answers_are_rows_or_columns():
    assert json.loads(contract.render([b"png"], rows=True)) == {"predictions": [b64(b"png")]}
    assert json.loads(contract.render(np.array([[1.5]]), rows=False)) == {"outputs": [[1.5]]}


# === Micro-batching ===


class Doubling:
    """A network that doubles, and counts its calls; the first waits until it is told to go on."""

    def __init__(self):
        self.inputs = {"tensor": {"image": (None,)}}
        self.sizes, self.go = [], threading.Event()

    def __call__(self, signature="tensor", /, **inputs):
        self.sizes.append(len(inputs["image"]))
        assert self.go.wait(10)
        if (inputs["image"] < 0).any():
            raise ValueError("negative")
        return 2 * inputs["image"]


def test_calls_that_wait_are_answered_by_one():
    network = Doubling()
    joined = Batching(network, 1)
    with ThreadPoolExecutor(12) as pool:
        calls = [pool.submit(joined, image=np.full((1, 3), float(number))) for number in range(12)]
        while len(network.sizes) < 1 or sum(map(len, joined._waiting.values())) < 11:
            time.sleep(0.01)
        network.go.set()
        answers = [call.result(10) for call in calls]
    for number, answer in enumerate(answers):
        np.testing.assert_array_equal(answer, np.full((1, 3), 2.0 * number))
    assert network.sizes == [1, 8, 3]
    assert not joined._waiting


def test_calls_of_other_shapes_are_not_joined_and_an_error_reaches_its_callers():
    network = Doubling()
    joined = Batching(network, 1)
    pictures = [np.ones((1, 3)), np.ones((1, 4)), np.ones((2, 3)), -np.ones((1, 3)), np.ones((1, 4))]
    with ThreadPoolExecutor(5) as pool:
        calls = []
        for number, picture in enumerate(pictures):
            calls.append(pool.submit(joined, image=picture))
            while len(network.sizes) + sum(map(len, joined._waiting.values())) <= number:
                time.sleep(0.01)
        network.go.set()
        np.testing.assert_array_equal(calls[0].result(10), 2 * pictures[0])
        for number in (1, 4):
            np.testing.assert_array_equal(calls[number].result(10), 2 * pictures[number])
        for number in (2, 3):
            with pytest.raises(ValueError, match="negative"):
                calls[number].result(10)
    assert sorted(network.sizes) == [1, 2, 3]


# === The server ===


def picture(seed=0, height=60, width=80):
    small = np.random.default_rng(seed).uniform(0, 255, (5, 7, 3)).astype(np.float32)
    return cv2.resize(small, (width, height)).astype(np.uint8)


def hole(height=60, width=80):
    mask = np.zeros((height, width), np.uint8)
    mask[20:40, 30:50] = 255
    return mask


def instance(seed=0):
    return {
        "image_bytes": b64(images.encode(picture(seed), ".png")),
        "mask_bytes": b64(images.encode(hole(), ".png")),
        "seed": 0,
    }


def ask(server, path, body=None, headers=None):
    """Status and JSON of an answer."""
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=30)
    data = json.dumps(body) if isinstance(body, dict) else body
    connection.request("GET" if body is None else "POST", path, data, headers or {})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text)


def metrics(server):
    with urlopen(f"{server}/monitoring/prometheus/metrics") as answer:
        return answer.read().decode()


PREDICT = "/v1/models/inpaint:predict"


def test_a_batch_of_mixed_sizes_is_repaired_as_the_editor_does(server, bundles):
    large = {
        "image_bytes": b64(images.encode(picture(1, 150, 200), ".png")),
        "mask_bytes": b64(images.encode(hole(150, 200), ".png")),
        "seed": 3,
    }
    status, answer = ask(server, PREDICT, {"instances": [instance(), large]})
    assert status == 200
    editor = package.load(str(bundles / "inpaint"))
    expected = [editor(picture(), hole() > 0), editor(picture(1, 150, 200), hole(150, 200) > 0, seed=3)]
    for found, pixels in zip(answer["predictions"], expected, strict=True):
        repaired = images.decode(base64.b64decode(found["b64"])).pixels
        assert np.abs(repaired.astype(int) - pixels).max() <= 1


def test_columns_and_versions_are_answered_too(server):
    columns = {key: [value] for key, value in instance().items()}
    by_row = ask(server, PREDICT, {"instances": [instance()]})[1]["predictions"]
    assert ask(server, "/v1/models/inpaint/versions/1:predict", {"inputs": columns}) == (200, {"outputs": by_row})
    assert ask(server, PREDICT, {"instances": []}) == (200, {"predictions": []})


def test_the_bare_network_is_served(server, bundles):
    rng = np.random.default_rng(0)
    inputs = {
        "image": rng.uniform(size=(1, 32, 32, 3)),
        "mask": (rng.uniform(size=(1, 32, 32, 1)) > 0.5).astype(float),
        "hint": np.zeros((1, 32, 32, 4)),
        "z": np.zeros((1, 4)),
    }
    body = {"signature_name": "tensor", "inputs": {key: value.tolist() for key, value in inputs.items()}}
    status, answer = ask(server, PREDICT, body)
    assert status == 200
    network = package.load(str(bundles / "inpaint")).network
    expected = network(**{key: value.astype(np.float32) for key, value in inputs.items()})
    np.testing.assert_allclose(np.array(answer["outputs"]), expected, atol=1e-5)


def test_every_app_is_served(server):
    image = b64(images.encode(picture(0, 64, 64), ".png"))
    enlarge = {"image_bytes": image, "scale": 2, "detail": 0.5, "seed": 0}
    status, answer = ask(server, "/v1/models/superres:predict", {"instances": [enlarge]})
    assert images.decode(base64.b64decode(answer["predictions"][0]["b64"])).pixels.shape == (128, 128, 3)
    status, answer = ask(
        server, "/v1/models/edit:predict", {"instances": [{"image_bytes": image, "change": [1, 0, -0.5]}]}
    )
    assert status == 200
    edited = images.decode(base64.b64decode(answer["predictions"][0]["b64"])).pixels
    assert edited.shape == (64, 64, 3)
    assert np.any(edited != picture(0, 64, 64))


def test_status_metadata_health_and_metrics(server):
    status = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert ask(server, "/v1/models/inpaint") == (200, {"model_version_status": [status]})
    assert ask(server, "/v1/models/inpaint/versions/1") == (200, {"model_version_status": [status]})
    code, found = ask(server, "/v1/models/inpaint/metadata")
    assert (code, found) == ask(server, "/v1/models/inpaint/versions/1/metadata")
    assert found["model_spec"] == {"name": "inpaint", "signature_name": "", "version": "1"}
    defined = found["metadata"]["signature_def"]["signature_def"]
    assert defined["serving_default"]["inputs"]["mask_bytes"]["dtype"] == "DT_STRING"
    sizes = [side["size"] for side in defined["tensor"]["inputs"]["image"]["tensor_shape"]["dim"]]
    assert sizes == ["-1", "-1", "-1", "3"]
    assert ask(server, "/health") == (200, {"status": "ok"})
    body = {"instances": [{"image_bytes": b64(b"no picture"), "mask_bytes": b64(b"")}]}
    refused = ask(server, PREDICT, body)[0]
    assert f'vaekit_requests_total{{model="inpaint",status="{refused}"}}' in metrics(server)


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("/v1/models/other", None, 404, "Servable not found for request: other"),
        ("/v1/models/inpaint/versions/7", None, 404, "inpaint version 7"),
        ("/v1/models/..%2F..%2Fetc/metadata", None, 400, "Malformed request"),
        ("/v1/models/other:predict", {"instances": []}, 404, "other"),
        ("/v1/models/inpaint:classify", {"instances": []}, 400, "Malformed request"),
        ("/v1/models/inpaint/versions/x:predict", {"instances": []}, 400, "Malformed request"),
        ("/etc/passwd", None, 404, "Malformed request: GET /etc/passwd"),
        (PREDICT, None, 400, "Malformed request: GET"),
        (PREDICT, "{", 400, "JSON Parse error"),
        (PREDICT, {"instances": [instance() | {"mask_bytes": "no"}]}, 400, r"instances[0]: mask: not an image"),
        (PREDICT, {"instances": [instance(), instance() | {"image_bytes": ""}]}, 400, "instances[1]: image: empty"),
        (PREDICT, {"inputs": {k: [v] for k, v in (instance() | {"image_bytes": "x"}).items()}}, 400, "item 0: image"),
        (PREDICT, b"x" * 3_000_001, 413, "longer than 3000000 bytes"),
        ("/v1/models/superres:predict", {"instances": [{}]}, 400, "has nothing, expected"),
    ],
)
def test_bad_requests_are_told_and_good_ones_answered_after_them(server, path, body, status, word):
    found, answer = ask(server, path, body)
    assert (found, answer.keys()) == (status, {"error"})
    assert word in answer["error"]
    assert ask(server, "/health")[0] == 200


def test_values_out_of_range_are_told(server):
    image = b64(images.encode(picture(), ".png"))
    enlarge = {"image_bytes": image, "scale": 2, "detail": 0.5, "seed": 0}
    for changed, word in (({"scale": 5}, "scale"), ({"detail": 1.5}, "detail"), ({"detail": float("nan")}, "detail")):
        status, answer = ask(server, "/v1/models/superres:predict", {"instances": [enlarge | changed]})
        assert status == 400
        assert word in answer["error"]
    status, answer = ask(
        server, "/v1/models/edit:predict", {"instances": [{"image_bytes": image, "change": [3, 0, 0]}]}
    )
    assert (status, answer["error"]) == (400, "instances[0]: smiling: 3 is not from -2 to 2")
    other = b64(images.encode(hole(61, 80), ".png"))
    status, answer = ask(server, PREDICT, {"instances": [instance() | {"mask_bytes": other}]})
    assert (status, answer["error"]) == (400, "instances[0]: mask and image differ in size")


def bomb():
    """A PNG of 30,000 x 30,000 pixels in a few bytes, of which only the size is true."""

    def chunk(kind, data):
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    header = (30_000).to_bytes(4) * 2 + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_pictures_are_refused_by_their_size_before_they_are_decoded(server):
    status, answer = ask(server, PREDICT, {"instances": [instance() | {"image_bytes": b64(bomb())}]})
    assert (status, answer["error"]) == (
        400,
        "instances[0]: image: 30000x30000 is more than the limit of 1000000 pixels",
    )
    enlarge = {"image_bytes": b64(images.encode(picture(0, 300, 300), ".png")), "scale": 4, "detail": 0, "seed": 0}
    status, answer = ask(server, "/v1/models/superres:predict", {"instances": [enlarge]})
    assert status == 400
    assert "more than the limit of 62500 pixels" in answer["error"]


def test_slow_clients_are_cut_off_and_nobody_waits_for_them(server):
    address = urlsplit(server)
    slow = [socket.create_connection((address.hostname, address.port)) for _ in range(20)]
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
    for number, client in enumerate(slow):
        client.settimeout(10)
        client.sendall((head[:30], head, head + "\r\n{")[number % 3].encode())
    assert ask(server, PREDICT, {"instances": [instance()]})[0] == 200
    answers = [client.recv(1000).split(b"\r\n")[0] for client in slow]
    assert {answer for number, answer in enumerate(answers) if number % 3 < 2} == {b""}
    assert {answer for number, answer in enumerate(answers) if number % 3 == 2} == {b"HTTP/1.1 408 Request Timeout"}
    for client in slow:
        client.close()


def test_a_full_queue_turns_away_and_goes_on(server):
    large = {"image_bytes": b64(images.encode(picture(0, 240, 250), ".png")), "scale": 4, "detail": 1, "seed": 0}
    body = {"instances": [large] * 2}
    with ThreadPoolExecutor(40) as pool:
        found = [pool.submit(ask, server, "/v1/models/superres:predict", body) for _ in range(40)]
        answers = [each.result() for each in found]
    statuses = [status for status, _ in answers]
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= 8
    assert {answer["error"] for status, answer in answers if status == 503} == {"the queue is full: try again"}
    assert ask(server, PREDICT, {"instances": [instance()]})[0] == 200


def start(bundles, *arguments):
    command = [sys.executable, "-m", "vaekit", "serve", "--models", str(bundles), "--port", "0", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_what_was_begun_is_finished_when_it_is_told_to_stop(bundles, told):
    process = start(bundles, "superres", "--jobs", "1")
    address = process.stdout.readline().split()[-1]
    large = {"image_bytes": b64(images.encode(picture(0, 500, 500), ".png")), "scale": 4, "detail": 1, "seed": 0}
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(ask, address, "/v1/models/superres:predict", {"instances": [large]})
        while "pending_requests 1.0" not in metrics(address):
            assert not begun.done()
        process.send_signal(told)
        assert begun.result()[0] == 200
    out, error = process.communicate(timeout=30)
    assert (out, error, process.returncode) == ("", "", 0)


def test_no_answer_in_time_is_told(bundles):
    process = start(bundles, "superres", "--jobs", "1", "--timeout", "0.1")
    address = process.stdout.readline().split()[-1]
    large = {"image_bytes": b64(images.encode(picture(0, 500, 500), ".png")), "scale": 4, "detail": 1, "seed": 0}
    answer = ask(address, "/v1/models/superres:predict", {"instances": [large]})
    assert answer == (504, {"error": "no answer within 0.1 s"})
    process.kill()
    process.communicate()


def test_it_imports_no_tensorflow_and_says_what_is_wrong(bundles, vaekit):
    code = (
        "import sys; from vaekit.serving import command, models, server\n"
        "heavy = {'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    done = vaekit("serve", "none")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = vaekit("serve", "inpaint", "--port", taken.getsockname()[1])
        assert done.returncode == 2
        assert "in use" in done.stderr
