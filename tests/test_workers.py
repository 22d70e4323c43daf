"""Folders: every core works, and nothing that goes wrong with one file, or with all of it, harms the others."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from vaekit import images, workers

COUNT = 6


@pytest.fixture
def folder(tmp_path):
    """photos/0.png ... and mask.png."""
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(COUNT):
        small = rng.uniform(0, 255, (5, 7, 3)).astype(np.float32)
        images.write(tmp_path / "photos" / f"{number}.png", cv2.resize(small, (90, 70)).astype(np.uint8))
    mask = np.zeros((70, 90), np.uint8)
    mask[20:40, 30:50] = 255
    images.write(tmp_path / "mask.png", mask)
    return tmp_path


def repair(vaekit, *arguments):
    return vaekit("inpaint", "photos", "-m", "mask.png", *arguments)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_two_processes_write_what_one_writes(folder, vaekit):
    assert repair(vaekit, "-o", "one", "--jobs", 1).returncode == 0
    done = repair(vaekit, "-o", "two", "--jobs", 2)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"inpaint: {COUNT} done ({COUNT} files) in ")
    one, two = contents(folder / "one"), contents(folder / "two")
    assert list(one) == [f"{number}.png" for number in range(COUNT)] == list(two)
    for name in one:  # the sums of more threads are added up in another order
        first, second = (images.decode(data[name]).pixels.astype(int) for data in (one, two))
        assert np.abs(first - second).max() <= 1


def test_a_damaged_file_fails_alone(folder, vaekit):
    (folder / "photos" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    done = repair(vaekit, "-o", "out", "--jobs", 2, "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert [entry["input"] for entry in report["failed"]] == [os.path.join("photos", "2.png")]
    assert done.stderr == f"vaekit: {report['failed'][0]['error']}\n"
    assert len(report["done"]) == COUNT - 1 == len(contents(folder / "out"))


def test_skip_existing_goes_on_where_it_ended(folder, vaekit):
    assert repair(vaekit, "-o", "out", "--jobs", 2).returncode == 0
    whole = contents(folder / "out")
    for number in (1, 4):
        (folder / "out" / f"{number}.png").unlink()
    (folder / "out" / "3.png").write_bytes(b"mine")
    done = repair(vaekit, "-o", "out", "--jobs", 2, "--skip-existing", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert sorted(entry["outputs"][0] for entry in report["done"]) == [os.path.join("out", f"{n}.png") for n in (1, 4)]
    assert len(report["skipped"]) == COUNT - 2
    assert contents(folder / "out") == {**whole, "3.png": b"mine"}


def test_skip_existing_knows_an_output_that_had_to_change_its_suffix(folder, vaekit):
    (folder / "photos" / "0.png").rename(folder / "photos" / "0.gif")
    assert repair(vaekit, "-o", "out").returncode == 0
    assert "0.png" in contents(folder / "out")
    done = repair(vaekit, "-o", "out", "--skip-existing")
    assert (done.returncode, done.stdout) == (0, f"inpaint: {COUNT} skipped\n")


def test_replacing_and_keeping_exclude_each_other(folder, vaekit):
    done = repair(vaekit, "--overwrite", "--skip-existing")
    assert (done.returncode, done.stderr) == (2, "vaekit: --overwrite and --skip-existing exclude each other\n")


def test_two_inputs_for_one_output_are_told_in_whatever_processes(folder, vaekit):
    (folder / "photos" / "1.png").rename(folder / "photos" / "0.gif")  # is written as 0.png, as 0.png is
    done = repair(vaekit, "-o", "out", "--jobs", 2)
    assert done.returncode == 1
    assert "is the output of" in done.stderr
    assert len(contents(folder / "out")) == COUNT - 1


def test_a_mask_for_all_that_is_none_is_told_once(folder, vaekit):
    (folder / "mask.png").write_text("no image")
    for jobs in (1, 2):
        done = repair(vaekit, "-o", "out", "--jobs", jobs)
        assert done.returncode == 1
        assert done.stderr.startswith("vaekit: mask.png: not an image")
        assert done.stderr.count("\n") == 1
    assert not (folder / "out").exists()


def test_a_bundle_that_is_missing_ends_it_with_its_status(folder, vaekit):
    done = repair(vaekit, "-o", "out", "--jobs", 2, "--bundle", "none")
    assert done.returncode == 3
    assert done.stderr.startswith("vaekit: no bundle none in ")
    assert done.stderr.count("\n") == 1


# === Processes that end ===


def start(folder, bundles, *arguments):
    """A folder being edited, in a process group of its own."""
    environment = {**os.environ, "VAEKIT_MODELS": str(bundles)}
    command = [sys.executable, "-m", "vaekit", "inpaint", "photos", "-m", "mask.png", "-o", "out", "-j", "2"]
    # Jobs in the background of a shell ignore SIGINT, and so would what they start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [*command, *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def many(folder, count):
    for number in range(COUNT, count):
        (folder / "photos" / f"{number}.png").write_bytes((folder / "photos" / f"{number % COUNT}.png").read_bytes())


def wait_for(condition, seconds=3600):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def running(leader):
    """Processes of a group that still run, as Linux has them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
            found += [path.parent.name] if int(its_group) == leader and state != "Z" else []
    return found


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_ends_it_with_whole_files_and_a_summary(folder, bundles):
    many(folder, 400)
    process = start(folder, bundles)
    wait_for(lambda: (folder / "out").exists() and len(os.listdir(folder / "out")) > 3)
    os.killpg(process.pid, signal.SIGINT)
    out, error = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in error
    written = sorted((folder / "out").iterdir())
    assert out.startswith("inpaint: ")
    assert out.endswith(", interrupted\n")
    assert 3 < len(written) < 400
    for path in written:
        assert images.read(path).pixels.shape == (70, 90, 3)


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="needs files without names")
def test_kill_9_leaves_whole_files_no_others_and_no_processes(folder, bundles):
    many(folder, 400)
    process = start(folder, bundles)
    wait_for(lambda: (folder / "out").exists() and len(os.listdir(folder / "out")) > 3)
    process.kill()
    process.communicate()
    wait_for(lambda: not running(process.pid))
    written = sorted((folder / "out").iterdir())
    assert 3 < len(written) < 400
    for path in written:
        assert path.suffix == ".png"
        assert images.read(path).pixels.shape == (70, 90, 3)


