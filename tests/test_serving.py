"""`vaekit serve`: TensorFlow Serving's REST contract, and what a client cannot do to it."""

import base64
import contextlib
import gzip
import http.client
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
import uvicorn
from PIL import ImageCms

import vaekit as package
from vaekit import faces, images, texture
from vaekit.runtime import WorkCancelledError, cancellation, check_cancelled
from vaekit.serving import contract, receiving
from vaekit.serving.batching import Batching
from vaekit.serving.contract import RequestError, Signature, Spec
from vaekit.serving.protocol import impatient
from vaekit.serving.receiving import Limits
from vaekit.serving.security import Access
from vaekit.serving.server import LONG, ModelServer, create_app

pytestmark = pytest.mark.xdist_group("serving")  # one server

# === The contract ===

SIGNATURES = {
    "serving_default": Signature(
        {"image_bytes": Spec("DT_STRING"), "seed": Spec("DT_INT32", low=0), "turn": Spec("DT_FLOAT", low=0, high=1)}, {}
    ),
    "tensor": Signature({"image": Spec("DT_FLOAT", (-1, -1, 2))}, {}),
}


def parsed(**body):
    return contract.parse(json.dumps(body).encode(), SIGNATURES)


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


GOOD = {"image_bytes": b64(b"x"), "seed": 0, "turn": 1}


def test_rows_and_columns_say_the_same():
    rows = parsed(
        instances=[GOOD | {"image_bytes": b64(b"one"), "seed": 3}, {"turn": 0.5, "seed": 4, "image_bytes": "two"}]
    )
    columns = parsed(
        inputs={"image_bytes": [b64(b"one"), "two"], "seed": [3, 4], "turn": [1, 0.5], "more": [0]},
        signature_name="serving_default",
    )
    for found, as_rows in ((rows, True), (columns, False)):
        assert (found.signature, found.count, found.rows) == ("serving_default", 2, as_rows)
        assert found.columns["image_bytes"] == [b"one", b"two"]
        for name, value in (("seed", np.array([3, 4], np.int32)), ("turn", np.array([1, 0.5], np.float32))):
            np.testing.assert_array_equal(found.columns[name], value)
            assert found.columns[name].dtype == value.dtype


def test_a_lone_input_needs_no_name():
    picture = [[[0, 0.5], [1, 2]]]
    for body in (
        {"instances": picture},
        {"inputs": picture},
        {"instances": [{"image": picture[0]}]},
        {"inputs": {"image": picture}},
    ):
        found = parsed(signature_name="tensor", **body).columns["image"]
        np.testing.assert_array_equal(found, np.array(picture, np.float32))
        assert found.dtype == np.float32


def test_rows_are_at_least_one_and_columns_may_be_empty():
    with pytest.raises(RequestError, match=r"^instances: expected `array` of length >= 1$"):
        parsed(instances=[])
    assert parsed(inputs={"image_bytes": [], "seed": [], "turn": []}).count == 0
    assert parsed(signature_name="tensor", inputs=[]).columns["image"].shape == (0, 0, 2)


def test_what_tensorflow_serving_takes_is_taken():
    data = bytes(range(256)) + b"x"
    text = base64.b64encode(data).decode()
    assert text.endswith("=")
    for written in (text, "\n".join(textwrap.wrap(text, 76)), f" {text}\r\n\t", text.rstrip("=")):
        assert parsed(instances=[GOOD | {"image_bytes": {"b64": written}}]).columns["image_bytes"] == [data]
    assert parsed(instances=[GOOD], signature_name="").signature == "serving_default"
    assert parsed(instances=[GOOD], parameters={"any": [None, {}]}).count == 1


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "JSON Parse error"),
        pytest.param(b'{"more":' + b"[" * 100_000, "JSON Parse error", id="deep"),
        (b"\xff\xfe", "JSON Parse error"),
        (b"[]", "the body: expected `object`, got `array`"),
        (b"{}", "exactly one of"),
        ({"instances": [GOOD], "inputs": {}}, "exactly one of"),
        ({"instances": GOOD}, "instances: expected `array`, got `object`"),
        ({"instances": None}, "instances: expected `array`, got `null`"),
        ({"instances": [3]}, r"instances\[0\]: expected `object`, got `int`"),
        ({"instances": [GOOD, {"seed": 0}]}, r"instances\[1\]: object missing required field `image_bytes`"),
        ({"instances": [GOOD | {"more": 1}]}, r"instances\[0\]: object contains unknown field `more`"),
        ({"instances": [GOOD], "signature_name": "other"}, 'signature name: "other" not found'),
        ({"instances": [GOOD], "signature_name": ["tensor"]}, r"the body.signature_name: expected `str`"),
        ({"inputs": {"image_bytes": [], "seed": [1], "turn": [1]}}, "differ in their first dimension: 0, 1"),
        ({"inputs": {"image_bytes": ["x"], "seed": 1, "turn": [1]}}, "inputs.seed: expected `array`, got `int`"),
        ({"inputs": {"image_bytes": ["x"]}}, "inputs: object missing required field `seed`"),
        ({"instances": [GOOD | {"image_bytes": 3}]}, r"instances\[0\].image_bytes: expected `str \| object`"),
        ({"instances": [GOOD | {"image_bytes": {"b64": "*"}}]}, r"image_bytes\[0\] is not base64"),
        ({"instances": [GOOD | {"image_bytes": {"b64": "eA="}}]}, r"image_bytes\[0\] is not base64"),
        ({"instances": [GOOD | {"image_bytes": {"b64": "e"}}]}, r"image_bytes\[0\] is not base64"),
        ({"instances": [GOOD | {"image_bytes": {"b64": 3}}]}, r"instances\[0\].image_bytes.b64: expected `str`"),
        ({"signature_name": "tensor", "inputs": [[[1, 2]], [[1]]]}, "image is ragged"),
        (
            {"signature_name": "tensor", "inputs": [[[1, 2, 3]]]},
            r"image is of shape \[1, 1, 3\], expected \[-1, -1, 2\]",
        ),
        ({"signature_name": "tensor", "inputs": [[]]}, r"image is of shape \[1, 0\]"),
        ({"signature_name": "tensor", "inputs": [[["a", "b"]]]}, r"inputs\[0\]\[0\]\[0\]: expected `float`, got `str`"),
        ({"signature_name": "tensor", "instances": [[[[0, 1]]]]}, r"instances\[0\]\[0\]\[0\]: expected `float`"),
        ({"signature_name": "tensor", "inputs": [[[1e39, 0]]]}, "image has a number that is out of the range"),
    ],
)
def test_what_is_wrong_is_told(body, word):
    with pytest.raises(RequestError, match=word) as error:
        contract.parse(body if isinstance(body, bytes) else json.dumps(body).encode(), SIGNATURES)
    assert error.value.status == 400


