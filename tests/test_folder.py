"""What a folder contains, where its results go, and that no input is lost there; without a network."""

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from vaekit import images, inputs, runner, workers
from vaekit.errors import UserError
from vaekit.inputs import Input, expand, find_inputs, find_partner
from vaekit.outputs import Outputs, check_file, names_device

PICTURE = images.encode(np.full((4, 5, 3), 90, np.uint8), ".png")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(PICTURE)


def found(*names, command="superres", **options):
    return [str(item) for item in find_inputs(names, command, **options)]


# === What is taken for an input ===


def test_hidden_files_thumbnails_and_resource_forks_are_no_inputs(here):
    put("p/a.png", "p/._a.png", "p/.thumbnails/a.png", "p/@eaDir/a.jpg/b.png", "p/__MACOSX/a.png", "p/b.c.d/e.f.png")
    assert found("p", recursive=True) == ["p/a.png", "p/b.c.d/e.f.png"]
    assert found("p/.thumbnails") == ["p/.thumbnails/a.png"]


def test_folders_that_are_linked_are_met_once_and_circles_do_no_harm(here):
    put("p/z/a.png", "store/b.png")
    for link, target in (("p/a_link", "z"), ("p/more", "../store"), ("p/again", "../store"), ("p/z/up", "../..")):
        os.symlink(target, link, target_is_directory=True)
    os.symlink("nowhere.png", "p/broken.png")
    os.symlink("loop.png", "p/loop.png")
    assert found("p", recursive=True) == ["p/again/b.png", "p/z/a.png"]
    # the same circle by a glob
    assert [str(path) for path in expand("p/**/*.png") if path.is_file()] == ["p/again/b.png", "p/z/a.png"]
    assert Path("p/z/a.png") in expand("p/**/z/**/*.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX")
def test_pipes_and_devices_are_left_out_of_folders_and_refused_by_name(here):
    put("p/a.png")
    os.mkfifo("p/b.png")
    assert found("p") == ["p/a.png"]
    for name in ("p/b.png", "/dev/zero"):
        with pytest.raises(UserError, match="a device or named pipe"):
            found(name)
    assert found("p/*.png") == ["p/a.png"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "an empty name"),
        ("nobody.png", "no such file or folder"),
        ("p/a.png/b.png", "no such file or folder"),
        ("*.nothing", "no such file or folder"),
        ("x" * 300 + ".png", "file name too long"),
        ("a\0b.png", "null"),
        ("empty", r"no images in it \(--recursive"),
    ],
)
def test_what_a_name_does_not_stand_for_is_told_in_one_line(here, name, message):
    put("p/a.png")
    (here / "empty").mkdir()
    with pytest.raises(UserError, match=message) as caught:
        found(name)
    assert "\n" not in str(caught.value)


def test_brackets_of_a_folder_are_part_of_its_name_in_a_glob(here):
    put("in[1]/a.png", "in[1]/b/c.png", "in1/d.png")
    assert found("in[1]/*.png") == ["in[1]/a.png"]
    assert found("in[1]/**/*.png") == ["in[1]/a.png", "in[1]/b/c.png"]
    assert found("in[12]/*.png") == ["in1/d.png"]


def test_brackets_may_be_part_of_a_name_and_a_tilde_is_the_home(here, monkeypatch):
    put("[1].png", "1.png", "home/a.png")
    assert found("[1].png") == ["[1].png"]
    monkeypatch.setenv("HOME", str(here / "home"))
    monkeypatch.setenv("USERPROFILE", str(here / "home"))
    assert found("~") == found("~/*.png") == [str(here / "home" / "a.png")]


def test_earlier_results_are_no_inputs_however_they_are_named(here, capsys):
    put("p/a.jpg", "p/a_superres.png", "p/a_superres_2.png", "p/mine_superres.png")
    assert found("p") == ["p/a.jpg", "p/mine_superres.png"]
    assert found("p/*") == ["p/a.jpg", "p/mine_superres.png"]
    assert capsys.readouterr().err == ""
    # as the shell writes p/*
    assert found(*sorted(map(str, Path("p").iterdir()))) == ["p/a.jpg", "p/mine_superres.png"]
    assert "p/a_superres.png and 1 more: left out" in capsys.readouterr().err
    assert found("p/a_superres.png") == ["p/a_superres.png"]


