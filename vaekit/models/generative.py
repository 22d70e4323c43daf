"""What one does with a model that draws images from latents."""

from keras import ops

from vaekit.game import AdversarialModel


def given(x, condition):
    """x | c, as a network takes them: [x, c], or x alone where there is no condition."""
    return x if condition is None else [ops.convert_to_tensor(x), condition]


class Generative(AdversarialModel):
    """Base of the models that draw images: a subclass keeps `latent_dim`, defines `decode`, and perhaps `encode`.

    With `classes`, labels are [N] integers below it, or [N, classes] numbers, an attribute each; without, there are
    none.
    """

    classes = 0

    def condition(self, labels):
        """c, [N, classes] float32, or None without classes."""
        if not self.classes:
            return None
        if len(labels.shape) == 1:
            return ops.one_hot(labels, self.classes, dtype="float32")
        return ops.cast(labels, "float32")

    @property
    def encodes(self) -> bool:
        """Whether it has an encoder."""
        return type(self).encode is not Generative.encode

    def encode(self, images, labels=None):
        """Latents [N, latent_dim] of images [N, H, W, C] in 0..1."""
        raise NotImplementedError

    def decode(self, z, labels=None):
        """Images [N, H, W, C] in 0..1 of latents [N, latent_dim]."""
        raise NotImplementedError

    def prior(self, count: int):
        """Latents [count, latent_dim] to sample from."""
        return self.random_normal((count, self.latent_dim))

    def sample(self, count: int, labels=None):
        """`count` images from the prior; with classes, of these labels, or of all in turn."""
        if self.classes and labels is None:
            labels = ops.arange(count) % self.classes
        return self.decode(self.prior(count), labels)

    def reconstruct(self, images, labels=None):
        """Dec(Enc(x))."""
        return self.decode(self.encode(images, labels), labels)

    call = reconstruct


class Autoencoding(Generative):
    """Base of those whose `encoder` gives an image one code, without noise, and whose `decoder` redraws it."""

    def encode(self, images, labels=None):
        """Enc(x): [N, latent_dim] of images [N, H, W, C] in 0..1."""
        return self.encoder(images, training=False)

    def decode(self, z, labels=None):
        """Dec(h): images [N, H, W, C] in 0..1 of codes [N, latent_dim]."""
        return self.decoder(z, training=False)