@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("seed", value) for value in (-1, 0.5, 1.0, True, "1", None, [0], 2**31, 10**30)),
        *(("turn", value) for value in (-0.001, 1.001, 5, float("nan"), float("inf"), -float("inf"), True, "1", None)),
    ],
)
def test_every_number_is_checked_and_its_field_named(rows, name, value):
    row = GOOD | {name: value}
    with pytest.raises(RequestError, match=name) as error:
        parsed(**({"instances": [GOOD, row]} if rows else {"inputs": {key: [row[key]] for key in row}}))
    assert error.value.status == 400


def test_items_are_limited():
    body = json.dumps({"instances": [GOOD] * 3}).encode()
    assert contract.parse(body, SIGNATURES, 3).count == 3
    with pytest.raises(RequestError, match="3 items are more than the limit of 2"):
        contract.parse(body, SIGNATURES, 2)


def test_answers_are_rows_or_columns():
    assert json.loads(contract.render([b"png"], rows=True)) == {"predictions": [b64(b"png")]}
    assert json.loads(contract.render(np.array([[1.5], [2]]), rows=False)) == {"outputs": [[1.5], [2]]}
    assert json.loads(contract.render([], rows=False)) == {"outputs": []}


# === Micro-batching ===


class Doubling:
    """A network that doubles, and counts its calls; the first waits until it is told to go on."""

    def __init__(self):
        self.inputs = {"tensor": {"image": (None,)}}
        self.sizes, self.go = [], threading.Event()

    def __call__(self, signature="tensor", /, **inputs):
        self.sizes.append(len(inputs["image"]))
        self.go.wait()
        check_cancelled()
        if (inputs["image"] < 0).any():
            raise ValueError("negative")
        return 2 * inputs["image"]


def until(condition):
    """Wait for what another thread or process does."""
    while not condition():
        time.sleep(0.005)


def called(pool, joined, network, pictures, cancelled=None):
    """Calls one after another: each has a core, or waits, before the next one is made."""

    def call(picture):
        cancellation.set(cancelled)
        return joined(image=picture)

    calls = []
    for number, picture in enumerate(pictures):
        calls.append(pool.submit(call, picture))
        until(lambda number=number: len(network.sizes) + len(joined._waiting) > number)
    return calls


def test_calls_that_wait_are_answered_by_one():
    network = Doubling()
    joined = Batching(network, 1)
    with ThreadPoolExecutor(12) as pool:
        calls = called(pool, joined, network, [np.full((1, 3), float(number)) for number in range(12)])
        network.go.set()
        for number, call in enumerate(calls):
            np.testing.assert_array_equal(call.result(), np.full((1, 3), 2.0 * number))
    assert network.sizes == [1, 8, 3]


def test_calls_of_other_shapes_are_not_joined_and_an_error_reaches_its_callers():
    network = Doubling()
    joined = Batching(network, 1)
    pictures = [np.ones((1, 3)), np.ones((1, 4)), np.ones((2, 3)), -np.ones((1, 3)), np.ones((1, 4))]
    with ThreadPoolExecutor(5) as pool:
        calls = called(pool, joined, network, pictures)
        network.go.set()
        for number in (0, 1, 4):
            np.testing.assert_array_equal(calls[number].result(), 2 * pictures[number])
        for number in (2, 3):
            with pytest.raises(ValueError, match="negative"):
                calls[number].result()
    assert network.sizes == [1, 2, 3]  # in the order in which they came


def test_a_call_that_is_cancelled_gets_no_core_and_does_not_stop_those_beside_it():
    network, cancelled = Doubling(), threading.Event()
    joined = Batching(network, 1)
    with ThreadPoolExecutor(5) as pool:
        (first,) = called(pool, joined, network, [np.ones((1, 3))], cancelled)
        waiting = pool.submit(cancellable, joined, cancelled)
        until(lambda: len(joined._waiting) == 1)
        other = pool.submit(joined, image=np.ones((1, 3)))
        until(lambda: len(joined._waiting) == 2)
        cancelled.set()
        network.go.set()
        first.result()  # a call that is under way is finished: others may be joined to it
        with pytest.raises(WorkCancelledError):
            waiting.result()
        np.testing.assert_array_equal(other.result(), np.full((1, 3), 2.0))
        with pytest.raises(WorkCancelledError):
            cancellable(joined, cancelled)
    assert network.sizes == [1, 1]