def test_an_output_folder_within_the_inputs_is_not_looked_into(here):
    put("p/a.png", "p/out/a.png", "p/out/deep/b.png")
    os.symlink("p/out", "results", target_is_directory=True)
    for output in ("p/out", "results"):
        assert [str(i) for i in runner.plan(["p"], "superres", output, recursive=True, overwrite=True)[0]] == [
            "p/a.png"
        ]
    assert found("p/**/*.png", output=Path("p/out")) == ["p/a.png"]
    assert found("p/out", output=Path("p")) == ["p/out/a.png"]


def test_an_output_folder_that_the_shell_names_with_the_inputs_is_left_out(here, capsys):
    put("p/a.png", "p/b.png", "p/out/a.png")
    for names in (["p/a.png", "p/b.png", "p/out"], ["p/a.png", "p/b.png", "p/out/a.png"], ["p", "p/out"]):
        assert found(*names, output=Path("p/out")) == ["p/a.png", "p/b.png"]
        assert f"vaekit: {names[-1]}: left out" in capsys.readouterr().err


def test_masks_beside_photos_are_masks(here, capsys):
    put("d/a.jpg", "d/a_mask.png", "d/b.png", "d/b_mask001.png", "d/c_mask.png")
    assert found("d", command="inpaint", leave_out=Path("d")) == ["d/a.jpg", "d/b.png", "d/c_mask.png"]
    assert found("d/a.jpg", "d/a_mask.png", command="inpaint", leave_out=Path("d")) == ["d/a.jpg"]
    assert "d/a_mask.png: left out" in capsys.readouterr().err
    for photo, mask in (("a.jpg", "a_mask.png"), ("b.png", "b_mask001.png")):
        assert find_partner(Input(Path("d", photo), Path(photo)), Path("d"), "_mask") == Path("d", mask)
    with pytest.raises(images.ImageError, match=r"no mask for it: no d/c_mask_mask\.png"):
        find_partner(Input(Path("d/c_mask.png"), Path("c_mask.png")), Path("d"), "_mask")


def test_masks_in_a_folder_of_their_own_are_no_inputs(here):
    put("p/a.png", "p/masks/a.png", "p/masks/b_mask.png", "mask.png", "b.png")
    assert found("p", recursive=True, leave_out=Path("p/masks")) == ["p/a.png"]
    assert find_partner(Input(Path("p/a.png"), Path("a.png")), Path("p/masks"), "_mask") == Path("p/masks/a.png")
    assert found(".", leave_out=Path("mask.png")) == found("b.png", "mask.png", leave_out=Path("mask.png")) == ["b.png"]
    assert found("b.png", "b.png", leave_out=Path("b.png")) == ["b.png"]


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="needs a folder that may not be read")
def test_a_folder_that_may_not_be_read_is_told(here, capsys):
    put("p/a.png", "p/closed/b.png")
    os.chmod("p/closed", 0)
    assert found("p", recursive=True) == ["p/a.png"]
    assert "p/closed: cannot be read: permission denied: left out" in capsys.readouterr().err
    with pytest.raises(UserError, match="permission denied"):
        found("p/closed")


# === Where results go ===


def plan(*names, output=None, command="superres", **options):
    return runner.plan(names, command, output, **options)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("x.xyz", r"'\.xyz' cannot be written.*x\.xyz/ is a folder"),
        ("", "an empty name"),
        ("x.gif", r"'\.gif' cannot be written"),
        ("a.png/x.png", "not a folder"),
        ("a.png/deep/x/", "not a folder"),
    ],
)
def test_an_output_that_cannot_be_is_told_before_any_work(here, output, message):
    put("a.png")
    with pytest.raises(UserError, match=message):
        plan("a.png", output=output)
    assert os.listdir() == ["a.png"]


