"""What the replicas of a model do together, on the backend that Keras has."""

import keras

if keras.backend.backend() == "jax":
    from vaekit.backends.jax_replicas import all_gather, all_reduce_sum, is_distributed, local_rows, mean
else:
    from vaekit.backends.tensorflow_replicas import all_gather, all_reduce_sum, is_distributed, local_rows, mean

__all__ = ["all_gather", "all_reduce_sum", "is_distributed", "local_rows", "mean"]
