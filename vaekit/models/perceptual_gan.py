"""Perceptual generative adversarial networks for small object detection (Li et al. 2017)."""

import keras
from keras import ops

from vaekit import losses
from vaekit.game import AdversarialModel, Signature
from vaekit.networks.convolutional import feature_classifier, feature_critic, feature_generator, feature_stages
from vaekit.specs import Images, Labels, as_images


@keras.saving.register_keras_serializable("vaekit")
class PerceptualGAN(AdversarialModel):
    """A generator adds to the features of a small object what makes them like those of a large one.

    The classifier learns from large objects and from the enhanced features of small ones. A generator sees the features
    of its first stage, where fine detail is left, and its answer is added to those of its last. A discriminator tells
    such sums from the features of large objects, and the classifier's head, the perceptual branch, has to know what
    they show. A batch holds "image" [N, H, W, C], large objects, "small" [N, H, W, C], others that were shrunk and
    enlarged to that size again, in 0..1, and "label" [N] and "small_label" [N], their classes.

    Args:
        image_shape: (H, W, C).
        classes: k.
        base: channels of the first stage.
        adversarial: weight of the generator's adversarial loss, beside 1 of the perceptual branch's.

    Example:
        >>> import numpy as np
        >>> images, labels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1), "uint8"), np.array([0, 1, 2, 0])
        >>> batch = {"image": images, "small": images, "label": labels, "small_label": labels}
        >>> model = PerceptualGAN((16, 16, 1), classes=3, base=4)
        >>> model.compile("adam")
        >>> history = model.fit(batch, batch_size=2, verbose=0)
        >>> model.predict(images, verbose=0).shape
        (4, 3)
    """

    terms = ("large", "perceptual", "gan")
    averaged = ("classifier", "generator")

    def __init__(self, image_shape, classes, base=16, adversarial=0.01, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.classes, self.base, self.adversarial = tuple(image_shape), classes, base, adversarial
        # === Networks ===
        self.stages = feature_stages(image_shape, base)
        first, last = (shape[1:] for shape in self.stages.output_shape)
        self.head = feature_classifier(last, classes)
        self.generator = feature_generator(first, last)
        self.discriminator = feature_critic(last)
        self.set_players(
            {
                "classifier": [self.stages, self.head],
                "generator": [self.generator],
                "discriminator": [self.discriminator],
            }
        )

    # === Objective: eq. 2 to 5, without the branch of boxes ===
    def objective(self, batch, training=True):
        """With R = F_s + G(f): L_cls(F_l) + L_cls(R); L_cls(R) + adversarial L_adv(R); -log D(F_l) - log(1 - D(R))."""
        _, large = self.stages(batch["image"], training=training)
        enhanced = self._enhanced(batch["small"], training)
        l_large = losses.class_loss(batch["label"], self.head(large, training=training))
        l_perceptual = losses.class_loss(batch["small_label"], self.head(enhanced, training=training))
        real, fake = (self.discriminator(features, training=training) for features in (large, enhanced))
        l_gan = losses.real_log_loss(real) + losses.fake_log_loss(fake)
        return (
            {
                "classifier": l_large + l_perceptual,
                "generator": l_perceptual + self.adversarial * losses.real_log_loss(fake),
                "discriminator": l_gan,
            },
            {"large": l_large, "perceptual": l_perceptual, "gan": l_gan},
        )

    def default_optimizers(self):
        """Adam 1e-3, and 2e-4 with beta_1 .5 for the discriminator."""
        others = {player: keras.optimizers.Adam(1e-3) for player in ("classifier", "generator")}
        return {**super().default_optimizers(), **others}

    # === Use ===
    def classify_small(self, images):
        """Probabilities [N, k] of small objects, enlarged to [N, H, W, C] in 0..1."""
        return ops.softmax(self.head(self._enhanced(as_images(images), False), training=False))

    def classify_large(self, images):
        """Probabilities [N, k] of large objects [N, H, W, C] in 0..1, without the generator."""
        return ops.softmax(self.head(self.stages(as_images(images), training=False)[1], training=False))

    @property
    def takes(self):
        """Large and small objects and their classes."""
        pictures, labels = Images(self.image_shape), Labels(self.classes)
        return {"image": pictures, "small": pictures, "small_label": labels, "label": labels}

    @property
    def signatures(self):
        """`classify_small` and `classify_large`."""
        pictures = {"image": Images(self.image_shape)}
        return {
            "classify_small": Signature(pictures, self.classify_small, "probabilities"),
            "classify_large": Signature(pictures, self.classify_large, "probabilities"),
        }

    def _enhanced(self, small, training: bool):
        """F_s + G(f)."""
        first, last = self.stages(small, training=training)
        return last + self.generator(first, training=training)
