"""What every model of the table promises."""

import json
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
from models import TABLE, Row, quiet

from vaekit.game import AdversarialModel


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
    fit(model, row.batch(row.shapes[0]))
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
    model.fit(batch, batch_size=4, epochs=1, shuffle=False, verbose=0)


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("which", [0, 1], ids=["not square, or of one channel", "square"])
def test_losses_are_one_a_player_and_terms_the_ones_named(row, which):
    shape = row.shapes[which]
    losses, terms = row.create(shape).objective(row.batch(shape))
    assert all(np.isfinite(float(v)) and v.shape == () for v in (*losses.values(), *terms.values()))
    model = row.create(shape)
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
    batch = row.batch(row.shapes[0], count=4)
    for player in row.create(row.shapes[0]).players:
        model = row.create(row.shapes[0])
        silence_all_but(model, player)
        model.compile({p: keras.optimizers.SGD(0.01) for p in model.players}, run_eagerly=True)
        before = by_player(model)
        fit(model, batch)
        assert moved(before, by_player(model)) == {p: p == player for p in model.players}


def silence_all_but(model, player):
    """Multiply every other player's loss by 0: they rest unless another's loss reaches them."""
    objective = model.objective

    def silenced(batch, training=True):
        losses, terms = objective(batch, training)
        return {p: loss * float(p == player) for p, loss in losses.items()}, terms

    model.objective = silenced


def test_averages_are_worn_and_taken_off(trained):
    held = weights(trained.model)
    with trained.model.averages():
        worn = by_player(trained.model)
    assert_same(held, weights(trained.model))
    changed = moved(by_player(trained.model), worn)
    assert changed == {p: p in trained.model.averaged for p in trained.model.players}


def test_files_bring_back_weights_slots_and_noise_and_resume_exactly(row, trained):
    loaded = keras.saving.load_model(trained.keras_file)
    resumed = row.create(row.shapes[0])
    resumed.compile(average=0.5, run_eagerly=True)
    resumed.load_weights(trained.weights_file)
    for model in (loaded, resumed):
        assert_same(weights(trained.model), weights(model))
        assert_same(slots(trained.model), slots(model))
    batch = row.batch(row.shapes[0], seed=1)
    for model in (trained.model, loaded, resumed):
        fit(model, batch)
    for model in (loaded, resumed):
        assert_same(weights(trained.model), weights(model))
        assert_same(slots(trained.model), slots(model))


def test_evaluate_moves_nothing_but_noise(row, trained):
    before = [ops.convert_to_numpy(v) for v in trained.model.weights]
    result = trained.model.evaluate(row.batch(row.shapes[0]), batch_size=4, verbose=0, return_dict=True)
    assert_same(before, [ops.convert_to_numpy(v) for v in trained.model.weights])
    assert {f"{p}_loss" for p in trained.model.players} <= set(result)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_in_float32_weights(row, policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = row.create(row.shapes[0])
        model.compile(run_eagerly=True)
        before = by_player(model)
        # float16 begins with a loss scale that overflows, and skips steps until it has found its own
        fit(model, row.batch(row.shapes[0], count=48 if policy == "mixed_float16" else 4))
        assert all(v.dtype == "float32" for v in model.trainable_variables)
        assert all(np.isfinite(w).all() for w in weights(model))
        assert any(moved(before, by_player(model)).values())
    finally:
        keras.config.set_dtype_policy("float32")


def test_an_optimizer_for_nobody_is_refused(row):
    model = row.create(row.shapes[0])
    with pytest.raises(ValueError, match="no player is called banker"):
        model.compile({"banker": keras.optimizers.SGD(0.1)})


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


PARTS = 4
"""Of the table, each in a process of its own, which tests side by side are quicker with."""
in_parts = pytest.mark.parametrize("part", range(PARTS))

QUIET = """
import json, sys
from pathlib import Path
import keras, numpy as np
from models import TABLE, quiet
folder = Path(sys.argv[1])

def quiet_model(row):
    keras.utils.set_random_seed(1)
    return quiet(row.create(row.shapes[0]))
"""


def test_losses_agree_between_tensorflow_and_jax(tmp_path):
    measure = """
    for row in TABLE:
        model = quiet_model(row)
        weights = folder / f"{row.name}.weights.h5"
        if weights.exists():
            model.load_weights(weights)
        else:
            model.save_weights(weights)
        losses, terms = model.objective(row.batch(row.shapes[0]), training=True)
        values = {name: float(value) for name, value in {**losses, **terms}.items()}
        (folder / f"{row.name}.{keras.backend.backend()}.json").write_text(json.dumps(values))
    """
    for backend in ("tensorflow", "jax"):
        script(QUIET + textwrap.dedent(measure), tmp_path, backend)
    for row in TABLE:
        first, second = (
            json.loads((tmp_path / f"{row.name}.{backend}.json").read_text()) for backend in ("tensorflow", "jax")
        )
        assert first == pytest.approx(second, rel=1e-4, abs=1e-6), row.name


@in_parts
def test_jax_trains_with_no_tensorflow_to_import(tmp_path, part):
    train = """
    part, parts = (int(number) for number in sys.argv[2:])
    for row in TABLE[part::parts]:
        model = quiet_model(row)
        model.compile()
        before = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
        logs = model.fit(row.batch(row.shapes[0]), batch_size=4, verbose=0).history
        assert all(np.isfinite(value).all() for value in logs.values()), logs
        after = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
        assert any(np.any(a != b) for a, b in zip(before, after, strict=True)), row.name
    assert "tensorflow" not in sys.modules
    """
    script(QUIET + textwrap.dedent(train), tmp_path, "jax", part, PARTS)


@in_parts
def test_two_mirrored_replicas_that_share_a_batch_step_as_one(tmp_path, part):
    """Batch normalisation, moving centres and averages included, and, traced as users run it, one model's noise.

    Rows of a batch play different parts in turn, four times the scales of super-resolution: shares are whole turns.
    """
    step = """
    import tensorflow as tf
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

    def make(row, eager):
        keras.utils.set_random_seed(1)
        model = row.create(row.shapes[0])
        if eager:
            quiet(model)
        model.compile({p: keras.optimizers.SGD(1e-4) for p in model.players}, average=0.9, run_eagerly=eager)
        return model

    part, parts = (int(number) for number in sys.argv[2:])
    for row, eager in (*((row, True) for row in TABLE[part::parts]), *((row, False) for row in TABLE[part : part + 1])):
        batch = row.batch(row.shapes[0], count=16)
        alone = make(row, eager)
        start = alone.get_weights()
        steps = {"steps_per_epoch": 1 if eager else 2, "shuffle": False, "verbose": 0}
        alone.fit(tf.data.Dataset.from_tensors(batch).repeat(), **steps)
        with strategy.scope():
            pair = make(row, eager)
            pair.set_weights(start)
        halves = tf.data.Dataset.from_tensor_slices(batch).batch(8).repeat()
        both = strategy.distribute_datasets_from_function(lambda context: halves)
        pair.fit(both, **steps)
        with alone.averages(), pair.averages():
            averages = alone.get_weights(), pair.get_weights()
        for found in ((alone.get_weights(), pair.get_weights()), averages):
            for own, other, begun, variable in zip(*found, start, alone.weights, strict=True):
                bound = 1e-6 + 2e-2 * np.abs(own - begun).max()  # of how far it has moved
                np.testing.assert_allclose(own, other, rtol=0, atol=bound, err_msg=f"{row.name} {variable.path}")
    """
    script(QUIET + textwrap.dedent(step), tmp_path, "tensorflow", part, PARTS)
