"""What of a trained FaceIPGAN goes into a bundle."""

import tensorflow as tf

from vaekit.export import Exportable, central_square, decode_image, encode_image
from vaekit.models.face_ipgan import FaceIPGAN
from vaekit.weights import ByteWeights

LARGEST = 4096
"""Longest side that `serving_default` takes."""


def exportable(model: FaceIPGAN, card: dict) -> Exportable:
    """Signatures `tensor` (the bare networks) and `serving_default` (files in, PNG out).

    All take aligned faces in template N: a server finds none.
    """
    weights = ByteWeights([model.embedder, model.encoder, model.generator, model.identity_adapter, model.pose_mapper])
    height, width, channels = model.image_shape
    face = tf.TensorSpec((None, height, width, channels), tf.float32)
    number = tf.TensorSpec((None,), tf.float32)
    inputs = {"image": face, "shown": face, "shown_too": face, "share": number, "turn": number}

    @tf.function(input_signature=list(inputs.values()), autograph=False)
    def tensor(image, shown, shown_too, share, turn):
        """Who image shows, as between shown (share 0) and shown_too (share 1), turned to the front by `turn`."""
        with weights.swapped_in():
            first, second = model.encode(shown), model.encode(shown_too)
            attributes = first + share[:, None] * (second - first)
            attributes += turn[:, None] * (model.to_front(attributes) - attributes)
            return model.decode(model.identify(image), attributes)

    def one(image_bytes, shown_bytes, turn):
        def face_of(data):
            face, _ = central_square(decode_image(data, channels, LARGEST))
            return tf.image.resize(face[None], (height, width), "area")

        image, shown = face_of(image_bytes), face_of(shown_bytes)
        return encode_image(tensor(image, shown, shown, tf.zeros(1), turn[None])[0])

    grey = encode_image(tf.fill((height, width, 3), 0.5))[None]
    return Exportable(
        weights=weights,
        inputs={"tensor": inputs},
        tensors={"tensor": tensor},
        one=one,
        warmup={"image_bytes": grey, "shown_bytes": grey, "turn": tf.ones(1)},
        card={**card, "side": height},
    )
