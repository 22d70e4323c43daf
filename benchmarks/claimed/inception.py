"""The usual features of Frechet distances: InceptionV3's, of ImageNet."""

import keras
import numpy as np
from keras import ops

from claimed.common import in_parts

SIDE = 299


class Inception:
    """Loaded features: features(images) -> [N, 2048]. Images are [N, H, W, 1 or 3] float in 0..1.

    Raises:
        SystemExit: the weights, which Keras downloads, are not to be had.
    """

    def __init__(self):
        try:
            self.network = keras.applications.InceptionV3(include_top=False, pooling="avg")
        except Exception as error:
            raise SystemExit(f"--features inception: the weights of InceptionV3 cannot be loaded: {error}") from None

    def __call__(self, images) -> np.ndarray:
        """Features of an array of images."""
        return in_parts(self._features, np.asarray(images, np.float32))

    def _features(self, part):
        pixels = ops.image.resize(ops.repeat(part, 3 // part.shape[-1], axis=-1), (SIDE, SIDE), antialias=True)
        return self.network(2.0 * pixels - 1.0, training=False)
