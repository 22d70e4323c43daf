"""Semi-supervised GAN: a classifier that learns from few labels and many images (Salimans et al. 2016)."""

import keras
from keras import ops

from vaekit import losses
from vaekit.backends import replicas
from vaekit.game import Signature
from vaekit.models.generative import Generative
from vaekit.networks.convolutional import decoder, noisy_classifier
from vaekit.networks.dense import dense_generator, noisy_dense_classifier
from vaekit.specs import Images, Labels, as_images

UNLABELLED = -1


@keras.saving.register_keras_serializable("vaekit")
class SemiSupervisedGAN(Generative):
    """The discriminator tells k classes and, as class k + 1, what is generated; the generator matches its features.

    A batch holds "image" and "label" [N], integers below k, UNLABELLED where nobody knows.

    Args:
        image_shape: (H, W, C).
        classes: k.
        latent_dim: size of z.
        base: channels of the first convolution.
        noise: standard deviation of the noise on images that the discriminator sees in training.
        dropout: share of its features that are dropped then; dense layers have noise instead.
        hidden: units of the discriminator's dense layers, in place of convolutions; the generator then has two of the
            second's. The paper's discriminator of digits has 1000, 500, 250, 250, 250.
        generator: functional model in place of the model's own: latents [N, latent_dim] -> images [N, H, W, C] in 0..1.
        discriminator: functional model in place of the model's own: images [N, H, W, C] in 0..1 -> {"logits":
            [N, classes], "features": [N, F]}.

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> labels = np.array([0, -1, 2, -1])
        >>> model = SemiSupervisedGAN((16, 16, 3), classes=3, latent_dim=8, base=4)
        >>> model.compile("adam")
        >>> history = model.fit(images, labels, batch_size=2, verbose=0)
        >>> model.predict(images, verbose=0).shape
        (4, 3)
        >>> tuple(model.sample(2).shape)
        (2, 16, 16, 3)
    """

    terms = ("supervised", "unsupervised", "accuracy")
    averaged = ("discriminator", "generator")
    replaceable = ("generator", "discriminator")

    def __init__(self, image_shape, classes=10, latent_dim=100, base=32, noise=0.15, dropout=0.5, hidden=(), **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.latent_dim, self.base = tuple(image_shape), latent_dim, base
        self.classes, self.noise, self.dropout, self.hidden = classes, noise, dropout, tuple(hidden)
        # === Networks ===
        if hidden:
            self.generator = self.network("generator", dense_generator, image_shape, latent_dim, [self.hidden[1]] * 2)
            self.discriminator = self.network(
                "discriminator", noisy_dense_classifier, image_shape, classes, self.hidden, noise
            )
        else:
            self.generator = self.network("generator", decoder, image_shape, latent_dim, base)
            self.discriminator = self.network(
                "discriminator", noisy_classifier, image_shape, classes, base, noise, dropout
            )
        self.set_players({"generator": [self.generator], "discriminator": [self.discriminator]})

    # === Objective: section 5, and feature matching, section 3.1 ===
    def objective(self, batch, training=True):
        """L_supervised + L_unsupervised; ||E f(x) - E f(G(z))||^2."""
        x, labels = batch["image"], ops.cast(batch["label"], "int32")
        x_p = self.generator(self.prior(ops.shape(x)[0]), training=training)
        real, fake = (self.discriminator(image, training=training) for image in (x, x_p))
        # L_supervised = -log p(y | x, y <= k), over the rows that have a label
        labelled = ops.cast(labels != UNLABELLED, "float32")
        known = ops.maximum(labels, 0)
        right = ops.cast(ops.argmax(real["logits"], axis=-1) == known, "float32")
        each = (
            ops.logsumexp(real["logits"], axis=-1) - ops.take_along_axis(real["logits"], known[:, None], axis=1)[:, 0]
        )
        share = ops.maximum(replicas.mean(ops.mean(labelled)), 1e-6)
        l_supervised, accuracy = (ops.mean(labelled * value) / share for value in (each, right))
        # With the logit of class k + 1 held at 0, D(x) = Z / (Z + 1), Z the sum of exp(logits): a sigmoid of log Z.
        l_unsupervised = 0.5 * (
            losses.real_log_loss(ops.logsumexp(real["logits"], axis=-1))
            + losses.fake_log_loss(ops.logsumexp(fake["logits"], axis=-1))
        )
        centers = (replicas.mean(ops.mean(found["features"], axis=0)) for found in (real, fake))
        l_g = losses.center_loss(*centers)
        return (
            {"generator": l_g, "discriminator": l_supervised + l_unsupervised},
            {"supervised": l_supervised, "unsupervised": l_unsupervised, "accuracy": accuracy},
        )

    def default_optimizers(self):
        """Adam 3e-4 with beta_1 .5 for both."""
        return {player: keras.optimizers.Adam(3e-4, beta_1=0.5) for player in self.players}

    def condition(self, labels):
        """None: the generator is told no class."""
        return None

    # === Use ===
    def decode(self, z, labels=None):
        """G(z): images [N, H, W, C] in 0..1."""
        return self.generator(z, training=False)

    def classify(self, images):
        """Logits [N, classes] of images [N, H, W, C] in 0..1."""
        return self.discriminator(as_images(images), training=False)["logits"]

    @property
    def takes(self):
        """Images and labels, UNLABELLED where nobody knows."""
        return {"image": Images(self.image_shape), "label": Labels(self.classes, lowest=UNLABELLED)}

    @property
    def signatures(self):
        """`classify`, `decode` and `sample`."""
        classify = Signature({"image": Images(self.image_shape)}, self.classify, "logits")
        return {"classify": classify, **super().signatures}

    @property
    def _told(self):
        return {}
