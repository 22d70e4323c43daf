"""VAE/GAN: autoencoding beyond pixels using a learned similarity metric (Larsen et al. 2016)."""

import keras
from keras import ops

from vaekit import losses
from vaekit.backends import replicas
from vaekit.models.generative import Generative
from vaekit.networks.convolutional import decoder, discriminator, gaussian_encoder
from vaekit.specs import as_images


@keras.saving.register_keras_serializable("vaekit")
class VAEGAN(Generative):
    """A VAE whose likelihood is measured in a discriminator's features, and whose decoder is a GAN's generator.

    Args:
        image_shape: (H, W, C).
        latent_dim: size of z.
        base: channels of the first convolution.
        gamma: weight of L_like against L_GAN in the decoder (the paper uses 1e-6; sums over dimensions).
        gated: whether decoder or discriminator rests while it is far ahead of the other (vaekit.losses.equilibrium).
        encoder: functional model in place of the model's own: images [N, H, W, C] in 0..1 ->
            [mean, log variance], each [N, latent_dim].
        decoder: functional model in place of the model's own: latents [N, latent_dim] -> images [N, H, W, C] in 0..1.
        discriminator: functional model in place of the model's own: images [N, H, W, C] in 0..1 -> {"logits": [N, 1],
            "features": [N, F], "similarity": [N, h, w, f]}.

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> model = VAEGAN((16, 16, 3), latent_dim=8, base=4)
        >>> model.compile("adam")
        >>> history = model.fit(images, batch_size=2, verbose=0)
        >>> model.predict(images, verbose=0).shape
        (4, 16, 16, 3)
        >>> tuple(model.sample(2).shape)
        (2, 16, 16, 3)
    """

    terms: tuple[str, ...] = ("kl", "likelihood", "gan")
    averaged = ("decoder",)
    replaceable = ("encoder", "decoder", "discriminator")
    discriminator_outputs = 1
    """Outputs of the discriminator."""
    undecided = 0.68
    """Its losses where it only guesses, round which `gated` lets both play: about log 2."""

    def __init__(self, image_shape, latent_dim=128, base=32, gamma=1e-3, gated=False, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.latent_dim, self.base, self.gamma = tuple(image_shape), latent_dim, base, gamma
        self.gated = gated
        if gated:
            self.terms += ("decoder_plays", "discriminator_plays")
        # === Networks ===
        self.encoder = self.network("encoder", gaussian_encoder, image_shape, latent_dim, base)
        self.decoder = self.network("decoder", decoder, image_shape, latent_dim, base)
        self.discriminator = self.network(
            "discriminator", discriminator, image_shape, base, outputs=self.discriminator_outputs
        )
        self.set_players({"encoder": [self.encoder], "decoder": [self.decoder], "discriminator": [self.discriminator]})

    # === Objective: Algorithm 1 ===
    def forward(self, x, training=False):
        """L_prior, L_like, and what the discriminator says of x, x' and x_p."""
        mean, log_variance = self.encoder(x, training=training)
        z = self.sample_posterior(mean, log_variance)
        z_p = self.random_normal(ops.shape(z))
        # In calls of their own: the encoder's gradient then has nothing to walk through but x'.
        x_rec, x_p = self.decoder(z, training=training), self.decoder(z_p, training=training)
        real, rec, gen = (self.discriminator(image, training=training) for image in (x, x_rec, x_p))
        l_prior = losses.kl_standard_normal(mean, log_variance)
        l_like = losses.half_squared_distance(real["similarity"], rec["similarity"])
        return l_prior, l_like, (real, rec, gen)

    def objective(self, batch, training=True):
        """L_prior + L_like for the encoder, gamma L_like - L_GAN for the decoder, L_GAN for the discriminator."""
        l_prior, l_like, (real, rec, gen) = self.forward(batch["image"], training)
        reconstructed, generated = rec["logits"], gen["logits"]
        # L_GAN as in Algorithm 1 is maximised by the discriminator; here with the sign that is minimised.
        l_real = losses.real_log_loss(real["logits"])
        l_fake = losses.fake_log_loss(reconstructed) + losses.fake_log_loss(generated)
        l_gan = l_real + l_fake
        # The decoder's -L_GAN in its non-saturating form (Goodfellow et al. 2014): same fixed point.
        l_fool = losses.real_log_loss(reconstructed) + losses.real_log_loss(generated)
        return (
            {"encoder": l_prior + l_like, "decoder": self.gamma * l_like + l_fool, "discriminator": l_gan},
            {"kl": l_prior, "likelihood": l_like, "gan": l_gan, **self.gates(l_real, l_fake / 2)},
        )

    def gates(self, l_real, l_fake) -> dict:
        """With `gated` the terms that say who plays, by the discriminator's losses on real and on other images."""
        if not self.gated:
            return {}
        discriminator, decoder = losses.equilibrium(replicas.mean(l_real), replicas.mean(l_fake), self.undecided)
        return {"discriminator_plays": discriminator, "decoder_plays": decoder}

    def step_sizes(self, terms):
        """Who is far ahead rests, with `gated`."""
        return {p: terms[f"{p}_plays"] for p in ("decoder", "discriminator") if self.gated}

    def default_optimizers(self):
        """RMSProp 3e-4 for all, as in the paper, section 4."""
        return {player: keras.optimizers.RMSprop(3e-4) for player in self.players}

    # === Use ===
    def encode(self, images, labels=None):
        """Means of q(z | x): [N, latent_dim] of images [N, H, W, C] in 0..1."""
        return self.encoder(as_images(images), training=False)[0]

    def decode(self, z, labels=None):
        """Images [N, H, W, C] in 0..1 of latents [N, latent_dim]."""
        return self.decoder(z, training=False)
