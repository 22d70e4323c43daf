"""An encoder to a map of latents, and a decoder that listens to a vector at every scale."""

import keras
from keras import layers

from vaekit.networks.blocks import Conv2DTranspose, SelfAttention, residual_block


def map_encoder(channels: int, latent_channels: int, widths=(16, 32, 64, 96)) -> keras.Model:
    """Map pictures [N, H, W, channels] in 0..1 to a posterior and to what a decoder may look up.

    Every level halves the picture, so H and W are multiples of 2 ** len(widths). At the first, where a convolution
    costs most and sees least, there is no more than one.

    Returns:
        A model whose output is {"mean" and "log_variance": [N, h, w, latent_channels] at the last level,
        "skips": [features of every level but the last]}.
    """
    picture = layers.Input((None, None, channels), name="picture")
    x, levels = layers.Rescaling(2.0, offset=-1.0)(picture), []
    for level, width in enumerate(widths):
        x = layers.Conv2D(width, 4, strides=2, padding="same")(layers.ReLU()(x) if level == 1 else x)
        for _ in range(min(level, 2)):
            x = residual_block(x, activation="relu")
        levels.append(x)
    mean = layers.Conv2D(latent_channels, 1, dtype="float32")(x)
    # A bounded logarithm: exp() of an early outlier must not overflow.
    log_variance = layers.Conv2D(latent_channels, 1, activation="tanh", dtype="float32")(x)
    log_variance = layers.Rescaling(8.0, dtype="float32")(log_variance)
    return keras.Model(picture, {"mean": mean, "log_variance": log_variance, "skips": levels[:-1]}, name="map_encoder")


def map_decoder(channels: int, latent_channels: int, vector_dim: int, widths=(16, 32, 64, 96)) -> keras.Model:
    """Map [z [N, h, w, latent_channels], vector [N, vector_dim], *skips] to pictures [N, H, W, channels] about 0..1.

    The skips are those of a `map_encoder` of the same widths, or zeros where z alone is to say it all.
    """
    z = layers.Input((None, None, latent_channels), name="z")
    vector = layers.Input((vector_dim,), name="vector")
    skips = [layers.Input((None, None, width), name=f"skip_{level}") for level, width in enumerate(widths[:-1])]
    x = layers.Conv2D(widths[-1], 3, padding="same")(z)
    for _ in range(2):
        x = residual_block(x, vector, "relu")
    for level in range(len(widths) - 2, -1, -1):
        width = widths[level]
        x = layers.UpSampling2D(2, interpolation="nearest")(layers.Conv2D(width, 1)(x))
        x = layers.Conv2D(width, 1 if level else 3, padding="same")(layers.Concatenate()([x, skips[level]]))
        if level:
            x = residual_block(x, vector, "relu")
        if level == len(widths) - 2:
            x = SelfAttention(width // 2)(x)
            x = residual_block(x, vector, "relu")
    x = layers.ReLU()(x)
    picture = Conv2DTranspose(channels, 4, strides=2, padding="same", kernel_initializer="zeros", dtype="float32")(x)
    picture = layers.Rescaling(1.0, offset=0.5, dtype="float32")(picture)
    return keras.Model([z, vector, *skips], picture, name="map_decoder")
