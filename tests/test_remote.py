"""The network on a server: the same picture, and what happens where the server does not answer."""

import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import cv2
import keras
import numpy as np
import pytest
from PIL import Image

import vaekit as library
from vaekit import apps, images, remote, workers
from vaekit.errors import UserError
from vaekit.remote import RemoteError

if keras.backend.backend() != "tensorflow":
    pytest.skip("reads SavedModels", allow_module_level=True)

from serving_stub import Stub

APPS = apps.names("testing")
KINDS = ("rest", "grpc")


@pytest.fixture(scope="module")
def stub(bundles):
    with Stub(bundles) as stub:
        yield stub


@pytest.fixture
def breaking(bundles, monkeypatch):
    """A server that may be broken, for which nobody waits."""
    monkeypatch.setattr(remote, "FIRST", 0.0)
    with Stub(bundles) as stub:
        yield stub


def photo(height, width, channels=3, seed=0):
    small = np.random.default_rng(seed).uniform(0, 255, (5, 7, channels)).astype(np.float32)
    return cv2.resize(small, (width, height)).astype(np.uint8)


def hole(height, width):
    mask = np.zeros((height, width), bool)
    mask[height // 3 : height // 2, width // 3 : width // 2] = True
    return mask


def opened(bundles, app, runtime="onnx"):
    return library.load(str(bundles / app), runtime=runtime)


def distance(one, other):
    return np.abs(one.astype(int) - other).max()


# === The same answers ===


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("app", APPS)
def test_a_server_tells_the_same_inputs(bundles, stub, app, kind):
    assert opened(bundles, app, getattr(stub, kind)).network.inputs == opened(bundles, app).network.inputs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("height", "width", "channels", "seed"), [(37, 53, 3, None), (71, 149, 4, 1), (130, 33, 3, 3)])
def test_repairs_at_odd_sizes_are_the_local_ones(bundles, stub, kind, height, width, channels, seed):
    pixels = photo(height, width, channels)
    local, there = (
        opened(bundles, "inpaint", runtime)(pixels, hole(height, width), fill="network", seed=seed)
        for runtime in ("onnx", getattr(stub, kind))
    )
    assert distance(there, local) <= 2
    assert (there != pixels).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("height", "width", "channels", "scale"), [(19, 31, 3, 4), (27, 21, 4, 2), (17, 45, 3, 1)])
def test_enlargements_at_odd_sizes_are_the_local_ones(bundles, stub, kind, height, width, channels, scale):
    pixels = photo(height, width, channels)
    local, there = (
        opened(bundles, "superres", runtime)(pixels, scale, detail=1.0, seed=2)
        for runtime in ("onnx", getattr(stub, kind))
    )
    assert distance(there, local) <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_faces_and_damage_are_the_local_ones(bundles, stub, kind):
    face = photo(96, 96)
    answers = {
        "edit": lambda editor: editor(face, {"smiling": 1.5}),
        "frontalize": lambda editor: editor(face),
        "damage": lambda editor: 255 * editor(face, 0.3).astype(np.uint8),
    }
    for app, ask in answers.items():
        local, there = (ask(opened(bundles, app, runtime)) for runtime in ("onnx", getattr(stub, kind)))
        assert distance(there, local) <= 2, app


def test_tiles_go_several_in_a_call(bundles, stub):
    before = len(stub.models.calls)
    pixels = photo(256, 256)
    opened(bundles, "inpaint", stub.grpc)(pixels, hole(256, 256) | hole(256, 256)[::-1, ::-1], fill="network")
    assert max(count for _, _, count in stub.models.calls[before:]) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_is_used_again(bundles, monkeypatch, kind):
    import socketserver

    met = []
    monkeypatch.setattr(
        socketserver.BaseServer, "verify_request", lambda self, request, client: met.append(client) or True
    )
    with Stub(bundles) as stub:
        network = opened(bundles, "damage", getattr(stub, kind)).network
        for _ in range(3):
            network(image=np.zeros((1, 16, 16, 3)))
        assert len(stub.models.calls) == 3
    assert len(met) == (1 if kind == "rest" else 0)


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_above_grpcs_usual_limit_arrives(bundles, stub, kind):
    pixels = np.zeros((1, 600, 600, 3), np.float32)  # 4 bytes x 3 x 600 x 600 is more than 4 MB
    answer = opened(bundles, "damage", getattr(stub, kind)).network(image=pixels)
    assert answer.shape == (1, 600, 600, 1) and answer.dtype == np.float32


