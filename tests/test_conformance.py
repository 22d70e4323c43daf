"""What every model of the table promises."""

import functools
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from models import TABLE, Row, quiet, use_small_networks

from vaekit.game import AdversarialModel


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        use_small_networks(patch.setattr)
        yield


# A row's tests share what was trained, so they go to one worker.
@pytest.fixture(
    scope="module", params=[pytest.param(row, marks=pytest.mark.xdist_group(row.name), id=row.name) for row in TABLE]
)
def row(request) -> Row:
    return request.param


@dataclass
class Trained:
    """A model after one epoch, and what was written of it then."""

    model: AdversarialModel
    before: dict
    keras_file: Path
    weights_file: Path


@pytest.fixture(scope="module")
def trained(row, tmp_path_factory) -> Trained:
    """Shared by the tests of a row, as every model has its step traced anew."""
    keras.utils.set_random_seed(1)
    folder = tmp_path_factory.mktemp(row.name)
    model = row.create(row.shapes[0])
    model.compile(average=0.5, run_eagerly=True)  # tracing takes most of the time
    before = by_player(model)
    fit(model, row.batch(row.shapes[0]))  # two steps, as an average begins with the first
    model.save(folder / "model.keras")
    model.save_weights(folder / "state.weights.h5")
    return Trained(model, before, folder / "model.keras", folder / "state.weights.h5")


def by_player(model):
    return {p: [ops.convert_to_numpy(v) for v in model.player_variables(p)] for p in model.players}


def moved(before, after):
    """Whether any of a player's arrays has changed, by player."""
    return {p: any(np.any(a != b) for a, b in zip(before[p], after[p], strict=True)) for p in before}


def weights(model):
    return [ops.convert_to_numpy(v) for v in model.variables]


def slots(model):
    return [ops.convert_to_numpy(v) for v in model.optimizer.variables]


def fit(model, batch):
    """Steps of four rows each, without what `model.fit` has to do round them, which takes as long as they do."""
    for first in range(0, len(batch["image"]), 4):
        model.train_on_batch({name: rows[first : first + 4] for name, rows in batch.items()})


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("which", [0, 1], ids=["not square, or of one channel", "square"])
def test_losses_are_one_a_player_and_terms_the_ones_named(row, which):
    shape = row.shapes[which]
    model = row.create(shape)
    losses, terms = model.objective(row.batch(shape))
    assert all(np.isfinite(float(v)) and v.shape == () for v in (*losses.values(), *terms.values()))
    assert (set(losses), set(terms)) == (set(model.players), set(model.terms))


def test_training_moves_every_player(trained):
    assert all(moved(trained.before, by_player(trained.model)).values())


def test_players_share_no_variable_and_leave_none_out(trained):
    model = trained.model
    seen = [id(v) for p in model.players for v in model.player_variables(p)]
    assert len(seen) == len(set(seen))
    assert set(seen) == {id(v) for v in model.trainable_variables}


def test_each_loss_reaches_its_own_player_and_no_other(row):
    """A step moves a player by the gradient of its own loss alone, whatever the others' losses are."""
    keras.utils.set_random_seed(1)
    model = row.create(row.shapes[0])
    objective = model.objective
    model.step_sizes = lambda terms: {}  # gating would hide a player's gradient
    model.compile({p: keras.optimizers.SGD(0.01) for p in model.players}, run_eagerly=True)
    for player in model.players:
        before = by_player(model)
        # Every other player's loss is multiplied by 0: they rest unless another's loss reaches them.
        model.objective = functools.partial(silenced, objective, player)
        fit(model, row.batch(row.shapes[0], count=4))
        assert moved(before, by_player(model)) == {p: p == player for p in model.players}


def silenced(objective, player, batch, training=True):
    """An objective of which only one player's loss is left."""
    losses, terms = objective(batch, training)
    return {p: loss * float(p == player) for p, loss in losses.items()}, terms


def test_averages_are_swapped_in_and_out(trained):
    held = weights(trained.model)
    with trained.model.averages():
        swapped = by_player(trained.model)
    assert_same(held, weights(trained.model))
    changed = moved(by_player(trained.model), swapped)
    assert changed == {p: p in trained.model.averaged for p in trained.model.players}


