"""GAN: generative adversarial nets (Goodfellow et al. 2014), with classes CGAN (Mirza & Osindero 2014)."""

import keras
from keras import ops

from vaekit import losses
from vaekit.models.generative import Generative, given
from vaekit.networks.convolutional import decoder, discriminator
from vaekit.networks.dense import dense_decoder, maxout_discriminator


@keras.saving.register_keras_serializable("vaekit")
class GAN(Generative):
    """A generator draws from noise, a discriminator tells its images from real ones.

    Its networks are convolutional, as in DCGAN (Radford et al. 2016), or dense, as in the first paper, of ReLUs and of
    maxout. With classes it is CGAN: both networks are told the class.

    Args:
        image_shape: (H, W, C).
        latent_dim: size of z.
        base: channels of the first convolution.
        classes: length of the condition c, 0 for none.
        saturating: whether the generator minimises log(1 - D(G(z))), the minimax game, instead of -log D(G(z)).
        steps: k, how often the discriminator moves in a step, on the same real images and each time with noise of its
            own, before the generator moves once (Algorithm 1). None: both move together, from one forward pass.
        hidden: (generator's, discriminator's) units of each hidden layer of dense networks, such as ((1200, 1200),
            (240, 240)), the paper's for digits; None for convolutions.
        generator: functional model in place of the model's own: latents [N, latent_dim] (and with classes the condition
            [N, classes]) -> images [N, H, W, C] in 0..1.
        discriminator: functional model in place of the model's own: images [N, H, W, C] in 0..1 -> {"logits": [N, 1],
            "features": [N, F], "similarity": [N, h, w, f]}, the last where it is not dense.

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own, or steps is below 1.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> model = GAN((16, 16, 3), latent_dim=8, base=4)
        >>> model.compile("adam")
        >>> history = model.fit(images, batch_size=2, verbose=0)
        >>> tuple(model.sample(2).shape)
        (2, 16, 16, 3)
    """

    terms = ("real", "fake")
    averaged = ("generator",)
    replaceable = ("generator", "discriminator")

    def __init__(
        self, image_shape, latent_dim=100, base=32, classes=0, saturating=False, steps=None, hidden=None, **kwargs
    ):
        super().__init__(**kwargs)
        if steps is not None and steps < 1:
            raise ValueError(f"steps is at least 1, not {steps}")
        self.image_shape, self.latent_dim, self.base = tuple(image_shape), latent_dim, base
        self.classes, self.saturating, self.steps, self.hidden = classes, saturating, steps, hidden
        # === Networks ===
        told = {"condition_dim": classes}
        if hidden:
            own, others = hidden
            self.generator = self.network("generator", dense_decoder, image_shape, latent_dim, own, **told)
            self.discriminator = self.network("discriminator", maxout_discriminator, image_shape, others, **told)
        else:
            self.generator = self.network("generator", decoder, image_shape, latent_dim, base, **told)
            self.discriminator = self.network("discriminator", discriminator, image_shape, base, **told)
        update_phases = steps and [("discriminator",)] * steps + [("generator",)]
        self.set_players({"generator": [self.generator], "discriminator": [self.discriminator]}, update_phases)

    # === Objective: eq. 1 ===
    def objective(self, batch, training=True):
        """-E log D(x) - E log(1 - D(G(z))) for the discriminator; the generator's, saturating or not."""
        x, c = batch["image"], self.condition(batch.get("label"))
        x_p = self.generator(given(self.prior(ops.shape(x)[0]), c), training=training)
        real, fake = (self.discriminator(given(image, c), training=training)["logits"] for image in (x, x_p))
        l_real, l_fake = losses.real_log_loss(real), losses.fake_log_loss(fake)
        l_g = -l_fake if self.saturating else losses.real_log_loss(fake)
        return {"generator": l_g, "discriminator": l_real + l_fake}, {"real": l_real, "fake": l_fake}

    def default_optimizers(self):
        """Adam 2e-4 with beta_1 .5 for both (Radford et al. 2016, section 4)."""
        return {player: keras.optimizers.Adam(2e-4, beta_1=0.5) for player in self.players}

    # === Use ===
    def decode(self, z, labels=None):
        """G(z, c): images [N, H, W, C] in 0..1."""
        return self.generator(given(z, self.condition(labels)), training=False)
