"""InfoGAN: interpretable representation learning by information maximizing GANs (Chen et al. 2016)."""

import keras
from keras import ops

from vaekit import losses
from vaekit.game import Signature
from vaekit.models.generative import Generative
from vaekit.networks.convolutional import code_discriminator, decoder
from vaekit.specs import Images, as_images


@keras.saving.register_keras_serializable("vaekit")
class InfoGAN(Generative):
    """A GAN part of whose latent, the code, can be read off its images; no label is used.

    A latent is noise, then a categorical code (one-hot), then continuous codes, uniform in -1..1. Q(c | x) shares all
    of the discriminator but its last layer. For digits the networks are those of appendix C.1.

    Args:
        image_shape: (H, W, C).
        categories: of the categorical code.
        continuous: how many continuous codes.
        noise_dim: length of what is only noise.
        base: channels of the first convolution; the dense layers have 16 and, Q's, 2 times as many units.
        information: lambda, weight of the mutual information's lower bound L_I.
        generator: functional model in place of the model's own: latents [N, latent_dim] -> images [N, H, W, C] in 0..1.
        discriminator: functional model in place of the model's own: images [N, H, W, C] in 0..1 -> {"logits":
            [N, 1], "code": [N, categories + continuous]}.

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> model = InfoGAN((16, 16, 3), categories=3, continuous=1, noise_dim=4, base=4)
        >>> model.compile("adam")
        >>> history = model.fit(images, batch_size=2, verbose=0)
        >>> tuple(model.sample(2).shape)
        (2, 16, 16, 3)
        >>> category, continuous = model.read(images)
        >>> tuple(category.shape), tuple(continuous.shape)
        ((4, 3), (4, 1))
    """

    terms = ("gan", "category", "continuous")
    averaged = ("generator",)
    replaceable = ("generator", "discriminator")

    def __init__(self, image_shape, categories=10, continuous=2, noise_dim=62, base=64, information=1.0, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.categories, self.continuous = tuple(image_shape), categories, continuous
        self.noise_dim, self.base, self.information = noise_dim, base, information
        self.latent_dim = noise_dim + categories + continuous
        # === Networks ===
        self.generator = self.network("generator", decoder, image_shape, self.latent_dim, base, hidden=16 * base)
        self.discriminator = self.network(
            "discriminator", code_discriminator, image_shape, categories + continuous, base
        )
        self.set_players({"generator": [self.generator], "discriminator": [self.discriminator]})

    # === Objective: eq. 6 ===
    def objective(self, batch, training=True):
        """V(D, G) - lambda L_I(G, Q), of which G and Q, which is D's, both minimise the second part."""
        x = batch["image"]
        z = self.prior(ops.shape(x)[0])
        x_p = self.generator(z, training=training)
        real, fake = (self.discriminator(image, training=training) for image in (x, x_p))
        l_gan = losses.real_log_loss(real["logits"]) + losses.fake_log_loss(fake["logits"])
        # -L_I without its constant, the entropy of the codes: -E log Q(c | G(z, c)), Q normal where c is continuous
        category, continuous = self._split(z[:, self.noise_dim :])
        read_category, read_continuous = self._split(fake["code"])
        l_category = losses.class_loss(ops.argmax(category, axis=-1), read_category)
        l_continuous = losses.gaussian_nll(continuous, read_continuous)
        l_information = self.information * (l_category + l_continuous)
        return (
            {"generator": losses.real_log_loss(fake["logits"]) + l_information, "discriminator": l_gan + l_information},
            {"gan": l_gan, "category": l_category, "continuous": l_continuous},
        )

    def default_optimizers(self):
        """Adam with beta_1 .5, 2e-4 for the discriminator and 1e-3 for the generator (appendix C.1)."""
        return {
            "generator": keras.optimizers.Adam(1e-3, beta_1=0.5),
            "discriminator": keras.optimizers.Adam(2e-4, beta_1=0.5),
        }

    # === Use ===
    def prior(self, count: int):
        """Noise, a category, and continuous codes."""
        category = ops.cast(self.categories * self.random_uniform((count,)), "int32")
        # The draw can be 1 after rounding.
        category = ops.one_hot(ops.minimum(category, self.categories - 1), self.categories, dtype="float32")
        continuous = 2.0 * self.random_uniform((count, self.continuous)) - 1.0
        return ops.concatenate([self.random_normal((count, self.noise_dim)), category, continuous], axis=-1)

    def decode(self, z, labels=None):
        """G(z): images [N, H, W, C] in 0..1."""
        return self.generator(z, training=False)

    def read(self, images):
        """Q(c | x): probabilities [N, categories] and means [N, continuous] of images [N, H, W, C] in 0..1."""
        category, continuous = self._split(self.discriminator(as_images(images), training=False)["code"])
        return ops.softmax(category), continuous

    @property
    def signatures(self):
        """`read` too: the code's probabilities, then its means, [N, categories + continuous]."""
        images = {"image": Images(self.image_shape)}
        read = Signature(images, lambda image: ops.concatenate(self.read(image), axis=-1), "code")
        return {**super().signatures, "read": read}

    def _split(self, codes):
        return codes[:, : self.categories], codes[:, self.categories :]
