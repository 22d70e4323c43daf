"""What of a trained AttributeCVAEGAN goes into a bundle."""

import tensorflow as tf

from vaekit.export import Exportable, HalfWeights, decode_image, encode_image
from vaekit.models.attribute_cvaegan import AttributeCVAEGAN

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

    @tf.function(input_signature=list(inputs.values()))
    def tensor(image, change, direction):
        with weights.worn():
            return tf.clip_by_value(image + model.edit(image, change, direction), 0.0, 1.0)

    @tf.function(input_signature=[inputs["image"]])
    def encode(image):
        with weights.worn():
            return model.encode(image)

    @tf.function(input_signature=[inputs["image"]])
    def recognise(image):
        with weights.worn():
            return tf.sigmoid(model.recognise(image)["logits"])

    def one(arguments):
        image_bytes, change = arguments
        image = decode_image(image_bytes, 3)[None]
        size = tf.shape(image)[1:3]
        check = tf.debugging.assert_less_equal(tf.reduce_max(size), LARGEST, f"image larger than {LARGEST} pixels")
        with tf.control_dependencies([check]):
            small = tf.image.resize(image, (height, width), "area")
        added = tensor(small, change[None], tf.zeros((1, *code))) - small
        return encode_image((image + tf.image.resize(added, size, "bicubic"))[0])

    def serving(image_bytes, change):
        spec = tf.TensorSpec((), tf.string)
        return {"image_bytes": tf.map_fn(one, (image_bytes, change), fn_output_signature=spec)}

    return Exportable(
        weights=weights,
        inputs={"tensor": inputs, "code": {"image": inputs["image"]}, "attributes": {"image": inputs["image"]}},
        tensors={"tensor": tensor, "code": encode, "attributes": recognise},
        serving_inputs={
            "image_bytes": tf.TensorSpec((None,), tf.string),
            "change": tf.TensorSpec((None, count), tf.float32),
        },
        serving=serving,
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