def test_files_bring_back_weights_slots_and_noise_and_resume_exactly(row, trained):
    loaded = keras.saving.load_model(trained.keras_file)
    resumed = row.create(row.shapes[0])
    resumed.compile(average=0.5, run_eagerly=True)
    resumed.load_weights(trained.weights_file)
    for model in (loaded, resumed):
        assert_same(weights(trained.model), weights(model))
        assert_same(slots(trained.model), slots(model))
    batch = row.batch(row.shapes[0], count=4, seed=1)
    for model in (trained.model, loaded, resumed):
        fit(model, batch)
    for model in (loaded, resumed):
        assert_same(weights(trained.model), weights(model))
        assert_same(slots(trained.model), slots(model))


def test_evaluate_moves_nothing_but_noise(row, trained):
    before = [ops.convert_to_numpy(v) for v in trained.model.weights]
    result = trained.model.evaluate(row.batch(row.shapes[0], count=4), batch_size=4, verbose=0, return_dict=True)
    assert_same(before, [ops.convert_to_numpy(v) for v in trained.model.weights])
    assert {f"{p}_loss" for p in trained.model.players} <= set(result)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_in_float32_weights(row, policy):
    keras.config.set_dtype_policy(policy)
    try:
        keras.utils.set_random_seed(1)
        model = row.create(row.shapes[0])
        model.compile(run_eagerly=True)
        if policy == "mixed_float16":
            for own in model.optimizer.by_player.values():
                own.dynamic_scale.assign(1.0)  # it begins with one that overflows, and would search for steps
        before = by_player(model)
        fit(model, row.batch(row.shapes[0], count=4))
        assert all(v.dtype == "float32" for v in model.trainable_variables)
        assert all(np.isfinite(w).all() for w in weights(model))
        assert any(moved(before, by_player(model)).values())
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="XLA on TensorFlow")
def test_xla_gives_the_same_losses(row):
    import tensorflow as tf

    model = quiet(row.create(row.shapes[0]))  # XLA draws other numbers from a seed

    def objective(batch):
        return [loss for _, loss in sorted(model.objective(batch, training=False)[0].items())]

    results = [
        [float(loss) for loss in call(row.batch(row.shapes[0]))]
        for call in (objective, tf.function(objective, jit_compile=True))
    ]
    # XLA sums in another order and has its own exp and log: float32 agrees to about three digits of a sum.
    np.testing.assert_allclose(results[0], results[1], rtol=1e-3)


# === Other processes: what has to be decided before a backend is imported ===


NO_TENSORFLOW = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Refuse())
"""


def script(code: str, folder: Path, backend: str, *arguments: int) -> None:
    """Run code that may `import models`, with no TensorFlow to be had under JAX."""
    block = NO_TENSORFLOW if backend == "jax" else ""
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", block + textwrap.dedent(code), str(folder), *map(str, arguments)],
        env=environment, check=False, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


PARTS = 2
"""Of the table, each in processes of its own, which tests side by side are quicker with."""

STEP = """
import sys
from pathlib import Path
import keras, numpy as np
from models import TABLE, quiet, use_small_networks
use_small_networks()
folder, part, parts = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
ROWS = TABLE[part::parts]

def make(row, eager=False):
    keras.utils.set_random_seed(1)
    model = quiet(row.create(row.shapes[0]))
    model.compile({p: keras.optimizers.SGD(1e-4) for p in model.players}, average=0.9, run_eagerly=eager)
    return model

def read(row):
    start, after, logs = (dict(np.load(folder / f"{row.name}.{name}.npz")) for name in ("start", "after", "logs"))
    return list(start.values()), list(after.values()), logs

def assert_near(found, expected, start, model):
    "Within a fiftieth of how far a weight has moved."
    for own, other, begun, variable in zip(found, expected, start, model.weights, strict=True):
        bound = 1e-6 + 2e-2 * np.abs(other - begun).max()
        np.testing.assert_allclose(own, other, rtol=0, atol=bound, err_msg=f"{model.name} {variable.path}")