def cancellable(joined, cancelled):
    told = cancellation.set(cancelled)
    try:
        return joined(image=np.ones((1, 3)))
    finally:
        cancellation.reset(told)


def test_editors_stop_between_tiles_and_while_they_search_for_texture(bundles):
    inpaint, superres = (package.load(str(bundles / name)) for name in ("inpaint", "superres"))
    cancelled, calls, noise = threading.Event(), [], np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    told = cancellation.set(cancelled)
    try:
        network = superres.network

        def counted(*arguments, **inputs):
            calls.append(arguments)
            cancelled.set()
            return network(*arguments, **inputs)

        superres.network = counted
        with pytest.raises(WorkCancelledError):
            superres(picture(0, 300, 300), 2)
        assert len(calls) == 1
        for fill in ("network", "texture"):
            with pytest.raises(WorkCancelledError):
                inpaint(picture(), hole() > 0, fill=fill)
        with pytest.raises(WorkCancelledError):
            texture.fill(noise, hole() > 0, hole() == 0)
    finally:
        cancellation.reset(told)


# === The server, with a model that waits ===


class Waiting:
    """A model that works until it is let go: tile after tile, as an editor does. A seed is how many pixels it says."""

    name, version, card = "waiting", 1, {"app": "inpaint", "terms": "free"}

    def __init__(self):
        self.signatures = {"serving_default": Signature({"seed": Spec("DT_INT32", low=0)}, {})}
        self.begun, self.cancelled, self.go = queue.Queue(), queue.Queue(), threading.Event()
        self.answer = b"done"

    def parse(self, body):
        request = contract.parse(body, self.signatures)
        return request, int(request.columns["seed"].max())

    def predict(self, request, progress):
        progress(np.float32(0.25))
        self.begun.put(request)
        try:
            while not self.go.wait(0.005):
                check_cancelled()
        except WorkCancelledError:
            self.cancelled.put(request)
            raise
        return [self.answer] * request.count

    def metadata(self):
        return contract.metadata(self.name, self.version, self.signatures)


class Hosted:
    """A server in a thread."""

    def __init__(self, limits, access=None):
        self.model = Waiting()
        self.model_server = ModelServer({"waiting": {1: self.model}}, {"waiting": {"stable": 1}}, limits)
        app = create_app(self.model_server, access)
        config = uvicorn.Config(
            app, http=impatient(limits.receive), lifespan="off", log_level="error", timeout_graceful_shutdown=600
        )
        self.uvicorn, self.listening = uvicorn.Server(config), socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.thread = threading.Thread(target=self.uvicorn.run, kwargs={"sockets": [self.listening]})

    def __enter__(self):
        self.thread.start()
        until(lambda: self.uvicorn.started)
        return self

    def __exit__(self, *_):
        self.model.go.set()
        self.uvicorn.should_exit = True
        self.thread.join()
        self.listening.close()
        assert self.model_server.close()

    def predict(self, body=b'{"instances": [{"seed": 0}]}', headers=None):
        return ask(self.address, "/v1/models/waiting:predict", body, headers)

    @contextlib.contextmanager
    def half(self, size=100, sent=b"{", headers=""):
        """A request of which only a part is sent."""
        with socket.create_connection(urlsplit(self.address).netloc.split(":")) as client:
            head = f"POST /v1/models/waiting:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n"
            client.sendall(f"{head}{headers}\r\n".encode() + sent)
            yield client


def ask(server, path, body=None, headers=None, method=None):
    """Status and JSON of an answer."""
    status, text, _ = raw(server, path, body, headers, method)
    return status, json.loads(text)


