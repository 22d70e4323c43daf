"""What of a trained Segmenter goes into a bundle."""

import tensorflow as tf

from vaekit.apps.damage.editor import SMALL, STRIDE, THRESHOLD
from vaekit.export import Exportable, any_size, decode_image, encode_image
from vaekit.models.segmenter import Segmenter
from vaekit.weights import HalfWeights

LARGEST = 2048
"""Longest side that `serving_default` takes: it searches a picture whole, the editor works in tiles."""


def exportable(model: Segmenter, card: dict) -> Exportable:
    """Signatures `tensor` (pictures in, probabilities out) and `serving_default` (files in, masks as PNG out)."""
    weights = HalfWeights([model.segmenter])
    inputs = {"image": tf.TensorSpec((None, None, None, model.channels), tf.float32)}

    @tf.function(input_signature=[*inputs.values()], autograph=False)  # one graph that the signatures share
    def tensor(image):
        with weights.swapped_in():
            return any_size(model.probability, [image], STRIDE)

    def one(image_bytes, threshold):
        image = decode_image(image_bytes, model.channels, LARGEST)[None]
        size = tf.shape(image)[1:3]

        def smaller():
            half = tf.image.resize(image, -(-size // 2), "area")
            return tf.image.resize(tensor(image=half), size, "nearest")

        likely = tensor(image=image)
        likely = tf.cond(tf.reduce_max(size) > SMALL, lambda: tf.maximum(likely, smaller()), lambda: likely)
        return encode_image(tf.cast(likely[0] >= threshold, tf.float32))

    return Exportable(
        weights=weights,
        inputs={"tensor": inputs},
        tensors={"tensor": tensor},
        one=one,
        warmup={"image_bytes": encode_image(tf.fill((64, 64, 3), 0.5))[None], "threshold": tf.constant([THRESHOLD])},
        card=card,
    )