def test_a_file_or_a_folder_is_meant(here, monkeypatch):
    put("a.png", "p/a.png", "p/b.png")
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("USERPROFILE", str(here))
    for output, file in (
        ("x.png", True), ("new/x.JPG", True), ("~/x.png", True), ("out", False), ("out.v2/", False), ("x.png/", False)
    ):  # fmt: skip
        assert plan("a.png", output=output)[1].file is file, output
    for output in ("out.v2", "out.2024-01-01", "x.png/"):
        assert not plan("p", output=output)[1].file
    with pytest.raises(UserError, match=r"x\.png: names a file"):
        plan("p", output="x.png")
    with pytest.raises(UserError, match=r"a\.png: not a folder"):
        plan("p", output="a.png")


def written(targets, item, shape=(4, 5, 3), dtype=np.uint8):
    return [str(path) for path in targets.paths(item, shape, dtype)]


def test_what_a_format_cannot_hold_becomes_png_and_is_told_or_is_refused_if_it_was_named(here):
    put("a.webp", "b.jpg", "c.gif", "photo.v2", "d.png")
    (a, b, c, v2, d), targets = plan("a.webp", "b.jpg", "c.gif", "photo.v2", "d.png", output="out")
    assert written(targets, a, (8, 16384, 3)) == ["out/a.png"]
    assert targets.notes.pop().startswith("written as PNG: WEBP cannot hold more than 16383")
    assert written(targets, b, (4, 5, 4)) == ["out/b.png"]
    assert "transparency" in targets.notes.pop()
    assert written(targets, c) == ["out/c.png"]
    assert written(targets, v2) == ["out/photo.v2.png"]
    targets.notes.clear()
    assert written(targets, d, dtype=np.uint16) == ["out/d.png"]
    assert not targets.notes
    (a,), targets = plan("a.webp", output="large.webp")
    with pytest.raises(images.ImageError, match=r"a\.webp: large\.webp: WEBP cannot hold more than 16383"):
        targets.paths(a, (8, 16384, 3))


def test_an_output_never_replaces_another_input(here):
    put("p/a.png", "p/a_1.png")
    with pytest.raises(UserError, match=r"p/a_1\.png: an output would replace the input p/a_1\.png"):
        plan("p", output="p", samples=2, overwrite=True)
    # by another name of the same folder
    os.symlink("p", "out", target_is_directory=True)
    for name in ("p", "out"):
        with pytest.raises(UserError, match="an output would replace"):
            plan("p", output=name, samples=2, overwrite=True)
    with pytest.raises(UserError, match="would replace the same file as the input"):
        plan("p", output="out", overwrite=True)
    # what was asked for by its name may be replaced
    assert len(plan("p", output="p", overwrite=True)[0]) == 2
    put("g/a.gif", "g/a.png")
    (gif, _), targets = plan("g/a.gif", "g/a.png", output="g", overwrite=True)
    with pytest.raises(images.ImageError, match=r"g/a\.png would replace the input g/a\.png"):
        targets.paths(gif, (4, 5, 3))


def test_an_output_never_replaces_a_mask(here):
    put("p/a.png", "m/a.png", "both/a.png", "both/a_mask.png", "both/a_inpaint.png", "mask.png")
    options = {"command": "inpaint", "overwrite": True}
    with pytest.raises(UserError, match=r"m/a\.png: an output would replace a mask"):
        plan("p", output="m", leave_out=Path("m"), **options)
    with pytest.raises(UserError, match=r"mask\.png: an output would replace a mask"):
        plan("p/a.png", output="mask.png", leave_out=Path("mask.png"), **options)
    # results beside photos and masks
    assert len(plan("both", leave_out=Path("both"), **options)[0]) == 1


def test_an_input_that_must_not_be_replaced_by_its_own_output_is_not(here):
    put("a.png")
    (a,), _ = plan("a.png")
    with pytest.raises(UserError, match="an output would replace the same file as the input"):
        Outputs([a], "a.png", "mask", alone=True, overwrite=True, in_place=False)


