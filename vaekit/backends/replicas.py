"""What the replicas of a model do together, on the backend that Keras has."""

import keras

if keras.backend.backend() == "jax":
    from vaekit.backends.jax_replicas import add_up, all_rows, mean, own_rows, several
else:
    from vaekit.backends.tensorflow_replicas import add_up, all_rows, mean, own_rows, several

__all__ = ["add_up", "all_rows", "mean", "own_rows", "several"]
