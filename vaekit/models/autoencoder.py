"""Autoencoder: what a code of a few numbers keeps of an image (Hinton & Salakhutdinov 2006)."""

import keras

from vaekit import losses
from vaekit.models.generative import Autoencoding
from vaekit.networks.centers import MovingGaussian
from vaekit.networks.convolutional import decoder, encoder


@keras.saving.register_keras_serializable("vaekit")
class Autoencoder(Autoencoding):
    """One player, encoder and decoder together, that minimises the squared error of x' = Dec(Enc(x)).

    It has no prior: what is sampled is decoded from a Gaussian that was fitted to the codes of training.

    Args:
        image_shape: (H, W, C).
        latent_dim: length of a code.
        base: channels of the first convolution.
        encoder: functional model in place of the model's own: images [N, H, W, C] in 0..1 -> codes [N, latent_dim].
        decoder: functional model in place of the model's own: latents [N, latent_dim] -> images [N, H, W, C] in 0..1.

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> model = Autoencoder((16, 16, 3), latent_dim=8, base=4)
        >>> model.compile("adam")
        >>> history = model.fit(images, batch_size=2, verbose=0)
        >>> model.predict(images, verbose=0).shape
        (4, 16, 16, 3)
        >>> tuple(model.sample(2).shape)
        (2, 16, 16, 3)
    """

    averaged = ("autoencoder",)
    replaceable = ("encoder", "decoder")

    def __init__(self, image_shape, latent_dim=32, base=32, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.latent_dim, self.base = tuple(image_shape), latent_dim, base
        # === Networks ===
        self.encoder = self.network("encoder", encoder, image_shape, latent_dim, base)
        self.decoder = self.network("decoder", decoder, image_shape, latent_dim, base)
        self.codes = MovingGaussian()
        self.codes.build((None, latent_dim))
        self.set_players({"autoencoder": [self.encoder, self.decoder]})

    # === Objective ===
    def objective(self, batch, training=True):
        """mean (x - x')^2."""
        x = batch["image"]
        h = self.encoder(x, training=training)
        self.codes(h, training=training)
        return {"autoencoder": losses.mean_squared_error(x, self.decoder(h, training=training))}, {}

    def default_optimizers(self):
        """Adam 1e-3."""
        return {"autoencoder": keras.optimizers.Adam(1e-3)}

    # === Use ===
    def prior(self, count: int):
        """Codes from the fitted Gaussian."""
        return self.codes.place(super().prior(count))
