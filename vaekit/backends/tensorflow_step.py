"""A step on TensorFlow: one persistent tape a round."""

import tensorflow as tf

from vaekit.backends.predict_data import predicted
from vaekit.backends.tensorflow_replicas import mean


def train_step(model, data):
    """Play every round once; returns the running means of losses and terms."""
    batch = model.as_batch(data)
    for players in model.update_phases:
        _play(model, players, batch)
    model.optimizer.iterations.assign_add(1)
    results = model.get_metrics_result()
    if isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy):
        # Keras takes the mean of several workers' results along their first axis, which scalars lack.
        return {name: value[None] for name, value in results.items()}
    return results


def _play(model, players, batch):
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    optimizers = model.optimizer.by_player
    with tf.GradientTape(persistent=True) as tape:
        losses, terms = model.objective(batch, training=True)
        # Gradients are summed over replicas, each of which sees its share of the batch.
        scaled = {p: optimizers[p].scale_loss(losses[p] / replicas) for p in players}
    variables = {p: model.player_variables(p) for p in players}
    # All gradients are taken before anyone moves: every player answers the same position.
    gradients = {p: tape.gradient(scaled[p], variables[p]) for p in players}
    sizes = {p: mean(size) for p, size in model.step_sizes(terms).items()}
    for p in players:
        begun = [tf.identity(v) for v in variables[p]] if p in sizes else []
        optimizers[p].apply(gradients[p], variables[p])
        for variable, start in zip(variables[p], begun, strict=False):
            variable.assign(start + sizes[p] * (variable - start))
        model.optimizer.average(p, variables[p])
    model.track({p: losses[p] for p in players}, terms)


def test_step(model, data):
    """Losses and terms of a batch, nobody moves."""
    losses, terms = model.objective(model.as_batch(data), training=False)
    model.track(losses, terms)
    return model.get_metrics_result()


def predict_step(model, data):
    """What the model does with a batch."""
    return model(predicted(data))


def evaluator(model):
    """A function from a batch to its losses and terms by name, in which nobody moves."""

    def evaluate(batch):
        losses, terms = model.objective(model.as_batch(batch), training=False)
        return {**{f"{player}_loss": loss for player, loss in losses.items()}, **terms}

    return evaluate
