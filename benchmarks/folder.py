"""Folders: processes against one, the time around the network, memory, and what `kill -9` leaves.

    python benchmarks/folder.py

The photos (JPEG, 1152x864, drawn here) have three holes of 60 pixels. One process on one core is compared with two on
two cores, in turn. The time around the network is everything but its calls, within one process that is already
started. The killed runs end at moments spread evenly over the time that a whole run takes, each in a folder of its
own, and are then finished with --skip-existing; a file is lost if it is not what a run that was left alone writes.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

# process.py lies beside this file
from process import VAEKIT, holes, photo

from vaekit import images

SIZE = 864, 1152


def command(folder: Path, out: str, *arguments: str) -> list[str]:
    """`vaekit inpaint` of the folder."""
    return [
        *VAEKIT,
        "inpaint",
        str(folder / "photos"),
        "-m",
        str(folder / "mask.png"),
        "-o",
        str(folder / out),
        *arguments,
    ]


def make(folder: Path, count: int) -> None:
    """photos/ and mask.png; the photos differ by where they are bright."""
    (folder / "photos").mkdir(parents=True)
    picture = photo(*SIZE)
    for number in range(count):
        shifted = np.roll(picture, 37 * number, axis=1)
        (folder / "photos" / f"{number:04d}.jpg").write_bytes(images.encode(shifted, ".jpg"))
    images.write(folder / "mask.png", holes(*SIZE, 60))


def on(cores: int, arguments: list[str]) -> list[str]:
    """A command that has so many cores."""
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    change = f"import os, sys; os.sched_setaffinity(0, {allowed}); os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", change, *arguments]


def run(arguments: list[str], cores: int) -> tuple[float, float]:
    """Seconds of a process that has so many cores, and the peak memory of it and its children in MB."""
    started = time.perf_counter()
    process = subprocess.Popen(on(cores, arguments), stdout=subprocess.DEVNULL)
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            peak[0] = max(peak[0], resident(process.pid))

    watching = threading.Thread(target=watch)
    watching.start()
    status = process.wait()
    done.set()
    watching.join()
    if status:
        raise SystemExit(f"{' '.join(arguments)}: status {status}")
    return time.perf_counter() - started, peak[0]


def resident(leader: int) -> float:
    """Memory of a process and its children, in MB, without what they share."""
    total = 0.0
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if leader in (parent, int(path.name)):
                lines = (path / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1e3
        except OSError:
            continue
    return total


def compare(folder: Path, count: int, rounds: int) -> None:
    """One process on one core against two on two, in turn."""
    make(folder, count)
    print(f"{count} photos of {SIZE[1]}x{SIZE[0]}, {rounds} rounds")
    rows = []
    for turn in range(rounds):
        one = run(command(folder, f"one{turn}", "--jobs", "1"), 1)
        two = run(command(folder, f"two{turn}", "--jobs", "2"), 2)
        rows.append((one, two))
    for index, name in enumerate(("1 process, 1 core", "2 processes, 2 cores")):
        seconds = statistics.median(row[index][0] for row in rows)
        memory = max(row[index][1] for row in rows)
        print(f"{name:24} {count / seconds:6.2f} photos/s   {memory:6.0f} MB at the peak")
    print(f"{'two against one':24} {statistics.median(one[0] / two[0] for one, two in rows):6.2f} x")
    few = folder / "few"
    make(few, count // 4)
    _, memory = run(command(few, "out", "--jobs", "2"), 2)
    print(f"{f'{count // 4} photos, 2 processes':24} {memory:22.0f} MB at the peak")


AROUND = """
import sys, time
import onnxruntime
from vaekit.cli import app
inside = 0.0
call = onnxruntime.InferenceSession.run
def timed(self, *arguments, **inputs):
    global inside
    began = time.perf_counter()
    try:
        return call(self, *arguments, **inputs)
    finally:
        inside += time.perf_counter() - began
onnxruntime.InferenceSession.run = timed
app(sys.argv[1:], standalone_mode=False)
print(inside)
"""


def around(folder: Path) -> None:
    """Print the share of the time of one process that is not the network's."""
    arguments = command(folder, "around", "--jobs", "1", "--json")[len(VAEKIT) :]
    process = on(1, [sys.executable, "-c", AROUND, *arguments])
    done = subprocess.run(process, check=True, capture_output=True, text=True)
    report, inside = done.stdout.splitlines()
    whole = sum(entry["seconds"] for entry in json.loads(report)["done"])
    print(f"{'around the network':24} {1 - float(inside) / whole:6.1%} of {whole:.1f} s")


def killed(folder: Path, moments: int) -> None:
    """Print what runs leave that are killed."""
    make(folder, 24)
    seconds, _ = run(command(folder, "whole", "--jobs", "2"), 2)
    whole = {path.name: path.read_bytes() for path in (folder / "whole").iterdir()}
    half, lost, written = 0, 0, 0
    for moment in range(moments):
        out = f"out{moment}"
        process = subprocess.Popen(
            command(folder, out, "--jobs", "2"), stdout=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(seconds * (moment + 0.5) / moments)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(0.5)
        found = list((folder / out).iterdir()) if (folder / out).is_dir() else []
        written += len(found)
        half += sum(whole.get(path.name) != path.read_bytes() for path in found)
        subprocess.run(command(folder, out, "--jobs", "2", "--skip-existing"), check=True, stdout=subprocess.DEVNULL)
        lost += sum((folder / out / name).read_bytes() != data for name, data in whole.items())
    print(f"kill -9 at {moments} moments of {seconds:.1f} s: {written} files written, {half} half-written, {lost} lost")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--moments", type=int, default=50)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        compare(Path(temporary) / "speed", chosen.count, chosen.rounds)
        around(Path(temporary) / "speed" / "few")
        killed(Path(temporary) / "killed", chosen.moments)
