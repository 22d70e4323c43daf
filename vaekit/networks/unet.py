"""A U-Net that answers with a residual and listens to a latent at every scale of its decoder."""

import keras
from keras import layers

from vaekit.networks.blocks import BilinearUpsampling, Conv2DTranspose, SelfAttention, residual_block


def residual_unet(
    channels: int,
    out_channels: int,
    latent_dim: int,
    widths=(32, 64, 96, 160),
    attention: bool = True,
    stride: int = 2,
    activation: str = "silu",
) -> keras.Model:
    """Map (condition [N, H, W, channels], z [N, latent_dim]) to a residual [N, H, W, out_channels].

    H and W are free, in multiples of stride * 2 ** (len(widths) - 1). The first layer strides, so that no
    convolution runs at full size. At half size, where a block costs most and sees least, there is one of them a
    side. Where the first layer strides by 4, there are two at a quarter of the size, and one at half size before the
    last layer. The last layer starts at zero, so that an untrained network answers 0. Without `attention` an answer
    depends on its surroundings alone, so that tiles of a picture can be answered one by one.
    """
    condition = layers.Input((None, None, channels), name="condition")
    z = layers.Input((latent_dim,), name="z")
    x, skips = condition, []
    for level, width in enumerate(widths):
        first, last = level == 0, level == len(widths) - 1
        x = layers.Conv2D(width, 2 * stride if first else 3, strides=stride if first else 2, padding="same")(x)
        for _ in range(stride // 2 if first else 1 if last else 2):
            x = residual_block(x, activation=activation)
        skips.append(x)
    for _ in range(3):
        x = residual_block(x, z, activation)
    for level in range(len(widths) - 2, -1, -1):
        width = widths[level]
        x = BilinearUpsampling()(layers.Conv2D(width, 1)(x))
        x = layers.Conv2D(width, 1)(layers.Concatenate()([x, skips[level]]))
        x = residual_block(x, z, activation)
        if attention and level == len(widths) - 2:
            x = SelfAttention(width // 2)(x)
        for _ in range(2 if level > 0 else stride // 2 - 1):
            x = residual_block(x, z, activation)
    if stride == 4:
        # A discriminator drives a single layer that enlarges four times to a grid, which shows on plain edges.
        x = BilinearUpsampling()(layers.Conv2D(widths[0] // 2, 1)(x))
        x = residual_block(x, z, activation)
    x = layers.Activation(activation)(x)
    # The answer is added to an image in float32, whatever the precision of the convolutions.
    residual = Conv2DTranspose(out_channels, 4, strides=2, padding="same", kernel_initializer="zeros", dtype="float32")(
        x
    )
    return keras.Model([condition, z], residual, name="residual_unet")
