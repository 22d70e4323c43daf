"""IP-GAN: open-set identity-preserving face synthesis (Bao et al. 2018)."""

import keras
from keras import ops

from vaekit import losses
from vaekit.game import AdversarialModel, Signature
from vaekit.networks.convolutional import decoder, discriminator, gaussian_encoder
from vaekit.specs import Images, Labels, Vectors, as_images


@keras.saving.register_keras_serializable("vaekit")
class IPGAN(AdversarialModel):
    """Who a face is from one picture, how it is shown from another: x' = G(I(x_s), A(x_a)).

    Players: identity network I, attribute encoder A, generator G, classifier C, discriminator D. Only identities are
    labelled; pose, light and expression are what A must tell G so that it can draw x_a, squeezed through a KL term so
    that it does not tell who it was.

    A batch holds "image" [N, H, W, C] in 0..1 and "label" [N], integers. Its rows are paired with each other: with
    `mixed`, two of every four give x_s and their neighbour gives x_a; all others are their own x_a. Re-implementers
    report losses that rise: warm I up first, then train with `mixed` off, and then on.

    Args:
        image_shape: (H, W, C).
        identities: people in the training data.
        identity_dim: length of I(x), the features before its classes.
        attribute_dim: length of A(x).
        base: channels of the first convolution.
        mixed: whether identities and attributes of different pictures are put together.
        different: lambda, the weight of L_GR where they are (.1 in the paper, section 3.3).
        kl, reconstruction, matching, class_matching: weights of L_KL, L_GR, L_GD and L_GC.
        identity, encoder, generator, classifier, discriminator: functional models in place of the model's own, of
            the same inputs and outputs.

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> labels = np.array([0, 1, 2, 1])
        >>> model = IPGAN((16, 16, 3), identities=3, identity_dim=8, attribute_dim=4, base=4)
        >>> model.compile("adam")
        >>> history = model.fit(images, labels, batch_size=2, verbose=0)
        >>> tuple(model.transfer(images[:2], images[2:]).shape)
        (2, 16, 16, 3)
    """

    terms = ("identity", "kl", "reconstruction", "class", "class_matching", "gan", "matching")
    averaged = ("attributes", "generator")
    replaceable = ("identity", "encoder", "generator", "classifier", "discriminator")

    def __init__(
        self,
        image_shape,
        identities=10,
        identity_dim=128,
        attribute_dim=64,
        base=32,
        mixed=True,
        different=0.1,
        kl=1.0,
        reconstruction=1.0,
        matching=1.0,
        class_matching=1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape, self.identities, self.base, self.mixed = tuple(image_shape), identities, base, mixed
        self.identity_dim, self.attribute_dim, self.different = identity_dim, attribute_dim, different
        self.kl, self.reconstruction, self.matching, self.class_matching = kl, reconstruction, matching, class_matching
        # === Networks ===
        self.identity = self.network(
            "identity", discriminator, image_shape, base, outputs=identities, features=identity_dim
        )
        self.encoder = self.network("encoder", gaussian_encoder, image_shape, attribute_dim, base)
        self.generator = self.network(
            "generator", decoder, image_shape, attribute_dim, base, condition_dim=identity_dim
        )
        self.classifier = self.network("classifier", discriminator, image_shape, base, outputs=identities)
        self.discriminator = self.network("discriminator", discriminator, image_shape, base)
        self.set_players(
            {
                "identity": [self.identity],
                "attributes": [self.encoder],
                "generator": [self.generator],
                "classifier": [self.classifier],
                "discriminator": [self.discriminator],
            }
        )

    # === Objective: Algorithm 1 ===
    def objective(self, batch, training=True):
        """L_I; L_KL + L_GR; L_GR + L_GC + L_GD; L_C; L_D."""
        x_s, labels = batch["image"], batch["label"]
        x_a, own = self.pair(x_s)
        # L_I, and who x_s is
        i_s = self.identity(x_s, training=training)
        l_i = losses.class_loss(labels, i_s["logits"])
        # L_KL (eq. 4), and how x_a is shown
        mean, log_variance = self.encoder(x_a, training=training)
        l_kl = losses.kl_standard_normal(mean, log_variance)
        x_new = self.generator([self.sample_posterior(mean, log_variance), i_s["features"]], training=training)
        # L_GR (eq. 5): x' is x_a where both came from it, and somewhat like it elsewhere
        l_gr = losses.half_squared_distance(x_a, x_new, own + self.different * (1.0 - own))
        # L_C (eq. 2), L_GC (eq. 3)
        c_s, c_new = self.classifier(x_s, training=training), self.classifier(x_new, training=training)
        l_c = losses.class_loss(labels, c_s["logits"])
        l_gc = losses.half_squared_distance(c_new["features"], c_s["features"])
        # L_D (eq. 6), L_GD (eq. 7)
        d_a, d_new = self.discriminator(x_a, training=training), self.discriminator(x_new, training=training)
        l_d = losses.real_log_loss(d_a["logits"]) + losses.fake_log_loss(d_new["logits"])
        l_gd = losses.half_squared_distance(d_new["features"], d_a["features"])
        return (
            {
                "identity": l_i,
                "attributes": self.kl * l_kl + self.reconstruction * l_gr,
                "generator": self.reconstruction * l_gr + self.class_matching * l_gc + self.matching * l_gd,
                "classifier": l_c,
                "discriminator": l_d,
            },
            {
                "identity": l_i, "kl": l_kl, "reconstruction": l_gr, "class": l_c, "class_matching": l_gc,
                "gan": l_d, "matching": l_gd,
            },
        )  # fmt: skip

    def pair(self, x_s):
        """(x_a, [N] 1 where it is x_s itself): of every four rows the last two change places, with `mixed`.

        Within four, so that replicas which share a batch pair as one does.
        """
        count = ops.shape(x_s)[0]
        rows = ops.arange(count)
        whole = count - count % 4
        moves = ops.logical_and(rows % 4 >= 2, rows < whole) if self.mixed else ops.zeros_like(rows, dtype="bool")
        partner = ops.where(moves, rows + 5 - 2 * (rows % 4), rows)
        return ops.take(x_s, partner, axis=0), 1.0 - ops.cast(moves, "float32")

    def default_optimizers(self):
        """Adam 2e-4 with betas .5 and .999 for all."""
        return {player: keras.optimizers.Adam(2e-4, beta_1=0.5) for player in self.players}

    # === Use ===
    def identify(self, images):
        """I(x): [N, identity_dim] of images [N, H, W, C] in 0..1."""
        return self.identity(as_images(images), training=False)["features"]

    def encode(self, images):
        """A(x), its mean: [N, attribute_dim]."""
        return self.encoder(as_images(images), training=False)[0]

    def decode(self, identities, attributes):
        """G: images [N, H, W, C] in 0..1."""
        return self.generator([attributes, identities], training=False)

    def transfer(self, x_s, x_a):
        """The people of x_s, shown as those of x_a are."""
        return self.decode(self.identify(x_s), self.encode(x_a))

    def reconstruct(self, images):
        """G(I(x), A(x))."""
        return self.transfer(images, images)

    @property
    def takes(self):
        """Images and who they show."""
        return {"image": Images(self.image_shape), "label": Labels(self.identities)}

    @property
    def signatures(self):
        """`reconstruct`, `transfer`, and what they are made of."""
        images = Images(self.image_shape)
        codes = {"identity": Vectors((self.identity_dim,)), "attributes": Vectors((self.attribute_dim,))}
        return {
            "reconstruct": Signature({"image": images}, self.reconstruct, "reconstruction"),
            "transfer": Signature({"image": images, "shown_as": images}, self.transfer, "transferred"),
            "identify": Signature({"image": images}, self.identify, "identity"),
            "encode": Signature({"image": images}, self.encode, "attributes"),
            "decode": Signature(codes, self.decode, "image"),
        }
