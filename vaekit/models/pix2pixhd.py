"""pix2pixHD: high-resolution image synthesis with conditional GANs (Wang et al. 2018)."""

import keras
from keras import ops

from vaekit import losses
from vaekit.game import AdversarialModel, Signature
from vaekit.networks.convolutional import patch_discriminator
from vaekit.networks.enhancer import global_generator, local_enhancer
from vaekit.specs import Images, as_images


@keras.saving.register_keras_serializable("vaekit")
class Pix2PixHD(AdversarialModel):
    """A global generator works at half size, a local enhancer adds its features to those of the full picture.

    Discriminators of patches see the pair at full, half and quarter size. A batch holds "condition" [N, H, W, K] and
    "image" [N, H, W, C] in 0..1.

    Args:
        channels: C.
        condition_channels: K.
        widths: channels of the global generator's levels; sides are multiples of 2 ** (len(widths) + 1).
        depth: residual blocks of the global generator.
        sizes: how many discriminators, each of half the size of the one before.
        matching: weight of the feature matching loss.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), "uint8")
        >>> model = Pix2PixHD(channels=3, condition_channels=1, widths=(8, 8), depth=1, sizes=2)
        >>> model.compile("adam")
        >>> history = model.fit(images[..., :1], images, batch_size=2, verbose=0)
        >>> model.predict(images[..., :1], verbose=0).shape
        (4, 32, 32, 3)
    """

    terms = ("matching", "gan")
    averaged = ("generator",)

    def __init__(
        self, channels=3, condition_channels=3, widths=(32, 64, 96), depth=3, sizes=3, matching=10.0, **kwargs
    ):
        super().__init__(**kwargs)
        self.channels, self.condition_channels = channels, condition_channels
        self.widths, self.depth, self.sizes, self.matching = tuple(widths), depth, sizes, matching
        # === Networks ===
        self.coarse = global_generator(condition_channels, self.widths, depth)
        self.fine = local_enhancer(condition_channels, channels, self.widths[0])
        self.discriminators = [patch_discriminator(condition_channels + channels) for _ in range(sizes)]
        self.set_players({"generator": [self.coarse, self.fine], "discriminator": self.discriminators})

    # === Objective: eq. 2 to 4, least squares as in section 3.2; feature matching is a mean over each layer ===
    def objective(self, batch, training=True):
        """Sum over k of L_GAN(G, D_k) + matching L_FM(G, D_k); sum over k of L_D."""
        x, y = ops.cast(batch["condition"], "float32"), ops.cast(batch["image"], "float32")
        real, fake = (2.0 * ops.concatenate([x, image], axis=-1) - 1.0 for image in (y, self._draw(x, training)))
        l_fool, l_matching, l_d = 0.0, 0.0, 0.0
        for discriminator in self.discriminators:
            of_real, of_fake = (discriminator(pair, training=training) for pair in (real, fake))
            l_fool += losses.real_square_loss(of_fake["logits"])
            l_d += losses.real_square_loss(of_real["logits"]) + losses.fake_square_loss(of_fake["logits"])
            for own, other in zip(of_real["layers"], of_fake["layers"], strict=True):
                l_matching += losses.mean_absolute_error(ops.stop_gradient(own), other)
            real, fake = (ops.average_pool(pair, 2, 2) for pair in (real, fake))
        return (
            {"generator": l_fool + self.matching * l_matching, "discriminator": l_d},
            {"matching": l_matching, "gan": l_d},
        )

    # === Use ===
    def translate(self, condition):
        """G(x): images [N, H, W, C] in 0..1 of conditions [N, H, W, K] in 0..1."""
        return self._draw(as_images(condition), False)

    @property
    def takes(self):
        """Conditions as x, images as y."""
        return {"condition": self._conditions, "image": Images((None, None, self.channels))}

    @property
    def signatures(self):
        """`translate`."""
        return {"translate": Signature({"condition": self._conditions}, self.translate, "image")}

    @property
    def _conditions(self):
        return Images((None, None, self.condition_channels))

    def _draw(self, x, training: bool):
        x = 2.0 * ops.cast(x, "float32") - 1.0
        features = self.coarse(ops.average_pool(x, 2, 2), training=training)
        return ops.sigmoid(self.fine([x, features], training=training))