# === What a server refuses ===


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_is_told_at_once_in_one_line(bundles, breaking, kind):
    address = getattr(breaking, kind)
    network = opened(bundles, "inpaint", address).network
    with pytest.raises(RemoteError, match=rf'{address}: Serving signature name: "other" not found'):
        network("other", image=np.zeros((1, 16, 16, 3)))
    with pytest.raises(RemoteError, match=rf"^{address}: .+$") as error:
        network(image=np.zeros((1, 16, 16, 3)))
    assert "\n" not in str(error.value)
    breaking.models.found.clear()
    with pytest.raises(RemoteError, match=rf"{address}: Servable not found for request: Specific\(inpaint, 1\)"):
        network(image=np.zeros((1, 16, 16, 3)))
    assert not network._away


@pytest.mark.parametrize("address", ["http://", "ftp://here:1", "grpc://here:1/path", "http://a b:1"])
def test_what_is_no_address_is_refused(bundles, address):
    with pytest.raises(UserError, match="expected http://HOST:PORT"):
        opened(bundles, "inpaint", address)


def test_what_is_no_runtime_is_refused(bundles):
    with pytest.raises(UserError, match="no runtime torch"):
        opened(bundles, "inpaint", "torch")


# === Where it does not answer ===


@pytest.mark.parametrize("kind", KINDS)
def test_a_busy_server_is_asked_again(bundles, breaking, kind):
    network = opened(bundles, "damage", getattr(breaking, kind)).network
    breaking.models.busy = remote.ATTEMPTS - 1
    assert network(image=np.zeros((1, 16, 16, 3))).shape == (1, 16, 16, 1)
    assert len(breaking.models.calls) == remote.ATTEMPTS
    breaking.models.busy = remote.ATTEMPTS + 1
    with pytest.raises(RemoteError, match=f"no answer in {remote.ATTEMPTS} attempts: The batch scheduling queue"):
        network(image=np.zeros((1, 16, 16, 3)))
    with pytest.raises(RemoteError, match="no answer in 1 attempt: "):
        network(image=np.zeros((1, 16, 16, 3)))
    assert network(image=np.zeros((1, 16, 16, 3))).shape == (1, 16, 16, 1)


