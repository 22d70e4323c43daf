"""What of a trained Inpainter goes into a bundle."""

import tensorflow as tf

from vaekit.apps.inpaint.training import Inpainter
from vaekit.export import Exportable, decode_image, encode_image

COARSE = 128
"""Longer side of the first pass over a whole picture, in pixels."""
LARGEST = 1024
"""Longest side that `serving_default` takes: it repairs a picture whole, the editor works in tiles."""


def exportable(model: Inpainter, card: dict) -> Exportable:
    """Signatures `tensor` (the bare network) and `serving_default` (files in, PNG out)."""

    inputs = {
        "image": tf.TensorSpec((None, None, None, 3), tf.float32),
        "mask": tf.TensorSpec((None, None, None, 1), tf.float32),
        "hint": tf.TensorSpec((None, None, None, 4), tf.float32),
        "z": tf.TensorSpec((None, model.latent_dim), tf.float32),
    }

    @tf.function(input_signature=[*inputs.values()])  # one graph that the signatures share
    def tensor(image, mask, hint, z):
        return model.answer({"image": image, "mask": mask, "hint": hint}, z)

    def one(arguments):
        image = decode_image(arguments[0], 3)
        mask = tf.cast(decode_image(arguments[1], 1) > 0.5, tf.float32)
        size = tf.shape(image)[:2]
        checks = [
            tf.debugging.assert_equal(tf.shape(mask)[:2], size, "mask and image differ in size"),
            tf.debugging.assert_less_equal(tf.reduce_max(size), LARGEST, f"image larger than {LARGEST} pixels"),
        ]
        with tf.control_dependencies(checks):
            image, mask = image[None], mask[None]
        noise = tf.random.stateless_normal((1, model.latent_dim), tf.stack([arguments[2], 0]))
        z = tf.where(arguments[2] == 0, tf.zeros_like(noise), noise)

        small = tf.minimum(1.0, COARSE / tf.cast(tf.reduce_max(size), tf.float32))
        coarse_size = tf.maximum(1, tf.cast(tf.round(tf.cast(size, tf.float32) * small), tf.int32))
        known = tf.image.resize(1.0 - mask, coarse_size, "area")
        coarse_image = tf.image.resize(image * (1.0 - mask), coarse_size, "area") / tf.maximum(known, 1e-3)
        coarse_mask = tf.cast(known < 0.5, tf.float32)
        coarse = _whole(tensor, coarse_image, coarse_mask, tf.zeros_like(coarse_image), tf.zeros_like(known), z)
        guess = tf.image.resize(coarse, size, "bicubic")
        # At the network's own resolution the first pass is the answer already.
        filled = tf.cond(small < 1.0, lambda: _whole(tensor, image, mask, guess, tf.ones_like(mask), z), lambda: coarse)
        return encode_image(tf.where(mask > 0, filled, image)[0])

    def serving(image_bytes, mask_bytes, seed):
        spec = tf.TensorSpec((), tf.string)
        return {"image_bytes": tf.map_fn(one, (image_bytes, mask_bytes, seed), fn_output_signature=spec)}

    return Exportable(
        networks=[model.generator],
        inputs=inputs,
        tensor=tensor,
        serving_inputs={
            "image_bytes": tf.TensorSpec((None,), tf.string),
            "mask_bytes": tf.TensorSpec((None,), tf.string),
            "seed": tf.TensorSpec((None,), tf.int32),
        },
        serving=serving,
        warmup={
            "image_bytes": encode_image(tf.fill((192, 192, 3), 0.5))[None],
            "mask_bytes": encode_image(tf.pad(tf.ones((32, 32, 3)), ((80, 80), (80, 80), (0, 0))))[None],
            "seed": tf.zeros(1, tf.int32),
        },
        card={**card, "latent_dim": model.latent_dim},
    )


def _whole(tensor, image, mask, guess, guessed, z):
    """Run the network over a picture of any size: padded to what its strides divide."""
    size = tf.shape(image)[1:3]
    extra = (-size) % 16
    pads = [[0, 0], [0, extra[0]], [0, extra[1]], [0, 0]]
    image, hint = tf.pad(image, pads), tf.pad(tf.concat([guess, guessed], axis=-1), pads)
    # The padding is unknown too, so it is filled rather than taken for black.
    mask = tf.pad(mask, pads, constant_values=1.0)
    return tensor(image, mask, hint, z)[:, : size[0], : size[1]]
