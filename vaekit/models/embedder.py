"""A network that tells people apart, taught by a better one: knowledge distillation of a face recogniser."""

import keras
from keras import ops

from vaekit import losses
from vaekit.backends import replicas
from vaekit.game import AdversarialModel
from vaekit.networks.convolutional import embedder


@keras.saving.register_keras_serializable("vaekit")
class Embedder(AdversarialModel):
    """One player, the embedder, which imitates a teacher's embeddings (Hinton et al. 2015; cosine, not classes).

    A batch holds "image" [N, side, side, C] in 0..1, "label" [N, dim], the teacher's embeddings, and "partner"
    [N, dim], those of other images of the same people.

    Args:
        channels: channels of the picture.
        dim: length of an embedding.
        side: of the picture, in pixels.
        widths: channels of its stages, each of half the size.
        contrastive: weight of telling whose partner is whose: what the teacher knows of a person from other images,
            where the cosine alone is content with what is easily seen in this one.
        dropout: share of the last stage's features that are dropped in training.
    """

    terms = ("cosine", "contrastive")
    averaged = ("embedder",)

    def __init__(self, channels=3, dim=128, side=64, widths=(32, 64, 128, 192), contrastive=0.6, dropout=0.3, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.dim, self.side, self.widths = channels, dim, side, tuple(widths)
        self.contrastive, self.dropout = contrastive, dropout
        self.embedder = embedder((side, side, channels), dim, self.widths, dropout)
        self.set_players({"embedder": [self.embedder]})

    def objective(self, batch, training=True):
        """1 - cosine + contrastive L_InfoNCE."""
        found = self.embedder(batch["image"], training=training)["embedding"]
        l_cosine = losses.cosine_distance(found, batch["label"])
        partner = ops.cast(batch["partner"], "float32")
        partner = partner / ops.norm(partner, axis=-1, keepdims=True)
        queries, keys = replicas.all_gather(found), replicas.all_gather(partner)
        l_who = losses.contrastive_loss(queries, keys)
        return {"embedder": l_cosine + self.contrastive * l_who}, {"cosine": 1.0 - l_cosine, "contrastive": l_who}

    def default_optimizers(self):
        """Adam 1e-3."""
        return {"embedder": keras.optimizers.Adam(1e-3)}
