"""What one does with a model that draws images from latents."""

import contextlib
import functools
import math

import numpy as np
from keras import ops

from vaekit.game import AdversarialModel, Signature
from vaekit.specs import Images, Labels, Vectors, as_images


def given(x, condition):
    """x | c, as a network takes them: [x, c], or x alone where there is no condition."""
    return x if condition is None else [ops.convert_to_tensor(x), condition]


class Generative(AdversarialModel):
    """Base of the models that draw images: a subclass keeps `latent_dim`, defines `decode`, and perhaps `encode`.

    With `classes`, labels are [N] integers below it, or [N, classes] numbers, an attribute each; without, there are
    none. `fit` takes images, and then labels as y.
    """

    classes = 0

    @property
    def through(self) -> str:
        """What one walks through from picture to picture: "code", what `encode` finds, or "prior", what is sampled."""
        return "code" if self.encodes else "prior"

    @property
    def takes(self):
        """Images, and labels where there are classes."""
        return {"image": Images(self.image_shape), **self._told}

    @property
    def _told(self):
        return {"label": Labels(self.classes, attributes=True)} if self.classes else {}

    @property
    def signatures(self):
        """`reconstruct` and `encode` where there is an encoder, `decode`, and `sample`, which takes standard noise."""
        images, told = Images(self.image_shape), self._told
        found = {}
        if self.encodes:
            found["reconstruct"] = Signature({"image": images, **told}, self.reconstruct, "reconstruction")
            found["encode"] = Signature({"image": images, **told}, self.encode, "z")
        found["decode"] = Signature({"z": Vectors((self.latent_dim,)), **told}, self.decode, "image")
        found["sample"] = Signature({"noise": Vectors((self.drawn_dim,)), **told}, self.from_noise, "image")
        return found

    def condition(self, labels):
        """c, [N, classes] float32, or None without classes.

        Raises:
            ValueError: labels are missing, or not what the model takes.
        """
        if not self.classes:
            return None
        if labels is None:
            raise ValueError(f"{type(self).__name__} has {self.classes} classes: it needs labels")
        labels = self._labels(labels)
        if len(labels.shape) == 1:
            return ops.one_hot(labels, self.classes, dtype="float32")
        return ops.cast(labels, "float32")

    def _labels(self, labels):
        spec = Labels(self.classes, attributes=True)
        if isinstance(labels, (list, np.ndarray)):
            spec.check("labels", np.asarray(labels))
        return spec.cast("labels", np.asarray(labels) if isinstance(labels, list) else labels)

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

    @functools.cached_property
    def drawn_dim(self) -> int:
        """How many numbers `prior` draws for a latent."""
        drawn = []

        def count(shape):
            drawn.append(math.prod(shape[1:]))
            return ops.zeros(shape)

        with self._drawing(count, count):
            self.prior(1)
        return sum(drawn)

    def from_noise(self, noise, label=None):
        """Images of what `prior` makes of noise instead of drawing: [N, drawn_dim], each number from N(0, 1).

        Where the prior draws uniform numbers, they are the share of N(0, 1) below the noise.
        """
        first = 0

        def normal(shape):
            nonlocal first
            last = first + math.prod(shape[1:])
            part, first = noise[:, first:last], last
            return ops.reshape(part, (-1, *shape[1:]))

        with self._drawing(normal, lambda shape: 0.5 + 0.5 * ops.erf(normal(shape) / math.sqrt(2.0))):
            z = self.prior(ops.shape(noise)[0])
        return self.decode(z, label)

    @contextlib.contextmanager
    def _drawing(self, normal, uniform):
        """Within it, the model draws its noise by functions of a shape."""
        held = {name: self.__dict__.get(name) for name in ("random_normal", "random_uniform")}
        self.__dict__.update(random_normal=normal, random_uniform=uniform)
        try:
            yield
        finally:
            for name, own in held.items():
                self.__dict__.pop(name) if own is None else self.__dict__.update({name: own})

    def sample(self, count: int, labels=None):
        """`count` images from the prior; with classes, of these labels, or of all in turn."""
        if self.classes and labels is None:
            labels = ops.arange(count) % self.classes
        return self.decode(self.prior(count), labels)

    def reconstruct(self, images, labels=None):
        """Dec(Enc(x))."""
        return self.decode(self.encode(images, labels), labels)


class Autoencoding(Generative):
    """Base of those whose `encoder` gives an image one code, without noise, and whose `decoder` redraws it."""

    def encode(self, images, labels=None):
        """Enc(x): [N, latent_dim] of images [N, H, W, C] in 0..1."""
        return self.encoder(as_images(images), training=False)

    def decode(self, z, labels=None):
        """Dec(h): images [N, H, W, C] in 0..1 of codes [N, latent_dim]."""
        return self.decoder(z, training=False)
