"""What of a trained SuperResolver goes into a bundle."""

import functools

import cv2
import tensorflow as tf

from vaekit.apps.superres.editor import COLOUR, COLOUR_TAPS, SHARE, SLIGHT, SPECK, STRIDE, signature
from vaekit.apps.superres.training import SuperResolver
from vaekit.export import Exportable, any_size, decode_image, encode_image
from vaekit.networks.enlarging import enlarge
from vaekit.runtime import LEAST
from vaekit.weights import ByteWeights

LARGEST = 1024
"""Longest side that `serving_default` takes: it enlarges a picture whole, the editor works in tiles."""


def exportable(model: SuperResolver, card: dict) -> Exportable:
    """Signatures `tensor`, `tensor_x3` ... (the bare network), `severity` and `serving_default` (files in, PNG out)."""
    # What answers for clean pictures is stored the more exactly: a hundredth of a decibel counts there.
    weights = ByteWeights([model.restorer, model.generator], halved=[model.upscaler, model.estimator])
    image = tf.TensorSpec((None, None, None, 3), tf.float32)
    inputs = {
        "image": image,
        "detail": tf.TensorSpec((None,), tf.float32),
        "clean": tf.TensorSpec((None,), tf.float32),
        "z": tf.TensorSpec((None, model.latent_dim), tf.float32),
    }

    # Traced once, for the graphs of all scales to share.
    @tf.function(input_signature=[image], autograph=False)
    def exact(image):
        with weights.swapped_in(model.upscaler):
            return model.upscaler(image, training=False)

    @tf.function(input_signature=[image, inputs["clean"]], autograph=False)
    def restored(image, clean):
        with weights.swapped_in(model.restorer):
            return model.restorer([image, clean], training=False)

    @tf.function(autograph=False, reduce_retracing=True)
    def added(condition, z):
        with weights.swapped_in(model.generator):
            return model.generator([condition, z], training=False)

    @tf.function(input_signature=[image], autograph=False)
    def severity(image):
        with weights.swapped_in(model.estimator):
            return model.estimator(image, training=False)

    def tensor(factor):
        @tf.function(input_signature=[*inputs.values()], autograph=False)
        def answer(image, detail, clean, z):
            return any_size(lambda fitting: fitted(fitting, detail, clean, z), [image], STRIDE, factor)

        def fitted(image, detail, clean, z):
            dirty = clean > 0.0
            residual = _where(tf.reduce_any(dirty), lambda part: restored(part, clean)[f"x{factor}"], image, factor)
            if factor > 1:
                other = _where(~tf.reduce_all(dirty), lambda part: exact(part)[f"x{factor}"], image, factor)
            else:
                other = tf.zeros_like(image)
            residual = tf.where(dirty[:, None, None, None], residual, other)
            base = tf.clip_by_value(enlarge(image, factor) + residual, 0.0, 1.0)
            more = _where(tf.reduce_any(detail > 0.0), lambda part: added(model.condition(part, factor), z), base, 1)
            return tf.clip_by_value(base + detail[:, None, None, None] * more, 0.0, 1.0)

        return answer

    by_scale = {factor: tensor(factor) for factor in model.scales}

    def one(image_bytes, scale, detail, seed):
        image = decode_image(image_bytes, 3, LARGEST)
        size = tf.shape(image)[:2]
        known = tf.debugging.Assert(tf.reduce_any(scale == model.scales), ["scale is none of", model.scales])
        with tf.control_dependencies([known]):
            image = image[None]
        noise = tf.random.stateless_normal((1, model.latent_dim), tf.stack([seed, 0]))
        z = tf.where(seed == 0, tf.zeros_like(noise), noise)
        # As the editor estimates it.
        lacking = tf.maximum(LEAST - size, 0)
        found = severity(tf.pad(image, [[0, 0], [0, lacking[0]], [0, lacking[1]], [0, 0]]))[0]
        found = tf.round(100.0 * found) / 100.0
        amount = tf.round(100.0 * SHARE * found) / 100.0
        clean = tf.where((found > SLIGHT) & (tf.reduce_max(lacking) == 0), amount, 0.0)
        given = {"image": image, "detail": detail[None], "clean": clean[None], "z": z}
        branches = [functools.partial(answer, **given) for answer in by_scale.values()]
        answer = tf.switch_case(tf.argmax(scale == model.scales, output_type=tf.int32), branches)
        middle = _median(answer)
        answer = tf.where(detail > 0.0, tf.clip_by_value(answer, middle - SPECK, middle + SPECK), answer)
        # As the editor: what the detail has changed of the small picture is taken back.
        shrunk = tf.image.resize(answer, size, "bicubic", antialias=True)
        missed = image - shrunk
        missed = tf.where(clean > 0.0, _blurred(missed), missed)
        answer += tf.image.resize(missed, scale * size, "bicubic")
        return encode_image(answer[0])

    return Exportable(
        weights=weights,
        inputs={**{signature(factor): inputs for factor in by_scale}, "severity": {"image": image}},
        tensors={**{signature(factor): answer for factor, answer in by_scale.items()}, "severity": severity},
        one=one,
        warmup={
            "image_bytes": encode_image(tf.fill((64, 64, 3), 0.5))[None],
            "scale": tf.constant([4]),
            "detail": tf.constant([0.5]),
            "seed": tf.zeros(1, tf.int32),
        },
        card={**card, "latent_dim": model.latent_dim},
    )


def _where(wanted, network, image, factor):
    """What a network answers to [N, H, W, C], [N, factor * H, factor * W, C], or zeros where that is not wanted.

    Then the network sees a corner alone: a graph without branches, which is what ONNX is converted from, must run it.
    """
    size = tf.shape(image)[1:3]
    seen = tf.where(wanted, size, [STRIDE, STRIDE])
    answer = network(image[:, : seen[0], : seen[1]])
    rest = factor * (size - seen)
    answer *= tf.cast(wanted, tf.float32)
    return tf.pad(answer, [[0, 0], [0, rest[0]], [0, rest[1]], [0, 0]])


def _median(image):
    """[1, H, W, C]: medians of 3 x 3 pixels, as the editor's cv2.medianBlur has them.

    The median of nine, sorted in columns, is that of the largest of the least, the middle of the middle and the least
    of the largest.
    """
    height, width = tf.shape(image)[1], tf.shape(image)[2]
    # SYMMETRIC with one pixel repeats the border.
    padded = tf.pad(image, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="SYMMETRIC")
    least, middle, most = _sorted(*(padded[:, y : y + height] for y in range(3)))
    low, between, high = ([part[:, :, x : x + width] for x in range(3)] for part in (least, middle, most))
    return _sorted(_sorted(*low)[2], _sorted(*between)[1], _sorted(*high)[0])[1]


def _sorted(a, b, c):
    """Three tensors, element by element: the least, the middle and the largest."""
    low, high = tf.minimum(a, b), tf.maximum(a, b)
    return tf.minimum(low, c), tf.maximum(low, tf.minimum(high, c)), tf.maximum(high, c)


def _blurred(image):
    """[1, H, W, 3] as the editor's cv2.GaussianBlur has it."""
    taps = tf.constant(cv2.getGaussianKernel(COLOUR_TAPS, COLOUR), tf.float32)
    kernel = tf.tile((taps @ tf.transpose(taps))[..., None, None], [1, 1, 3, 1])
    around = [COLOUR_TAPS // 2] * 2
    padded = tf.pad(image, [[0, 0], around, around, [0, 0]], mode="SYMMETRIC")
    return tf.nn.depthwise_conv2d(padded, kernel, [1] * 4, "VALID")