def raw(server, path, body=None, headers=None, method=None):
    """Status, text and headers of an answer."""
    data = json.dumps(body) if isinstance(body, dict) else body
    with contextlib.closing(http.client.HTTPConnection(urlsplit(server).netloc)) as connection:
        connection.request(method or ("GET" if body is None else "POST"), path, data, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers


def metrics(server):
    return raw(server, "/monitoring/prometheus/metrics")[1]


def first_line(client):
    """Of an answer; empty where there is none."""
    with client.makefile("rb") as answer:
        return answer.readline().decode().strip()


def test_a_full_queue_turns_away_at_once_and_goes_on():
    with Hosted(Limits(queue=2)) as hosted, ThreadPoolExecutor(2) as pool:
        begun = [pool.submit(hosted.predict) for _ in range(2)]
        for _ in begun:
            hosted.model.begun.get()
        status, text, headers = raw(hosted.address, "/v1/models/waiting:predict", b"{}")
        assert (status, json.loads(text)) == (503, {"error": "the queue is full: try again"})
        assert headers["Retry-After"] == "1"
        with hosted.half(size=60_000_000) as client:  # nothing of its body is waited for
            assert first_line(client) == "HTTP/1.1 503 Service Unavailable"
        assert ask(hosted.address, "/health")[0] == 200
        hosted.model.go.set()
        done = (200, {"predictions": [b64(b"done")]})
        assert [each.result() for each in begun] == [done, done]
        assert hosted.predict() == done


def test_who_sends_slowly_makes_way_for_others(monkeypatch):
    monkeypatch.setattr(receiving, "PATIENCE", 0.0)
    with Hosted(Limits(queue=1)) as hosted, hosted.half() as slow:
        until(lambda: hosted.model_server.room.places)
        hosted.model.go.set()
        assert hosted.predict()[0] == 200
        assert first_line(slow) == "HTTP/1.1 408 Request Timeout"


def test_large_bodies_share_their_room(monkeypatch):
    monkeypatch.setattr(receiving, "FREE", 1000)
    large = json.dumps({"instances": [{"seed": 0}], "more": "x" * 5000}).encode()
    with Hosted(Limits(buffer=8000)) as hosted, ThreadPoolExecutor(1) as pool:
        begun = pool.submit(hosted.predict, large)
        hosted.model.begun.get()
        assert hosted.predict(large) == (503, {"error": "too many large requests at once: try again"})
        hosted.model.go.set()
        assert hosted.predict()[0] == 200  # small ones have their own
        assert begun.result()[0] == 200
        until(lambda: not hosted.model_server.room.places)
        assert hosted.model_server.room.shared == 0
        assert hosted.predict(large)[0] == 200


def test_json_of_too_many_values_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(receiving, "MOST_VALUES", 1000)
    with Hosted(Limits()) as hosted:
        status, answer = hosted.predict(b'{"instances": [' + b"[]," * 1000 + b"[]]}")
        assert (status, answer) == (413, {"error": "the body has more than 1000 JSON values"})


def test_gzip_bodies_are_inflated_up_to_the_limit():
    def zipped(data):
        return hosted.predict(data, {"Content-Encoding": "gzip"})

    with Hosted(Limits(body=3_000_000)) as hosted:
        hosted.model.go.set()
        body = json.dumps({"instances": [{"seed": 0}], "more": "x" * 2_500_000}).encode()
        assert zipped(gzip.compress(body))[0] == 200
        assert zipped(gzip.compress(b" " * 1_000_000_000, 1)) == (
            413,
            {"error": "the body is longer than 3000000 bytes"},
        )
        assert zipped(gzip.compress(body)[:-9]) == (
            400, {"error": "the body is cut short: its gzip stream has no end"}
        )  # fmt: skip
        assert zipped(body)[0] == 400
        assert hosted.predict(zlib.compress(body), {"Content-Encoding": "deflate"})[0] == 415


def test_work_whose_client_is_gone_is_stopped_and_counted():
    with Hosted(Limits()) as hosted:
        with hosted.half(28, b'{"instances": [{"seed": 0}]}'):
            hosted.model.begun.get()
        hosted.model.cancelled.get()
        until(lambda: not hosted.model_server.room.places)
        until(lambda: 'vaekit_requests_total{model="waiting",status="499"} 1.0' in metrics(hosted.address))
        assert "vaekit_running_requests 0.0" in metrics(hosted.address)


def test_work_that_takes_too_long_is_stopped():
    with Hosted(Limits(seconds=0.01)) as hosted:
        assert hosted.predict() == (504, {"error": "no answer within 0.01 s"})
        until(lambda: not hosted.model_server.room.places)


def test_short_requests_do_not_wait_behind_long_ones():
    with Hosted(Limits(parallel=1)) as hosted, ThreadPoolExecutor(4) as pool:
        long = [pool.submit(hosted.predict, {"instances": [{"seed": LONG + 1}]}) for _ in range(3)]
        assert hosted.model.begun.get().columns["seed"] > LONG
        short = pool.submit(hosted.predict)
        assert hosted.model.begun.get().columns["seed"] == 0  # and not the second of the long ones
        hosted.model.go.set()
        assert {each.result()[0] for each in [*long, short]} == {200}


def test_clients_that_stop_are_cut_off():
    head = b"POST /v1/models/waiting:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
    with Hosted(Limits(receive=0.1)) as hosted, contextlib.ExitStack() as stack:
        for sent, line in (
            (b"", ""),
            (head[:30], ""),
            (head, ""),
            (head + b"\r\n{", "HTTP/1.1 408 Request Timeout"),
        ):
            client = stack.enter_context(socket.create_connection(urlsplit(hosted.address).netloc.split(":")))
            client.sendall(sent)
            assert first_line(client) == line
        # One that is answered before its body has come, and one that does not take its answer.
        refused = stack.enter_context(hosted.half(headers="Origin: http://example.org\r\n"))
        assert first_line(refused) == "HTTP/1.1 403 Forbidden"
        hosted.model.answer = b"x" * 50_000_000
        hosted.model.go.set()
        stack.enter_context(hosted.half(28, b'{"instances": [{"seed": 0}]}'))
        hosted.model.begun.get()
        until(lambda: not hosted.uvicorn.server_state.connections)


@pytest.mark.parametrize("line", [b"X-Header: " + b"x" * 1000, b"x" * 1000], ids=["headers", "header"])
def test_endless_headers_are_cut_off(line):
    with Hosted(Limits()) as hosted, socket.create_connection(urlsplit(hosted.address).netloc.split(":")) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-First: ")
        with pytest.raises(OSError):
            while True:
                client.sendall(line + (b"\r\n" if b":" in line else b""))
        assert ask(hosted.address, "/health")[0] == 200


def test_bodies_in_small_chunks_are_taken():
    with Hosted(Limits()) as hosted, socket.create_connection(urlsplit(hosted.address).netloc.split(":")) as client:
        hosted.model.go.set()
        client.sendall(
            b"POST /v1/models/waiting:predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        body = b'{"instances": [{"seed": 0}]}' + b" " * 200_000
        for first in range(0, len(body), 10):
            part = body[first : first + 10]
            client.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        client.sendall(b"0\r\n\r\n")
        assert first_line(client) == "HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:9", 200), ("127.0.0.1", 200), ("[::1]:8501", 200), ("10.1.2.3", 200), ("my.localhost", 200),
     ("named.example:8501", 200), (socket.gethostname(), 200), ("rebound.example", 403), ("localhost.example", 403),
     ("", 403)],
)  # fmt: skip
def test_the_server_answers_to_its_own_names_only(host, status):
    with Hosted(Limits(), Access(hosts=["named.example"])) as hosted:
        assert ask(hosted.address, "/health", headers={"Host": host})[0] == status