def test_results_named_like_samples_of_an_input_are_not_edited_again(here, capsys):
    put("p/a.png", "p/b.png", "p/a_1.png", "p/a_2.png")
    todo, targets = plan("p", output="p", samples=2, skip_existing=True)
    assert [str(item) for item in todo] == ["p/a.png", "p/b.png"]
    assert "p/a_1.png and 1 more: left out" in capsys.readouterr().err
    assert targets.done(todo[0])
    assert not targets.done(todo[1])


def test_samples_that_are_missing_are_all_that_is_written(here):
    put("a.png", "out/a_1.png")
    (a,), targets = plan("a.png", output="out", samples=3, skip_existing=True)
    assert [(number, path.name) for number, path in targets.missing(targets.paths(a, (4, 5, 3)))] == [
        (1, "a_2.png"),
        (2, "a_3.png"),
    ]


def test_names_that_are_one_on_some_file_systems_do_not_replace_each_other(here):
    """As where a.png and A.png, or é in one character or in two, are one file; here a link makes them one."""
    put("p/A.png", "p/a.png", "q/caf\u00e9.png", "q/cafe\u0301.png")
    for folder in ("p", "q"):
        todo, targets = plan(folder, output=f"out_{folder}", overwrite=True)
        assert len(runner._groups(todo)) == 1
        (first,) = targets.paths(todo[0], (4, 5, 3))
        targets.write(first, np.zeros((4, 5, 3), np.uint8))
        os.link(first, Path(f"out_{folder}") / todo[1].path.name)
        with pytest.raises(images.ImageError, match="is the output of"):
            targets.paths(todo[1], (4, 5, 3))


def test_a_file_is_checked_before_any_work(here):
    put("a.png", "b.png")
    check_file(Path("new/deep/c.png"), overwrite=False)
    assert Path("new/deep").is_dir()
    for path, message in (
        ("-", "not standard output"),
        ("out", "'' cannot be written"),
        ("c.xyz", "'.xyz' cannot be written"),
        ("a.png", "already exists"),
        ("a.png/c.png", "not a folder"),
        ("x" * 300 + ".png", "file name too long"),
    ):
        with pytest.raises(UserError, match=message):
            check_file(Path(path), overwrite=False)
    check_file(Path("b.png"), overwrite=True, inputs=[Path("a.png")])
    with pytest.raises(UserError, match="is an input"):
        check_file(Path("a.png"), overwrite=True, inputs=[Path("b.png"), Path("a.png")])
    check_file(Path("c.gif"), overwrite=False, more=(".gif",))


def test_names_that_windows_keeps_for_devices_are_known():
    assert names_device(Path("out/NUL.png"))
    assert names_device(Path("con"))
    assert not names_device(Path("console.png"))


# === Doing it ===