def test_waits_grow_at_random_and_are_bounded(bundles, breaking, monkeypatch):
    import tenacity.wait

    drawn = []
    monkeypatch.setattr(remote, "FIRST", 3.0)
    monkeypatch.setattr(tenacity.wait.random, "uniform", lambda low, high: drawn.append((low, high)) or 0.0)
    breaking.models.busy = remote.ATTEMPTS - 1
    opened(bundles, "damage", breaking.grpc).network(image=np.zeros((1, 16, 16, 3)))
    assert drawn == [(0, 3.0), (0, 6.0), (0, 8.0), (0, 8.0), (0, 8.0)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_away_is_told_in_one_line(bundles, breaking, kind):
    breaking.close()
    address = getattr(breaking, kind)
    with pytest.raises(RemoteError, match=rf"^{address}: no answer in {remote.ATTEMPTS} attempts: .*refused$"):
        opened(bundles, "damage", address).network(image=np.zeros((1, 16, 16, 3)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_goes_away_in_the_middle_of_a_folder(bundles, breaking, tmp_path, vaekit_here, monkeypatch, kind):
    def here(work, tasks, jobs):
        do = work.open(1)
        for task in tasks:
            yield from do(task)

    monkeypatch.setitem(workers.ENGINES, "processes", here)
    (tmp_path / "photos").mkdir()
    for number in range(5):
        images.write(tmp_path / "photos" / f"{number}.png", photo(40, 56, seed=number))
    images.write(tmp_path / "mask.png", 255 * hole(40, 56).astype(np.uint8))
    breaking.models.ends_after = 5  # two calls a picture
    runtime = f"tensorflow-serving:{breaking.rest}" if kind == "rest" else breaking.grpc
    done = vaekit_here(
        "inpaint", "photos", "--mask", "mask.png", "-o", "out", "--fill", "network", "--no-faces",
        "--bundle", bundles / "inpaint", "--runtime", runtime,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    for number, line in zip((2, 3, 4), lines, strict=True):
        attempts = f"{remote.ATTEMPTS} attempts" if number == 2 else "1 attempt"
        assert f"photos/{number}.png: {getattr(breaking, kind)}: no answer in {attempts}" in line
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.png", "1.png"]
    for number in range(2):
        assert images.read(tmp_path / "out" / f"{number}.png").pixels.shape == (40, 56, 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", ["inpaint", "superres", "transfer"])
def test_a_server_that_is_not_there_is_told_before_anything_is_done(bundles, breaking, vaekit, tmp_path, kind, verb):
    breaking.close()
    address = getattr(breaking, kind)
    (tmp_path / "photos").mkdir()
    for number in range(3):
        images.write(tmp_path / "photos" / f"{number}.png", photo(40, 56, seed=number))
    more = {
        "inpaint": ("photos", "--mask", "auto", "--save-mask", "masks", "-o", "out/"),
        "superres": ("photos", "-o", "out/"),
        "transfer": ("photos/0.png", "photos/1.png", "--aligned", "-o", "out.png"),
    }
    done = vaekit(verb, *more[verb], "--runtime", address)
    assert done.returncode == 1 and done.stdout == ""
    assert re.fullmatch(rf"vaekit: {address}: no answer in 1 attempt: .*refused\n", done.stderr), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_without_the_bundle_is_told_before_anything_is_done(bundles, breaking, vaekit, tmp_path, kind):
    breaking.models.found.clear()
    for name in ("0.png", "1.png"):
        images.write(tmp_path / name, photo(40, 56))
    done = vaekit("superres", "0.png", "1.png", "-o", "out/", "--json", "--runtime", getattr(breaking, kind))
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "Servable not found" in json.loads(done.stdout)["error"]
    assert not (tmp_path / "out").exists()


# === A gateway ===


@contextmanager
def gateway(bundles, runtime):
    command = [sys.executable, "-m", "vaekit", "serve", "inpaint", "--models", str(bundles), "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, "--runtime", runtime], env=dict(os.environ), **pipes) as process:
        yield process.stdout.readline().split()[-1]
        process.send_signal(signal.SIGTERM)
        assert (*process.communicate(), process.returncode) == ("", "", 0)


def turned(pixels, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png", exif=exif)
    return file.getvalue()


def test_a_gateway_takes_photos_and_leaves_the_network_to_the_server(bundles, monkeypatch):
    with Stub(bundles) as stub, gateway(bundles, stub.grpc) as address:
        for orientation, channels in ((1, 4), (6, 3), (8, 3)):
            data = turned(photo(43, 61, channels), orientation)
            pixels = images.decode(data).pixels
            mask = hole(*pixels.shape[:2])
            files = {"image_bytes": data, "mask_bytes": images.encode(255 * mask.astype(np.uint8), ".png")}
            row = {name: {"b64": base64.b64encode(file).decode()} for name, file in files.items()}
            request = Request(
                f"{address}/v1/models/inpaint:predict", json.dumps({"instances": [{**row, "seed": 3}]}).encode()
            )
            before = len(stub.models.calls)
            with urlopen(request) as answer:
                (there,) = json.load(answer)["predictions"]
            assert len(stub.models.calls) > before
            local = opened(bundles, "inpaint")(pixels, mask, seed=3)
            assert distance(images.decode(base64.b64decode(there["b64"])).pixels, local) <= 2
        stub.models.found.clear()
        with pytest.raises(HTTPError) as error:
            urlopen(request)
        assert error.value.code == 503
        assert stub.grpc in json.load(error.value)["error"]


def test_the_client_needs_no_tensorflow(bundles, stub):
    code = (
        "import sys, numpy, vaekit\n"
        f"for address in {stub.rest!r}, {stub.grpc!r}:\n"
        f"    vaekit.load({str(bundles / 'damage')!r}, runtime=address)(numpy.zeros((16, 16, 3), 'uint8'))\n"
        "print([name for name in ('tensorflow', 'keras', 'onnxruntime', 'tensorflow_serving') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
