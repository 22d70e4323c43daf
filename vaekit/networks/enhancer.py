"""Coarse-to-fine generators, as pix2pixHD has them (Wang et al. 2018, section 3.1)."""

import keras
from keras import layers

from vaekit.networks.blocks import BilinearUpsampling, residual_block


def global_generator(channels: int, widths, depth: int) -> keras.Model:
    """Map pictures [N, H, W, channels] to features [N, H, W, widths[0]]; sides are multiples of 2 ** len(widths).

    Args:
        channels: of the picture.
        widths: channels of the levels, each of half the size of the one before; the first is at half size.
        depth: residual blocks at the smallest.
    """
    picture = x = layers.Input((None, None, channels), name="picture")
    skips = []
    for width in widths:
        x = layers.Conv2D(width, 4, strides=2, padding="same", kernel_initializer="he_normal")(x)
        x = layers.ReLU()(x)
        skips.append(x)
    for _ in range(depth):
        x = residual_block(x, activation="relu")
    for width, skip in zip(reversed(widths[:-1]), reversed(skips[:-1]), strict=True):
        x = BilinearUpsampling()(layers.Conv2D(width, 1)(x))
        x = residual_block(layers.Add()([x, skip]), activation="relu")
    x = BilinearUpsampling()(layers.ReLU()(x))
    x = layers.Conv2D(widths[0], 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
    return keras.Model(picture, x, name="global_generator")


def local_enhancer(channels: int, out_channels: int, width: int) -> keras.Model:
    """Map (picture [N, H, W, channels], features [N, H / 2, W / 2, width]) to logits [N, H, W, out_channels]."""
    picture = layers.Input((None, None, channels), name="picture")
    features = layers.Input((None, None, width), name="features")
    x = layers.Conv2D(width, 4, strides=2, padding="same", kernel_initializer="he_normal")(picture)
    x = layers.Add()([layers.ReLU()(x), features])
    for _ in range(2):
        x = residual_block(x, activation="relu")
    x = BilinearUpsampling()(layers.ReLU()(x))
    x = layers.Conv2D(width // 2, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
    logits = layers.Conv2D(out_channels, 3, padding="same", dtype="float32", name="logits")(x)
    return keras.Model([picture, features], logits, name="local_enhancer")
