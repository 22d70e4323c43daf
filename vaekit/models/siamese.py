"""Siamese network: one embedding for two pictures, trained by triplets (FaceNet, Schroff et al. 2015)."""

import keras
from keras import ops

from vaekit import losses
from vaekit.backends import replicas
from vaekit.game import AdversarialModel, Signature
from vaekit.networks.convolutional import embedder
from vaekit.specs import Images, Labels, as_images


@keras.saving.register_keras_serializable("vaekit")
class Siamese(AdversarialModel):
    """Pictures of one person are brought nearer to each other than to anyone else's, by a margin.

    A batch holds "image" [N, H, W, C] in 0..1, "partner", another picture of the same person, and "label" [N], who it
    is, integers.

    Args:
        image_shape: (H, W, C).
        embedding_dim: length of an embedding.
        widths: channels of the stages, each of half the size.
        margin: alpha.
        embedder: functional model in place of the model's own: pictures [N, H, W, C] in 0..1 ->
            {"embedding": [N, embedding_dim] of unit length, "layers": [features]}.

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> labels = np.array([0, 1, 2, 1])
        >>> model = Siamese((16, 16, 3), embedding_dim=8, widths=(4, 8))
        >>> model.compile("adam")
        >>> batch = {"image": images, "partner": images[:, :, ::-1], "label": labels}
        >>> history = model.fit(batch, batch_size=2, verbose=0)
        >>> model.predict(images, verbose=0).shape
        (4, 8)
    """

    terms = ("triplet", "near", "far")
    averaged = ("embedding",)
    replaceable = ("embedder",)

    def __init__(self, image_shape, embedding_dim=128, widths=(32, 64, 128, 192), margin=0.2, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.embedding_dim = tuple(image_shape), embedding_dim
        self.widths, self.margin = tuple(widths), margin
        # === Networks ===
        self.embedder = self.network("embedder", embedder, self.image_shape, embedding_dim, self.widths)
        self.set_players({"embedding": [self.embedder]})

    # === Objective: eq. 3, with the negatives of section 3.2 ===
    def objective(self, batch, training=True):
        """[||f(a) - f(p)||^2 - ||f(a) - f(n)||^2 + alpha]+, n the nearest stranger of the batch farther than p."""
        pictures = ops.concatenate([batch["image"], batch["partner"]])
        both = self.embedder(pictures, training=training)["embedding"]
        count = ops.shape(batch["image"])[0]
        anchor, positive = replicas.all_gather(both[:count]), replicas.all_gather(both[count:])
        both, who = ops.concatenate([anchor, positive]), replicas.all_gather(ops.cast(batch["label"], "int32"))
        near = ops.sum((anchor - positive) ** 2, axis=1)
        far = losses.squared_distances(anchor, both)
        same = who[:, None] == ops.concatenate([who, who])[None]
        # Harder ones, nearer than p, make an embedding collapse early on; they are taken where there are no others.
        rank = far + 8.0 * ops.cast(far < near[:, None], "float32") + 100.0 * ops.cast(same, "float32")
        negative = ops.take(both, ops.argmin(ops.stop_gradient(rank), axis=1), axis=0)
        l_triplet = losses.triplet_loss(anchor, positive, negative, self.margin)
        distance = ops.mean(ops.sum((anchor - negative) ** 2, axis=1))
        return {"embedding": l_triplet}, {"triplet": l_triplet, "near": ops.mean(near), "far": distance}

    def default_optimizers(self):
        """Adam 1e-3."""
        return {"embedding": keras.optimizers.Adam(1e-3)}

    # === Use ===
    def embed(self, images):
        """f(x): [N, embedding_dim] of unit length, of images [N, H, W, C] in 0..1."""
        return self.embedder(as_images(images), training=False)["embedding"]

    def distance(self, images, others):
        """||f(x) - f(x')||^2, in 0..4: [N, 1] of images and others [N, H, W, C] in 0..1."""
        return ops.sum((self.embed(images) - self.embed(others)) ** 2, axis=1, keepdims=True)

    @property
    def takes(self):
        """Pictures, others of the same people, and who they are."""
        pictures = Images(self.image_shape)
        return {"image": pictures, "partner": pictures, "label": Labels()}

    @property
    def signatures(self):
        """`embed` and `distance`."""
        images = Images(self.image_shape)
        return {
            "embed": Signature({"image": images}, self.embed, "embedding"),
            "distance": Signature({"image": images, "other": images}, self.distance, "distance"),
        }
