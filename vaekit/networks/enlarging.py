"""Enlarging networks: a residual on bicubic enlargement, computed at the small size."""

import keras
import numpy as np
from keras import layers, ops

from vaekit.networks.blocks import Conv2DTranspose, residual_block
from vaekit.resample import cubic


def residual_upscaler(
    channels: int, scales: tuple[int, ...] = (2, 3, 4), width: int = 48, depth: int = 12, restores: bool = False
):
    """Map pictures [N, h, w, channels] in 0..1 to residuals {"x2": [N, 2 h, 2 w, channels], ...}, one for each scale.

    One body at the small size serves all scales (MDSR, Lim et al. 2017). Its last layers enlarge: a transposed
    convolution of 3 * s pixels is a sub-pixel convolution (Shi et al. 2016) of 3. They start at zero, so that an
    untrained network answers 0. Its activation is ReLU: SiLU is all but a line for signals as small as the
    detail of a picture, and a network of it stopped at what a linear filter can do.

    Args:
        channels: channels of the pictures.
        scales: what it enlarges by; 1 leaves the size.
        width: channels of its body.
        depth: residual blocks of its body.
        restores: whether there is a second input, "clean" [N] in 0..1: how much of noise, blur and compression is to
            be removed. It scales and shifts the features of every block (FiLM, Perez et al. 2018). At 0 it does
            nothing, so the network is exactly that of a clean picture.
    """
    small = layers.Input((None, None, channels), name="small", dtype="float32")
    clean = layers.Input((), name="clean", dtype="float32") if restores else None
    # The root sets little apart from nothing.
    strength = ops.stack([clean, ops.sqrt(clean)], axis=-1) if restores else None
    seen = ops.concatenate([2.0 * small - 1.0, fine_detail(small)], axis=-1)
    x = first = layers.Conv2D(width, 3, padding="same")(seen)
    for _ in range(depth):
        x = residual_block(x, activation="relu") if strength is None else _restoring_block(x, strength)
    x = layers.Add()([first, layers.Conv2D(width, 3, padding="same")(x)])
    residuals = {
        f"x{s}": Conv2DTranspose(
            channels, 3 * s, strides=s, padding="same", kernel_initializer="zeros", dtype="float32", name=f"x{s}"
        )(x)
        for s in scales
    }
    return keras.Model([small, clean] if restores else small, residuals, name="residual_upscaler")


def _restoring_block(x, strength):
    """A residual_block of ReLUs whose features between the convolutions are scaled and shifted by strength [N, D]."""
    channels = x.shape[-1]
    y = layers.Conv2D(channels, 3, padding="same")(layers.Activation("relu")(x))
    film = layers.Dense(2 * channels, use_bias=False, kernel_initializer="zeros")(strength)
    scale, shift = ops.split(film[:, None, None, :], 2, axis=-1)
    y = layers.Activation("relu")(y * (1.0 + scale) + shift)
    y = layers.Conv2D(channels, 3, padding="same", kernel_initializer="zeros")(y)
    return layers.Add()([x, y])


def severity_estimator(channels: int, width: int = 24) -> keras.Model:
    """Map pictures [N, h, w, channels] in 0..1 to how much each has lost [N], in 0..1: see vaekit.data.degrade.

    What is learned is a perceptron of one hidden layer on Traces.
    """
    small = layers.Input((None, None, channels), name="small", dtype="float32")
    x = layers.Dense(width, activation="relu", dtype="float32")(Traces(dtype="float32")(small))
    severity = layers.Dense(1, activation="sigmoid", dtype="float32")(x)[:, 0]
    return keras.Model(small, severity, name="severity_estimator")


@keras.saving.register_keras_serializable("vaekit")
class Traces(layers.Layer):
    """`traces` as a layer: the sides of its pictures may be unknown until run time."""

    def call(self, image):
        """[N, h, w, C] -> [N, 23]."""
        return traces(image)

    def compute_output_shape(self, shape):
        """Of any picture."""
        return (shape[0], 23)