def test_pages_of_other_sites_may_not_ask_unless_they_are_allowed():
    with Hosted(Limits()) as hosted:
        hosted.model.go.set()
        host = urlsplit(hosted.address).netloc
        for origin in ("http://example.org", "null", f"http://{host}.example", "http://127.0.0.1:1"):
            status, answer = hosted.predict(headers={"Origin": origin, "Content-Type": "text/plain"})
            assert status == 403
            assert "--allow-origin" in answer["error"]
        assert hosted.model.begun.empty()
        for origin in (f"http://{host}", f"https://{host}"):
            assert hosted.predict(headers={"Origin": origin})[0] == 200
    with Hosted(Limits(), Access(origins=["https://example.org"], token="secret")) as hosted:
        hosted.model.go.set()
        asked = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
        asked["Access-Control-Request-Headers"] = "content-type, authorization"
        status, _, headers = raw(hosted.address, "/v1/models/waiting:predict", headers=asked, method="OPTIONS")
        assert (status, headers["Access-Control-Allow-Origin"]) == (200, "https://example.org")
        assert "POST" in headers["Access-Control-Allow-Methods"]
        body, asked = b'{"instances": [{"seed": 0}]}', {"Origin": "https://example.org"}
        for token, expected in (("", 401), ("secret", 200)):
            told = asked | {"Authorization": f"Bearer {token}"}
            status, _, headers = raw(hosted.address, "/v1/models/waiting:predict", body, told)
            assert (status, headers["Access-Control-Allow-Origin"]) == (expected, "https://example.org")
        assert hosted.predict(headers={"Origin": "https://example.com"})[0] == 403


def test_a_token_is_asked_for():
    basic = "Basic " + base64.b64encode(b"anyone:secret").decode()
    with Hosted(Limits(), Access(token="secret")) as hosted:
        for told, status in (
            (None, 401), ("Bearer", 401), ("Bearer other", 401), ("Bearer secre\u00e9", 401), ("Basic secret", 401),
            ("Digest secret", 401), ("Bearer secret", 200), ("bearer secret", 200), (basic, 200),
        ):  # fmt: skip
            headers = {} if told is None else {"Authorization": told}
            assert ask(hosted.address, "/v1/models/waiting", headers=headers)[0] == status
        status, _, headers = raw(hosted.address, "/")
        assert (status, headers["WWW-Authenticate"].split()[0]) == (401, "Basic")
        assert ask(hosted.address, "/health")[0] == 200


def test_every_answer_has_its_security_headers():
    with Hosted(Limits()) as hosted:
        hosted.model.go.set()
        hosted.model.answer = object()  # breaks: 500
        expected = {"/": 200, "/health": 200, "/monitoring/prometheus/metrics": 200, "/v1/models/waiting": 200}
        expected |= {"/v1/models/other": 404, "/none": 404, "/v1/models/waiting:predict": 500}
        for path, status in expected.items():
            body = b'{"instances": [{"seed": 0}]}' if status == 500 else None
            found, _, headers = raw(hosted.address, path, body)
            policy = headers["Content-Security-Policy"]
            assert (found, headers["X-Content-Type-Options"]) == (status, "nosniff")
            assert headers["Cache-Control"] == "no-cache"
            for directive in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"):
                assert directive in policy
            assert "unsafe" not in policy


def test_the_page_may_use_its_own_files_and_no_others():
    with Hosted(Limits()) as hosted:
        _, page, headers = raw(hosted.address, "/")
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'; style-src 'self'; connect-src 'self'" in policy
        files = re.findall(r'(?:src|href)="(page/[^"]+)"', page)
        assert sorted(files) == ["page/main.js", "page/style.css"]
        for file in (*files, "page/view.js"):
            status, _, headers = raw(hosted.address, f"/{file}")
            kind = "text/css" if file.endswith("css") else "text/javascript"
            assert (status, headers["Content-Type"].split(";")[0]) == (200, kind)
            assert headers["X-Content-Type-Options"] == "nosniff"
        for file in ("page/", "page/..%2fserver.py", "page/../server.py", "page/none.js"):
            assert raw(hosted.address, f"/{file}")[0] == 404


def test_models_are_listed_and_the_progress_of_a_named_request_told():
    with Hosted(Limits()) as hosted, ThreadPoolExecutor(1) as pool:
        listed = {"models": [{"name": "waiting", "version": "1", "terms": "free"}]}
        assert ask(hosted.address, "/v1/models") == (200, listed)
        begun = pool.submit(hosted.predict, headers={"X-Progress": "mine"})
        hosted.model.begun.get()
        assert ask(hosted.address, "/progress/mine") == (200, {"progress": 0.25})
        assert ask(hosted.address, "/progress/other") == (200, {"progress": None})
        hosted.model.go.set()
        assert begun.result()[0] == 200
        assert ask(hosted.address, "/progress/mine") == (200, {"progress": None})
        assert not hosted.model_server.progress


