"""Deep multi-scale video prediction beyond mean square error (Mathieu et al. 2016)."""

import keras
from keras import ops

from vaekit import losses
from vaekit.game import AdversarialModel, Signature
from vaekit.networks.convolutional import frame_predictor, patch_discriminator
from vaekit.specs import Images, as_images


@keras.saving.register_keras_serializable("vaekit")
class VideoPredictor(AdversarialModel):
    """Predicts the next frame of a video from those before it, from the coarsest of several scales to the finest.

    A batch holds "past" [N, H, W, frames C], the frames behind one another as channels, oldest first, and "image"
    [N, H, W, C], the frame that follows, in 0..1.

    Args:
        channels: C.
        frames: how many frames are known.
        scales: how many sizes, each twice the one before; sides are multiples of 2 ** (scales - 1).
        width: channels of the predictors' layers.
        adversarial: weight of the adversarial loss, 0 for none; the paper has .05.
        power: p of the distance |y - G(x)| ^ p, 1 or 2.
        gradient: weight of the gradient difference loss, 0 for none; the paper has 1.

    Example:
        >>> import numpy as np
        >>> video = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 5), "uint8")
        >>> model = VideoPredictor(channels=1, frames=4, scales=2, width=8)
        >>> model.compile("adam")
        >>> history = model.fit(video[..., :4], video[..., 4:], batch_size=2, verbose=0)
        >>> model.predict(video[..., :4], verbose=0).shape
        (4, 16, 16, 1)
    """

    terms = ("distance", "gradient_difference", "gan")
    averaged = ("generator",)

    def __init__(
        self, channels=3, frames=4, scales=3, width=48, adversarial=0.05, power=2, gradient=1.0, **kwargs
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.channels, self.frames, self.scales, self.width = channels, frames, scales, width
        self.adversarial, self.power, self.gradient = adversarial, power, gradient
        # === Networks: of each scale, coarsest first ===
        known = channels * frames
        self.generators = [frame_predictor(known + (channels if i else 0), channels, width) for i in range(scales)]
        self.discriminators = [patch_discriminator(known + channels) for _ in range(scales)]
        self.set_players({"generator": self.generators, "discriminator": self.discriminators})

    # === Objective: eq. 3 to 7, sums over the scales ===
    def objective(self, batch, training=True):
        """adversarial l_adv + l_p + gradient l_gdl; l_bce(D(x, y), 1) + l_bce(D(x, G(x)), 0)."""
        x, y = ops.cast(batch["past"], "float32"), ops.cast(batch["image"], "float32")
        l_adv, l_p, l_gdl, l_d = 0.0, 0.0, 0.0, 0.0
        for scale, drawn in enumerate(self._at_every_scale(x, training)):
            known, truth = self._shrunk(x, scale), self._shrunk(y, scale)
            real, fake = (
                self.discriminators[scale](2.0 * ops.concatenate([known, image], axis=-1) - 1.0, training=training)[
                    "logits"
                ]
                for image in (truth, drawn)
            )
            l_adv += losses.real_log_loss(fake)
            l_d += losses.real_log_loss(real) + losses.fake_log_loss(fake)
            l_p += ops.mean(ops.abs(truth - drawn) ** self.power)
            l_gdl += losses.gradient_difference(truth, drawn)
        return (
            {"generator": self.adversarial * l_adv + l_p + self.gradient * l_gdl, "discriminator": l_d},
            {"distance": l_p, "gradient_difference": l_gdl, "gan": l_d},
        )

    # === Use ===
    def next_frame(self, past):
        """The frame [N, H, W, C] that follows the frames [N, H, W, frames C] in 0..1."""
        return ops.clip(self._at_every_scale(as_images(past), False)[-1], 0.0, 1.0)

    def continued(self, past, count: int):
        """The `count` frames that follow, each predicted from what was predicted before: [N, H, W, count C]."""
        past = as_images(past)
        for _ in range(count):
            known = past[..., -self.frames * self.channels :]
            past = ops.concatenate([past, self.next_frame(known)], axis=-1)
        return past[..., -count * self.channels :]

    @property
    def takes(self):
        """The frames before as x, the frame that follows as y."""
        return {"past": self._past, "image": Images((None, None, self.channels))}

    @property
    def signatures(self):
        """`next_frame`."""
        return {"next_frame": Signature({"past": self._past}, self.next_frame, "image")}

    @property
    def _past(self):
        return Images((None, None, self.channels * self.frames))

    def _shrunk(self, images, scale: int):
        """Images at a scale, 0 the coarsest."""
        side = 2 ** (self.scales - 1 - scale)
        return ops.average_pool(images, side, side) if side > 1 else images

    def _at_every_scale(self, x, training: bool) -> list:
        """Y_k = u(Y_k-1) + G_k(X_k, u(Y_k-1)), eq. 2; the first is drawn as a change of the newest frame."""
        drawn: list = []
        for scale, generator in enumerate(self.generators):
            known = self._shrunk(x, scale)
            if drawn:
                before = ops.repeat(ops.repeat(drawn[-1], 2, axis=1), 2, axis=2)
                given = ops.concatenate([known, before], axis=-1)
            else:
                before, given = known[..., -self.channels :], known
            drawn.append(before + generator(2.0 * given - 1.0, training=training))
        return drawn