def grey(threads, *, targets):
    """Opens an edit that makes a picture grey, and trips over some."""

    def edit(item):
        name = item.path.stem
        if name.startswith("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if name.startswith("bug"):
            raise RuntimeError("the decoder\ntripped")
        if name.startswith("full"):
            raise MemoryError
        picture = images.read(item.path)
        paths = targets.paths(item, picture.pixels.shape, picture.pixels.dtype)
        for _, path in targets.missing(paths):
            targets.write(path, np.repeat(picture.pixels[..., :1], 3, axis=2), like=picture)
        return runner.Edited(paths, picture.notes)

    return edit


class Opener:
    """Pickles, as what the apps give does."""

    def __init__(self, targets):
        self.targets = targets

    def __call__(self, threads):
        return grey(threads, targets=self.targets)


def edit(*names, jobs=None, as_json=False, **options):
    todo, targets = plan(*names, **options)
    return runner.run(todo, targets, Opener(targets), jobs=jobs, as_json=as_json)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("jobs", [1, 2])
def test_one_file_ends_neither_a_folder_nor_its_report(here, capfd, jobs):
    put("p/a.png", "p/bug.png", "p/full.png", "p/kill.png", "p/z.png")
    Path("p/none.png").write_bytes(b"no picture")
    assert edit("p", output="out", jobs=jobs, as_json=True) == 1
    out, error = capfd.readouterr()
    report = json.loads(out)
    assert sorted(entry["input"] for entry in report["done"]) == ["p/a.png", "p/z.png"]
    reasons = {entry["input"]: entry["error"] for entry in report["failed"]}
    assert reasons["p/bug.png"] == "p/bug.png: RuntimeError: the decoder"
    assert reasons["p/full.png"] == "p/full.png: not enough memory"
    assert "its process ended" in reasons["p/kill.png"]
    assert "not an image" in reasons["p/none.png"]
    assert sorted(error.splitlines()) == sorted(f"vaekit: {reason}" for reason in reasons.values())
    assert sorted(os.listdir("out")) == ["a.png", "z.png"]


class Doubles:
    """Doubles numbers."""

    def open(self, threads):
        return lambda number: [2 * number]

    def lost(self, task, reason):
        return [reason]


@contextlib.contextmanager
def killing(times):
    """Meanwhile so many processes of a pool are killed as soon as they are there, before they can do a task."""
    over = threading.Event()

    def kill():
        killed = set()
        while not over.wait(0.002) and len(killed) < times:
            for child in multiprocessing.active_children():
                if child.pid not in killed:
                    os.kill(child.pid, signal.SIGKILL)
                    killed.add(child.pid)

    thread = threading.Thread(target=kill)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_processes_that_end_before_their_first_task_are_replaced():
    with killing(2):
        assert sorted(workers.processes(Doubles(), range(5), 2)) == [0, 2, 4, 6, 8]


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_where_no_process_can_be_kept_running_every_task_is_told():
    with killing(10**6):
        results = list(workers.processes(Doubles(), range(3), 2))
    assert results == ["no process could be kept running for it, out of memory perhaps"] * 3


def test_two_runs_that_share_a_folder_skip_what_the_other_has_written(here, capsys):
    put("a.png", "b.png")
    (a, b), targets = plan("a.png", "b.png", output="out", skip_existing=True)
    meanwhile = threading.Event()

    def slow(threads):
        def edit(item):
            paths = targets.paths(item, (4, 5, 3))
            if item is a:  # the other run is faster
                put("out/a.png")
                meanwhile.set()
            targets.write(paths[0], np.zeros((4, 5, 3), np.uint8))
            return runner.Edited(paths)

        return edit

    attempts = runner._Attempts(slow, targets).open(1)
    first, second = attempts([a, b])
    assert meanwhile.is_set()
    assert (first.skipped, first.error, second.skipped, second.error) == (True, None, False, None)
    assert Path("out/a.png").read_bytes() == PICTURE


def test_a_refusal_of_what_is_shared_is_told_once_with_what_was_done(here, capsys):
    put("a.png")
    todo, targets = plan("a.png", output="out")

    def opener(threads):
        raise UserError("no bundle x")

    assert runner.run(todo, targets, opener, as_json=True) == 2
    out, error = capsys.readouterr()
    assert error == "vaekit: no bundle x\n"
    report = json.loads(out)
    assert (report["error"], report["done"], report["failed"]) == ("no bundle x", [], [])


# === The command line ===


def command(*arguments, folder, bundles, **options):
    environment = {**os.environ, "VAEKIT_MODELS": str(bundles), **options.pop("env", {})}
    line = [sys.executable, "-m", "vaekit", *map(str, arguments)]
    done = subprocess.run(line, cwd=folder, env=environment, check=False, stderr=subprocess.PIPE, **options)
    assert b"Traceback" not in done.stderr, done.stderr
    return done


def test_pictures_come_from_pipes_and_go_into_them(here, bundles):
    put("a.png")
    options = {"folder": here, "bundles": bundles, "stdout": subprocess.PIPE}
    done = command("superres", "-", "-s", "2", "-o", "-", input=PICTURE, **options)
    assert images.decode(done.stdout).pixels.shape == (8, 10, 3)
    assert done.stderr.startswith(b"vaekit: superres: 1 done (-)")
    assert os.listdir() == ["a.png"]
    done = command("superres", "-", "-s", "2", "-o", "-", input=b"no picture", **options)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"vaekit: -: not an image")
    done = command("superres", "-", "-s", "2", input=PICTURE, **options)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"name an output" in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="POSIX")
