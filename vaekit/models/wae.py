"""Wasserstein auto-encoders (Tolstikhin et al. 2018): codes that together are the prior, each of one image alone."""

import keras
from keras import ops

from vaekit import losses
from vaekit.backends import replicas
from vaekit.models.generative import Autoencoding
from vaekit.networks.blocks import perceptron
from vaekit.networks.convolutional import decoder, encoder


class WAE(Autoencoding):
    """What WAE-GAN and WAE-MMD share: ||x - Dec(Enc(x))||^2 + lambda D_Z(Q_Z, P_Z), with an encoder without noise."""

    averaged = ("autoencoder",)
    replaceable: tuple[str, ...] = ("encoder", "decoder")

    def set_networks(self):
        """Make encoder and decoder from what is kept of the arguments."""
        self.encoder = self.network("encoder", encoder, self.image_shape, self.latent_dim, self.base)
        self.decoder = self.network("decoder", decoder, self.image_shape, self.latent_dim, self.base)


@keras.saving.register_keras_serializable("vaekit")
class WAEGAN(WAE):
    """D_Z is what a discriminator of latents makes of them.

    Args:
        image_shape: (H, W, C).
        latent_dim: size of z.
        base: channels of the first convolution.
        divergence: lambda (10 for MNIST, 100 for CelebA in the paper).
        width: of the latent discriminator's layers.
        encoder: functional model in place of the model's own: images [N, H, W, C] in 0..1 -> codes [N, latent_dim].
        decoder: functional model in place of the model's own: latents [N, latent_dim] -> images [N, H, W, C] in 0..1.
        discriminator: functional model in place of the model's own: latents [N, latent_dim] -> logits [N, 1].

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> model = WAEGAN((16, 16, 3), latent_dim=8, base=4)
        >>> model.compile("adam")
        >>> history = model.fit(images, batch_size=2, verbose=0)
        >>> model.predict(images, verbose=0).shape
        (4, 16, 16, 3)
        >>> tuple(model.sample(2).shape)
        (2, 16, 16, 3)
    """

    terms = ("reconstruction", "divergence")
    replaceable = ("encoder", "decoder", "discriminator")

    def __init__(self, image_shape, latent_dim=64, base=32, divergence=10.0, width=256, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.latent_dim, self.base = tuple(image_shape), latent_dim, base
        self.divergence, self.width = divergence, width
        # === Networks ===
        self.set_networks()
        self.discriminator = self.network(
            "discriminator", perceptron, latent_dim, 1, width, name="latent_discriminator"
        )
        self.set_players({"autoencoder": [self.encoder, self.decoder], "discriminator": [self.discriminator]})

    # === Objective: Algorithm 1 ===
    def objective(self, batch, training=True):
        """||x - x'||^2 - lambda log D_Z(z); -lambda (log D_Z(z_p) + log(1 - D_Z(z)))."""
        x = batch["image"]
        z = self.encoder(x, training=training)
        x_rec = self.decoder(z, training=training)
        prior, coded = self.discriminator(self.prior(ops.shape(x)[0])), self.discriminator(z)
        l_rec = 2.0 * losses.half_squared_distance(x, x_rec)
        l_z = losses.real_log_loss(coded)
        l_d = losses.real_log_loss(prior) + losses.fake_log_loss(coded)
        return (
            {"autoencoder": l_rec + self.divergence * l_z, "discriminator": self.divergence * l_d},
            {"reconstruction": l_rec, "divergence": l_d},
        )

    def default_optimizers(self):
        """Adam with beta_1 .5, 1e-3 for the autoencoder and 5e-4 for the discriminator (appendix D)."""
        return {
            "autoencoder": keras.optimizers.Adam(1e-3, beta_1=0.5),
            "discriminator": keras.optimizers.Adam(5e-4, beta_1=0.5),
        }


@keras.saving.register_keras_serializable("vaekit")
class WAEMMD(WAE):
    """D_Z is the maximum mean discrepancy of the batch's latents and as many from the prior.

    Args:
        image_shape: (H, W, C).
        latent_dim: size of z.
        base: channels of the first convolution.
        divergence: lambda (10 for MNIST, 100 for CelebA in the paper).
        encoder: functional model in place of the model's own: images [N, H, W, C] in 0..1 -> codes [N, latent_dim].
        decoder: functional model in place of the model's own: latents [N, latent_dim] -> images [N, H, W, C] in 0..1.

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> model = WAEMMD((16, 16, 3), latent_dim=8, base=4)
        >>> model.compile("adam")
        >>> history = model.fit(images, batch_size=2, verbose=0)
        >>> model.predict(images, verbose=0).shape
        (4, 16, 16, 3)
        >>> tuple(model.sample(2).shape)
        (2, 16, 16, 3)
    """

    terms = ("reconstruction", "divergence")

    def __init__(self, image_shape, latent_dim=64, base=32, divergence=100.0, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.latent_dim, self.base = tuple(image_shape), latent_dim, base
        self.divergence = divergence
        # === Networks ===
        self.set_networks()
        self.set_players({"autoencoder": [self.encoder, self.decoder]})

    # === Objective: Algorithm 2 ===
    def objective(self, batch, training=True):
        """||x - x'||^2 + lambda MMD(z, z_p)."""
        x = batch["image"]
        z = self.encoder(x, training=training)
        l_rec = 2.0 * losses.half_squared_distance(x, self.decoder(z, training=training))
        prior, coded = replicas.all_gather(self.prior(ops.shape(x)[0])), replicas.all_gather(z)
        l_z = losses.maximum_mean_discrepancy(prior, coded)
        return {"autoencoder": l_rec + self.divergence * l_z}, {"reconstruction": l_rec, "divergence": l_z}

    def default_optimizers(self):
        """Adam 1e-3 with beta_1 .5 (appendix D)."""
        return {"autoencoder": keras.optimizers.Adam(1e-3, beta_1=0.5)}
