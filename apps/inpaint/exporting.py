"""What of a trained Inpainter goes into a bundle."""

import math

import tensorflow as tf

from vaekit.apps.inpaint.editor import COARSE, KNOWN, STRIDE
from vaekit.apps.inpaint.training import Inpainter
from vaekit.export import Exportable, any_size, decode_image, encode_image, enlarge_cubic
from vaekit.weights import HalfWeights

LARGEST = 1024
"""Longest side that `serving_default` takes: it repairs a picture whole, the editor works in tiles."""


def exportable(model: Inpainter, card: dict) -> Exportable:
    """Signatures `tensor` (the bare network) and `serving_default` (files in, PNG out)."""
    weights = HalfWeights([model.generator])
    inputs = {
        "image": tf.TensorSpec((None, None, None, 3), tf.float32),
        "mask": tf.TensorSpec((None, None, None, 1), tf.float32),
        "hint": tf.TensorSpec((None, None, None, 4), tf.float32),
        "z": tf.TensorSpec((None, model.latent_dim), tf.float32),
    }

    @tf.function(input_signature=[*inputs.values()], autograph=False)  # one graph that the signatures share
    def tensor(image, mask, hint, z):
        with weights.swapped_in():
            return any_size(
                lambda image, mask, hint: model.answer({"image": image, "mask": mask, "hint": hint}, z),
                [image, mask, hint],
                STRIDE,
            )

    def one(image_bytes, mask_bytes, seed):
        image = decode_image(image_bytes, 3, LARGEST)
        mask = tf.cast(decode_image(mask_bytes, 1, LARGEST) > 0.5, tf.float32)
        size = tf.shape(image)[:2]
        alike = tf.debugging.assert_equal(tf.shape(mask)[:2], size, "mask and image differ in size")
        with tf.control_dependencies([alike]):
            image, mask = image[None], mask[None]
        noise = tf.random.stateless_normal((1, model.latent_dim), tf.stack([seed, 0]))
        z = tf.where(seed == 0, tf.zeros_like(noise), noise)

        # As the editor: from the coarsest pass, each answer enlarged is the next one's hint.
        longest = tf.cast(tf.reduce_max(size), tf.float32)
        halvings = tf.cast(
            tf.maximum(0.0, tf.math.ceil(tf.math.log(longest / (1.25 * COARSE)) / math.log(2.0))), tf.int32
        )

        def seen(level):
            at = -(-size // tf.bitwise.left_shift(1, level))
            known = tf.image.resize(1.0 - mask, at, "area")
            colours = tf.image.resize(image * (1.0 - mask), at, "area") / tf.maximum(known, 1e-3)
            return colours, tf.cast(known < KNOWN, tf.float32)

        def coarsest():
            colours, hole = (tf.concat([x, x[:, :, ::-1]], axis=0) for x in seen(halvings))
            nothing = tf.zeros_like(tf.concat([colours, hole], axis=-1))
            answers = tensor(image=colours, mask=hole, hint=nothing, z=tf.repeat(z, 2, axis=0))
            return (answers[:1] + answers[1:, :, ::-1]) / 2.0

        def finer(level, guess):
            colours, hole = seen(level)
            hint = tf.concat([enlarge_cubic(guess, tf.shape(hole)[1:3]), tf.ones_like(hole)], axis=-1)
            return level - 1, tensor(image=colours, mask=hole, hint=hint, z=z)

        free = (tf.TensorShape(()), tf.TensorShape((1, None, None, 3)))
        _, filled = tf.while_loop(lambda level, _: level >= 0, finer, (halvings - 1, coarsest()), free)
        return encode_image(tf.where(mask > 0, filled, image)[0])

    return Exportable(
        weights=weights,
        inputs={"tensor": inputs},
        tensors={"tensor": tensor},
        one=one,
        warmup={
            "image_bytes": encode_image(tf.fill((192, 192, 3), 0.5))[None],
            "mask_bytes": encode_image(tf.pad(tf.ones((32, 32, 3)), ((80, 80), (80, 80), (0, 0))))[None],
            "seed": tf.zeros(1, tf.int32),
        },
        card={**card, "latent_dim": model.latent_dim},
    )
