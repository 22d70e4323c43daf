"""GAIA: generative adversarial interpolative autoencoding (Sainburg et al. 2018)."""

import keras
from keras import ops

from vaekit import losses
from vaekit.backends import replicas
from vaekit.models.generative import Autoencoding
from vaekit.networks.centers import MovingGaussian
from vaekit.networks.convolutional import decoder, encoder


@keras.saving.register_keras_serializable("vaekit")
class GAIA(Autoencoding):
    """Generator and discriminator are both autoencoders; what lies between two codes has to look real as well.

    It has no prior: what is sampled is decoded from a Gaussian that was fitted to the codes of training.

    Args:
        image_shape: (H, W, C).
        latent_dim: length of a code.
        base: channels of the first convolution.
        distance: weight of the pairwise log-distance loss, which keeps examples as far apart in z as in x.
        slope: of the sigmoid that balances the players' learning rates.
        encoder: functional model in place of the model's own: images [N, H, W, C] in 0..1 -> codes [N, latent_dim].
        decoder: functional model in place of the model's own: latents [N, latent_dim] -> images [N, H, W, C] in 0..1.

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> model = GAIA((16, 16, 3), latent_dim=8, base=4)
        >>> model.compile("adam")
        >>> history = model.fit(images, batch_size=2, verbose=0)
        >>> model.predict(images, verbose=0).shape
        (4, 16, 16, 3)
        >>> tuple(model.sample(2).shape)
        (2, 16, 16, 3)
    """

    terms = ("real", "reconstructed", "interpolated", "distance", "balance")
    averaged = ("generator",)
    replaceable = ("encoder", "decoder")

    def __init__(self, image_shape, latent_dim=64, base=32, distance=1e-3, slope=20.0, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.latent_dim, self.base = tuple(image_shape), latent_dim, base
        self.distance, self.slope = distance, slope
        # === Networks ===
        self.encoder = self.network("encoder", encoder, image_shape, latent_dim, base)
        self.decoder = self.network("decoder", decoder, image_shape, latent_dim, base)
        self.discriminator = encoder(image_shape, latent_dim, base), decoder(image_shape, latent_dim, base)
        self.codes = MovingGaussian()
        self.codes.build((None, latent_dim))
        self.set_players({"generator": [self.encoder, self.decoder], "discriminator": list(self.discriminator)})

    # === Objective: Algorithm 1 ===
    def objective(self, batch, training=True):
        """L_G = ||x - D(G(x))|| + ||G(z_i) - D(G(z_i))|| + L_dist; L_D = ||x - D(x)|| - the generator's; norm 1.

        One bound is not the paper's: D raises either of the generator's two only while it redraws it better than real
        images. With two terms to raise and one to lower it would soon redraw nothing at all.
        """
        x = ops.cast(batch["image"], "float32")
        z = self.encoder(x, training=training)
        self.codes(z, training=training)
        # z_i between the codes of one row and the row beside it, within two
        rows = ops.arange(ops.shape(x)[0])
        beside = ops.minimum(rows + 1 - 2 * (rows % 2), ops.shape(x)[0] - 1)
        share = self.random_uniform((ops.shape(x)[0], 1))
        z_i = share * z + (1.0 - share) * ops.take(z, beside, axis=0)
        x_rec, x_i = self.decoder(z, training=training), self.decoder(z_i, training=training)
        l_real = losses.mean_absolute_error(x, self.reconstructed_by_discriminator(x, training))
        l_rec = losses.mean_absolute_error(x, self.reconstructed_by_discriminator(x_rec, training))
        l_i = losses.mean_absolute_error(x_i, self.reconstructed_by_discriminator(x_i, training))
        l_distance = losses.pairwise_log_distance(replicas.all_gather(x), replicas.all_gather(z))
        balance = ops.sigmoid(self.slope * replicas.mean(l_real - 0.5 * (l_rec + l_i)))
        known = replicas.mean(l_real)
        better_rec, better_i = (ops.cast(replicas.mean(loss) < known, "float32") for loss in (l_rec, l_i))
        l_d = l_real - better_rec * l_rec - better_i * l_i
        return (
            {"generator": l_rec + l_i + self.distance * l_distance, "discriminator": l_d},
            {"real": l_real, "reconstructed": l_rec, "interpolated": l_i, "distance": l_distance, "balance": balance},
        )

    def step_sizes(self, terms):
        """The discriminator moves the more the worse it is at real images, the generator the rest (section 3.2)."""
        return {"discriminator": terms["balance"], "generator": 1.0 - terms["balance"]}

    def reconstructed_by_discriminator(self, images, training=False):
        """D(x): what the discriminator redraws of images [N, H, W, C]."""
        encode, decode = self.discriminator
        return decode(encode(images, training=training), training=training)

    def default_optimizers(self):
        """Adam 1e-4 for both."""
        return {player: keras.optimizers.Adam(1e-4) for player in self.players}

    # === Use ===
    def prior(self, count: int):
        """Codes from the fitted Gaussian."""
        return self.codes.place(super().prior(count))
