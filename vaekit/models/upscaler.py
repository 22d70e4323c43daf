"""The faithful half of super-resolution: least absolute error, as EDSR (Lim et al. 2017) has it."""

import keras
from keras import ops

from vaekit.game import AdversarialModel
from vaekit.networks.enlarging import residual_upscaler, upscaled


@keras.saving.register_keras_serializable("vaekit")
class Upscaler(AdversarialModel):
    """One player, the upscaler, which answers with a residual on bicubic enlargement.

    A batch holds, for every scale s, "small_s" [N, h, w, C] and "large_s" [N, s * h, s * w, C], both in 0..1.

    Args:
        channels: channels of the pictures.
        scales: what it enlarges by.
        width: channels of its body.
        depth: residual blocks of its body.
    """

    averaged = ("upscaler",)

    def __init__(self, channels=3, scales=(2, 3, 4), width=48, depth=12, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.scales, self.width, self.depth = channels, tuple(scales), width, depth
        self.upscaler = residual_upscaler(channels, self.scales, width, depth)
        self.terms = tuple(f"l1_x{s}" for s in self.scales)
        self.set_players({"upscaler": [self.upscaler]})

    def objective(self, batch, training=True):
        """The mean of all scales' L1."""
        errors = [ops.mean(ops.abs(self.answer(batch[f"small_{s}"], s) - batch[f"large_{s}"])) for s in self.scales]
        return {"upscaler": sum(errors) / len(errors)}, dict(zip(self.terms, errors, strict=True))

    def answer(self, small, scale):
        """The picture [N, h, w, C] in 0..1 enlarged by `scale`, not clipped."""
        return upscaled(self.upscaler, small, scale)

    def default_optimizers(self):
        """Adam 1e-3."""
        return {"upscaler": keras.optimizers.Adam(1e-3)}
