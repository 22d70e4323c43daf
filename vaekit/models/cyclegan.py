"""CycleGAN: unpaired image-to-image translation using cycle-consistent adversarial networks (Zhu et al. 2017)."""

import keras
from keras import ops

from vaekit import losses
from vaekit.game import AdversarialModel, Signature
from vaekit.networks.convolutional import patch_discriminator
from vaekit.networks.history import ImageHistory
from vaekit.networks.unet import residual_unet
from vaekit.specs import Images, as_images


@keras.saving.register_keras_serializable("vaekit")
class CycleGAN(AdversarialModel):
    """G draws a Y of an X, F an X of a Y, and F(G(x)) has to be x again; nobody says which y belongs to which x.

    A batch holds "image" [N, H, W, C], some of X, and "other" [N, H, W, C], some of Y, in 0..1. Both generators answer
    with a change of what they are given, which starts at 0. L1 distances are those of pictures in -1..1.

    Args:
        image_shape: (H, W, C) of training; `to_y` and `to_x` take any size.
        widths: channels of the generators' levels; sides are multiples of 2 ** len(widths).
        cycle: weight of the cycle's L1 distance.
        identity: weight of ||G(y) - y|| and ||F(x) - x||, as a share of `cycle`.
        kept: how many generated pictures of each kind are kept for the discriminators, 0 for none.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> model = CycleGAN((16, 16, 3), widths=(8, 8))
        >>> model.compile("adam")
        >>> history = model.fit(images, 255 - images, batch_size=2, verbose=0)
        >>> model.predict(images, verbose=0).shape
        (4, 16, 16, 3)
    """

    terms = ("cycle", "identity", "gan")
    averaged = ("generator",)

    def __init__(self, image_shape, widths=(32, 64, 96), cycle=10.0, identity=0.5, kept=50, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.widths = tuple(image_shape), tuple(widths)
        self.cycle, self.identity, self.kept = cycle, identity, kept
        channels = self.image_shape[2]
        # === Networks ===
        self.forward, self.backward = (residual_unet(channels, channels, 1, self.widths, attention=False) for _ in "GF")
        self.discriminator_x, self.discriminator_y = patch_discriminator(channels), patch_discriminator(channels)
        earlier = [ImageHistory(kept) if kept else None for _ in "XY"]
        for each in filter(None, earlier):
            each.build((None, *self.image_shape))
        self.earlier_x, self.earlier_y = earlier
        self.set_players(
            {"generator": [self.forward, self.backward], "discriminator": [self.discriminator_x, self.discriminator_y]}
        )

    # === Objective: eq. 1 to 3, least squares and history as in section 4, identity as in section 5.2 ===
    def objective(self, batch, training=True):
        """L_GAN(G) + L_GAN(F) + cycle (L_cyc + identity L_id); L_D of both discriminators."""
        x, y = ops.cast(batch["image"], "float32"), ops.cast(batch["other"], "float32")
        to_y, to_x = self.to_y(x, training), self.to_x(y, training)
        l_cycle = _l1(self.to_x(to_y, training), x) + _l1(self.to_y(to_x, training), y)
        l_identity = _l1(self.to_y(y, training), y) + _l1(self.to_x(x, training), x)
        l_fool, l_d = 0.0, 0.0
        for discriminator, real, fake, earlier in (
            (self.discriminator_x, x, to_x, self.earlier_x),
            (self.discriminator_y, y, to_y, self.earlier_y),
        ):
            logits = self._logits(discriminator, fake, training)
            l_fool += losses.real_square_loss(logits)
            if earlier is not None and training:
                logits = self._logits(
                    discriminator, earlier(fake, self.random_uniform((ops.shape(fake)[0], 2))), training
                )
            l_real = losses.real_square_loss(self._logits(discriminator, real, training))
            l_d += 0.5 * (l_real + losses.fake_square_loss(logits))
        return (
            {"generator": l_fool + self.cycle * (l_cycle + self.identity * l_identity), "discriminator": l_d},
            {"cycle": l_cycle, "identity": l_identity, "gan": l_d},
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
        pictures = Images(self.image_shape)
        return {"image": pictures, "other": pictures}

    @property
    def signatures(self):
        """`to_y` and `to_x`."""
        pictures = {"image": Images((None, None, self.image_shape[2]))}
        return {
            "to_y": Signature(pictures, self.to_y, "translated"),
            "to_x": Signature(pictures, self.to_x, "translated"),
        }

    def _changed(self, network, images, training):
        images = as_images(images)
        return images + network([2.0 * images - 1.0, ops.zeros((ops.shape(images)[0], 1))], training=training)

    def _logits(self, network, images, training):
        return network(2.0 * images - 1.0, training=training)["logits"]


def _l1(a, b):
    """Mean absolute difference of pictures in 0..1, as of the same in -1..1."""
    return 2.0 * losses.mean_absolute_error(a, b)
