"""Workers that share every batch end with the weights that one alone has."""

import json
import os
import socket
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest

RECIPE = """
app = "vaegan"
[model]
latent_dim = 4
base = 4
[train]
batch_size = 8
epochs = 2
steps_per_epoch = 3
image_size = [16, 16]
[[data]]
source = "rendered:24"
"""


def start(folder, out, *arguments, **environment):
    (folder / "recipe.toml").write_text(RECIPE)
    command = [sys.executable, "-m", "vaekit", "train", "recipe.toml", "--out", out, *arguments]
    return subprocess.Popen(
        command, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def end(*processes):
    for process in processes:
        _, error = process.communicate()
        assert process.returncode == 0, error.decode()[-3000:]


def state(run):
    """All numbers of a run's last checkpoint, by their names."""
    found = {}
    with h5py.File(sorted((run / "checkpoints").glob("*.h5"))[-1]) as file:
        file.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    return found


def assert_alike(one, other):
    first, second = state(one), state(other)
    assert first.keys() == second.keys()
    for name, values in first.items():
        # Of the optimizers' slots some are squares of gradients, in the thousands.
        scale = max(1.0, np.abs(second[name]).max()) if name.startswith("optimizer") else 1.0
        np.testing.assert_allclose(values, second[name], rtol=0, atol=1e-5 * scale, err_msg=name)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute")
def test_two_workers_over_loopback_train_what_one_trains(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        workers = [f"127.0.0.1:{each.getsockname()[1]}" for each in (one, other)]
    alone = start(tmp_path, "alone", KERAS_BACKEND="tensorflow")
    pair = [
        start(
            tmp_path,
            "pair",
            "--strategy",
            "multiworker",
            KERAS_BACKEND="tensorflow",
            TF_CONFIG=json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}),
        )
        for index in range(2)
    ]
    end(alone, *pair)
    assert_alike(tmp_path / "alone", tmp_path / "pair")
    assert len((tmp_path / "pair" / "log.jsonl").read_text().splitlines()) == 2


def test_two_jax_devices_train_what_one_trains(tmp_path):
    alone = start(tmp_path, "alone", KERAS_BACKEND="jax")
    two = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    pair = start(tmp_path, "pair", "--strategy", "jax", KERAS_BACKEND="jax", XLA_FLAGS=two)
    end(alone, pair)
    assert_alike(tmp_path / "alone", tmp_path / "pair")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="says so on TensorFlow")
@pytest.mark.parametrize(("strategy", "word"), [("jax", "the backend is tensorflow"), ("multiworker", "TF_CONFIG")])
def test_a_strategy_that_cannot_be_is_told(tmp_path, vaekit_here, strategy, word):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    done = vaekit_here("train", "recipe.toml", "--out", "run", "--strategy", strategy)
    assert done.returncode == 2
    (told,) = done.stderr.splitlines()
    assert told.startswith(f"vaekit: --strategy {strategy}: ")
    assert word in told
