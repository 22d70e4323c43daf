"""Enlargement of pictures that are noisy, blurred or compressed: least absolute error, and an estimate of how much."""

import keras
from keras import ops

from vaekit.game import AdversarialModel
from vaekit.networks.enlarging import residual_upscaler, severity_estimator, upscaled


@keras.saving.register_keras_serializable("vaekit")
class Restorer(AdversarialModel):
    """Player restorer, which answers with a residual on bicubic enlargement, and player estimator.

    The restorer is told how much of noise, blur and compression it shall remove, `clean` [N] in 0..1. The estimator
    learns to tell that from the small picture. A batch holds, for every scale s, "small_s" [N, h, w, C] and "large_s"
    [N, s * h, s * w, C], both in 0..1, and "severity_s" [N] in 0..1, how degraded the small picture is; without the
    latter all are taken for clean.

    Args:
        channels: channels of the pictures.
        scales: what it enlarges by; 1 cleans without enlarging.
        width: channels of the restorer's body.
        depth: residual blocks of its body.
        jitter: standard deviation of the difference between the severity and what the restorer is told in training,
            so that it can be told somewhat more or less than there is.
    """

    averaged = ("restorer", "estimator")

    def __init__(self, channels=3, scales=(1, 2, 3, 4), width=48, depth=12, jitter=0.08, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.scales, self.width, self.depth = channels, tuple(scales), width, depth
        self.jitter = jitter
        self.restorer = residual_upscaler(channels, self.scales, width, depth, restores=True)
        self.estimator = severity_estimator(channels)
        self.terms = tuple(f"l1_x{s}" for s in self.scales)
        self.set_players({"restorer": [self.restorer], "estimator": [self.estimator]})

    def objective(self, batch, training=True):
        """The mean of all scales' L1; the mean squared error of the severities."""
        errors, misses = [], []
        for s in self.scales:
            small = batch[f"small_{s}"]
            severity = batch.get(f"severity_{s}", ops.zeros_like(small[:, 0, 0, 0]))
            told = ops.clip(severity + self.jitter * self.random_normal(ops.shape(severity)), 0.05, 1.0)
            told = ops.where(severity > 0, told, 0.0)
            errors.append(ops.mean(ops.abs(self.answer(small, s, told) - batch[f"large_{s}"])))
            misses.append(ops.mean(ops.square(self.estimator(small, training=training) - severity)))
        losses = {"restorer": sum(errors) / len(errors), "estimator": sum(misses) / len(misses)}
        return losses, dict(zip(self.terms, errors, strict=True))

    def answer(self, small, scale, clean):
        """The picture [N, h, w, C] in 0..1 enlarged by `scale` and cleaned by `clean` [N] in 0..1, not clipped."""
        return upscaled(self.restorer, small, scale, clean)

    def default_optimizers(self):
        """Adam 1e-3 for both."""
        return {player: keras.optimizers.Adam(1e-3) for player in self.players}
