"""Semantic segmentation using adversarial networks (Luc et al. 2016)."""

import keras
from keras import ops

from vaekit import losses
from vaekit.game import AdversarialModel, Signature
from vaekit.networks.convolutional import patch_discriminator
from vaekit.networks.segmenter import segmentation_unet
from vaekit.specs import Images, as_images


@keras.saving.register_keras_serializable("vaekit")
class AdversarialSegmenter(AdversarialModel):
    """A U-Net says of each pixel which class it is of, and a discriminator whether a map of classes is a true one.

    Cross-entropy looks at each pixel alone; the discriminator sees that a nose is missing or hair lies in shreds.
    A batch holds "image" [N, H, W, C] in 0..1 and "maps" [N, H, W, classes], one-hot, as bools or floats. The
    discriminator sees patches of the picture and the map together.

    Args:
        channels: C.
        classes: of the pixels.
        widths: channels of the U-Net's levels; sides are multiples of 2 ** len(widths).
        adversarial: lambda, weight of the adversarial term; 0 for cross-entropy alone.
        segmenter, discriminator: functional models in place of the model's own, of the same inputs and outputs.

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> maps = np.eye(2, dtype=bool)[(images[..., 0] > 127).astype(int)]
        >>> model = AdversarialSegmenter(classes=2, widths=(8, 8))
        >>> model.compile("adam")
        >>> history = model.fit(images, maps, batch_size=2, verbose=0)
        >>> model.predict(images, verbose=0).shape
        (4, 16, 16, 2)
    """

    terms = ("cross_entropy", "gan")
    averaged = ("segmenter",)
    replaceable = ("segmenter", "discriminator")

    def __init__(self, channels=3, classes=2, widths=(16, 32, 48, 64), adversarial=0.1, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.classes = channels, classes
        self.widths, self.adversarial = tuple(widths), adversarial
        # === Networks ===
        self.segmenter = self.network("segmenter", segmentation_unet, channels, self.widths, classes)
        self.discriminator = self.network("discriminator", patch_discriminator, channels + classes)
        self.set_players({"segmenter": [self.segmenter], "discriminator": [self.discriminator]})

    # === Objective: eq. 1 and 2, the segmenter's adversarial term as in eq. 3 ===
    def objective(self, batch, training=True):
        """l_mce(s(x), y) + lambda l_bce(a(x, s(x)), 1); l_bce(a(x, y), 1) + l_bce(a(x, s(x)), 0)."""
        x, y = ops.cast(batch["image"], "float32"), ops.cast(batch["maps"], "float32")
        scores = self.segmenter(x, training=training)
        l_mce = losses.pixel_class_loss(y, scores)
        real, fake = (
            self.discriminator(2.0 * ops.concatenate([x, maps], axis=-1) - 1.0, training=training)["logits"]
            for maps in (y, ops.softmax(ops.cast(scores, "float32")))
        )
        l_gan = losses.real_log_loss(real) + losses.fake_log_loss(fake)
        return (
            {"segmenter": l_mce + self.adversarial * losses.real_log_loss(fake), "discriminator": l_gan},
            {"cross_entropy": l_mce, "gan": l_gan},
        )

    def default_optimizers(self):
        """Adam 1e-3 for the segmenter, and 2e-4 with beta_1 .5 for the discriminator."""
        return {**super().default_optimizers(), "segmenter": keras.optimizers.Adam(1e-3)}

    # === Use ===
    def segment(self, images):
        """s(x): probabilities [N, H, W, classes] of images [N, H, W, C] in 0..1."""
        return ops.softmax(self.segmenter(as_images(images), training=False), axis=-1)

    @property
    def takes(self):
        """Images as x, one-hot maps as y."""
        return {"image": self._images, "maps": Images((None, None, self.classes))}

    @property
    def signatures(self):
        """`segment`."""
        return {"segment": Signature({"image": self._images}, self.segment, "maps")}

    @property
    def _images(self):
        return Images((None, None, self.channels))