def test_versions_have_labels_and_the_paths_of_tensorflow_serving_are_taken():
    with Hosted(Limits()) as hosted:
        hosted.model.go.set()
        for path in ("versions/1", "labels/stable", "VERSIONS/1"):
            assert ask(hosted.address, f"/v1/Models/waiting/{path}:predict", b'{"instances": [{"seed": 0}]}')[0] == 200
            assert ask(hosted.address, f"/v1/models/waiting/{path}")[1]["model_version_status"][0]["version"] == "1"
            assert ask(hosted.address, f"/v1/models/waiting/{path}/metadata")[1]["model_spec"]["version"] == "1"
        for path in ("/v1/models/waiting", "/v1/models/waiting/metadata", "/health", "/"):
            status, text, headers = raw(hosted.address, path, method="HEAD")
            assert (status, text) == (200, "")
            assert headers["Content-Length"] == raw(hosted.address, path)[2]["Content-Length"]
        unknown = {"error": "Unrecognized servable version label: canary"}
        assert ask(hosted.address, "/v1/models/waiting/labels/canary") == (400, unknown)


def test_requests_are_counted_by_the_status_that_they_got():
    with Hosted(Limits()) as hosted:
        hosted.model.go.set()
        good = b'{"instances": [{"seed": 0}]}'
        for path, body in (
            ("waiting:predict", good), ("waiting:predict", b"{"), ("waiting:classify", b"{}"), ("waiting", b"{}"),
            ("waiting/versions/2:predict", good), ("other:predict", good), ("x/y", None),
        ):  # fmt: skip
            raw(hosted.address, f"/v1/models/{path}", body)
        counted = {
            tuple(line.split('"')[1::2]): float(line.split()[1])
            for line in metrics(hosted.address).splitlines()
            if line.startswith("vaekit_requests_total")
        }
        assert counted == {
            ("waiting", "200"): 1, ("waiting", "400"): 3, ("waiting", "404"): 1, ("none", "404"): 1, ("none", "400"): 1,
        }  # fmt: skip


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


def enlarged(height=60, width=80, scale=2):
    return {
        "image_bytes": b64(images.encode(picture(0, height, width), ".png")),
        "scale": scale,
        "detail": 0,
        "seed": 0,
    }


PREDICT = "/v1/models/inpaint:predict"
SUPERRES = "/v1/models/superres:predict"


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
    assert ask(server, PREDICT, {"inputs": {key: [] for key in columns}}) == (200, {"outputs": []})


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
    told = ask(server, "/v1/models/superres/metadata")[1]["metadata"]["signature_def"]["signature_def"]["tensor_x2"]
    large = {
        name: np.zeros([abs(int(side["size"])) for side in spec["tensor_shape"]["dim"]]).tolist()
        for name, spec in told["inputs"].items()
    } | {"image": [[[[0, 0, 0]] * 1024] * 257]}
    large = {"signature_name": "tensor_x2", "inputs": large}
    status, answer = ask(server, SUPERRES, large)
    assert (status, answer["error"]) == (400, "263168 pixels are more than the limit of 262144 for tensor_x2")


def test_every_app_is_served(server):
    image = b64(images.encode(picture(0, 64, 64), ".png"))
    status, answer = ask(server, SUPERRES, {"instances": [enlarged()]})
    assert images.decode(base64.b64decode(answer["predictions"][0]["b64"])).pixels.shape == (120, 160, 3)
    status, answer = ask(
        server, "/v1/models/edit:predict", {"instances": [{"image_bytes": image, "change": [1, 0, -0.5]}]}
    )
    assert status == 200
    edited = images.decode(base64.b64decode(answer["predictions"][0]["b64"])).pixels
    assert edited.shape == (64, 64, 3)
    assert np.any(edited != picture(0, 64, 64))
    turned = {"image_bytes": image, "shown_bytes": image, "turn": 1}
    assert ask(server, "/v1/models/frontalize:predict", {"instances": [turned]})[0] == 200
    found = ask(server, "/v1/models/damage:predict", {"instances": [{"image_bytes": image, "threshold": 0}]})[1]
    assert images.decode(base64.b64decode(found["predictions"][0]["b64"])).pixels.all()


def test_models_are_listed_in_the_order_of_apps(server):
    listed = ask(server, "/v1/models")[1]["models"]
    assert [each["name"] for each in listed] == ["inpaint", "superres", "edit", "frontalize", "damage"]


def test_metadata_says_what_people_can_set(server):
    actions = {
        name: ask(server, f"/v1/models/{name}/metadata")[1]["metadata"]["actions"]
        for name in ("inpaint", "superres", "edit", "frontalize", "damage")
    }
    assert {name: list(each) for name, each in actions.items()} == {
        "inpaint": ["photo"], "superres": ["photo"], "edit": ["photo"], "frontalize": ["photo", "transfer"],
        "damage": ["photo"],
    }  # fmt: skip
    change = actions["edit"]["photo"]["inputs"]["change"]
    assert (change["low"], change["high"], change["default"]) == (-2.0, 2.0, 0.0)
    assert change["names"] == ["smiling", "dark", "fair"]
    scale = actions["superres"]["photo"]["inputs"]["scale"]
    assert (scale["dtype"], scale["low"], scale["high"], scale["default"]) == ("DT_INT32", 1, 4, 2)
    assert actions["superres"]["photo"]["inputs"]["clean"]["automatic"]
    assert actions["damage"]["photo"]["output"] == "mask_bytes"