def test_a_pipe_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(inputs, "MOST_PIPED", 3_000_000)
    with pytest.raises(UserError, match=r"/dev/fd/.*: more than 3000000 bytes"), open("/dev/zero", "rb") as zeros:
        found(f"/dev/fd/{zeros.fileno()}")


@pytest.mark.parametrize("arguments", [[""], ["a.png", "-o", ""], ["a.png", "--output="], ["a.png", "--bundle", ""]])
def test_an_empty_argument_stands_for_nothing(here, vaekit_here, arguments):
    put("a.png")
    done = vaekit_here("superres", *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert os.listdir() == ["a.png"]


@pytest.mark.parametrize("arguments", [["nobody.png"], ["a.png", "-o", "x.xyz"], ["a.png", "--bundle", "none"]])
def test_json_is_printed_of_what_is_refused_too(here, vaekit_here, arguments):
    put("a.png")
    done = vaekit_here("superres", "--json", *arguments)
    assert done.returncode in (2, 3)
    report = json.loads(done.stdout)
    assert (report["command"], report["done"], report["failed"]) == ("superres", [], [])
    assert done.stderr == f"vaekit: {report['error']}\n"


@pytest.mark.parametrize(
    "arguments",
    [["transfer", "a.png", "b.png"], ["morph", "a.png", "b.png"], ["sample", "run"], ["reconstruct", "run", "a.png"]],
)
def test_where_a_picture_goes_is_looked_at_before_anything_is_opened(here, vaekit_here, arguments):
    put("a.png", "b.png", "old.png")
    for output, reason in (("x.xyz", "cannot be written"), ("old.png", "already exists"), ("-", "not standard output")):
        done = vaekit_here(*arguments, "-o", output)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert reason in done.stderr
    if arguments[0] != "sample":
        done = vaekit_here(*arguments, "-o", "a.png", "--overwrite")
        assert (done.returncode, "a.png: is an input" in done.stderr) == (2, True)
    assert sorted(os.listdir()) == ["a.png", "b.png", "old.png"]


@pytest.mark.parametrize(
    ("encoding", "name"), [("utf-8:strict", b"caf\xe9.png"), ("cp1252", "\U0001f600.png".encode())]
)
@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
def test_names_that_standard_output_cannot_encode_end_nothing(here, bundles, encoding, name):
    (here / os.fsdecode(name)).write_bytes(PICTURE)
    options = {"folder": here, "bundles": bundles, "stdout": subprocess.PIPE, "env": {"PYTHONIOENCODING": encoding}}
    done = command("superres", os.fsdecode(name), "-s", "2", "-o", "out", **options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"\n") == 1
    done = command("superres", os.fsdecode(name), "-s", "2", "-o", "again", "--json", **options)
    (entry,) = json.loads(done.stdout)["done"]
    assert os.fsencode(entry["outputs"][0]) == b"again/" + name


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_standard_output_that_is_full_is_one_line(here, bundles, more):
    put("a.png")
    with open("/dev/full", "wb") as full:
        done = command("superres", "a.png", "-s", "2", *more, folder=here, bundles=bundles, stdout=full)
    assert done.returncode == 1
    assert done.stderr == b"vaekit: standard output: no space left on device\n"
    assert (here / "a_superres.png").is_file()


def test_control_characters_in_a_name_stay_in_its_line(here, vaekit_here):
    done = vaekit_here("superres", "a\nb\x1b[2J.png")
    assert done.stderr == "vaekit: a\\nb\\x1b[2J.png: no such file or folder\n"
