"""Local, gateway and remote runtime: how far their pictures differ, and what a folder costs.

    python benchmarks/remote.py

prints the largest difference, in 255ths, over 40 odd sizes with seeds 0 to 3, alpha and EXIF orientations 1 to 8; and
the CPU time of a folder of 40 photos, client and server together, beside that of the local run. TensorFlow Serving is
tests/serving_stub.py here, in a process of its own, on saved_models/; it has answered once before its time is taken,
as a server has. Needs Linux, for the CPU time of the server.
"""

import argparse
import base64
import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import cv2
import numpy as np
from PIL import Image

import vaekit
from vaekit import images

ROOT = Path(__file__).parents[1]
PORTRAIT = ROOT / "docs" / "images" / "sources" / "astronaut.jpg"
ORIENTATION = 0x0112
SIDES = (200, 300)
"""Height and width of the folder's photos."""


def case(number: int) -> tuple[bytes, np.ndarray, int]:
    """A photo in a PNG, of an odd size, its mask [H, W] bool, upright, and a seed."""
    rng = np.random.default_rng(number)
    height, width = (int(2 * side + 1) for side in rng.integers(20, 90, 2))
    pixels = cv2.resize(images.read(PORTRAIT).pixels, (width, height), interpolation=cv2.INTER_AREA)
    if number % 3 == 0:
        pixels = np.dstack([pixels, cv2.resize(rng.integers(0, 256, (4, 5), np.uint8), (width, height))])
    exif = Image.Exif()
    exif[ORIENTATION] = 1 + number % 8
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png", exif=exif)
    mask = np.zeros(images.decode(file.getvalue()).pixels.shape[:2], np.uint8)
    start, end = (tuple(int(v) for v in rng.integers(0, min(mask.shape), 2)) for _ in range(2))
    cv2.line(mask, start, end, 255, int(rng.integers(3, 16)))
    return file.getvalue(), mask > 0, number % 4


def answers(app: str, runtime: str, count: int) -> list[np.ndarray]:
    """An editor's pictures of the cases."""
    editor = vaekit.load(app, runtime=runtime)
    found = []
    for data, mask, seed in map(case, range(count)):
        pixels, drawn = images.decode(data).pixels, seed or None
        if app == "inpaint":
            found.append(editor(pixels, mask, seed=drawn))
        else:
            found.append(editor(pixels, 2, detail=0.5, seed=drawn))
    return found


def from_gateway(app: str, address: str, count: int) -> list[np.ndarray]:
    """What a server answers to the files of the cases."""
    found = []
    for data, mask, seed in map(case, range(count)):
        item = {"image_bytes": _base64(data), "seed": seed}
        if app == "inpaint":
            item["mask_bytes"] = _base64(images.encode(255 * mask.astype(np.uint8), ".png"))
        else:
            item |= {"scale": 2, "detail": 0.5}
        body = json.dumps({"instances": [item]}).encode()
        with urlopen(Request(f"{address}/v1/models/{app}:predict", body)) as answer:
            (told,) = json.load(answer)["predictions"]
        found.append(images.decode(base64.b64decode(told["b64"])).pixels)
    return found


def _base64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


@contextlib.contextmanager
def running(*command: str) -> Iterator[tuple[int, list[str]]]:
    """A server in a process of its own: its number, and the words of its first line."""
    with subprocess.Popen(
        [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        yield process.pid, process.stdout.readline().split()
        process.terminate()


def largest(one: list[np.ndarray], other: list[np.ndarray]) -> int:
    """The largest difference of two lists of pictures, in 255ths."""
    return max(int(np.abs(a.astype(int) - b).max()) for a, b in zip(one, other, strict=True))


def photos(folder: Path, count: int) -> None:
    """Photos of the same size with noise, and one mask for all."""
    portrait = cv2.resize(images.read(PORTRAIT).pixels, SIDES[::-1], interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(0)
    (folder / "photos").mkdir()
    for number in range(count):
        noise = rng.normal(0, 3, portrait.shape)
        images.write(folder / "photos" / f"{number}.png", (portrait + noise).clip(0, 255).astype(np.uint8))
    mask = np.zeros(SIDES, np.uint8)
    cv2.line(mask, (20, 30), (280, 170), 255, 9)
    images.write(folder / "mask.png", mask)


def spent(app: str, runtime: str, folder: Path, server: int | None) -> float:
    """Seconds of CPU time that a folder takes, here and in a server."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN), _cpu(server)
    options = ["--mask", "mask.png", "--no-faces"] if app == "inpaint" else ["--scale", "2"]
    command = [sys.executable, "-m", "vaekit", app, "photos", "-o", f"{app}-out", "--overwrite", *options]
    subprocess.run([*command, "--runtime", runtime], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN), _cpu(server)
    client = after[0].ru_utime + after[0].ru_stime - before[0].ru_utime - before[0].ru_stime
    return client + after[1] - before[1]


def _cpu(process: int | None) -> float:
    if process is None:
        return 0.0
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print both figures, by app and by runtime."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40, help="photos")
    count = parser.parse_args().count
    stub = ("tests/serving_stub.py", str(ROOT / "saved_models"))
    with running(*stub) as (server, (rest, rpc)), tempfile.TemporaryDirectory() as folder:
        with running("-m", "vaekit", "serve", "inpaint", "superres", "--port", "0", "--runtime", rpc) as (_, told):
            for app in ("inpaint", "superres"):
                local = answers(app, "onnx", count)
                found = {
                    "gateway": from_gateway(app, told[-1], count),
                    "gRPC": answers(app, rpc, count),
                    "REST": answers(app, rest, count),
                }
                far = ", ".join(f"{name} {largest(local, pictures)}" for name, pictures in found.items())
                print(f"{app}: largest difference from local over {count} photos: {far} of 255", flush=True)
        photos(Path(folder), count)
        for app in ("inpaint", "superres"):
            local_time = spent(app, "onnx", Path(folder), None)
            for name, runtime in (("gRPC", rpc), ("REST", rest)):
                seconds = spent(app, runtime, Path(folder), server)
                print(
                    f"{app}: CPU time of {count} photos of {SIDES[1]}x{SIDES[0]}: local {local_time:.1f} s, "
                    f"{name} {seconds:.1f} s ({seconds / local_time:.2f} x)",
                    flush=True,
                )


if __name__ == "__main__":
    main()
