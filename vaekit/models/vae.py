"""VAE: auto-encoding variational Bayes (Kingma & Welling 2014); with classes CVAE (Sohn et al. 2015)."""

import math

import keras
from keras import ops

from vaekit import losses
from vaekit.models.generative import Generative, given
from vaekit.networks.convolutional import decoder, gaussian_encoder
from vaekit.specs import as_images


@keras.saving.register_keras_serializable("vaekit")
class VAE(Generative):
    """One player, encoder and decoder together, that minimises -log p(x | z) + weight KL(q(z | x) || p(z)).

    With classes it is CVAE: -log p(x | z, c) + weight KL(q(z | x, c) || p(z)).

    Args:
        image_shape: (H, W, C).
        latent_dim: size of z.
        base: channels of the first convolution.
        likelihood: "bernoulli" (cross-entropy; binary images such as digits) or "gaussian"; by default Gaussian where
            C is 3.
        sigma: standard deviation of the Gaussian likelihood, for images in 0..1; None where the decoder says it of
            every pixel and channel, sigma(z).
        kl_weight: 1 gives the evidence lower bound.
        classes: length of the condition c, 0 for none.
        encoder: functional model in place of the model's own: images [N, H, W, C] in 0..1 (and with classes the
            condition [N, classes]) -> [mean, log variance], each [N, latent_dim].
        decoder: functional model in place of the model's own: latents [N, latent_dim] (and with classes the condition
            [N, classes]) -> logits [N, H, W, C], of which the model takes the sigmoid; where sigma is None,
            2 C channels, the last C of which say the variance.

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> labels = np.array([0, 1, 2, 1])
        >>> model = VAE((16, 16, 3), latent_dim=8, base=4, classes=3)
        >>> model.compile("adam")
        >>> history = model.fit(images, labels, batch_size=2, verbose=0)
        >>> model.predict((images, labels), verbose=0).shape
        (4, 16, 16, 3)
        >>> tuple(model.sample(2).shape)
        (2, 16, 16, 3)
    """

    terms = ("kl", "nll")
    averaged = ("autoencoder",)
    replaceable = ("encoder", "decoder")

    def __init__(
        self,
        image_shape,
        latent_dim=32,
        base=32,
        likelihood=None,
        sigma=0.1,
        kl_weight=1.0,
        classes=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        likelihood = likelihood or ("gaussian" if image_shape[2] == 3 else "bernoulli")
        if likelihood not in ("bernoulli", "gaussian"):
            raise ValueError(f"likelihood is bernoulli or gaussian, not {likelihood}")
        self.image_shape, self.latent_dim, self.base = tuple(image_shape), latent_dim, base
        self.likelihood, self.sigma, self.kl_weight, self.classes = likelihood, sigma, kl_weight, classes
        # === Networks ===
        self.encoder = self.network("encoder", gaussian_encoder, image_shape, latent_dim, base, condition_dim=classes)
        self.learned = likelihood == "gaussian" and sigma is None
        drawn = (*image_shape[:2], 2 * image_shape[2]) if self.learned else image_shape
        self.decoder = self.network("decoder", decoder, drawn, latent_dim, base, condition_dim=classes, activation=None)
        if getattr(self.decoder.layers[-1], "activation", None) is keras.activations.sigmoid:
            raise ValueError("decoder returns logits: the model itself takes the sigmoid")
        self.set_players({"autoencoder": [self.encoder, self.decoder]})

    # === Objective ===
    def objective(self, batch, training=True):
        """The negative evidence lower bound, in nats an image."""
        x, c = batch["image"], self.condition(batch.get("label"))
        mean, log_variance = self.encoder(given(x, c), training=training)
        z = self.sample_posterior(mean, log_variance)
        raw = self.decoder(given(z, c), training=training)
        if self.learned:
            nll = losses.learned_gaussian_nll(x, self.to_image(raw), self.log_variance(raw))
        elif self.likelihood == "gaussian":
            nll = losses.gaussian_nll(x, self.to_image(raw), self.sigma)
        else:
            nll = losses.bernoulli_nll(x, raw)
        kl = losses.kl_standard_normal(mean, log_variance)
        return {"autoencoder": nll + self.kl_weight * kl}, {"kl": kl, "nll": nll}

    def default_optimizers(self):
        """Adam 1e-3."""
        return {"autoencoder": keras.optimizers.Adam(1e-3)}

    def to_image(self, raw):
        """What the decoder's raw answer says of the pixels: their mean, in 0..1."""
        return ops.sigmoid(raw[..., : self.image_shape[2]])

    def log_variance(self, raw):
        """What the decoder's raw answer says of log sigma(z)^2, where it is learned.

        It begins near that of a sigma of .1, and keeps sigma within 1/200 and 2: a pixel that is always black would
        else bring the likelihood to infinity.
        """
        return 2.0 * math.log(0.1) + 6.0 * ops.tanh(raw[..., self.image_shape[2] :] / 6.0)

    # === Use ===
    def encode(self, images, labels=None):
        """Means of q(z | x, c): [N, latent_dim] of images [N, H, W, C] in 0..1."""
        return self.encoder(given(as_images(images), self.condition(labels)), training=False)[0]

    def decode(self, z, labels=None):
        """Images [N, H, W, C] in 0..1 of latents [N, latent_dim]."""
        return self.to_image(self.decoder(given(z, self.condition(labels)), training=False))
