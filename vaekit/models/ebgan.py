"""EBGAN: energy-based generative adversarial networks (Zhao et al. 2017)."""

from keras import ops, saving

from vaekit import losses
from vaekit.backends import replicas
from vaekit.models.generative import Generative
from vaekit.networks.convolutional import decoder, encoder


@saving.register_keras_serializable("vaekit")
class EBGAN(Generative):
    """The discriminator is an autoencoder, and its error on an image the energy: low on real ones, `margin` on others.

    Args:
        image_shape: (H, W, C).
        latent_dim: size of z.
        code_dim: length of the discriminator's code.
        base: channels of the first convolution.
        margin: m, in mean squared error of images in -1..1. With 1, digits stay noise.
        pull: weight of the pull-away term, which keeps the codes of generated images apart; 0 for none.
        generator: functional model in place of the model's own: latents [N, latent_dim] -> images [N, H, W, C] in 0..1.
        encoder: functional model in place of the model's own: images [N, H, W, C] in 0..1 -> codes [N, code_dim].
        decoder: functional model in place of the model's own: codes [N, code_dim] -> images [N, H, W, C] in 0..1.

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> model = EBGAN((16, 16, 3), latent_dim=8, code_dim=8, base=4)
        >>> model.compile("adam")
        >>> history = model.fit(images, batch_size=2, verbose=0)
        >>> tuple(model.sample(2).shape)
        (2, 16, 16, 3)
    """

    terms = ("real_energy", "fake_energy", "pull_away")
    averaged = ("generator",)
    replaceable = ("generator", "encoder", "decoder")

    def __init__(self, image_shape, latent_dim=100, code_dim=32, base=32, margin=0.2, pull=0.1, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.latent_dim, self.code_dim = tuple(image_shape), latent_dim, code_dim
        self.base, self.margin, self.pull = base, margin, pull
        # === Networks ===
        self.generator = self.network("generator", decoder, image_shape, latent_dim, base)
        self.encoder = self.network("encoder", encoder, image_shape, code_dim, base)
        self.decoder = self.network("decoder", decoder, image_shape, code_dim, base)
        self.set_players({"generator": [self.generator], "discriminator": [self.encoder, self.decoder]})

    # === Objective: eq. 1, 2 and 5 ===
    def objective(self, batch, training=True):
        """L_D = D(x) + [m - D(G(z))]+; L_G = D(G(z)) + pull PT."""
        x = batch["image"]
        x_p = self.generator(self.prior(ops.shape(x)[0]), training=training)
        (real, _), (fake, codes) = self.energy(x, training), self.energy(x_p, training)
        l_d = losses.energy_margin_loss(real, fake, self.margin)
        l_pull = losses.pull_away(replicas.all_gather(codes))
        return (
            {"generator": ops.mean(fake) + self.pull * l_pull, "discriminator": l_d},
            {"real_energy": ops.mean(real), "fake_energy": ops.mean(fake), "pull_away": l_pull},
        )

    def energy(self, images, training=False):
        """D(x) [N], and its codes [N, code_dim], of images [N, H, W, C] in 0..1."""
        codes = self.encoder(images, training=training)
        # 4: images are 0..1 here, and -1..1 where the margin is counted.
        return 4.0 * losses.energy(images, self.decoder(codes, training=training)), codes

    # === Use ===
    def decode(self, z, labels=None):
        """G(z): images [N, H, W, C] in 0..1."""
        return self.generator(z, training=False)
