"""A U-Net that answers with a residual and listens to a latent at every scale of its decoder."""

import keras
from keras import layers

from vaekit.networks.blocks import SelfAttention, residual_block


def residual_unet(
    channels: int, out_channels: int, latent_dim: int, widths=(32, 64, 96, 160), attention: bool = True
) -> keras.Model:
    """Map (condition [N, H, W, channels], z [N, latent_dim]) to a residual [N, H, W, out_channels].

    H and W are free, in multiples of 2 ** len(widths). The first layer strides, so that no convolution
    runs at full size, and the first level, where a block costs most and sees least, has one of them a side;
    the last layer starts at zero, so that an untrained network answers 0. Without `attention` an answer depends
    on its surroundings alone, so that tiles of a picture can be answered one by one.
    """
    condition = layers.Input((None, None, channels), name="condition")
    z = layers.Input((latent_dim,), name="z")
    x, skips = condition, []
    for level, width in enumerate(widths):
        x = layers.Conv2D(width, 4 if level == 0 else 3, strides=2, padding="same")(x)
        for _ in range(2 if 0 < level < len(widths) - 1 else 1):
            x = residual_block(x)
        skips.append(x)
    for _ in range(3):
        x = residual_block(x, z)
    for level in range(len(widths) - 2, -1, -1):
        width = widths[level]
        x = layers.UpSampling2D(2, interpolation="nearest")(layers.Conv2D(width, 1)(x))
        x = layers.Conv2D(width, 1)(layers.Concatenate()([x, skips[level]]))
        x = residual_block(x, z)
        if attention and level == len(widths) - 2:
            x = SelfAttention(width // 2)(x)
        for _ in range(2 if level > 0 else 0):
            x = residual_block(x, z)
    x = layers.Activation("silu")(x)
    # The answer is added to an image in float32, whatever the precision of the convolutions.
    residual = layers.Conv2DTranspose(
        out_channels, 4, strides=2, padding="same", kernel_initializer="zeros", dtype="float32"
    )(x)
    return keras.Model([condition, z], residual, name="residual_unet")