def traces(image):
    """What noise, blur and compression leave in pictures [N, h, w, C] of at least 11 x 11 pixels: [N, 23], about 0..1.

    Of the means of |second differences| over 5 x 5 pixels, of brightness and of colour, and of single |differences|,
    the shares that are small, exp(-value / limit) for several limits: noise leaves no quiet places, and compression
    many. How blurred: the logarithm of second differences over first. How blocky, along both axes: by how much the
    most abrupt of every 8 columns stands out from the others, and from its neighbours.
    """
    pixels = 255.0 * ops.cast(image, "float32")
    light = ops.mean(pixels, axis=-1, keepdims=True)
    first = ops.abs(light[:, :, 1:] - light[:, :, :-1])
    steps = ops.abs(_crossed(light))
    found = [_shares(first, (0.5, 2.0, 8.0, 32.0))]
    for rough in (steps, ops.mean(ops.abs(_crossed(pixels - light)), axis=-1, keepdims=True)):
        found.append(_shares(ops.average_pool(rough, 5, strides=1), (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)))
    sharpness = ops.log((_mean(steps) + 0.1) / (_mean(first) + 0.1))
    blocks = [value for axis in (1, 2) for value in _blockiness(light, axis)]
    return ops.concatenate([*found, ops.stack([sharpness, *blocks], axis=-1)], axis=-1)


def _crossed(image):
    """The second difference across both axes, a - b - c + d of 2 x 2 pixels: edges along an axis leave no trace."""
    return image[:, 1:, 1:] - image[:, 1:, :-1] - image[:, :-1, 1:] + image[:, :-1, :-1]


def _shares(values, limits):
    return ops.stack([_mean(ops.exp(-values / limit)) for limit in limits], axis=-1)


def _mean(values):
    return ops.mean(values, axis=(1, 2, 3))


def _blockiness(light, axis):
    image = light[..., 0] if axis == 2 else ops.transpose(light[..., 0], (0, 2, 1))
    change = ops.abs(image[:, :, 1:] - image[:, :, :-1])
    abrupt = change[:, :, 1:-1] - 0.5 * (change[:, :, :-2] + change[:, :, 2:])
    shape = ops.shape(abrupt)
    whole = shape[2] // 8 * 8
    by_phase = ops.mean(ops.reshape(abrupt[:, :, :whole], (shape[0], -1, 8)), axis=1)
    usual = ops.mean(change, axis=(1, 2)) + 0.5
    most = ops.max(by_phase, axis=-1)
    return (most - ops.mean(by_phase, axis=-1)) / usual, most / usual


def upscaled(network: keras.Model, small, scale: int, clean=None):
    """Bicubic enlargement [N, s * h, s * w, C] with a residual_upscaler's residual, float32, not clipped.

    `clean` [N] goes to a network that restores.
    """
    residual = network(small if clean is None else [small, clean])[f"x{scale}"]
    return enlarge(ops.cast(small, "float32"), scale) + residual


def fine_detail(image):
    """What sets a pixel apart from its neighbours, 8 (x - mean of the 5 x 5 round it); [N, H, W, C], float32.

    A network that must find so small a difference in the picture itself learns much slower.
    """
    image = ops.cast(image, "float32")
    return 8.0 * (image - ops.average_pool(image, 5, strides=1, padding="same"))


def enlarge(image, factor: int):
    """Bicubic enlargement by a whole factor, as vaekit.resample.bicubic; [N, h, w, C] -> [N, s * h, s * w, C]."""
    return _enlarge_along(_enlarge_along(image, factor, 1), factor, 2)


def _enlarge_along(image, factor, axis):
    offsets = np.arange(-2, 3)
    phases = (np.arange(factor) + 0.5) / factor - 0.5
    weights = cubic(phases[:, None] - offsets)
    pads = [[0, 0]] * 4
    pads[axis] = [2, 2]
    padded = ops.pad(image, pads, mode="symmetric")
    shape = list(ops.shape(image))

    def shifted(offset):
        at = [slice(None)] * 4
        at[axis] = slice(offset, offset + shape[axis])
        return padded[tuple(at)]

    shifts = [shifted(offset) for offset in range(len(offsets))]
    values = [sum(float(w) * s for w, s in zip(row, shifts, strict=True) if w) for row in weights]
    shape[axis] = shape[axis] * factor
    return ops.reshape(ops.stack(values, axis=axis + 1), shape)
