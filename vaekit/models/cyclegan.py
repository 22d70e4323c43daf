"""CycleGAN: unpaired image-to-image translation using cycle-consistent adversarial networks (Zhu et al. 2017)."""

import keras
from keras import ops

from vaekit import losses
from vaekit.game import AdversarialModel, Signature
from vaekit.networks.convolutional import patch_discriminator
from vaekit.networks.unet import residual_unet
from vaekit.specs import Images, as_images


@keras.saving.register_keras_serializable("vaekit")
class CycleGAN(AdversarialModel):
    """G draws a Y of an X, F an X of a Y, and F(G(x)) has to be x again; nobody says which y belongs to which x.

    A batch holds "image" [N, H, W, C], some of X, and "other" [N, H, W, C], some of Y, in 0..1. Both generators answer
    with a change of what they are given, which starts at 0.

    Args:
        channels: C.
        widths: channels of the generators' levels; sides are multiples of 2 ** len(widths).
        cycle: weight of the cycle's L1 distance.
        identity: weight of ||G(y) - y|| and ||F(x) - x||, as a share of `cycle`.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> model = CycleGAN(channels=3, widths=(8, 8))
        >>> model.compile("adam")
        >>> history = model.fit(images, 255 - images, batch_size=2, verbose=0)
        >>> model.predict(images, verbose=0).shape
        (4, 16, 16, 3)
    """

    terms = ("cycle_", "identity_", "gan")
    averaged = ("generator",)

    def __init__(self, channels=3, widths=(32, 64, 96), cycle=10.0, identity=0.5, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.widths, self.cycle, self.identity = channels, tuple(widths), cycle, identity
        # === Networks ===
        self.forward, self.backward = (residual_unet(channels, channels, 1, self.widths, attention=False) for _ in "GF")
        self.judge_x, self.judge_y = patch_discriminator(channels), patch_discriminator(channels)
        self.set_players({"generator": [self.forward, self.backward], "discriminator": [self.judge_x, self.judge_y]})

    # === Objective: eq. 1 to 3, least squares as in section 4, identity as in section 5.2 ===
    def objective(self, batch, training=True):
        """L_GAN(G) + L_GAN(F) + cycle (L_cyc + identity L_id); L_D of both discriminators."""
        x, y = ops.cast(batch["image"], "float32"), ops.cast(batch["other"], "float32")
        to_y, to_x = self.to_y(x, training), self.to_x(y, training)
        l_cycle = losses.mean_absolute_error(self.to_x(to_y, training), x) + losses.mean_absolute_error(
            self.to_y(to_x, training), y
        )
        l_identity = losses.mean_absolute_error(self.to_y(y, training), y) + losses.mean_absolute_error(
            self.to_x(x, training), x
        )
        judged = [
            (self._judge(self.judge_x, x, training), self._judge(self.judge_x, to_x, training)),
            (self._judge(self.judge_y, y, training), self._judge(self.judge_y, to_y, training)),
        ]
        l_fool = sum(losses.real_square_loss(fake) for _, fake in judged)
        l_d = 0.5 * sum(losses.real_square_loss(real) + losses.fake_square_loss(fake) for real, fake in judged)
        return (
            {"generator": l_fool + self.cycle * (l_cycle + self.identity * l_identity), "discriminator": l_d},
            {"cycle_": l_cycle, "identity_": l_identity, "gan": l_d},
        )

    # === Use ===
    def to_y(self, x, training=False):
        """G(x): [N, H, W, C] in about 0..1."""
        return self._changed(self.forward, x, training)

    def to_x(self, y, training=False):
        """F(y): [N, H, W, C] in about 0..1."""
        return self._changed(self.backward, y, training)

    @property
    def takes(self):
        """Some of X as x, some of Y as y."""
        pictures = Images((None, None, self.channels))
        return {"image": pictures, "other": pictures}

    @property
    def signatures(self):
        """`to_y` and `to_x`."""
        pictures = {"image": Images((None, None, self.channels))}
        return {
            "to_y": Signature(pictures, self.to_y, "translated"),
            "to_x": Signature(pictures, self.to_x, "translated"),
        }

    def _changed(self, network, images, training):
        images = as_images(images)
        return images + network([2.0 * images - 1.0, ops.zeros((ops.shape(images)[0], 1))], training=training)

    def _judge(self, network, images, training):
        return network(2.0 * images - 1.0, training=training)["logits"]