"""


@pytest.fixture(
    scope="module", params=[pytest.param(part, marks=pytest.mark.xdist_group(f"part {part}")) for part in range(PARTS)]
)
def stepped(request, tmp_path_factory) -> tuple[Path, int]:
    """A folder with every row's weights before and after a step of a batch of 16 on TensorFlow, and the part."""
    folder = tmp_path_factory.mktemp("stepped")
    step = """
    rng = np.random.default_rng(1)
    for row in ROWS:
        model = make(row, eager=True)
        # Kernels that begin at 0 leave features at 0, where backends differ on the slope of a ReLU.
        start = [w + rng.normal(0, 0.02, w.shape) if w.ndim > 1 else w for w in model.get_weights()]
        model.set_weights(start)
        logs = model.fit(row.batch(row.shapes[0], count=16), batch_size=16, shuffle=False, verbose=0).history
        after = model.get_weights()
        with model.averages():
            after += model.get_weights()
        np.savez(folder / f"{row.name}.start.npz", *start)
        np.savez(folder / f"{row.name}.after.npz", *after)
        np.savez(folder / f"{row.name}.logs.npz", **{name: values[0] for name, values in logs.items()})
    """
    script(STEP + textwrap.dedent(step), folder, "tensorflow", request.param, PARTS)
    return folder, request.param


def test_jax_steps_as_tensorflow_does_with_no_tensorflow_to_import(stepped):
    """To the same losses, terms and weights."""
    step = """
    import jax
    # The weights are TensorFlow's: to compile the drawing of them would take a third of the time.
    jax.random.uniform = lambda key, shape=(), dtype="float32", minval=0.0, maxval=1.0: np.zeros(shape, dtype)
    for row in ROWS:
        start, after, expected = read(row)
        model = make(row)
        model.set_weights(start)
        logs = model.fit(row.batch(row.shapes[0], count=16), batch_size=16, shuffle=False, verbose=0).history
        for name, values in logs.items():
            np.testing.assert_allclose(values[0], expected[name], rtol=1e-4, atol=1e-6, err_msg=f"{row.name} {name}")
        assert_near(model.get_weights(), after[: len(start)], start, model)
    assert "tensorflow" not in sys.modules
    """
    script(STEP + textwrap.dedent(step), stepped[0], "jax", stepped[1], PARTS)


def test_two_mirrored_replicas_that_share_a_batch_step_as_one(stepped):
    """Batch normalisation, moving centres and averages included, and, traced as users run it, one model's noise.

    Rows of a batch play different parts in turn, four times the scales of super-resolution: shares are whole turns.
    """
    step = """
    import tensorflow as tf
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
    together = tf.distribute.ReductionToOneDevice()  # TensorFlow's default starts threads for each sum
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=together)

    def stepped(row, start, steps, eager):
        with strategy.scope():
            pair = make(row, eager)
            pair.set_weights(start)
        halves = tf.data.Dataset.from_tensor_slices(row.batch(row.shapes[0], count=16)).batch(8).repeat()
        both = strategy.distribute_datasets_from_function(lambda context: halves)
        pair.fit(both, steps_per_epoch=steps, shuffle=False, verbose=0)
        return pair

    for row in ROWS:
        start, after, _ = read(row)
        pair = stepped(row, start, 1, eager=True)
        assert_near(pair.get_weights(), after[: len(start)], start, pair)
        with pair.averages():
            assert_near(pair.get_weights(), after[len(start) : 2 * len(start)], start, pair)

    alone = make(ROWS[0])
    start = alone.get_weights()
    alone.fit(tf.data.Dataset.from_tensors(ROWS[0].batch(ROWS[0].shapes[0], count=16)).repeat(2), verbose=0)
    assert_near(stepped(ROWS[0], start, 2, eager=False).get_weights(), alone.get_weights(), start, alone)
    """
    script(STEP + textwrap.dedent(step), stepped[0], "tensorflow", stepped[1], PARTS)
