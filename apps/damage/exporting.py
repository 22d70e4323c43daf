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
        with weights.worn():
            return any_size(model.probability, [image], STRIDE)

    def one(arguments):
        image = decode_image(arguments[0], model.channels, LARGEST)[None]
        size = tf.shape(image)[1:3]

        def smaller():
            half = tf.image.resize(image, -(-size // 2), "area")
            return tf.image.resize(tensor(image=half), size, "nearest")

        likely = tensor(image=image)
        likely = tf.cond(tf.reduce_max(size) > SMALL, lambda: tf.maximum(likely, smaller()), lambda: likely)
        return encode_image(tf.cast(likely[0] >= arguments[1], tf.float32))

    def serving(image_bytes, threshold):
        spec = tf.TensorSpec((), tf.string)
        return {"image_bytes": tf.map_fn(one, (image_bytes, threshold), fn_output_signature=spec)}

    return Exportable(
        weights=weights,
        inputs={"tensor": inputs},
        tensors={"tensor": tensor},
        serving_inputs={
            "image_bytes": tf.TensorSpec((None,), tf.string),
            "threshold": tf.TensorSpec((None,), tf.float32),
        },
        serving=serving,
        warmup={"image_bytes": encode_image(tf.fill((64, 64, 3), 0.5))[None], "threshold": tf.constant([THRESHOLD])},
        card=card,
    )
