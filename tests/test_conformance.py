"""What every model of the table promises."""

import keras
import numpy as np
import pytest
from keras import ops
from models import TABLE, Row

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf


@pytest.fixture(params=TABLE, ids=lambda row: row.name)
def row(request) -> Row:
    keras.utils.set_random_seed(1)
    return request.param


def weights(model):
    return [ops.convert_to_numpy(v) for v in model.variables]


def slots(model):
    return [ops.convert_to_numpy(v) for v in model.optimizer.variables]


def fit(model, batch, epochs=1):
    model.fit(batch, batch_size=4, epochs=epochs, shuffle=False, verbose=0)


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("which", [0, 1], ids=["not square", "square"])
def test_every_player_moves_and_terms_are_the_ones_named(row, which):
    shape = row.shapes[which]
    model = row.create(shape)
    model.compile()
    before = {p: [ops.convert_to_numpy(v) for v in model.player_variables(p)] for p in model.players}
    losses, terms = model.objective(row.batch(shape))
    assert set(losses) == set(model.players)
    assert set(terms) == set(model.terms)
    assert all(np.isfinite(float(v)) and v.shape == () for v in (*losses.values(), *terms.values()))
    fit(model, row.batch(shape))
    for player, old in before.items():
        changed = [
            np.any(a != ops.convert_to_numpy(b)) for a, b in zip(old, model.player_variables(player), strict=True)
        ]
        assert any(changed), player


def test_players_share_no_variable_and_leave_none_out(row):
    model = row.create(row.shapes[0])
    seen = [id(v) for p in model.players for v in model.player_variables(p)]
    assert len(seen) == len(set(seen))
    assert set(seen) == {id(v) for v in model.trainable_variables}


def test_each_loss_reaches_its_own_player_and_no_other(row):
    """A step moves a player by the gradient of its own loss alone, whatever the others' losses are."""
    shape = row.shapes[0]
    batch = row.batch(shape, count=4)
    for player in row.create(shape).players:
        keras.utils.set_random_seed(2)
        model = row.create(shape)
        silence_all_but(model, player)
        model.compile({p: keras.optimizers.SGD(0.01) for p in model.players})
        before = {p: [ops.convert_to_numpy(v) for v in model.player_variables(p)] for p in model.players}
        fit(model, batch)
        for other, old in before.items():
            moved = any(
                np.any(a != ops.convert_to_numpy(b)) for a, b in zip(old, model.player_variables(other), strict=True)
            )
            assert moved == (other == player), f"{player}'s loss and {other}"


def silence_all_but(model, player):
    """Multiply every other player's loss by 0: their gradients vanish unless another's loss reaches them."""
    objective = model.objective

    def silenced(batch, training=True):
        losses, terms = objective(batch, training)
        return {p: loss * float(p == player) for p, loss in losses.items()}, terms

    model.objective = silenced


def test_keras_file_brings_back_weights_slots_and_noise(row, tmp_path):
    shape = row.shapes[0]
    batch = row.batch(shape)
    model = row.create(shape)
    model.compile()
    fit(model, batch)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_same(weights(model), weights(loaded))
    assert_same(slots(model), slots(loaded))
    fit(model, batch)
    fit(loaded, batch)
    assert_same(weights(model), weights(loaded))
    assert_same(slots(model), slots(loaded))


def test_weights_file_resumes_exactly(row, tmp_path):
    shape = row.shapes[0]
    batch = row.batch(shape)
    model = row.create(shape)
    model.compile()
    fit(model, batch)
    model.save_weights(tmp_path / "state.weights.h5")
    resumed = row.create(shape)
    resumed.compile()
    resumed.load_weights(tmp_path / "state.weights.h5")
    fit(model, batch)
    fit(resumed, batch)
    assert_same(weights(model), weights(resumed))


def test_averages_are_worn_and_taken_off(row):
    shape = row.shapes[0]
    model = row.create(shape)
    model.compile(average=0.5)
    fit(model, row.batch(shape))
    trained = weights(model)
    with model.averages():
        worn = weights(model)
    assert any(np.any(a != b) for a, b in zip(trained, worn, strict=True))
    assert_same(trained, weights(model))


def test_evaluate_moves_nothing_but_noise(row):
    shape = row.shapes[0]
    model = row.create(shape)
    model.compile()
    before = [ops.convert_to_numpy(v) for v in model.weights]
    result = model.evaluate(row.batch(shape), batch_size=4, verbose=0, return_dict=True)
    assert_same(before, [ops.convert_to_numpy(v) for v in model.weights])
    assert {f"{p}_loss" for p in model.players} <= set(result)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_in_float32_weights(row, policy):
    keras.config.set_dtype_policy(policy)
    try:
        shape = row.shapes[0]
        model = row.create(shape)
        model.compile()
        before = weights(model)
        fit(model, row.batch(shape))
        assert all(v.dtype == "float32" for v in model.trainable_variables)
        assert all(np.isfinite(w).all() for w in weights(model))
        assert any(np.any(a != b) for a, b in zip(before, weights(model), strict=True))
    finally:
        keras.config.set_dtype_policy("float32")


def test_an_optimizer_for_nobody_is_refused(row):
    model = row.create(row.shapes[0])
    with pytest.raises(ValueError, match="no player is called banker"):
        model.compile({"banker": keras.optimizers.SGD(0.1)})


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="XLA on TensorFlow")
def test_xla_gives_the_same_losses(row):
    shape = row.shapes[0]
    batch = row.batch(shape)
    model = row.create(shape)

    def objective(batch):
        return [loss for _, loss in sorted(model.objective(batch, training=False)[0].items())]

    results = []
    for jit in (False, True):
        model.seeds.state.assign([7, 0])
        results.append([float(loss) for loss in tf.function(objective, jit_compile=jit)(batch)])
    # XLA sums in another order and has its own exp and log: float32 agrees to about three digits of a sum.
    np.testing.assert_allclose(results[0], results[1], rtol=1e-3)
