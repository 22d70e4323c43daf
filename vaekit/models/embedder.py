"""A network that tells people apart, taught by a better one: knowledge distillation of a face recogniser."""

import keras

from vaekit import losses
from vaekit.game import AdversarialModel
from vaekit.networks.convolutional import embedder


@keras.saving.register_keras_serializable("vaekit")
class Embedder(AdversarialModel):
    """One player, the embedder, which imitates a teacher's embeddings (Hinton et al. 2015; cosine, not classes).

    A batch holds "image" [N, side, side, C] in 0..1 and "label" [N, dim], the teacher's embeddings.

    Args:
        channels: channels of the picture.
        dim: length of an embedding.
        side: of the picture, in pixels.
        widths: channels of its stages, each of half the size.
    """

    terms = ("cosine",)
    averaged = ("embedder",)

    def __init__(self, channels=3, dim=128, side=64, widths=(32, 64, 128, 192), **kwargs):
        super().__init__(**kwargs)
        self.channels, self.dim, self.side, self.widths = channels, dim, side, tuple(widths)
        self.embedder = embedder((side, side, channels), dim, self.widths)
        self.set_players({"embedder": [self.embedder]})

    def objective(self, batch, training=True):
        """1 - cosine."""
        found = self.embedder(batch["image"], training=training)["embedding"]
        distance = losses.cosine_distance(found, batch["label"])
        return {"embedder": distance}, {"cosine": 1.0 - distance}

    def default_optimizers(self):
        """Adam 1e-3."""
        return {"embedder": keras.optimizers.Adam(1e-3)}
