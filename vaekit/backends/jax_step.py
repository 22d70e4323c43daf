"""A step on JAX: one vjp a round, one pull-back a player."""

import jax
import jax.numpy as jnp
import keras

from vaekit.backends.predict_data import predicted


def train_step(model, state, data):
    """Play every round once; returns (logs, new state)."""
    trainable, non_trainable, optimizer, metrics = state
    batch = model.as_batch(data)
    optimizer = list(optimizer)
    for players in model.update_phases:
        trainable, non_trainable, optimizer, metrics = _play(
            model, players, batch, trainable, non_trainable, optimizer, metrics
        )
    optimizer[0] = optimizer[0] + 1  # PlayerOptimizers.iterations
    return _results(model, metrics), (trainable, non_trainable, optimizer, metrics)


def _play(model, players, batch, trainable, non_trainable, optimizer, metrics):
    slots = _slots(model, optimizer)

    def forward(trainable):
        mapping = [
            *zip(model.trainable_variables, trainable, strict=True),
            *zip(model.non_trainable_variables, non_trainable, strict=True),
            *zip(model.metrics_variables, metrics, strict=True),
            *zip(model.optimizer.variables, optimizer, strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            losses, terms = model.objective(batch, training=True)
            scaled = [model.optimizer.by_player[p].scale_loss(losses[p]) for p in players]
            model.track({p: losses[p] for p in players}, terms)
        return scaled, (
            model.step_sizes(terms),
            _current(scope, model.non_trainable_variables),
            _current(scope, model.metrics_variables),
        )

    scaled, pull_back, (sizes, non_trainable, metrics) = jax.vjp(forward, trainable, has_aux=True)
    place = {id(v): i for i, v in enumerate(model.trainable_variables)}
    moved = list(trainable)
    for turn, player in enumerate(players):
        own = [place[id(v)] for v in model.player_variables(player)]
        (gradients,) = pull_back([jnp.ones_like(s) if i == turn else jnp.zeros_like(s) for i, s in enumerate(scaled)])
        first, last = slots[player]
        new, optimizer[first:last] = model.optimizer.by_player[player].stateless_apply(
            optimizer[first:last], [gradients[i] for i in own], [trainable[i] for i in own]
        )
        for i, value in zip(own, new, strict=True):
            moved[i] = trainable[i] + sizes[player] * (value - trainable[i]) if player in sizes else value
        optimizer[first:last] = _averaged(model, player, optimizer[first:last], [moved[i] for i in own])
    return moved, non_trainable, optimizer, metrics


def _averaged(model, player, slots, weights):
    """A player's state with its weights taken into their moving average."""
    state, variables = model.optimizer.by_player[player].variables, model.player_variables(player)
    mapping = [*zip(state, slots, strict=True), *zip(variables, weights, strict=True)]
    with keras.StatelessScope(state_mapping=mapping) as scope:
        model.optimizer.average(player, variables)
    return _current(scope, state)


def _slots(model, optimizer):
    """Where each player's state lies in the flat list of optimizer variables."""
    slots, first = {}, len(optimizer) - sum(len(o.variables) for o in model.optimizer.by_player.values())
    for player, own in model.optimizer.by_player.items():
        slots[player] = (first, first + len(own.variables))
        first += len(own.variables)
    return slots


def test_step(model, state, data):
    """Losses and terms of a batch, nobody moves; returns (logs, new state)."""
    trainable, non_trainable, metrics = state
    mapping = [
        *zip(model.trainable_variables, trainable, strict=True),
        *zip(model.non_trainable_variables, non_trainable, strict=True),
        *zip(model.metrics_variables, metrics, strict=True),
    ]
    with keras.StatelessScope(state_mapping=mapping) as scope:
        losses, terms = model.objective(model.as_batch(data), training=False)
        model.track(losses, terms)
    metrics = _current(scope, model.metrics_variables)
    return _results(model, metrics), (trainable, _current(scope, model.non_trainable_variables), metrics)


def evaluator(model):
    """A function from a batch to its losses and terms by name, in which nobody moves; it is compiled."""
    if "_evaluator" not in model.__dict__:  # tracing takes seconds
        model.__dict__["_evaluator"] = jax.jit(lambda values, batch: _evaluated(model, values, batch))

    def evaluate(batch):
        values = [v.value for v in model.variables]
        return model.__dict__["_evaluator"](values, {name: jnp.asarray(value) for name, value in batch.items()})

    return evaluate


def _evaluated(model, values, batch):
    with keras.StatelessScope(state_mapping=list(zip(model.variables, values, strict=True))):
        losses, terms = model.objective(model.as_batch(batch), training=False)
    return {**{f"{player}_loss": loss for player, loss in losses.items()}, **terms}


def predict_step(model, state, data):
    """What the model does with a batch; returns (outputs, new non-trainable variables)."""
    return model.stateless_call(*state, predicted(data))


def _results(model, metrics):
    with keras.StatelessScope(state_mapping=list(zip(model.metrics_variables, metrics, strict=True))):
        return model.get_metrics_result()


def _current(scope, variables):
    """Values that the scope holds now, or the variables' own where it holds none."""
    values = [scope.get_current_value(v) for v in variables]
    return [v.value if value is None else value for v, value in zip(variables, values, strict=True)]
