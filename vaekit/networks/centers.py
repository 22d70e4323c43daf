"""Moving feature centres, in which CVAE-GAN matches generated to real features."""

import keras
from keras import layers, ops

from vaekit.backends import replicas


@keras.saving.register_keras_serializable("vaekit")
class MovingCenters(layers.Layer):
    """Moving averages of features, one centre a class: E f(x) over more than one batch (Bao et al. 2017, sec. 3.5).

    Calling it returns this batch's view of the centres: the moving average, with the batch's own mean
    mixed in, so that a gradient reaches the features of the batch.

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

    def call(self, features, labels=None, training=True):
        """Centres [classes, F] after this batch; a class that is not in the batch keeps its past.

        Args:
            features: [N, F].
            labels: [N] integers, or None with a single centre.
            training: whether the moving average takes this batch in.
        """
        features = ops.cast(features, "float32")
        if labels is None:
            labels = ops.zeros((ops.shape(features)[0],), "int32")
        member = ops.one_hot(labels, self.classes, dtype="float32")
        past = ops.convert_to_tensor(self.centers)
        count = replicas.add_up(ops.sum(member, axis=0)[:, None])
        batch_mean = replicas.add_up(ops.matmul(ops.transpose(member), features)) / ops.maximum(count, 1.0)
        centers = ops.where(count > 0, self.momentum * past + (1.0 - self.momentum) * batch_mean, past)
        if training:
            self.centers.assign(ops.stop_gradient(centers))
        return centers

    def get_config(self):
        """Mirror __init__."""
        return {**super().get_config(), "classes": self.classes, "momentum": self.momentum}
