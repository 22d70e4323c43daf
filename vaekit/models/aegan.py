"""AEGAN: an autoencoder whose codes a GAN draws, with a discriminator of codes and one of images."""

import keras
from keras import ops

from vaekit import losses
from vaekit.models.generative import Autoencoding
from vaekit.networks.blocks import perceptron
from vaekit.networks.convolutional import decoder, discriminator, encoder


@keras.saving.register_keras_serializable("vaekit")
class AEGAN(Autoencoding):
    """An autoencoder has no prior, and needs none: G1 draws codes like its own.

    D1 tells Enc(x) from G1(z), D2 tells Dec(Enc(x)) from Dec(G1(z)). As D2 compares with reconstructions, a sample is
    asked to be as good as the decoder can draw.

    Args:
        image_shape: (H, W, C).
        latent_dim: length of a code h, and of z; by default 16 for grey images such as digits, 64 for colour: what is
            longer than it need be is harder for G1 to draw.
        base: channels of the first convolution.
        image: lambda, weight of D2's loss in G1.
        width: of the layers of G1 and D1.
        encoder: functional model in place of the model's own: images [N, H, W, C] in 0..1 -> codes [N, latent_dim].
        decoder: functional model in place of the model's own: latents [N, latent_dim] -> images [N, H, W, C] in 0..1.
        image_discriminator: functional model in place of the model's own: images [N, H, W, C] in 0..1 ->
            {"logits": [N, 1], "features": [N, F], "similarity": [N, h, w, f]}.

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> model = AEGAN((16, 16, 3), latent_dim=8, base=4)
        >>> model.compile("adam")
        >>> history = model.fit(images, batch_size=2, verbose=0)
        >>> model.predict(images, verbose=0).shape
        (4, 16, 16, 3)
        >>> tuple(model.sample(2).shape)
        (2, 16, 16, 3)
    """

    terms = ("reconstruction", "code_gan", "image_gan")
    averaged = ("autoencoder", "generator")
    replaceable = ("encoder", "decoder", "image_discriminator")

    def __init__(self, image_shape, latent_dim=None, base=32, image=1.0, width=256, **kwargs):
        super().__init__(**kwargs)
        latent_dim = latent_dim or (16 if image_shape[2] == 1 else 64)
        self.image_shape, self.latent_dim, self.base = tuple(image_shape), latent_dim, base
        self.image, self.width = image, width
        # === Networks ===
        self.encoder = self.network("encoder", encoder, image_shape, latent_dim, base)
        self.decoder = self.network("decoder", decoder, image_shape, latent_dim, base)
        self.generator = perceptron(latent_dim, latent_dim, width, name="code_generator")
        self.code_discriminator = perceptron(latent_dim, 1, width, name="code_discriminator")
        self.image_discriminator = self.network("image_discriminator", discriminator, image_shape, base)
        self.set_players(
            {
                "autoencoder": [self.encoder, self.decoder],
                "generator": [self.generator],
                "code_discriminator": [self.code_discriminator],
                "image_discriminator": [self.image_discriminator],
            }
        )

    # === Objective ===
    def objective(self, batch, training=True):
        """L_AE; -log D1(G1(z)) - lambda log D2(Dec(G1(z))); L_D1; L_D2."""
        x = batch["image"]
        h = self.encoder(x, training=training)
        h_p = self.generator(self.random_normal(ops.shape(h)))
        x_rec, x_p = self.decoder(h, training=training), self.decoder(h_p, training=training)
        # L_AE
        l_ae = losses.mean_squared_error(x, x_rec)
        # L_D1
        code_real, code_fake = self.code_discriminator(h), self.code_discriminator(h_p)
        l_d1 = losses.real_log_loss(code_real) + losses.fake_log_loss(code_fake)
        # L_D2
        real, fake = (self.image_discriminator(image, training=training)["logits"] for image in (x_rec, x_p))
        l_d2 = losses.real_log_loss(real) + losses.fake_log_loss(fake)
        # L_G1
        l_g1 = losses.real_log_loss(code_fake) + self.image * losses.real_log_loss(fake)
        return (
            {"autoencoder": l_ae, "generator": l_g1, "code_discriminator": l_d1, "image_discriminator": l_d2},
            {"reconstruction": l_ae, "code_gan": l_d1, "image_gan": l_d2},
        )

    def default_optimizers(self):
        """Adam 1e-3 for the autoencoder, 2e-4 with beta_1 .5 for the others."""
        return {**super().default_optimizers(), "autoencoder": keras.optimizers.Adam(1e-3)}

    # === Use ===
    through = "prior"

    def prior(self, count: int):
        """G1(z): codes."""
        return self.generator(super().prior(count), training=False)
