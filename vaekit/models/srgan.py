"""SRGAN: photo-realistic single image super-resolution using a GAN (Ledig et al. 2017)."""

import keras

from vaekit import losses
from vaekit.game import AdversarialModel, Signature
from vaekit.networks.convolutional import discriminator
from vaekit.networks.enlarging import residual_upscaler, upscaled
from vaekit.specs import Images, as_images


@keras.saving.register_keras_serializable("vaekit")
class SRGAN(AdversarialModel):
    """Enlarges pictures by a generator, against a discriminator whose features give the content loss.

    The content is that of the discriminator's features, Dis_l, where the paper has those of a VGG that was trained on
    other data. The generator answers with a residual on bicubic enlargement, which starts at 0. A batch holds "image"
    [N, H, W, C] and "small" [N, H / scale, W / scale, C], in 0..1.

    Args:
        image_shape: (H, W, C) of the large images of training; `enlarge` takes any size.
        scale: how many times larger.
        width: channels of the generator's body.
        depth: residual blocks of it.
        base: channels of the discriminator's first convolution.
        pixel: weight of the mean squared error, 1 for SRResNet, the paper's twin without a discriminator.
        content: weight of L_X, the mean squared error of the features; 0 in the twin.
        adversarial: weight of the adversarial loss (1e-3 in the paper, eq. 3); 0 in the twin.
        generator, discriminator: functional models in place of the model's own, of the same inputs and outputs.

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> small = images[:, ::2, ::2]
        >>> model = SRGAN((16, 16, 3), scale=2, width=8, depth=1, base=4)
        >>> model.compile("adam")
        >>> history = model.fit(small, images, batch_size=2, verbose=0)
        >>> model.predict(small, verbose=0).shape
        (4, 16, 16, 3)
    """

    terms = ("pixel", "content", "gan")
    averaged = ("generator",)
    replaceable = ("generator", "discriminator")

    def __init__(
        self, image_shape, scale=4, width=48, depth=8, base=32, pixel=1.0, content=0.1, adversarial=1e-3, **kwargs
    ):
        super().__init__(**kwargs)
        self.image_shape, self.scale, self.width, self.depth = tuple(image_shape), scale, width, depth
        self.base, self.pixel, self.content, self.adversarial = base, pixel, content, adversarial
        # === Networks ===
        self.generator = self.network("generator", residual_upscaler, self.image_shape[2], (scale,), width, depth)
        self.discriminator = self.network("discriminator", discriminator, image_shape, base)
        self.set_players({"generator": [self.generator], "discriminator": [self.discriminator]})

    # === Objective: eq. 3 to 6 ===
    def objective(self, batch, training=True):
        """l_MSE + l_X + 1e-3 l_Gen; L_D."""
        x, small = batch["image"], batch["small"]
        x_new = upscaled(self.generator, small, self.scale)
        real, fake = (self.discriminator(image, training=training) for image in (x, x_new))
        l_pixel = losses.mean_squared_error(x, x_new)
        l_content = losses.mean_squared_error(real["similarity"], fake["similarity"])
        l_d = losses.real_log_loss(real["logits"]) + losses.fake_log_loss(fake["logits"])
        l_fool = losses.real_log_loss(fake["logits"])
        l_g = self.pixel * l_pixel + self.content * l_content + self.adversarial * l_fool
        return {"generator": l_g, "discriminator": l_d}, {"pixel": l_pixel, "content": l_content, "gan": l_d}

    def default_optimizers(self):
        """Adam 1e-4 for both (section 3.2)."""
        return {player: keras.optimizers.Adam(1e-4) for player in self.players}

    # === Use ===
    def enlarge(self, small):
        """Images [N, scale h, scale w, C] of small ones [N, h, w, C], about 0..1."""
        return upscaled(self.generator, as_images(small), self.scale)

    @property
    def takes(self):
        """Small images as x, large ones as y."""
        height, width, channels = self.image_shape
        small = Images((height // self.scale, width // self.scale, channels))
        return {"small": small, "image": Images(self.image_shape)}

    @property
    def signatures(self):
        """`enlarge`, of any size."""
        small = Images((None, None, self.image_shape[2]))
        return {"enlarge": Signature({"small": small}, self.enlarge, "image")}
