"""CVAE-GAN: fine-grained image generation through asymmetric training (Bao et al. 2017)."""

import keras
from keras import ops

from vaekit import losses
from vaekit.models.generative import Generative, given
from vaekit.networks.centers import MovingCenters
from vaekit.networks.convolutional import decoder, discriminator, gaussian_encoder
from vaekit.specs import as_images


@keras.saving.register_keras_serializable("vaekit")
class CVAEGAN(Generative):
    """A VAE and a GAN that share a generator G(z, c), with a classifier that keeps it to its class.

    Players: encoder E, generator G, discriminator D, classifier C. The generator never sees the
    discriminator's answer: it matches centres of features instead (the paper's asymmetric training).

    Args:
        image_shape: (H, W, C).
        classes: length of the condition c. Labels are [N] integers below it, or [N, classes] attributes of 0 and 1.
        latent_dim: size of z.
        base: channels of the first convolution.
        kl, reconstruction, center, class_center: lambda_1 .. lambda_4, the weights of L_KL, L_G, L_GD and
            L_GC (3, 1, 1e-3 and 1e-3 in the paper, section 4).
        encoder: functional model in place of the model's own: images [N, H, W, C] in 0..1 and the condition
            [N, classes] -> [mean, log variance], each [N, latent_dim].
        generator: functional model in place of the model's own: latents [N, latent_dim] and the
            condition [N, classes] -> images [N, H, W, C] in 0..1.
        discriminator: functional model in place of the model's own: images [N, H, W, C] in 0..1 -> {"logits": [N, 1],
            "features": [N, F], "similarity": [N, h, w, f]}.
        classifier: as discriminator, with logits [N, classes].

    Raises:
        ValueError: a network is given that takes or returns other tensors than the model's own.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), "uint8")
        >>> labels = np.array([0, 1, 2, 1])
        >>> model = CVAEGAN((16, 16, 3), classes=3, latent_dim=8, base=4)
        >>> model.compile("adam")
        >>> history = model.fit(images, labels, batch_size=2, verbose=0)
        >>> model.predict((images, labels), verbose=0).shape
        (4, 16, 16, 3)
        >>> tuple(model.sample(2, np.array([0, 0])).shape)
        (2, 16, 16, 3)
    """

    terms = ("kl", "reconstruction", "center", "class_center", "gan", "class")
    averaged = ("generator",)
    replaceable = ("encoder", "generator", "discriminator", "classifier")

    def __init__(
        self,
        image_shape,
        classes=10,
        latent_dim=64,
        base=32,
        kl=3.0,
        reconstruction=1.0,
        center=1e-3,
        class_center=1e-3,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape, self.classes, self.latent_dim, self.base = (
            tuple(image_shape),
            classes,
            latent_dim,
            base,
        )
        self.kl, self.reconstruction, self.center, self.class_center = (
            kl,
            reconstruction,
            center,
            class_center,
        )
        # === Networks ===
        self.encoder = self.network("encoder", gaussian_encoder, image_shape, latent_dim, base, condition_dim=classes)
        self.generator = self.network("generator", decoder, image_shape, latent_dim, base, condition_dim=classes)
        self.discriminator = self.network("discriminator", discriminator, image_shape, base)
        self.classifier = self.network("classifier", discriminator, image_shape, base, outputs=classes)
        self.d_real, self.d_fake = MovingCenters(), MovingCenters()
        self.c_real, self.c_fake = MovingCenters(classes), MovingCenters(classes)
        for centers, network in (
            (self.d_real, self.discriminator),
            (self.d_fake, self.discriminator),
            (self.c_real, self.classifier),
            (self.c_fake, self.classifier),
        ):
            centers.build(network.output["features"].shape)
        self.set_players(
            {
                "encoder": [self.encoder],
                "generator": [self.generator],
                "discriminator": [self.discriminator],
                "classifier": [self.classifier],
            }
        )

    # === Objective: Algorithm 1 ===
    def objective(self, batch, training=True):
        """L_D, L_C, and what E and G make of L_KL, L_G, L_GD and L_GC."""
        x, labels = batch["image"], batch["label"]
        count = ops.shape(x)[0]
        c = self.condition(labels)
        # L_KL
        mean, log_variance = self.encoder([x, c], training=training)
        l_kl = losses.kl_standard_normal(mean, log_variance)
        # x' = G(z, c) from the posterior, and from the prior with classes drawn from the batch
        z = self.sample_posterior(mean, log_variance)
        z_p = self.random_normal(ops.shape(z))
        x_fake = self.generator([ops.concatenate([z, z_p]), ops.concatenate([c, c])], training=training)
        d_real, d_fake = (
            self.discriminator(x, training=training),
            self.discriminator(x_fake, training=training),
        )
        c_real, c_fake = self.classifier(x, training=training), self.classifier(x_fake, training=training)
        f_d, f_d_fake = d_real["features"], d_fake["features"]
        f_c, f_c_fake = c_real["features"], c_fake["features"]
        # L_G (eq. 7): pixels, features of D and features of C, pairwise
        l_g = (
            losses.half_squared_distance(x, x_fake[:count])
            + losses.half_squared_distance(f_d, f_d_fake[:count])
            + losses.half_squared_distance(f_c, f_c_fake[:count])
        )
        # L_GD (eq. 4) and L_GC (eq. 6): centres, of what the prior generates
        l_gd = losses.center_loss(self.d_real(f_d, training=training), self.d_fake(f_d_fake[count:], training=training))
        l_gc = losses.center_loss(
            self.c_real(f_c, c, training=training),
            self.c_fake(f_c_fake[count:], c, training=training),
        )
        # L_D (Algorithm 1, which adds the terms of x' and of what the prior generates) and L_C (eq. 1)
        l_d = losses.real_log_loss(d_real["logits"]) + sum(
            losses.fake_log_loss(logits) for logits in (d_fake["logits"][:count], d_fake["logits"][count:])
        )
        l_c = losses.label_loss(labels, c_real["logits"])
        return (
            {
                "encoder": self.kl * l_kl + self.reconstruction * l_g,
                "generator": self.reconstruction * l_g + self.center * l_gd + self.class_center * l_gc,
                "discriminator": l_d,
                "classifier": l_c,
            },
            {
                "kl": l_kl,
                "reconstruction": l_g,
                "center": l_gd,
                "class_center": l_gc,
                "gan": l_d,
                "class": l_c,
            },
        )

    # === Use ===
    def encode(self, images, labels=None):
        """Means of q(z | x, c): [N, latent_dim] of images [N, H, W, C] in 0..1."""
        return self.encoder(given(as_images(images), self.condition(labels)), training=False)[0]

    def decode(self, z, labels=None):
        """G(z, c): images [N, H, W, C] in 0..1."""
        return self.generator(given(z, self.condition(labels)), training=False)

    def repair(self, images, masks, labels, iterations: int = 10):
        """Repair damaged images: z = E(x, c), x' = G(z, c), x <- M x' + (1 - M) x, repeated (section 4.4).

        Args:
            images: [N, H, W, C] in 0..1; what stands in the hole at first is where the search starts.
            masks: [N, H, W, 1], M: 1 in the hole, 0 where the image is known.
            labels: of the images.
            iterations: how often (1, 5 and 10 in the paper).

        Returns:
            [N, H, W, C]; known pixels are unchanged.
        """
        images, masks = as_images(images), ops.cast(masks, "float32")
        for _ in range(iterations):
            images = ops.where(masks > 0, self.reconstruct(images, labels), images)
        return images
