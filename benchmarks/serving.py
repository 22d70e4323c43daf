"""The server: speed against the bare ONNX session, good requests among bad ones, memory, large photos, and its end.

    python benchmarks/serving.py                     # all of it
    python benchmarks/serving.py abuse bodies stop   # parts

speed: pictures of 128x128 with a hole are repaired. The bare session replays, in a loop and on all cores, the very
calls of the network that their repair takes, and decodes and encodes nothing. The server is asked by as many clients
as --clients says, over connections that stay open; both are measured in turn, and the table gives the median of the
ratios.

abuse: bad requests of nine kinds (types, sizes, JSON, base64, bombs, damaged files), clients that send half a request
and no more, and batches that are too large (20,000 instances of nothing, 500 small pictures, 60 MB of empty lists)
are sent among good ones. No request is sent twice. /health is asked all the while.

bodies: 25 bodies of 63 MB at once. photo: a photo of 12 megapixels is repaired, and enlarged to twice its sides, with
the server's own limits. stop: the server is told to end while it enlarges four such photos.

All of it goes to a server on this machine that is started for it.
"""

import argparse
import base64
import contextlib
import http.client
import itertools
import json
import random
import socket
import statistics
import subprocess
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np

# process.py lies beside this file
from process import VAEKIT, photo

import vaekit
from vaekit import images

PATH = "/v1/models/inpaint:predict"
SIDE = 128
PICTURES = 20


