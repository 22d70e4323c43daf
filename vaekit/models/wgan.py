"""WGAN: Wasserstein GAN (Arjovsky et al. 2017), by clipping, and WGAN-GP (Gulrajani et al. 2017), by a penalty."""

import keras
from keras import ops

from vaekit import losses
from vaekit.backends.gradients import input_gradient
from vaekit.models.generative import Generative
from vaekit.networks.blocks import Clip
from vaekit.networks.convolutional import decoder, discriminator


class Wasserstein(Generative):
    """What WGAN and WGAN-GP share: a critic whose scores tell real from generated images by as much as it may.

    In one step the critic moves `critic_steps` times, on the same real images, each with noise of its own, and the
    generator once. (In the papers each has real images of its own too.)
    """

    terms: tuple[str, ...] = ("wasserstein",)
    averaged = ("generator",)
    replaceable = ("generator", "critic")

    def set_networks(self, normalize: bool):
        """Make generator and critic from what is kept of the arguments."""
        self.generator = self.network("generator", decoder, self.image_shape, self.latent_dim, self.base)
        self.critic = self.network("critic", discriminator, self.image_shape, self.base, normalize=normalize)
        update_phases = [("critic",)] * self.critic_steps + [("generator",)]
        self.set_players({"critic": [self.critic], "generator": [self.generator]}, update_phases)

    def score(self, images, training=False):
        """f(x), [N, 1], of images [N, H, W, C] in 0..1."""
        return self.critic(images, training=training)["logits"]

    # === Use ===
    def decode(self, z, labels=None):
        """G(z): images [N, H, W, C] in 0..1."""
        return self.generator(z, training=False)


@keras.saving.register_keras_serializable("vaekit")
class WGAN(Wasserstein):
    """The critic's weights are clipped to -clip..clip after each of its steps, which bounds how steep it can be.

    Args:
        image_shape: (H, W, C).
        latent_dim: size of z.
        base: channels of the first convolution.
        critic_steps: n_critic.
        clip: c.
        normalize: whether the critic has batch normalisation, whose scales are clipped too.
        generator: functional model in place of the model's own: latents [N, latent_dim] -> images [N, H, W, C] in 0..1.
        critic: functional model in place of the model's own: images [N, H, W, C] in 0..1 -> {"logits": [N, 1],
            "features": [N, F], "similarity": [N, h, w, f]}.

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> model = WGAN((16, 16, 3), latent_dim=8, base=4, critic_steps=2)
        >>> model.compile("adam")
        >>> history = model.fit(images, batch_size=2, verbose=0)
        >>> tuple(model.sample(2).shape)
        (2, 16, 16, 3)
    """

    def __init__(self, image_shape, latent_dim=100, base=32, critic_steps=5, clip=0.01, normalize=True, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.latent_dim, self.base = tuple(image_shape), latent_dim, base
        self.critic_steps, self.clip, self.normalize = critic_steps, clip, normalize
        # === Networks ===
        self.set_networks(normalize)
        for variable in self.critic.trainable_variables:
            variable.constraint = Clip(clip)

    # === Objective: Algorithm 1 ===
    def objective(self, batch, training=True):
        """E f(G(z)) - E f(x); -E f(G(z))."""
        x = batch["image"]
        x_p = self.generator(self.prior(ops.shape(x)[0]), training=training)
        real, fake = self.score(x, training), self.score(x_p, training)
        distance = losses.wasserstein_estimate(real, fake)
        return {"critic": -distance, "generator": -ops.mean(fake)}, {"wasserstein": distance}

    def default_optimizers(self):
        """RMSProp 5e-5 for both."""
        return {player: keras.optimizers.RMSprop(5e-5) for player in self.players}


@keras.saving.register_keras_serializable("vaekit")
class WGANGP(Wasserstein):
    """The critic's slope is drawn to 1 between real and generated images; it has no batch normalisation.

    Args:
        image_shape: (H, W, C).
        latent_dim: size of z.
        base: channels of the first convolution.
        critic_steps: n_critic.
        penalty: lambda.
        generator: functional model in place of the model's own: latents [N, latent_dim] -> images [N, H, W, C] in 0..1.
        critic: functional model in place of the model's own: images [N, H, W, C] in 0..1 -> {"logits": [N, 1],
            "features": [N, F], "similarity": [N, h, w, f]}.

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> model = WGANGP((16, 16, 3), latent_dim=8, base=4, critic_steps=2)
        >>> model.compile("adam")
        >>> history = model.fit(images, batch_size=2, verbose=0)
        >>> tuple(model.sample(2).shape)
        (2, 16, 16, 3)
    """

    terms = ("wasserstein", "penalty")

    def __init__(self, image_shape, latent_dim=100, base=32, critic_steps=5, penalty=10.0, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.latent_dim, self.base = tuple(image_shape), latent_dim, base
        self.critic_steps, self.penalty = critic_steps, penalty
        # === Networks ===
        self.set_networks(normalize=False)

    # === Objective: Algorithm 1 ===
    def objective(self, batch, training=True):
        """E f(G(z)) - E f(x) + lambda E (||grad f(x_hat)|| - 1)^2; -E f(G(z))."""
        x = ops.cast(batch["image"], "float32")
        x_p = self.generator(self.prior(ops.shape(x)[0]), training=training)
        real, fake = self.score(x, training), self.score(x_p, training)
        distance = losses.wasserstein_estimate(real, fake)
        # x_hat = e x + (1 - e) G(z), one e an example
        e = self.random_uniform((ops.shape(x)[0], 1, 1, 1))
        l_penalty = losses.gradient_penalty(input_gradient(self.score, e * x + (1.0 - e) * x_p))
        return (
            {"critic": -distance + self.penalty * l_penalty, "generator": -ops.mean(fake)},
            {"wasserstein": distance, "penalty": l_penalty},
        )

    def default_optimizers(self):
        """Adam 1e-4 with betas 0 and .9 for both."""
        return {player: keras.optimizers.Adam(1e-4, beta_1=0.0, beta_2=0.9) for player in self.players}
