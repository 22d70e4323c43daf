"""Whole processes: how long a person waits, against `python -c "import tensorflow"`, and how much memory it takes.

    python benchmarks/process.py

Timings are paired: each round runs every command once, in turn; the table gives medians and the median of the
ratios within a round. Memory is the peak resident size of `vaekit inpaint` on a 24-megapixel photo (6000x4000,
drawn here) with three holes of about 200 pixels, and of `vaekit superres` from 2500x2500 to 10000x10000. `vaekit edit`
finds a drawn person with MTCNN in a picture of 1024 pixels and changes its face.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from vaekit import images
from vaekit.bundle import installed
from vaekit.data.rendered import Look, RenderedFaces, render

VAEKIT = [sys.executable, "-m", "vaekit"]


def photo(height: int, width: int) -> np.ndarray:
    """Smooth colours with grain; [height, width, 3] uint8."""
    rng = np.random.default_rng(0)
    small = rng.uniform(0, 255, (9, 12, 3)).astype(np.float32)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(large + rng.normal(0, 6, (height, width, 1)), 0, 255).astype(np.uint8)


def portrait(side: int) -> np.ndarray:
    """A drawn person that MTCNN finds, before a photo; [side, side, 3] uint8."""
    background, face = photo(side, side), round(0.6 * side)
    first = (side - face) // 2
    person = render(RenderedFaces(400, seed=1).identity(4), Look(smile=0.2, light=0.1), face)
    background[first : first + face, first : first + face] = person
    return background


def holes(height: int, width: int, side: int) -> np.ndarray:
    """Three squares in different corners."""
    mask = np.zeros((height, width), np.uint8)
    for y, x in ((0.2, 0.2), (0.5, 0.7), (0.8, 0.4)):
        top, left = round(y * height), round(x * width)
        mask[top : top + side, left : left + side] = 255
    return mask


def timed(command: list[str]) -> float:
    """Seconds of a process."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def paired(folder: Path, rounds: int) -> None:
    """Print the table of times."""
    images.write(folder / "photo.png", photo(512, 512))
    images.write(folder / "mask.png", holes(512, 512, 60))
    inpaint = [*VAEKIT, "inpaint", str(folder / "photo.png"), "--mask", str(folder / "mask.png"), "--overwrite"]
    commands = {
        "import tensorflow": [sys.executable, "-c", "import tensorflow"],
        "vaekit inpaint, 512x512": inpaint,
        "vaekit --help": [*VAEKIT, "--help"],
    }
    if any(bundle.name == "edit" for bundle in installed()):
        images.write(folder / "portrait.png", portrait(1024))
        edit = [*VAEKIT, "edit", str(folder / "portrait.png"), "--set", "smiling=1", "--overwrite"]
        commands["vaekit edit, 1024x1024"] = edit
    for command in commands.values():
        timed(command)  # warm the file cache
    rows = [{name: timed(command) for name, command in commands.items()} for _ in range(rounds)]
    print(f"{'process':26} {'seconds':>8} {'of import tensorflow':>21}   ({rounds} rounds)")
    for name in commands:
        share = statistics.median(row[name] / row["import tensorflow"] for row in rows)
        print(f"{name:26} {statistics.median(row[name] for row in rows):8.2f} {share:20.2f}x")


def memory(folder: Path) -> None:
    """Print the peak memory and the time of large photos."""
    images.write(folder / "large.png", photo(4000, 6000))
    images.write(folder / "largemask.png", holes(4000, 6000, 200))
    images.write(folder / "small.png", photo(2500, 2500))
    print(f"\n{'process':44} {'peak MB':>8} {'seconds':>8}")
    large, mask, small = (str(folder / name) for name in ("large.png", "largemask.png", "small.png"))
    peak("vaekit inpaint, 24 megapixels, three holes", [*VAEKIT, "inpaint", large, "--mask", mask])
    if any(bundle.name == "superres" for bundle in installed()):
        peak("vaekit superres, to 100 megapixels", [*VAEKIT, "superres", small, "--scale", "4"])


def peak(name: str, command: list[str]) -> None:
    """Print the peak memory and the time of a process."""
    child = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", child, *command], check=True, capture_output=True, text=True)
    unit = 1 if sys.platform == "darwin" else 1024
    print(f"{name:44} {int(done.stdout) * unit / 1e6:8.0f} {time.perf_counter() - started:8.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        paired(Path(temporary), arguments.rounds)
        memory(Path(temporary))