def picture(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture and its hole."""
    rng = np.random.default_rng(number)
    small = rng.uniform(0, 255, (7, 7, 3)).astype(np.float32)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    top, left = rng.integers(10, SIDE - 50, 2)
    mask[top : top + 40, left : left + 40] = 255
    return cv2.resize(small, (SIDE, SIDE)).clip(0, 255).astype(np.uint8), mask


def b64(data: bytes) -> dict[str, str]:
    """As JSON has it."""
    return {"b64": base64.b64encode(data).decode()}


def instance(number: int) -> dict:
    """One of the pictures as a request has it."""
    pixels, mask = picture(number)
    return {
        "image_bytes": b64(images.encode(pixels, ".png")), "mask_bytes": b64(images.encode(mask, ".png")), "seed": 0,
    }  # fmt: skip


class Server:
    """`vaekit serve`, with its own limits but for what is given."""

    def __init__(self, *arguments: str):
        self.arguments = arguments

    def __enter__(self):
        command = [*VAEKIT, "serve", "inpaint", "superres", "--port", "0", *self.arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = urlsplit(self.process.stdout.readline().split()[-1])
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def memory(self, key: str = "VmRSS") -> float:
        """Resident, in MB; VmHWM is the most that it was."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(f"{key}:")).split()[1]) / 1e3

    def seconds_of_health(self) -> float:
        """How long /health takes."""
        began = time.perf_counter()
        connection = http.client.HTTPConnection(self.address.netloc, timeout=600)
        connection.request("GET", "/health")
        assert connection.getresponse().read() == b'{"status":"ok"}'
        connection.close()
        return time.perf_counter() - began

    def running(self) -> float:
        """Requests under way."""
        connection = http.client.HTTPConnection(self.address.netloc, timeout=600)
        connection.request("GET", "/monitoring/prometheus/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return float(text.split("\nvaekit_running_requests ")[1].split()[0])


class Client(threading.local):
    """A connection a thread."""

    def __init__(self, server: Server):
        self.server = server
        self.connect()

    def connect(self):
        """Anew."""
        self.connection = http.client.HTTPConnection(self.server.address.netloc, timeout=3600)

    def ask(self, body: bytes, path: str = PATH) -> int:
        """The status of an answer; 0 where there was none."""
        for _ in range(2):  # a connection that was idle for long is closed: clients try again
            try:
                self.connection.request("POST", path, body)
                answer = self.connection.getresponse()
                answer.read()
                return answer.status
            except (http.client.HTTPException, OSError):
                self.connect()
        return 0


def recorded() -> list[dict]:
    """The network's calls that repair the pictures."""
    editor, calls = vaekit.load("inpaint"), []
    network = editor.network

    def record(**inputs):
        calls.append(inputs)
        return network(**inputs)

    editor.network = record
    for number in range(PICTURES):
        pixels, mask = picture(number)
        editor(pixels, mask > 0)
    return calls


def speed(count: int, clients: int, rounds: int) -> None:
    """Print pictures a second of both."""
    calls, bodies = recorded(), [json.dumps({"instances": [instance(n)]}).encode() for n in range(PICTURES)]
    network = vaekit.load("inpaint").network
    rows = []
    with Server("--queue", "256") as server, ThreadPoolExecutor(clients) as pool:
        client = Client(server)
        for _ in range(rounds):
            began = time.perf_counter()
            for _ in range(count // PICTURES):
                for inputs in calls:
                    network(**inputs)
            bare = count / (time.perf_counter() - began)
            began = time.perf_counter()
            statuses = list(pool.map(client.ask, itertools.islice(itertools.cycle(bodies), count)))
            assert set(statuses) == {200}, set(statuses)
            rows.append((bare, count / (time.perf_counter() - began)))
    bare, served = (statistics.median(row[index] for row in rows) for index in (0, 1))
    ratio = statistics.median(served / bare for bare, served in rows)
    print(f"bare session {bare:7.1f} pictures/s   server {served:7.1f} requests/s   {ratio:.2f} x"
          f"   ({clients} clients, {count} requests, {rounds} rounds)")  # fmt: skip


def bomb() -> bytes:
    """A PNG that says it is 30,000 x 30,000 pixels."""

    def chunk(kind, data):
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    header = chunk(b"IHDR", (30_000).to_bytes(4) * 2 + bytes([8, 2, 0, 0, 0]))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def bad_bodies() -> list[bytes]:
    """One of each kind."""
    good = instance(0)
    return [
        b"{",
        b"[" * 100_000,
        json.dumps({"instances": [good | {"seed": "x"}]}).encode(),
        json.dumps({"instances": [good | {"seed": -1}]}).encode(),
        json.dumps({"instances": [good | {"image_bytes": {"b64": "*"}}]}).encode(),
        json.dumps({"instances": [good | {"image_bytes": b64(bomb())}]}).encode(),
        json.dumps({"instances": [good | {"image_bytes": b64(images.encode(picture(0)[0], ".png")[:500])}]}).encode(),
        json.dumps({"instances": [good | {"mask_bytes": b64(images.encode(picture(0)[1][:50], ".png"))}]}).encode(),
        json.dumps({"instances": [good, {}]}).encode(),
    ]


def oversized() -> list[bytes]:
    """Batches that are too large, one of each kind."""
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    small = instance(0) | {"image_bytes": b64(images.encode(noise, ".png"))}
    tiny = {"image_bytes": "", "mask_bytes": "", "seed": 0}
    return [
        json.dumps({"instances": [tiny] * 20_000}).encode(),
        json.dumps({"instances": [small] * 500}).encode(),
        b'{"instances":[' + b"[]," * 20_000_000 + b"[]]}",
    ]


def abuse(good: int, bad: int, slow: int, batches: int, clients: int) -> None:
    """Print what becomes of good requests among bad ones, and of memory."""
    bodies = [json.dumps({"instances": [instance(n)]}).encode() for n in range(PICTURES)]
    wrong, large = bad_bodies(), oversized()
    healths: list[float] = []
    over = threading.Event()

    def job(number: int) -> tuple[str, int]:
        kind, body = jobs[number]
        return kind, client.ask(body)

    def look():
        while not over.wait(0.1):
            healths.append(server.seconds_of_health())

    jobs = [("good", bodies[n % PICTURES]) for n in range(good)] + [("bad", wrong[n % len(wrong)]) for n in range(bad)]
    random.Random(0).shuffle(jobs)
    with (
        Server() as server,
        ThreadPoolExecutor(clients) as pool,
        ThreadPoolExecutor(4) as four,
        contextlib.ExitStack() as stack,
    ):
        client = Client(server)
        watch = threading.Thread(target=look)
        watch.start()
        for _ in range(slow):
            each = stack.enter_context(socket.create_connection((server.address.hostname, server.address.port)))
            each.sendall(f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{{".encode())
        sent = [four.submit(client.ask, large[n % len(large)]) for n in range(batches)]
        early = server.memory()
        began = time.perf_counter()
        results = list(pool.map(job, range(len(jobs))))
        took = time.perf_counter() - began
        told = [each.result() for each in sent]
        over.set()
        watch.join()
        late, most = server.memory(), server.memory("VmHWM")
    fine = [status for kind, status in results if kind == "good"]
    print(f"good requests {len(fine)}, answered {sum(status == 200 for status in fine) / len(fine):.2%}"
          f" ({counts(fine)}), in {took:.0f} s with {clients} clients")  # fmt: skip
    print(f"  among bad requests {bad} ({counts([status for kind, status in results if kind == 'bad'])}),"
          f" slow clients {slow}, oversized batches {batches} ({counts(told)})")  # fmt: skip
    print(f"  /health: slowest of {len(healths)} {max(healths):.2f} s; memory at first {early:.0f} MB,"
          f" at the end {late:.0f} MB, most {most:.0f} MB")  # fmt: skip


def counts(statuses: list[int]) -> str:
    """How many of each."""
    return ", ".join(f"{status}: {statuses.count(status)}" for status in sorted(set(statuses)))


def bodies(count: int, size: int) -> None:
    """Print the most memory that the server takes under large bodies at once."""
    body = json.dumps({"instances": [instance(0) | {"image_bytes": {"b64": "A" * (size - 2000)}}]}).encode()
    with Server() as server, ThreadPoolExecutor(count) as pool:
        early = server.memory()
        client = Client(server)
        statuses = list(pool.map(client.ask, [body] * count))
        most = server.memory("VmHWM")
    print(f"{count} bodies of {len(body) / 1e6:.0f} MB at once ({counts(statuses)}):"
          f" memory before {early:.0f} MB, most {most:.0f} MB")  # fmt: skip


def phone_photo() -> tuple[bytes, bytes]:
    """A JPEG of 12 megapixels, and a mask of ten holes of 200 pixels."""
    rng, (height, width) = np.random.default_rng(0), (3000, 4000)
    mask = np.zeros((height, width), np.uint8)
    for x, y in zip(rng.integers(0, width - 200, 10), rng.integers(0, height - 200, 10), strict=True):
        cv2.circle(mask, (int(x) + 100, int(y) + 100), 100, 255, -1)
    return images.encode(photo(height, width), ".jpg"), images.encode(mask, ".png")


def large_photo() -> None:
    """Print how long a phone's photo takes."""
    image, mask = phone_photo()
    repair = {"image_bytes": b64(image), "mask_bytes": b64(mask), "seed": 0}
    enlarge = {"image_bytes": b64(image), "scale": 2, "detail": 0.5, "seed": 0}
    for verb, item in (("inpaint", repair), ("superres", enlarge)):
        with Server() as server:
            began = time.perf_counter()
            status = Client(server).ask(json.dumps({"instances": [item]}).encode(), f"/v1/models/{verb}:predict")
            took, most = time.perf_counter() - began, server.memory("VmHWM")
        print(f"a photo of 12 megapixels, {verb}: status {status} after {took:.1f} s, memory at most {most:.0f} MB")


def stop() -> None:
    """Print how long the server takes to end while it works."""
    image, _ = phone_photo()
    body = json.dumps({"instances": [{"image_bytes": b64(image), "scale": 2, "detail": 0.5, "seed": 0}]}).encode()
    with Server() as server, ThreadPoolExecutor(4) as pool:
        client = Client(server)
        begun = [pool.submit(client.ask, body, "/v1/models/superres:predict") for _ in range(4)]
        while server.running() < 2:
            time.sleep(0.1)
        began = time.perf_counter()
        server.process.terminate()
        status = server.process.wait()
        took = time.perf_counter() - began
        told = [each.result() for each in begun]
    print(
        f"from SIGTERM to the end {took:.1f} s, exit status {status}, with four photos of 12 megapixels to enlarge"
        f" ({counts(told)})"
    )


PARTS = ("speed", "abuse", "bodies", "photo", "stop")

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all without any")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--count", type=int, default=400, help="requests of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--good", type=int, default=1000)
    parser.add_argument("--bad", type=int, default=450)
    parser.add_argument("--slow", type=int, default=50)
    parser.add_argument("--batches", type=int, default=20)
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - {*PARTS}:
        parser.error(f"no part {', '.join(unknown)}")
    for part in chosen.parts or PARTS:
        if part == "speed":
            speed(chosen.count, chosen.clients, chosen.rounds)
        elif part == "abuse":
            abuse(chosen.good, chosen.bad, chosen.slow, chosen.batches, chosen.clients)
        elif part == "bodies":
            bodies(25, 63_000_000)
        elif part == "photo":
            large_photo()
        else:
            stop()