@dataclass
class Squares:
    """Squares numbers, and dies of 3."""

    threads: int = 0

    def open(self, threads):
        def square(number):
            if number == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return [(number, number**2, os.getpid())]

        return square

    def lost(self, task, reason):
        return [(task, reason, None)]


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_process_that_dies_costs_one_task():
    results = sorted(workers.processes(Squares(), range(8), 2))
    assert [(number, square) for number, square, _ in results if number != 3] == [
        (number, number**2) for number in range(8) if number != 3
    ]
    assert "its process ended" in results[3][1]
    assert os.getpid() not in {process for *_, process in results}


class Ends:
    """Tells what ends a process that is told to."""

    def open(self, threads):
        return lambda number: [signal.getsignal(signal.SIGTERM)]


def test_no_handler_in_python_can_come_too_late_when_a_process_is_ended():
    assert list(workers.processes(Ends(), range(4), 2)) == [signal.SIG_DFL] * 4


def test_a_lone_task_needs_no_other_process_and_several_do_whatever_the_jobs():
    """What ends a process must not end the command."""
    assert list(workers.processes(Squares(), [2], None)) == [(2, 4, os.getpid())]
    *_, (one, two) = zip(*sorted(workers.processes(Squares(), [1, 2], 1)), strict=True)
    assert one == two != os.getpid()


def test_ray_writes_what_processes_write(folder, vaekit):
    pytest.importorskip("ray")
    assert repair(vaekit, "-o", "here", "--jobs", 2).returncode == 0
    (folder / "photos" / "2.png").write_bytes(b"damaged")
    done = repair(vaekit, "-o", "there", "--jobs", 2, "--engine", "ray", "--json")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert (len(report["done"]), len(report["failed"])) == (COUNT - 1, 1)
    here, there = contents(folder / "here"), contents(folder / "there")
    assert there == {name: data for name, data in here.items() if name != "2.png"}
