"""Generated images of earlier steps, which a discriminator goes on judging."""

import keras
from keras import layers, ops

from vaekit.backends import replicas


@keras.saving.register_keras_serializable("vaekit")
class ImageHistory(layers.Layer):
    """Keeps `size` images, and hands out one of them for half of those that it is given.

    An image takes a place that is empty yet, or, with a probability of 1/2, that of an image which is handed out in its
    stead. A discriminator that sees both does not forget what a generator has done before (Shrivastava et al. 2017,
    section 2.3). Of a batch of more than `size` images, the others are handed back.

    Args:
        size: how many images are kept.
    """

    def __init__(self, size: int = 50, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.size = size

    def build(self, shape):
        """Shape: images [N, H, W, C]."""
        kept = {"initializer": "zeros", "trainable": False, "aggregation": "only_first_replica"}
        self.images = self.add_weight(shape=(self.size, *shape[1:]), name="images", **kept)
        self.held = self.add_weight(shape=(self.size,), name="held", **kept)

    def call(self, images, noise):
        """Images [N, H, W, C], some of them earlier ones; no gradient goes back.

        Args:
            images: [N, H, W, C].
            noise: [N, 2] in 0..1: below 1/2 in the first column where an image gives way to an earlier one; the second
                column's first number says at which place they begin to be laid down.
        """
        shape = ops.shape(images)
        new = replicas.all_gather(ops.stop_gradient(ops.cast(images, "float32")))
        noise = replicas.all_gather(noise)
        count = ops.shape(new)[0]
        start = ops.cast(self.size * noise[0, 1], "int32")
        row = ops.arange(count, dtype="int32")
        place = (start + row) % self.size
        old, held = ops.convert_to_tensor(self.images), ops.convert_to_tensor(self.held)
        fits, taken = row < self.size, ops.take(held, place) > 0
        exchanged = fits & taken & (noise[:, 0] < 0.5)
        answer = ops.where(exchanged[:, None, None, None], ops.take(old, place, axis=0), new)
        # Of each place, which row is laid down in it.
        comes = (ops.arange(self.size, dtype="int32") - start) % self.size
        source = ops.minimum(comes, count - 1)
        laid = (comes < count) & ops.take(exchanged | (fits & ~taken), source)
        self.images.assign(ops.where(laid[:, None, None, None], ops.take(new, source, axis=0), old))
        self.held.assign(ops.where(laid, 1.0, held))
        return replicas.local_rows(lambda _: answer, shape)

    def get_config(self):
        """Mirror __init__."""
        return {**super().get_config(), "size": self.size}
