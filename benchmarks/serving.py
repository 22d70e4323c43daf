"""The server: requests a second against the bare ONNX session, bad clients among good ones, and memory.

    python benchmarks/serving.py

Pictures of 128x128 with a hole are repaired. The bare session replays, in a loop and on all cores, the very calls of
the network that their repair takes, and decodes and encodes nothing. The server is asked by as many clients as
--clients says, over connections that stay open; both are measured in turn, and the table gives the median of the
ratios. Then bad requests of ten kinds (types, sizes, JSON, base64, bombs, damaged files, slow clients) are sent among
good ones.
"""

import argparse
import base64
import http.client
import itertools
import json
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
from process import VAEKIT

import vaekit
from vaekit import images

PATH = "/v1/models/inpaint:predict"
SIDE = 128
PICTURES = 20
LIMIT = 4_000_000


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
    """`vaekit serve inpaint`, with small limits."""

    def __enter__(self):
        limits = ["--port", "0", "--max-body", str(LIMIT), "--receive-timeout", "3", "--queue", "256"]
        self.process = subprocess.Popen([*VAEKIT, "serve", "inpaint", *limits], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = urlsplit(self.process.stdout.readline().split()[-1])
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def memory(self) -> float:
        """Resident, in MB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1e3


class Client(threading.local):
    """A connection a thread."""

    def __init__(self, server: Server):
        self.server = server
        self.connect()

    def connect(self):
        """Anew."""
        self.connection = http.client.HTTPConnection(self.server.address.netloc, timeout=60)

    def ask(self, body: bytes) -> int:
        """The status of an answer."""
        for _ in range(2):  # a connection that was idle for long is closed: clients try again
            try:
                self.connection.request("POST", PATH, body)
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
    with Server() as server, ThreadPoolExecutor(clients) as pool:
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


def bad_bodies() -> list[bytes | None]:
    """One of each kind; None is a client that sends half a request and no more."""
    good = instance(0)
    return [
        b"{",
        b"[" * 100_000,
        json.dumps({"instances": [good | {"seed": "x"}]}).encode(),
        json.dumps({"instances": [good | {"image_bytes": {"b64": "*"}}]}).encode(),
        json.dumps({"instances": [good | {"image_bytes": b64(bomb())}]}).encode(),
        json.dumps({"instances": [good | {"image_bytes": b64(images.encode(picture(0)[0], ".png")[:500])}]}).encode(),
        json.dumps({"instances": [good | {"mask_bytes": b64(images.encode(picture(0)[1][:50], ".png"))}]}).encode(),
        json.dumps({"instances": [good, {}], "more": 1}).encode(),
        b"x" * (LIMIT + 1),
        None,
    ]


def abuse(good: int, bad: int, clients: int) -> None:
    """Print what becomes of good requests among bad ones, and of memory."""
    bodies = [json.dumps({"instances": [instance(n)]}).encode() for n in range(PICTURES)]
    wrong = bad_bodies()
    slow: list[socket.socket] = []

    def job(number: int) -> tuple[str, int]:
        if number % (good // bad + 1):
            return "good", client.ask(bodies[number % PICTURES])
        body = wrong[number // (good // bad + 1) % len(wrong)]
        if body is not None:
            return "bad", client.ask(body)
        slow.append(socket.create_connection((server.address.hostname, server.address.port)))
        slow[-1].sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
        return "slow", 0

    with Server() as server, ThreadPoolExecutor(clients) as pool:
        client = Client(server)
        results: list[tuple[str, int]] = []
        early = 0.0
        for first in range(0, good + bad, 250):
            results += pool.map(job, range(first, min(first + 250, good + bad)))
            if not early and len(results) >= 500:
                early = server.memory()
        late = server.memory()
    for each in slow:
        each.close()
    fine = [status for kind, status in results if kind == "good"]
    told = [status for kind, status in results if kind == "bad"]
    print(f"good requests {len(fine)}, answered {sum(status == 200 for status in fine) / len(fine):.2%}")
    kinds = ", ".join(f"{status}: {told.count(status)}" for status in sorted(set(told)))
    print(f"bad requests {len(told)} ({kinds}), slow clients {len(slow)}")
    print(f"memory after 500 requests {early:.0f} MB, after {len(results)} {late:.0f} MB: {late / early - 1:+.1%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--count", type=int, default=400, help="requests of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--good", type=int, default=5000)
    parser.add_argument("--bad", type=int, default=500)
    chosen = parser.parse_args()
    speed(chosen.count, chosen.clients, chosen.rounds)
    abuse(chosen.good, chosen.bad, chosen.clients)
