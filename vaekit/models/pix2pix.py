"""pix2pix: image-to-image translation with conditional adversarial networks (Isola et al. 2017)."""

import keras
from keras import ops

from vaekit import losses
from vaekit.game import AdversarialModel, Signature
from vaekit.networks.convolutional import patch_discriminator
from vaekit.networks.unet import residual_unet
from vaekit.specs import Images, Vectors, as_images


@keras.saving.register_keras_serializable("vaekit")
class Pix2Pix(AdversarialModel):
    """A U-Net draws y from x, a discriminator of patches sees the pair.

    Noise enters as a latent that modulates the U-Net, where the paper has dropout. A batch holds "condition"
    [N, H, W, K], x, and "image" [N, H, W, C], y, in 0..1.

    Args:
        channels: C.
        condition_channels: K.
        latent_dim: of the noise.
        widths: channels of the U-Net's levels; sides are multiples of 2 ** len(widths).
        pixel: weight of the L1 distance of pictures in -1..1.
        generator, discriminator: functional models in place of the model's own, of the same inputs and outputs.

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> grey = images[..., :1]
        >>> model = Pix2Pix(channels=3, condition_channels=1, widths=(8, 8))
        >>> model.compile("adam")
        >>> history = model.fit(grey, images, batch_size=2, verbose=0)
        >>> model.predict(grey, verbose=0).shape
        (4, 16, 16, 3)
    """

    terms = ("pixel", "gan")
    averaged = ("generator",)
    replaceable = ("generator", "discriminator")

    def __init__(self, channels=3, condition_channels=3, latent_dim=8, widths=(32, 64, 96), pixel=100.0, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.condition_channels, self.latent_dim = channels, condition_channels, latent_dim
        self.widths, self.pixel = tuple(widths), pixel
        # === Networks ===
        self.generator = self.network(
            "generator", residual_unet, condition_channels, channels, latent_dim, self.widths, attention=False
        )
        self.discriminator = self.network("discriminator", patch_discriminator, condition_channels + channels)
        self.set_players({"generator": [self.generator], "discriminator": [self.discriminator]})

    # === Objective: eq. 1, 3 and 4 ===
    def objective(self, batch, training=True):
        """-log D(x, G(x, z)) + 100 ||y - G(x, z)||; -log D(x, y) - log(1 - D(x, G(x, z)))."""
        x, y = ops.cast(batch["condition"], "float32"), ops.cast(batch["image"], "float32")
        drawn = self.draw(x, self.random_normal((ops.shape(x)[0], self.latent_dim)), training)
        # As the paper has them, in -1..1: the weight of the L1 distance is one of these.
        x, y, drawn = (2.0 * image - 1.0 for image in (x, y, drawn))
        real, fake = (
            self.discriminator(ops.concatenate([x, image], axis=-1), training=training)["logits"]
            for image in (y, drawn)
        )
        l_pixel = losses.mean_absolute_error(y, drawn)
        l_d = losses.real_log_loss(real) + losses.fake_log_loss(fake)
        return (
            {"generator": losses.real_log_loss(fake) + self.pixel * l_pixel, "discriminator": l_d},
            {"pixel": l_pixel, "gan": l_d},
        )

    # === Use ===
    def draw(self, x, z, training=False):
        """G(x, z): images [N, H, W, C] in 0..1 of conditions [N, H, W, K] in 0..1 and noise [N, latent_dim]."""
        return ops.sigmoid(self.generator([2.0 * x - 1.0, z], training=training))

    def translate(self, x):
        """G(x, 0)."""
        x = as_images(x)
        return self.draw(x, ops.zeros((ops.shape(x)[0], self.latent_dim)))

    @property
    def takes(self):
        """Conditions as x, images as y."""
        return {
            "condition": Images((None, None, self.condition_channels)),
            "image": Images((None, None, self.channels)),
        }

    @property
    def signatures(self):
        """`translate`, and `draw`, which takes the noise z."""
        condition = {"condition": Images((None, None, self.condition_channels))}
        z = {"z": Vectors((self.latent_dim,))}
        return {
            "translate": Signature(condition, self.translate, "image"),
            "draw": Signature({**condition, **z}, self.draw, "image"),
        }
