"""Towards diverse and natural image descriptions via a conditional GAN (Dai et al. 2017)."""

import keras
from keras import ops

from vaekit import losses
from vaekit.backends import replicas
from vaekit.game import AdversarialModel, Signature
from vaekit.networks.convolutional import encoder
from vaekit.networks.text import next_word, text_encoder
from vaekit.specs import Images, Vectors, as_images


@keras.saving.register_keras_serializable("vaekit")
class Captioner(AdversarialModel):
    """A generator writes a caption of a picture and of noise; an evaluator says whether a caption suits a picture.

    r(I, S) is the sigmoid of the inner product of the picture's and the caption's embeddings. The evaluator learns to
    tell captions by people from captions of other pictures and from generated ones. Words are chosen by Gumbel-softmax
    (Jang et al. 2017), one-hot with the gradient of the softmax, where the paper has policy gradients with rollouts.
    The likelihood of people's captions stays in the generator's loss, where the paper pretrains with it. A batch holds
    "image" [N, H, W, C] in 0..1 and "text" [N, length], numbers of words, 0 behind a caption's end.

    Args:
        image_shape: (H, W, C).
        words: size of the vocabulary, 0 included.
        length: words of the longest caption.
        latent_dim: of the noise.
        state_dim: of the generator's state.
        embedding_dim: of the evaluator's embeddings.
        base: channels of the first convolution.
        likelihood: weight of the likelihood of people's captions in the generator's loss.
        adversarial: weight of -log r(I, G(I, z)) there; 0 for likelihood alone.
        temperature: of the choice of words.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> images, text = rng.integers(0, 256, (4, 16, 16, 3), "uint8"), rng.integers(1, 7, (4, 5))
        >>> model = Captioner((16, 16, 3), words=7, length=5, state_dim=8, embedding_dim=4, base=4)
        >>> model.compile("adam")
        >>> history = model.fit(images, text, batch_size=2, verbose=0)
        >>> model.predict(images, verbose=0).shape
        (4, 5)
    """

    terms = ("likelihood", "right", "wrong", "generated")
    averaged = ("generator",)

    def __init__(
        self, image_shape, words, length, latent_dim=16, state_dim=128, embedding_dim=64, base=24, likelihood=1.0,
        adversarial=0.1, temperature=0.5, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.image_shape, self.words, self.length = tuple(image_shape), words, length
        self.latent_dim, self.state_dim, self.embedding_dim = latent_dim, state_dim, embedding_dim
        self.base, self.likelihood, self.adversarial, self.temperature = base, likelihood, adversarial, temperature
        # === Networks ===
        self.image_encoder = encoder(image_shape, state_dim, base)
        self.word_decoder = next_word(words, state_dim, latent_dim)
        self.image_embedder = encoder(image_shape, embedding_dim, base, normalize=False)
        self.text_embedder = text_encoder(words, length, embedding_dim, one_hot=True)
        self.set_players(
            {
                "generator": [self.image_encoder, self.word_decoder],
                "evaluator": [self.image_embedder, self.text_embedder],
            }
        )

    # === Objective: eq. 2 and 8, whose weights alpha and beta are 1; the generator's with likelihood beside it ===
    def objective(self, batch, training=True):
        """-log r(I, G(I, z)) - log p(S | I); -log r(I, S) - log(1 - r(I, G(I, z))) - log(1 - r(I, S of another I))."""
        x, text = batch["image"], ops.cast(batch["text"], "int32")
        people = ops.one_hot(text, self.words, dtype="float32")
        count = ops.shape(x)[0]
        features = ops.tanh(self.image_encoder(x, training=training))
        silent = ops.zeros((count, self.latent_dim))
        told = self._written(features, silent, training, lambda place, _: people[:, place])[0]
        l_likelihood = losses.pixel_class_loss(people, told)
        gumbel = self._gumbel(count)
        noise = self.random_normal((count, self.latent_dim))
        written = self._written(
            features, noise, training, lambda place, scores: self._chosen(scores + gumbel[:, place])
        )[1]
        image = self.image_embedder(x, training=training)
        own, made = (self.text_embedder(words, training=training) for words in (people, written))
        other = replicas.local_rows(lambda _: ops.roll(replicas.all_gather(own), 1, axis=0), ops.shape(own))
        r_own, r_made, r_other = (ops.sum(image * caption, axis=-1) for caption in (own, made, other))
        l_right, l_wrong, l_made = (
            losses.real_log_loss(r_own), losses.fake_log_loss(r_other), losses.fake_log_loss(r_made)
        )  # fmt: skip
        l_g = self.likelihood * l_likelihood + self.adversarial * losses.real_log_loss(r_made)
        return (
            {"generator": l_g, "evaluator": l_right + l_wrong + l_made},
            {"likelihood": l_likelihood, "right": l_right, "wrong": l_wrong, "generated": l_made},
        )

    def default_optimizers(self):
        """Adam 1e-3 for the generator and 2e-4 for the evaluator."""
        return {"generator": keras.optimizers.Adam(1e-3), "evaluator": keras.optimizers.Adam(2e-4)}

    # === Use ===
    def caption(self, images):
        """The likeliest words, one after the other, of images [N, H, W, C] in 0..1: [N, length] int32."""
        images = as_images(images)
        return self.write(images, ops.zeros((ops.shape(images)[0], self.latent_dim)))

    def write(self, images, noise):
        """The captions [N, length] int32 of images [N, H, W, C] in 0..1 and noise [N, latent_dim]."""
        features, noise = ops.tanh(self.image_encoder(as_images(images), training=False)), ops.convert_to_tensor(noise)
        return self._numbers(self._written(features, noise, False, lambda place, scores: self._hard(scores))[1])

    def sample(self, images, temperature: float = 1.0):
        """Captions [N, length] int32 whose words are drawn from softmax(logits / temperature), without noise else."""
        images = as_images(images)
        count = ops.shape(images)[0]
        gumbel = temperature * self._gumbel(count)
        features = ops.tanh(self.image_encoder(images, training=False))
        silent = ops.zeros((count, self.latent_dim))
        choose = lambda place, scores: self._hard(scores + gumbel[:, place])  # noqa: E731
        return self._numbers(self._written(features, silent, False, choose)[1])

    @property
    def takes(self):
        """Images as x, captions as y."""
        return {"image": Images(self.image_shape), "text": Vectors((self.length,))}

    @property
    def signatures(self):
        """`caption`, and `write`, which takes the noise."""
        image = {"image": Images(self.image_shape)}
        return {
            "caption": Signature(image, self.caption, "text"),
            "write": Signature({**image, "noise": Vectors((self.latent_dim,))}, self.write, "text"),
        }

    def _written(self, features, noise, training: bool, choose):
        """Scores and words [N, length, words], one word after the other, each by choose(place, scores [N, words])."""
        state, word = features, ops.zeros((ops.shape(features)[0], self.words))
        scores, words = [], []
        for place in range(self.length):
            score, state = self.word_decoder([word, state, noise], training=training)
            word = choose(place, score)
            scores.append(score)
            words.append(word)
        return ops.stack(scores, axis=1), ops.stack(words, axis=1)

    def _gumbel(self, count: int):
        """Noise [count, length, words] of the standard Gumbel distribution."""
        uniform = self.random_uniform((count, self.length, self.words))
        return -ops.log(1e-7 - ops.log(uniform + 1e-7))

    def _chosen(self, scores):
        """One-hot [N, words], with the gradient of softmax(scores / temperature)."""
        soft = ops.softmax(scores / self.temperature, axis=-1)
        return soft + ops.stop_gradient(self._hard(soft) - soft)

    def _hard(self, scores):
        return ops.one_hot(ops.argmax(scores, axis=-1), self.words, dtype="float32")

    def _numbers(self, words):
        """Numbers of one-hot words; what follows the first 0 is 0."""
        numbers = ops.cast(ops.argmax(words, axis=-1), "int32")
        return numbers * ops.cumprod(ops.cast(numbers > 0, "int32"), axis=1)
