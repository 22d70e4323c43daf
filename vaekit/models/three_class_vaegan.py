"""VAE/GAN whose discriminator also tells what was reconstructed from what was generated."""

import math

import keras
from keras import ops

from vaekit import losses
from vaekit.models.vaegan import VAEGAN

REAL, RECONSTRUCTED, GENERATED = range(3)


@keras.saving.register_keras_serializable("vaekit")
class ThreeClassVAEGAN(VAEGAN):
    """Larsen et al. 2016 with three classes: the decoder wants reconstructed and generated images both called real.

    The decoder is the same for z ~ q(z | x) and z ~ p(z), so what sets x' apart from x_p is the latent alone: to be
    called real too, the encoder has to draw its latents where the prior has them.

    Args:
        image_shape: (H, W, C).
        latent_dim: size of z.
        base: channels of the first convolution.
        gamma: weight of L_like in the decoder.
        gated: as VAEGAN has it; the losses that are equal where the discriminator only guesses are log 3.
        fool: weight of -log P(real | x') in the encoder, which in VAE/GAN has no part in the game.
        encoder, decoder, discriminator: as VAEGAN has them, the discriminator with logits [N, 3].

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> model = ThreeClassVAEGAN((16, 16, 3), latent_dim=8, base=4)
        >>> model.compile("adam")
        >>> history = model.fit(images, batch_size=2, verbose=0)
        >>> model.predict(images, verbose=0).shape
        (4, 16, 16, 3)
        >>> tuple(model.sample(2).shape)
        (2, 16, 16, 3)
    """

    discriminator_outputs = 3
    undecided = math.log(3.0)

    def __init__(self, image_shape, latent_dim=128, base=32, gamma=1e-3, fool=1.0, **kwargs):
        super().__init__(image_shape, latent_dim, base, gamma, **kwargs)
        self.fool = fool

    # === Objective ===
    def objective(self, batch, training=True):
        """L_prior + L_like - fool log P(real | x'); gamma L_like - log P(real | x') P(real | x_p); L_GAN."""
        l_prior, l_like, (real, rec, gen) = self.forward(batch["image"], training)
        l_real = _called(real, REAL)
        l_fake = _called(rec, RECONSTRUCTED) + _called(gen, GENERATED)
        l_gan = l_real + l_fake
        l_fool = _called(rec, REAL)
        return (
            {
                "encoder": l_prior + l_like + self.fool * l_fool,
                "decoder": self.gamma * l_like + l_fool + _called(gen, REAL),
                "discriminator": l_gan,
            },
            {"kl": l_prior, "likelihood": l_like, "gan": l_gan, **self.gates(l_real, l_fake / 2)},
        )


def _called(answers, wanted):
    """-log P(wanted), of what the discriminator says of some images."""
    logits = answers["logits"]
    return losses.class_loss(ops.full((ops.shape(logits)[0],), wanted, "int32"), logits)
