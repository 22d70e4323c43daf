"""Enlarging networks: a residual on bicubic enlargement, computed at the small size."""

import keras
import numpy as np
from keras import layers, ops

from vaekit.networks.blocks import residual_block
from vaekit.resample import cubic


def residual_upscaler(channels: int, scales: tuple[int, ...] = (2, 3, 4), width: int = 48, depth: int = 12):
    """Map pictures [N, h, w, channels] in 0..1 to residuals {"x2": [N, 2 h, 2 w, channels], ...}, one for each scale.

    One body at the small size serves all scales (MDSR, Lim et al. 2017). Its last layers enlarge: a transposed
    convolution of 3 * s pixels is a sub-pixel convolution (Shi et al. 2016) of 3. They start at zero, so that an
    untrained network answers 0. Its activation is ReLU: SiLU is all but a line for signals as small as the
    detail of a picture, and a network of it stopped at what a linear filter can do.
    """
    small = layers.Input((None, None, channels), name="small", dtype="float32")
    seen = ops.concatenate([2.0 * small - 1.0, fine_detail(small)], axis=-1)
    x = first = layers.Conv2D(width, 3, padding="same")(seen)
    for _ in range(depth):
        x = residual_block(x, activation="relu")
    x = layers.Add()([first, layers.Conv2D(width, 3, padding="same")(x)])
    residuals = {
        f"x{s}": layers.Conv2DTranspose(
            channels, 3 * s, strides=s, padding="same", kernel_initializer="zeros", dtype="float32", name=f"x{s}"
        )(x)
        for s in scales
    }
    return keras.Model(small, residuals, name="residual_upscaler")


def upscaled(network: keras.Model, small, scale: int):
    """Bicubic enlargement [N, s * h, s * w, C] with a residual_upscaler's residual, float32, not clipped."""
    residual = network(small, training=False)[f"x{scale}"]
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
