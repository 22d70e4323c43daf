"""What of a trained AttributeCVAEGAN goes into a bundle."""

import tensorflow as tf

from vaekit import faces
from vaekit.apps.edit.editor import STRONGEST
from vaekit.export import Exportable, central_square, decode_image, encode_image
from vaekit.models.attribute_cvaegan import AttributeCVAEGAN
from vaekit.weights import HalfWeights

LARGEST = 4096
"""Longest side that `serving_default` takes."""


def exportable(model: AttributeCVAEGAN, card: dict) -> Exportable:
    """Signatures `tensor`, `code` and `attributes` (the bare networks) and `serving_default` (files in, PNG out).

    All take aligned faces: a server finds none.
    """
    weights = HalfWeights([model.encoder, model.generator, model.recogniser])
    height, width = card["recipe"]["train"]["image_size"]
    count = len(model.attributes)
    code = (height // model.stride, width // model.stride, model.latent_channels)
    inputs = {
        "image": tf.TensorSpec((None, height, width, 3), tf.float32),
        "change": tf.TensorSpec((None, count), tf.float32),
        "direction": tf.TensorSpec((None, *code), tf.float32),
    }

    face = inputs["image"]

    @tf.function(input_signature=list(inputs.values()), autograph=False)
    def tensor(image, change, direction):
        with weights.swapped_in():
            return tf.clip_by_value(image + model.edit(image, change, direction), 0.0, 1.0)

    @tf.function(input_signature=[face], autograph=False)
    def encode(image):
        with weights.swapped_in():
            return model.encode(image)

    @tf.function(input_signature=[face], autograph=False)
    def recognise(image):
        with weights.swapped_in():
            return tf.sigmoid(model.recognise(image)["logits"])

    weight = tf.constant(faces.oval(height))[..., None]

    def one(image_bytes, change):
        """As the editor does with an aligned face."""
        image = decode_image(image_bytes, 3, LARGEST)
        crop, before = central_square(image)
        side = tf.shape(crop)[0]
        small = tf.image.resize(crop[None], (height, width), "area")
        added = tensor(small, _changes(change, recognise(small)[0], model.groups)[None], tf.zeros((1, *code))) - small
        large = tf.image.resize(added * weight, (side, side), "bicubic")[0]
        after = tf.shape(image)[:2] - side - before
        return encode_image(image + tf.pad(large, [[before[0], after[0]], [before[1], after[1]], [0, 0]]))

    return Exportable(
        weights=weights,
        inputs={"tensor": inputs, "code": {"image": face}, "attributes": {"image": face}},
        tensors={"tensor": tensor, "code": encode, "attributes": recognise},
        one=one,
        warmup={
            "image_bytes": encode_image(tf.fill((height, width, 3), 0.5))[None],
            "change": tf.zeros((1, count)),
        },
        card={
            **card,
            "side": height,
            "attributes": model.attributes,
            "exclusive": model.exclusive,
            "code": list(code),
        },
    )


def _changes(change, seen, groups):
    """The editor's resolution of exclusive attributes: where one is to come, what is there of the others goes."""
    columns = tf.unstack(change)
    for places in groups:
        wanted, there = tf.gather(change, places), tf.gather(seen, places)
        coming = tf.maximum(wanted, 0.0)
        strongest = tf.reduce_max(coming)
        share = strongest * tf.math.divide_no_nan(coming, tf.reduce_sum(coming))
        resolved = tf.where(coming > 0, share, tf.minimum(wanted, 0.0) - strongest * there)
        for place, value in zip(places, tf.unstack(tf.where(strongest > 0, resolved, wanted)), strict=True):
            columns[place] = value
    return tf.clip_by_value(tf.stack(columns), -STRONGEST, STRONGEST)
