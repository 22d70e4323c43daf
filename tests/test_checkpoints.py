"""Checkpoints on a bad day: a full disk, files cut short, files that another process holds, two trainings at once."""

import errno
import logging
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from vaekit import checkpoints
from vaekit.checkpoints import CheckpointError


def network(value):
    """A compiled model with optimizer slots, all of whose weights are `value`."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(400)])
    model.compile(keras.optimizers.Adam(), "mse")
    model.optimizer.build(model.trainable_variables)
    model.set_weights([np.full_like(weight, value) for weight in model.get_weights()])
    return model


def value(model):
    (found,) = {float(x) for weight in model.get_weights() for x in weight.ravel()}
    return found


@pytest.fixture
def run(tmp_path):
    """A run of three epochs, whose weights are the epochs' numbers."""
    for epoch in (1, 2, 3):
        checkpoints.save(network(epoch), checkpoints.path(tmp_path, epoch))
    return tmp_path


def test_a_checkpoint_is_what_keras_reads_with_the_state_of_the_optimizer(run):
    model = network(0)
    model.optimizer.iterations.assign(5)
    checkpoints.save(model, run / "mine.weights.h5")
    other = network(9)
    other.load_weights(run / "mine.weights.h5")
    assert value(other) == 0
    assert int(other.optimizer.iterations) == 5
    assert not [name for name in os.listdir(run) if "partial" in name]


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_where_the_newest_is_cut_short_the_one_before_is_taken_and_that_is_told(run, caplog, size):
    cut(checkpoints.path(run, 3), size)
    model = network(0)
    with caplog.at_level(logging.WARNING):
        assert checkpoints.load_newest(model, run) == 2
    assert value(model) == 2
    (record,) = [r for r in caplog.records if r.name == "vaekit.checkpoints"]
    text = record.getMessage()
    assert "epoch-000003.weights.h5: cannot be read" in text
    assert "epoch-000002.weights.h5 is taken instead" in text
    assert "\n" not in text


def test_where_none_can_be_read_that_is_told_in_one_line(run):
    for epoch in (1, 2, 3):
        cut(checkpoints.path(run, epoch), 2000)
    with pytest.raises(CheckpointError, match="no other checkpoint left") as caught:
        checkpoints.load_newest(network(0), run)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="limits of processes")
def test_a_disk_that_is_full_is_one_line_and_what_was_there_stays(run):
    import resource

    before = {path: path.read_bytes() for path in checkpoints.found(run)}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    model = network(4)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        for epoch in (3, 4):
            with pytest.raises(
                CheckpointError, match=r"weights\.h5: cannot be written: file too large; what was there"
            ):
                checkpoints.save(model, checkpoints.path(run, epoch))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path: path.read_bytes() for path in (run / "checkpoints").iterdir()} == before


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        checkpoints.write(tmp_path / "run" / "recipe.json", b"")
    with pytest.raises(CheckpointError, match="cannot be written to"), checkpoints.lock(tmp_path / "run"):
        pass


def held(monkeypatch, function, times):
    """As Windows has it while another process has the file open."""
    real, left = getattr(os, function), [times]

    def refuse(*arguments, **options):
        left[0] -= 1
        if left[0] >= 0:
            raise PermissionError(errno.EACCES, "The process cannot access the file")
        return real(*arguments, **options)

    monkeypatch.setattr(os, function, refuse)
    monkeypatch.setattr(checkpoints.time, "sleep", lambda seconds: None)


def test_a_file_that_another_process_has_open_is_waited_for(run, monkeypatch, caplog):
    held(monkeypatch, "replace", 3)
    checkpoints.save(network(7), checkpoints.path(run, 3))
    assert checkpoints.load_newest(other := network(0), run) == 3
    assert value(other) == 7
    assert not caplog.records


def test_a_file_that_stays_open_elsewhere_ends_no_training(run, monkeypatch, caplog):
    held(monkeypatch, "replace", 99)
    checkpoints.save(network(7), checkpoints.path(run, 3))
    assert "epoch-000003.weights.h5: not written: the process cannot access the file" in caplog.text
    assert checkpoints.load_newest(other := network(0), run) == 3
    assert value(other) == 3


def test_old_checkpoints_go_and_one_that_is_held_goes_later(run, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        held(patch, "unlink", 1)
        checkpoints.prune(run, 1)
    assert [path.name[:12] for path in checkpoints.found(run)] == ["epoch-000001", "epoch-000003"]
    assert "epoch-000001.weights.h5: not removed" in caplog.text
    checkpoints.prune(run, 1)
    assert checkpoints.found(run) == [checkpoints.path(run, 3)]


HOLD = """
import sys
from pathlib import Path
from filelock import FileLock
with FileLock(Path(sys.argv[1]) / ".lock"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_training_at_a_time_has_a_folder(tmp_path):
    run = tmp_path / "new" / "run"
    with checkpoints.lock(run):
        pass
    other = subprocess.Popen([sys.executable, "-c", HOLD, run], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(CheckpointError, match="another training is at work in this folder"), checkpoints.lock(run):
            pass
    finally:
        other.kill()  # whatever ends a training ends its lock
        other.communicate()
    with checkpoints.lock(run):
        assert Path(run).is_dir()
