"""A small U-Net that says of every pixel how likely it is to be of a kind."""

import keras
from keras import layers, ops

from vaekit.networks.blocks import BilinearUpsampling, Conv2DTranspose, residual_block
from vaekit.networks.enlarging import fine_detail


def segmentation_unet(channels: int, widths: tuple[int, ...] = (16, 32, 48, 64), outputs: int = 1) -> keras.Model:
    """Map pictures [N, H, W, channels] in 0..1 to logits [N, H, W, outputs].

    H and W are free, in multiples of 2 ** len(widths). The first layer strides, so that no convolution runs at full
    size, and the last one answers for the four pixels of each place. Residual blocks need no normalisation, so that an
    answer depends on its surroundings alone, and tiles of a picture can be answered one by one.
    """
    image = layers.Input((None, None, channels), name="image", dtype="float32")
    x = ops.concatenate([2.0 * image - 1.0, fine_detail(image)], axis=-1)
    skips = []
    for level, width in enumerate(widths):
        x = layers.Conv2D(width, 3 if level else 4, strides=2, padding="same")(x)
        for _ in range(2 if level else 1):
            x = residual_block(x, activation="relu")
        skips.append(x)
    for level in range(len(widths) - 2, -1, -1):
        x = BilinearUpsampling()(layers.Conv2D(widths[level], 1)(x))
        x = layers.Conv2D(widths[level], 1)(layers.Concatenate()([x, skips[level]]))
        for _ in range(2 if level else 1):
            x = residual_block(x, activation="relu")
    x = layers.Activation("relu")(x)
    logits = Conv2DTranspose(outputs, 4, strides=2, padding="same", dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="segmentation_unet")
