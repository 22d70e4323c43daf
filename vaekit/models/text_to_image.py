"""GAN-CLS: generative adversarial text to image synthesis (Reed et al. 2016)."""

import keras
from keras import ops

from vaekit import losses
from vaekit.backends import replicas
from vaekit.game import AdversarialModel, Signature
from vaekit.networks.convolutional import decoder, discriminator
from vaekit.networks.text import text_encoder
from vaekit.specs import Images, Vectors


@keras.saving.register_keras_serializable("vaekit")
class TextToImage(AdversarialModel):
    """Draws pictures of captions; the discriminator also learns that a real picture with another's caption is wrong.

    A batch holds "image" [N, H, W, C] in 0..1 and "text" [N, length], the numbers of a caption's words, 0 behind its
    end (vaekit.data.captions). The text encoder is the discriminator's; the paper's was trained before.

    Args:
        image_shape: (H, W, C).
        words: size of the vocabulary, 0 included.
        length: words of the longest caption.
        latent_dim: size of z.
        text_dim: size of an encoded caption.
        base: channels of the first convolution.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> images, text = rng.integers(0, 256, (4, 16, 16, 3), "uint8"), rng.integers(1, 7, (4, 5))
        >>> model = TextToImage((16, 16, 3), words=7, length=5, latent_dim=4, base=4)
        >>> model.compile("adam")
        >>> history = model.fit(images, text, batch_size=2, verbose=0)
        >>> model.predict(text, verbose=0).shape
        (4, 16, 16, 3)
    """

    terms = ("right", "wrong", "generated")
    averaged = ("generator",)

    def __init__(self, image_shape, words, length, latent_dim=64, text_dim=64, base=32, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.words, self.length = tuple(image_shape), words, length
        self.latent_dim, self.text_dim, self.base = latent_dim, text_dim, base
        # === Networks ===
        self.text_encoder = text_encoder(words, length, text_dim)
        self.generator = decoder(image_shape, latent_dim, base, text_dim)
        # Without normalisation: the variances of a batch can tell right captions from wrong ones all together.
        self.discriminator = discriminator(image_shape, base, normalize=False, condition_dim=text_dim)
        self.set_players({"generator": [self.generator], "discriminator": [self.discriminator, self.text_encoder]})

    # === Objective: algorithm 1 ===
    def objective(self, batch, training=True):
        """-log s_f; -log s_r - (log(1 - s_w) + log(1 - s_f)) / 2."""
        x, text = batch["image"], batch["text"]
        right = self.text_encoder(text, training=training)
        # Another picture's caption: at times the same one, as in the paper.
        wrong = replicas.local_rows(lambda _: ops.roll(replicas.all_gather(right), 1, axis=0), ops.shape(right))
        z = self.random_normal((ops.shape(x)[0], self.latent_dim))
        drawn = self.generator([z, right], training=training)
        s_r, s_w, s_f = (
            self.discriminator([image, caption], training=training)["logits"]
            for image, caption in ((x, right), (x, wrong), (drawn, right))
        )
        l_right, l_wrong, l_generated = (
            losses.real_log_loss(s_r),
            losses.fake_log_loss(s_w),
            losses.fake_log_loss(s_f),
        )
        return (
            {"generator": losses.real_log_loss(s_f), "discriminator": l_right + 0.5 * (l_wrong + l_generated)},
            {"right": l_right, "wrong": l_wrong, "generated": l_generated},
        )

    # === Use ===
    def draw(self, text, noise):
        """G(z, phi(t)): images [N, H, W, C] in 0..1 of captions [N, length] and noise [N, latent_dim]."""
        noise = ops.convert_to_tensor(noise, "float32")
        return self.generator([noise, self.text_encoder(text, training=False)], training=False)

    def sample(self, text):
        """Images [N, H, W, C] in 0..1 of captions [N, length]."""
        return self.draw(text, self.random_normal((ops.shape(text)[0], self.latent_dim)))

    def translate(self, text):
        """G(0, phi(t)): the same image for a caption each time."""
        return self.draw(text, ops.zeros((ops.shape(text)[0], self.latent_dim)))

    @property
    def takes(self):
        """Images as x, captions as y."""
        return {"image": Images(self.image_shape), "text": self._captions}

    @property
    def signatures(self):
        """`translate`, and `draw`, which takes the noise."""
        text = {"text": self._captions}
        return {
            "translate": Signature(text, self.translate, "image"),
            "draw": Signature({**text, "noise": Vectors((self.latent_dim,))}, self.draw, "image"),
        }

    @property
    def _captions(self):
        return Vectors((self.length,))
