"""ACGAN: conditional image synthesis with auxiliary classifier GANs (Odena et al. 2017)."""

import keras
from keras import ops

from vaekit import losses
from vaekit.game import Signature
from vaekit.models.generative import Generative, given
from vaekit.networks.convolutional import decoder, discriminator
from vaekit.specs import Images, as_images


@keras.saving.register_keras_serializable("vaekit")
class ACGAN(Generative):
    """A GAN whose generator is told a class, and whose discriminator has to find it out.

    Args:
        image_shape: (H, W, C).
        classes: length of the condition c. Labels are [N] integers below it, or [N, classes] attributes of 0 and 1.
        latent_dim: size of z.
        base: channels of the first convolution.
        real_classes: whether the discriminator's class loss is of real images alone. False is the paper's: it is of
            generated ones too, and the two players may then agree on classes that are nobody else's.
        generator: functional model in place of the model's own: latents [N, latent_dim] (and with classes the condition
            [N, classes]) -> images [N, H, W, C] in 0..1.
        discriminator: functional model in place of the model's own: images [N, H, W, C] in 0..1 -> {"logits":
            [N, 1 + classes], "features": [N, F], "similarity": [N, h, w, f]}.

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> labels = np.array([0, 1, 2, 1])
        >>> model = ACGAN((16, 16, 3), classes=3, latent_dim=8, base=4)
        >>> model.compile("adam")
        >>> history = model.fit(images, labels, batch_size=2, verbose=0)
        >>> tuple(model.sample(2).shape)
        (2, 16, 16, 3)
        >>> tuple(model.classify(images).shape)
        (4, 3)
    """

    terms = ("source", "class_real", "class_fake")
    averaged = ("generator",)
    replaceable = ("generator", "discriminator")

    def __init__(self, image_shape, classes=10, latent_dim=100, base=32, real_classes=False, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.classes, self.latent_dim, self.base = tuple(image_shape), classes, latent_dim, base
        self.real_classes = real_classes
        # === Networks ===
        self.generator = self.network("generator", decoder, image_shape, latent_dim, base, condition_dim=classes)
        self.discriminator = self.network("discriminator", discriminator, image_shape, base, outputs=1 + classes)
        self.set_players({"generator": [self.generator], "discriminator": [self.discriminator]})

    # === Objective: eq. 2 and 3 ===
    def objective(self, batch, training=True):
        """The discriminator maximises L_S + L_C, the generator L_C - L_S, in its form that does not saturate.

        The class loss of real images has no part in the generator's, which it does not depend on.
        """
        x, labels = batch["image"], batch["label"]
        z = self.prior(ops.shape(x)[0])
        x_p = self.generator([z, self.condition(labels)], training=training)
        real, fake = (self.discriminator(image, training=training)["logits"] for image in (x, x_p))
        l_s = losses.real_log_loss(real[:, :1]) + losses.fake_log_loss(fake[:, :1])
        c_real, c_fake = losses.label_loss(labels, real[:, 1:]), losses.label_loss(labels, fake[:, 1:])
        l_c = c_real if self.real_classes else c_real + c_fake
        return (
            {"generator": losses.real_log_loss(fake[:, :1]) + c_fake, "discriminator": l_s + l_c},
            {"source": l_s, "class_real": c_real, "class_fake": c_fake},
        )

    # === Use ===
    def decode(self, z, labels=None):
        """G(z, c): images [N, H, W, C] in 0..1."""
        return self.generator(given(z, self.condition(labels)), training=False)

    def classify(self, images):
        """Logits [N, classes] of images [N, H, W, C] in 0..1."""
        return self.discriminator(as_images(images), training=False)["logits"][:, 1:]

    @property
    def signatures(self):
        """`classify` too."""
        classify = Signature({"image": Images(self.image_shape)}, self.classify, "logits")
        return {**super().signatures, "classify": classify}
