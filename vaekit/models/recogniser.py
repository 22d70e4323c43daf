"""A network that recognises attributes: the classifier C of CVAE-GAN (Bao et al. 2017), by itself."""

import keras
from keras import ops

from vaekit import losses
from vaekit.game import AdversarialModel
from vaekit.networks.convolutional import recogniser


@keras.saving.register_keras_serializable("vaekit")
class Recogniser(AdversarialModel):
    """One player, the recogniser. A batch holds "image" [N, H, W, C] in 0..1 and "label" [N, attributes] of 0 and 1.

    Args:
        attributes: how many.
        channels: channels of the picture.
        widths: channels of its stages, each of half the size.
    """

    terms = ("accuracy",)

    def __init__(self, attributes, channels=3, widths=(24, 48, 96, 128), **kwargs):
        super().__init__(**kwargs)
        self.attributes, self.channels, self.widths = attributes, channels, tuple(widths)
        self.recogniser = recogniser(channels, attributes, self.widths)
        self.set_players({"recogniser": [self.recogniser]})

    def objective(self, batch, training=True):
        """L_C."""
        logits = self.recogniser(batch["image"], training=training)["logits"]
        right = ops.mean(ops.cast(right_answers(batch["label"], logits), "float32"))
        return {"recogniser": losses.attribute_loss(batch["label"], logits)}, {"accuracy": right}

    def default_optimizers(self):
        """Adam 1e-3."""
        return {"recogniser": keras.optimizers.Adam(1e-3)}


def right_answers(attributes, logits):
    """Which of the attributes [N, K] of 0 and 1 the logits [N, K] get right; bool."""
    return ops.equal(ops.greater(attributes, 0.5), ops.greater(logits, 0.0))