# === Signatures of photos ===

PORTRAIT = (Path(__file__).parents[1] / "docs" / "images" / "sources" / "astronaut.jpg").read_bytes()


def photo(server, model, signature="photo", **inputs):
    """Status and first prediction, or error, of a signature."""
    body = {"signature_name": signature, "instances": [{"image_bytes": b64(PORTRAIT), **inputs}]}
    status, answer = ask(server, f"/v1/models/{model}:predict", body)
    return status, answer["predictions"][0] if status == 200 else answer["error"]


def test_faces_of_photos_are_found_and_edited(server, bundles):
    status, points = photo(server, "edit", "faces")
    assert status == 200
    assert photo(server, "frontalize", "faces") == (200, points)
    pixels = images.decode(PORTRAIT).pixels
    (face,) = faces.find(pixels, faces.open_finder())
    np.testing.assert_allclose(points, face.points[None], rtol=1e-6)
    _, edited = photo(server, "edit", points=points[0], change=[0, 1, 0])
    expected = package.load(str(bundles / "edit"))(pixels, {"dark": 1}, [face])
    assert np.array_equal(images.decode(base64.b64decode(edited["b64"])).pixels, expected)
    editor = package.load(str(bundles / "frontalize"))
    for paste, turned in ((0, editor(pixels, face)), (1, editor.pasted(pixels, face))):
        _, found = photo(server, "frontalize", points=points[0], turn=1, paste=paste)
        assert np.array_equal(images.decode(base64.b64decode(found["b64"])).pixels, turned)
    _, posed = photo(server, "frontalize", "transfer", points=points[0], shown_bytes=b64(PORTRAIT))
    expected = editor.transfer(pixels, pixels, face, face)
    assert np.array_equal(images.decode(base64.b64decode(posed["b64"])).pixels, expected)
    plain = b64(images.encode(picture(), ".png"))
    assert photo(server, "edit", "faces", image_bytes=plain) == (200, [])
    status, error = photo(server, "frontalize", "transfer", points=points[0], shown_bytes=plain)
    assert (status, error) == (400, "instances[0]: no face found in the photo with the pose")


@pytest.mark.parametrize(
    ("points", "word"),
    [
        ([[1, 1]] * 5, "those of a face"),
        ([[1, 1]] * 4, "is of shape [1, 4, 2], expected [-1, 5, 2]"),
        ([[1, 1e9]] * 5, "points"),
        (7, "points"),
    ],
)
def test_points_that_are_no_faces_are_told(server, points, word):
    status, error = photo(server, "edit", points=points, change=[1, 0, 0])
    assert status == 400
    assert word in error


def test_photos_are_repaired_and_cleaned_as_on_the_command_line(server, bundles):
    pixels = images.decode(PORTRAIT).pixels
    mask = np.zeros((512, 512), np.uint8)
    mask[120:128, 190:250] = 255
    _, found = photo(server, "inpaint", mask_bytes=b64(images.encode(mask, ".png")), seed=0)
    editor = package.load(str(bundles / "inpaint"))
    face = faces.find(editor(pixels, mask > 0), faces.open_finder(), faces.TILTS[:1])
    expected = editor(pixels, mask > 0, found=face)
    assert np.array_equal(images.decode(base64.b64decode(found["b64"])).pixels, expected)
    editor = package.load(str(bundles / "superres"))
    for clean, amount in ((-1, None), (0.5, 0.5)):
        _, found = photo(server, "superres", scale=1, clean=clean, detail=0, seed=0)
        enlarged = images.decode(base64.b64decode(found["b64"])).pixels
        assert np.abs(enlarged.astype(int) - editor(pixels, 1, detail=0, clean=amount)).max() <= 1


def test_answers_keep_the_colour_profile(server):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = images.encode(picture(), ".png", like=images.Picture(picture(), icc=profile))
    answer = ask(server, SUPERRES, {"instances": [{**enlarged(), "image_bytes": b64(file)}]})[1]["predictions"][0]
    assert images.decode(base64.b64decode(answer["b64"])).icc == profile


