"""Moving statistics of features: CVAE-GAN's centres, and the Gaussian that codes without a prior have."""

import keras
from keras import layers, ops

from vaekit.backends import replicas


@keras.saving.register_keras_serializable("vaekit")
class MovingCenters(layers.Layer):
    """Moving averages of features, one centre a class: E f(x) over more than one batch (Bao et al. 2017, sec. 3.5).

    Calling it returns the moving average with this batch in it. Its gradient is whole, that of the mean of the batch's
    features: they are a sample of E f(x), and only its value is known better from more batches.

    Args:
        classes: number of centres; 1 where there are no classes.
        momentum: share of the past.
    """

    def __init__(self, classes: int = 1, momentum: float = 0.9, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.classes, self.momentum = classes, momentum

    def build(self, shape):
        """Shape: features [N, F]."""
        self.centers = self.add_weight(
            shape=(self.classes, shape[-1]), initializer="zeros", trainable=False, aggregation="mean"
        )

    def call(self, features, members=None, training=True):
        """Centres [classes, F] after this batch; a class that is not in the batch keeps its past.

        Args:
            features: [N, F].
            members: [N, classes], 1 for the classes that an example belongs to and 0 for others; None with one centre.
            training: whether the moving average takes this batch in.
        """
        features = ops.cast(features, "float32")
        member = ops.ones_like(features[:, :1]) if members is None else ops.cast(members, "float32")
        past = ops.convert_to_tensor(self.centers)
        count = replicas.all_reduce_sum(ops.sum(member, axis=0)[:, None])
        batch_mean = replicas.all_reduce_sum(ops.matmul(ops.transpose(member), features)) / ops.maximum(count, 1.0)
        moved = ops.where(count > 0, self.momentum * past + (1.0 - self.momentum) * batch_mean, past)
        centers = ops.stop_gradient(moved)
        if training:
            self.centers.assign(centers)
        return centers + batch_mean - ops.stop_gradient(batch_mean)

    def get_config(self):
        """Mirror __init__."""
        return {**super().get_config(), "classes": self.classes, "momentum": self.momentum}


@keras.saving.register_keras_serializable("vaekit")
class MovingGaussian(layers.Layer):
    """A Gaussian with independent dimensions, fitted to all codes [N, D] of late.

    Args:
        momentum: share of the past.
    """

    def __init__(self, momentum: float = 0.99, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.momentum = momentum

    def build(self, shape):
        """Shape: codes [N, D]."""
        self.moments = MovingCenters(momentum=self.momentum)
        self.moments.build((None, 2 * shape[-1] + 1))

    def call(self, codes, training=True):
        """Take codes [N, D] in, where `training`; no gradient goes back."""
        codes = ops.stop_gradient(ops.cast(codes, "float32"))
        # The share of what was ever taken in: the moving averages begin at 0.
        self.moments(ops.concatenate([codes, codes**2, ops.ones_like(codes[:, :1])], axis=-1), training=training)

    def place(self, noise):
        """Codes [N, D] of standard normal noise [N, D]."""
        dim = noise.shape[-1]
        moments = ops.convert_to_tensor(self.moments.centers)[0]
        moments = moments / ops.maximum(moments[-1], 1e-6)
        mean, square = moments[:dim], moments[dim:-1]
        return mean + ops.sqrt(ops.relu(square - mean**2)) * noise

    def get_config(self):
        """Mirror __init__."""
        return {**super().get_config(), "momentum": self.momentum}
