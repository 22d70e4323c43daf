"""Where a training runs: on one device, or on several that share every batch."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any, Protocol

import keras

from vaekit.data import Batches
from vaekit.errors import UserError


class Strategy(Protocol):
    """What a training asks of where it runs.

    Attributes:
        chief: whether this process writes the run's files; of several workers one does.
    """

    chief: bool

    def scope(self) -> contextlib.AbstractContextManager:
        """Within it the model is built."""

    def fit(self, model: keras.Model, data: Batches, **arguments: Any) -> None:
        """Train on the batches."""


def open_strategy(strategy: str | None) -> Strategy:
    """The strategy of this name.

    Args:
        strategy: None for one device; "mirrored" for all of this machine (tf.distribute); "multiworker" for several
            machines, which TF_CONFIG names as TensorFlow has it; "jax" for all devices of this process
            (keras.distribution).

    Raises:
        UserError: the backend is another one's, or TF_CONFIG is missing.
    """
    if strategy is None:
        return SingleDevice()
    backend = keras.backend.backend()
    if (strategy == "jax") != (backend == "jax"):
        raise UserError(f"--strategy {strategy}: the backend is {backend} (KERAS_BACKEND chooses it)")
    if strategy == "jax":
        return AllJaxDevices()
    if strategy == "multiworker" and "TF_CONFIG" not in os.environ:
        raise UserError("--strategy multiworker: TF_CONFIG does not name the workers")
    return Replicas(strategy)


class SingleDevice:
    """One device."""

    chief = True

    def scope(self):
        """Nothing."""
        return contextlib.nullcontext()

    def fit(self, model, data, **arguments):
        """Train on the batches."""
        # In the order they have, which is random already, and which resuming finds again.
        model.fit(data, shuffle=False, **arguments)


class AllJaxDevices(SingleDevice):
    """Every device that JAX has; each takes its rows of a batch."""

    def __init__(self):
        keras.distribution.set_distribution(keras.distribution.DataParallel())


class Replicas:
    """tf.distribute: every replica takes its rows of a batch."""

    def __init__(self, strategy: str):
        import tensorflow as tf

        if strategy == "mirrored":
            self.strategy = tf.distribute.MirroredStrategy()
        else:
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        resolver = self.strategy.cluster_resolver
        self.chief = resolver is None or resolver.task_type == "chief" or resolver.task_id in (None, 0)

    def scope(self):
        """Within it variables are mirrored."""
        return self.strategy.scope()

    def fit(self, model, data, **arguments):
        """Train on the batches.

        Raises:
            UserError: replicas cannot have equal shares of a batch.
        """
        replicas = self.strategy.num_replicas_in_sync
        if data.batch_size % replicas:
            raise UserError(f"train.batch_size: {data.batch_size} is no multiple of the {replicas} replicas")
        spread = self.strategy.distribute_datasets_from_function(lambda context: self._rows(context, data))
        model.fit(spread, steps_per_epoch=len(data), shuffle=False, **arguments)

    def _rows(self, context, data: Batches):
        """The rows of this process's replicas, one replica's after the other's; without end."""
        import tensorflow as tf

        share = context.get_per_replica_batch_size(data.batch_size)
        here = self.strategy.num_replicas_in_sync // context.num_input_pipelines
        first = context.input_pipeline_id * here

        def parts() -> Iterator[dict]:
            step = (data.epoch + 1) * len(
                data
            )  # as in `SingleDevice`, where Keras ends an epoch before it begins the first
            while True:
                for replica in range(first, first + here):
                    yield data.rows(step, range(replica * share, (replica + 1) * share))
                step += 1

        example = data.rows(0, range(share))
        signature = {name: tf.TensorSpec(value.shape, value.dtype) for name, value in example.items()}
        return tf.data.Dataset.from_generator(parts, output_signature=signature).prefetch(2 * here)