def test_status_metadata_and_health(server):
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


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("/v1/models/other", None, 404, "Servable not found for request: other"),
        ("/v1/models/inpaint/versions/7", None, 404, "inpaint version 7"),
        (f"/v1/models/inpaint/versions/{'9' * 20}", None, 400, "Malformed request"),
        ("/v1/models/..%2F..%2Fetc/metadata", None, 400, "Malformed request"),
        ("/v1/models/other:predict", {"instances": []}, 404, "other"),
        ("/v1/models/inpaint:classify", {"instances": []}, 400, "Malformed request"),
        ("/v1/models/inpaint/versions/x:predict", {"instances": []}, 400, "Malformed request"),
        ("/etc/passwd", None, 404, "Malformed request: GET /etc/passwd"),
        (PREDICT, None, 400, "Malformed request: GET"),
        (PREDICT, "{", 400, "JSON Parse error"),
        (PREDICT, {"instances": []}, 400, "instances: expected `array` of length >= 1"),
        (PREDICT, {"instances": [instance() | {"mask_bytes": "no"}]}, 400, r"instances[0]: mask_bytes: not an image"),
        (PREDICT, {"instances": [instance(), instance() | {"image_bytes": ""}]}, 400, "instances[1]: image_bytes: e"),
        (PREDICT, {"inputs": {k: [v] for k, v in (instance() | {"image_bytes": "x"}).items()}}, 400, "item 0: image"),
        (PREDICT, {"instances": [instance()] * 65}, 400, "65 items are more than the limit of 64"),
        pytest.param(PREDICT, b"x" * 3_000_001, 413, "longer than 3000000 bytes", id="long"),
        (PREDICT, {"instances": [instance() | {"seed": -1}]}, 400, "instances[0].seed"),
        (SUPERRES, {"instances": [enlarged() | {"seed": -1}]}, 400, "instances[0].seed"),
        (SUPERRES, {"instances": [enlarged(scale=5)]}, 400, "instances[0].scale"),
        (SUPERRES, {"instances": [enlarged() | {"detail": 1.5}]}, 400, "instances[0].detail"),
        (SUPERRES, {"instances": [enlarged() | {"detail": float("nan")}]}, 400, "detail: NaN is not a finite number"),
        ("/v1/models/edit:predict", {"instances": [{"image_bytes": "", "change": [0, 3, 0]}]}, 400, "[0].change[1]"),
        ("/v1/models/frontalize:predict",
         {"instances": [{"image_bytes": "", "shown_bytes": "", "turn": float("inf")}]}, 400, "turn: Infinity"),
        (SUPERRES, {"instances": [enlarged(300, 300, 4)]}, 400, "300x300 is more than the limit of 62500 pixels"),
        (SUPERRES, {"instances": [enlarged(200, 200, 3)] * 3}, 400, "1080000 pixels in all are more than"),
    ],
)  # fmt: skip
def test_bad_requests_are_told_and_good_ones_answered_after_them(server, path, body, status, word):
    found, answer = ask(server, path, body)
    assert (found, answer.keys()) == (status, {"error"})
    assert word in answer["error"]
    assert ask(server, "/health")[0] == 200


def test_a_mask_of_another_size_is_told(server):
    other = b64(images.encode(hole(61, 80), ".png"))
    status, answer = ask(server, PREDICT, {"instances": [instance() | {"mask_bytes": other}]})
    assert (status, answer["error"]) == (400, "instances[0]: mask and image differ in size")


def bomb():
    """A PNG of 30,000 x 30,000 pixels in a few bytes, of which only the size is true."""

    def chunk(kind, data):
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    header = (30_000).to_bytes(4) * 2 + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_picture_is_refused_by_its_size_before_any_is_decoded(server):
    status, answer = ask(server, PREDICT, {"instances": [instance(), instance() | {"image_bytes": b64(bomb())}]})
    told = "instances[1]: image_bytes: 30000x30000 is more than the limit of 1000000 pixels"
    assert (status, answer["error"]) == (400, told)


# === Its process ===


@contextlib.contextmanager
def started(bundles, *arguments):
    """A server's process and its address; killed if it goes on."""
    command = [sys.executable, "-m", "vaekit", "serve", "--models", str(bundles), "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.kill()


def begin(pool, address, count=1, side=900):
    """Requests of several seconds, the first of them under way."""
    begun = [pool.submit(ask, address, SUPERRES, {"instances": [enlarged(side, side, 4)]}) for _ in range(count)]

    def are_there():
        assert not begun[0].done()
        text = metrics(address)
        return f"vaekit_pending_requests {count:.1f}" in text and "vaekit_running_requests 1.0" in text

    until(are_there)
    return begun


def refuses(address):
    """Whether nobody listens there any more."""
    host = urlsplit(address)
    try:
        socket.create_connection((host.hostname, host.port)).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_what_was_begun_is_finished_when_it_is_told_to_stop(bundles, told):
    with (
        started(bundles, "superres", "--jobs", "1", "--graceful-timeout", "600") as (process, address),
        ThreadPoolExecutor(1) as pool,
    ):
        (begun,) = begin(pool, address, side=400)
        process.send_signal(told)
        assert begun.result()[0] == 200
        assert (*process.communicate(), process.returncode) == ("", "", 0)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_what_is_not_finished_in_time_is_cancelled_when_it_is_told_to_stop(bundles):
    with (
        started(bundles, "superres", "--jobs", "1", "--graceful-timeout", "0") as (process, address),
        ThreadPoolExecutor(2) as pool,
    ):
        begun = begin(pool, address, 2)
        process.send_signal(signal.SIGTERM)
        stopped = (503, {"error": "the server is stopping"})
        assert [each.result() for each in begun] == [stopped, stopped]
        assert (*process.communicate(), process.returncode) == ("", "", 0)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_second_signal_ends_it_at_once(bundles):
    with (
        started(bundles, "superres", "--jobs", "1", "--graceful-timeout", "600") as (process, address),
        ThreadPoolExecutor(1) as pool,
    ):
        (begun,) = begin(pool, address)
        process.send_signal(signal.SIGTERM)
        until(lambda: refuses(address))
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM
        with pytest.raises((http.client.HTTPException, OSError)):
            begun.result()


def test_it_imports_no_tensorflow_and_says_what_is_wrong(bundles, vaekit):
    code = (
        "import sys; from vaekit.serving import command, models, server\n"
        "heavy = {'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    done = vaekit("serve", "none")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    for label in ("stable", "inpaint:stable=7"):
        done = vaekit("serve", "inpaint", "--label", label)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = vaekit("serve", "inpaint", "--port", taken.getsockname()[1])
        assert done.returncode == 2
        assert "in use" in done.stderr
