"""A network that marks the pixels of one kind in a picture, by cross-entropy and soft Dice."""

import keras
from keras import ops

from vaekit import losses
from vaekit.game import AdversarialModel
from vaekit.networks.segmenter import segmentation_unet

SMOOTH = 64.0
"""Pixels of the soft Dice loss: less than so many, in a picture with nothing to be found, cost little."""


@keras.saving.register_keras_serializable("vaekit")
class Segmenter(AdversarialModel):
    """One player, the segmenter. A batch holds "image" [N, H, W, C] in 0..1 and "mask" [N, H, W, 1] of 0 and 1.

    Args:
        channels: C.
        widths: channels of the U-Net's levels; sides are multiples of 2 ** len(widths).
        dice: weight of the soft Dice loss (Milletari et al. 2016), which thin and rare things ask for.
    """

    terms = ("cross_entropy", "dice_loss")
    averaged = ("segmenter",)

    def __init__(self, channels=3, widths=(16, 32, 48, 64), dice=0.5, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.widths, self.dice = channels, tuple(widths), dice
        self.segmenter = segmentation_unet(channels, self.widths)
        self.set_players({"segmenter": [self.segmenter]})

    def objective(self, batch, training=True):
        """Mean cross-entropy of the pixels, and soft Dice."""
        logits = self.segmenter(batch["image"], training=training)
        pixels = ops.cast(ops.prod(ops.shape(logits)[1:]), "float32")
        l_entropy = losses.bernoulli_nll(batch["mask"], logits) / pixels
        l_dice = losses.soft_dice_loss(batch["mask"], ops.sigmoid(logits), SMOOTH)
        return {"segmenter": l_entropy + self.dice * l_dice}, {"cross_entropy": l_entropy, "dice_loss": l_dice}

    def probability(self, images):
        """Of each pixel of images [N, H, W, C] in 0..1 to be one of those, [N, H, W, 1] float32."""
        return ops.sigmoid(self.segmenter(images, training=False))

    def call(self, inputs, label=None):
        """As `probability`."""
        return self.probability(inputs)

    def default_optimizers(self):
        """Adam 1e-3."""
        return {"segmenter": keras.optimizers.Adam(1e-3)}
