"""Encoders, decoders and discriminators for any H x W x C; sizes are derived from image_shape."""

import math

import keras
from keras import layers

from vaekit.networks.blocks import Conv2DTranspose, batch_norm, crop_to, residual_block, stage_sizes


def _center(x):
    """0..1 -> -1..1."""
    return layers.Rescaling(2.0, offset=-1.0)(x)


def _model(inputs: list, outputs, name: str) -> keras.Model:
    """A model that takes one tensor where there is one input, and a list where there are more."""
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs, name=name)


def _widths(stages: int, base: int) -> list[int]:
    return [base * 2 ** min(i, 3) for i in range(stages)]


def _downs(x, sizes, base: int, normalize: bool):
    """One strided convolution a halving; returns every stage's features."""
    features = []
    for index, width in enumerate(_widths(len(sizes) - 1, base)):
        x = layers.Conv2D(width, 5, strides=2, padding="same", use_bias=not normalize or index == 0)(x)
        if normalize and index > 0:
            x = batch_norm()(x)
        x = layers.LeakyReLU(0.2)(x)
        features.append(x)
    return features


def _with_condition(x, condition):
    """Append a condition vector [N, K] to a feature map as K constant planes."""
    planes = layers.Reshape((1, 1, condition.shape[-1]))(condition)
    planes = layers.UpSampling2D(x.shape[1:3])(planes)
    return layers.Concatenate()([x, planes])


def _encoded(image_shape, base: int, condition_dim: int, normalize: bool):
    """Inputs, and the flattened features of the last stage."""
    image = layers.Input(image_shape, name="image")
    inputs, x = [image], _center(image)
    if condition_dim:
        inputs.append(layers.Input((condition_dim,), name="condition"))
        x = _with_condition(x, inputs[1])
    return inputs, layers.Flatten()(_downs(x, stage_sizes(*image_shape[:2]), base, normalize)[-1])


def encoder(image_shape, latent_dim: int, base: int = 32, normalize: bool = True) -> keras.Model:
    """Map images [N, H, W, C] in 0..1 to codes [N, latent_dim]."""
    inputs, x = _encoded(image_shape, base, 0, normalize)
    return _model(inputs, layers.Dense(latent_dim, name="code", dtype="float32")(x), name="encoder")


def gaussian_encoder(image_shape, latent_dim: int, base: int = 32, condition_dim: int = 0) -> keras.Model:
    """Map images [N, H, W, C] in 0..1 (and a condition [N, K]) to (mean, log variance), each [N, latent_dim]."""
    inputs, x = _encoded(image_shape, base, condition_dim, normalize=True)
    return _model(inputs, _gaussian(x, latent_dim, mean_scale=0.05), name="encoder")


def decoder(
    image_shape, latent_dim: int, base: int = 32, condition_dim: int = 0, activation="sigmoid", hidden: int = 0
) -> keras.Model:
    """Map latents [N, latent_dim] (and a condition [N, K]) to images [N, H, W, C], in 0..1 by default.

    Where `hidden` is not 0, so many units of a fully connected layer come first.
    """
    height, width, channels = image_shape
    sizes = stage_sizes(height, width)[::-1]
    widths = _widths(len(sizes) - 1, base)[::-1]
    z = layers.Input((latent_dim,), name="z")
    inputs, x = [z], z
    if condition_dim:
        inputs.append(layers.Input((condition_dim,), name="condition"))
        x = layers.Concatenate()(inputs)
    if hidden:
        x = layers.ReLU()(batch_norm()(layers.Dense(hidden, use_bias=False)(x)))
    x = layers.Dense(sizes[0][0] * sizes[0][1] * widths[0], use_bias=False)(x)
    x = layers.Reshape((*sizes[0], widths[0]))(x)
    for size, filters in zip(sizes[1:], widths, strict=True):
        x = layers.ReLU()(batch_norm()(x))
        x = Conv2DTranspose(filters, 4, strides=2, padding="same", use_bias=False)(x)
        x = crop_to(x, size)
    x = layers.ReLU()(batch_norm()(x))
    x = layers.Conv2D(channels, 3, padding="same", activation=activation, dtype="float32", name="image")(x)
    return _model(inputs, x, name="decoder")


def discriminator(
    image_shape, base: int = 32, outputs: int = 1, normalize=True, condition_dim: int = 0, features: int = 0
) -> keras.Model:
    """Map images to {"logits": [N, outputs], "features": [N, F], "similarity": [N, h, w, f]}; F is 8 base by default.

    "features" is f_D, the last hidden layer; "similarity" is Dis_l, the last convolution before its
    activation's flattening, in which VAE/GAN measures reconstructions.
    """
    image = layers.Input(image_shape, name="image")
    inputs, x = [image], _center(image)
    if condition_dim:
        inputs.append(layers.Input((condition_dim,), name="condition"))
        x = _with_condition(x, inputs[1])
    similarity = _downs(x, stage_sizes(*image_shape[:2]), base, normalize)[-1]
    hidden = layers.Dense(features or 8 * base)(layers.Flatten()(similarity))
    hidden = layers.LeakyReLU(0.2)(hidden)
    logits = layers.Dense(outputs, dtype="float32")(hidden)
    return _model(inputs, {"logits": logits, "features": hidden, "similarity": similarity}, name="discriminator")


def code_discriminator(image_shape, codes: int, base: int = 64) -> keras.Model:
    """Map images to {"logits": [N, 1], "code": [N, codes]}: D, and Q on all of D but its last layer.

    For digits and a base of 64 these are InfoGAN's layers (Chen et al. 2016, table 1): convolutions of 64 and 128, a
    dense layer of 1024 with batch normalisation, and for Q one of 128 with batch normalisation more.
    """
    image = layers.Input(image_shape, name="image")
    x = layers.Flatten()(_downs(_center(image), stage_sizes(*image_shape[:2]), base, normalize=True)[-1])
    hidden = _normalized_dense(x, 16 * base)
    code = layers.Dense(codes, dtype="float32", name="code")(_normalized_dense(hidden, 2 * base))
    logits = layers.Dense(1, dtype="float32", name="logits")(hidden)
    return keras.Model(image, {"logits": logits, "code": code}, name="code_discriminator")


def _normalized_dense(x, units: int):
    return layers.LeakyReLU(0.2)(batch_norm()(layers.Dense(units, use_bias=False)(x)))


def noisy_classifier(image_shape, classes: int, base: int = 32, noise=0.15, dropout=0.5) -> keras.Model:
    """Map images to {"logits": [N, classes], "features": [N, F]}, in training through noise and dropout.

    What is learnt from few labels must hold for their neighbourhood; so there is noise on the images, and a share of
    every stage is dropped. No normalisation: statistics would tell generated batches from real ones.
    """
    image = layers.Input(image_shape, name="image")
    x = layers.GaussianNoise(noise)(_center(image))
    sizes = stage_sizes(*image_shape[:2])
    for width in _widths(len(sizes) - 1, base):
        x = layers.LeakyReLU(0.2)(layers.Conv2D(width, 3, padding="same", kernel_initializer="he_normal")(x))
        x = layers.Conv2D(2 * width, 3, strides=2, padding="same", kernel_initializer="he_normal")(x)
        x = layers.Dropout(dropout)(layers.LeakyReLU(0.2)(x))
    x = layers.LeakyReLU(0.2)(layers.Conv2D(4 * base, 3, padding="same", kernel_initializer="he_normal")(x))
    features = layers.GlobalAveragePooling2D(dtype="float32")(x)
    logits = layers.Dense(classes, dtype="float32")(features)
    return keras.Model(image, {"logits": logits, "features": features}, name="noisy_classifier")


PATCH_WIDTHS = (48, 96, 160)
"""Channels of a patch discriminator's stages, each of half the size."""
PROJECTED_WIDTHS = (32, 64, 128, 160)
"""Those of a projected discriminator."""
PICTURE_WIDTHS = (24, 48, 96, 128)
"""Those of a picture encoder."""


def patch_discriminator(channels: int) -> keras.Model:
    """Map pictures [N, H, W, channels] to {"logits": [N, h, w, 1], "layers": [features of each stage]}.

    One logit a patch (Isola et al. 2017); H and W are free. Channels are best centred, of unit size. No
    normalisation: statistics over a batch would let one example's logits depend on another.
    """
    picture = layers.Input((None, None, channels), name="picture")
    x, features = picture, []
    for width in PATCH_WIDTHS:
        x = layers.Conv2D(width, 4, strides=2, padding="same", kernel_initializer="he_normal")(x)
        x = layers.LeakyReLU(0.2)(x)
        features.append(x)
    x = layers.Conv2D(PATCH_WIDTHS[-1], 3, padding="same", kernel_initializer="he_normal")(x)
    x = layers.LeakyReLU(0.2)(x)
    features.append(x)
    logits = layers.Conv2D(1, 3, padding="same", dtype="float32")(x)
    return keras.Model(picture, {"logits": logits, "layers": features}, name="patch_discriminator")


def frame_predictor(channels: int, out_channels: int, width: int = 48) -> keras.Model:
    """Map frames [N, H, W, channels] to a change [N, H, W, out_channels] of one of them, at first none.

    Convolutions at half size, with dilations 1, 2, 4, 1, so that a thing may have moved far.
    """
    frames = layers.Input((None, None, channels), name="frames")
    x = layers.Conv2D(width, 4, strides=2, padding="same", kernel_initializer="he_normal")(frames)
    for dilation in (1, 2, 4, 1):
        x = layers.LeakyReLU(0.2)(x)
        x = layers.Conv2D(width, 3, padding="same", dilation_rate=dilation, kernel_initializer="he_normal")(x)
    x = Conv2DTranspose(
        out_channels, 4, strides=2, padding="same", kernel_initializer="zeros", dtype="float32", name="change"
    )(layers.LeakyReLU(0.2)(x))
    return keras.Model(frames, x, name="frame_predictor")


def projected_discriminator(channels: int, feature_widths, skip: int = 1, outputs: int = 1) -> keras.Model:
    """Map [picture [N, H, W, channels] in -1..1, *features of a recogniser that does not move] to logits.

    Logits are [N, h, w, outputs], so many a patch.

    What another network already knows of pictures shows a discriminator what is wrong with them many times sooner
    (Projected GANs, Sauer et al. 2021); the picture itself shows what that network overlooks.

    Args:
        channels: of the picture.
        feature_widths: channels of the features; the first have the picture's size over 2 ** (skip + 1), each next
            half of it.
        skip: how many halvings come before the first features.
        outputs: logits a patch.
    """
    picture = layers.Input((None, None, channels), name="picture")
    features = [layers.Input((None, None, width), name=f"features_{i}") for i, width in enumerate(feature_widths)]
    x = picture
    for level, width in enumerate(PROJECTED_WIDTHS):
        x = layers.Conv2D(width, 4, strides=2, padding="same", kernel_initializer="he_normal")(x)
        x = layers.LeakyReLU(0.2)(x)
        if skip <= level < skip + len(features):
            x = layers.Concatenate()([x, features[level - skip]])
    x = layers.Conv2D(PROJECTED_WIDTHS[-1], 3, padding="same", kernel_initializer="he_normal")(x)
    x = layers.LeakyReLU(0.2)(x)
    logits = layers.Conv2D(outputs, 3, padding="same", dtype="float32")(x)
    return keras.Model([picture, *features], logits, name="projected_discriminator")


def picture_encoder(channels: int, latent_dim: int) -> keras.Model:
    """Map pictures [N, H, W, channels] of any size to (mean, log variance), each [N, latent_dim]."""
    picture = layers.Input((None, None, channels), name="picture")
    x = layers.GlobalAveragePooling2D()(_leaky_downs(picture, PICTURE_WIDTHS))
    return keras.Model(picture, _gaussian(x, latent_dim), name="picture_encoder")


def place_encoder(image_shape, latent_dim: int, widths=(24, 48, 96, 128), kept: int = 16) -> keras.Model:
    """Map pictures [N, H, W, C] to (mean, log variance), each [N, latent_dim]; it sees where in the picture things are.

    Args:
        image_shape: (H, W, C).
        latent_dim: length of the code.
        widths: channels of its stages, each of half the size.
        kept: channels of the last stage that are looked at place by place.
    """
    picture = layers.Input(image_shape, name="picture")
    x = _leaky_downs(picture, widths, "he_normal")
    x = layers.LeakyReLU(0.2)(layers.Conv2D(kept, 1, kernel_initializer="he_normal")(x))
    # Codes that begin nearly without noise are listened to from the first step.
    return keras.Model(picture, _gaussian(layers.Flatten()(x), latent_dim, start=-4.0), name="place_encoder")


def _leaky_downs(x, widths, initializer="glorot_uniform"):
    for width in widths:
        x = layers.LeakyReLU(0.2)(layers.Conv2D(width, 4, strides=2, padding="same", kernel_initializer=initializer)(x))
    return x


def _gaussian(x, latent_dim: int, start: float = 0.0, mean_scale: float = 1.0) -> list:
    """Mean and log variance [N, latent_dim]; the log variance begins near `start` and its size is bounded by 8.

    Without a bound, exp() of an early outlier would overflow. With a kernel of the usual size the posterior of a 64x64
    image would start thousands of nats away from the prior.

    Args:
        x: [N, F].
        latent_dim: length of the code.
        start: of the log variance.
        mean_scale: what the initial kernel of the mean is multiplied by.
    """
    mean = layers.Dense(latent_dim, name="mean", kernel_initializer=_scaled_glorot(mean_scale), dtype="float32")(x)
    bias = keras.initializers.Constant(math.atanh(start / 8.0))
    log_variance = layers.Dense(
        latent_dim, activation="tanh", kernel_initializer=_scaled_glorot(0.05), bias_initializer=bias, dtype="float32"
    )(x)
    return [mean, layers.Rescaling(8.0, name="log_variance", dtype="float32")(log_variance)]


def _scaled_glorot(scale: float):
    return keras.initializers.VarianceScaling(scale**2, "fan_avg", "uniform")


def _recognising_stages(x, widths):
    """Stages of half the size each, a strided and a residual convolution; returns every stage's features."""
    features = []
    for width in widths:
        x = layers.Conv2D(width, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(batch_norm()(x))
        y = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = layers.Add()([x, layers.ReLU()(batch_norm()(y))])
        features.append(x)
    return features


def recogniser(channels: int, outputs: int, widths=(24, 48, 96, 128)) -> keras.Model:
    """Map pictures [N, H, W, channels] in 0..1 to {"logits": [N, outputs], "layers": [features of each stage]}."""
    picture = layers.Input((None, None, channels), name="picture")
    features = _recognising_stages(_center(picture), widths)
    logits = layers.Dense(outputs, dtype="float32")(layers.GlobalAveragePooling2D()(features[-1]))
    return keras.Model(picture, {"logits": logits, "layers": features}, name="recogniser")


def embedder(image_shape, dim: int = 128, widths=(32, 64, 128, 192), dropout=0.0) -> keras.Model:
    """Map aligned faces [N, H, W, C] in 0..1 to what it sees of them; in training through dropout of the last stage.

    Returns:
        A model whose output is {"embedding": [N, dim] of unit length, "layers": [features of each stage]}.
    """
    picture = layers.Input(image_shape, name="picture")
    features = _recognising_stages(_center(picture), widths)
    x = layers.Dropout(dropout)(layers.Flatten()(features[-1]))
    x = layers.Dense(dim, dtype="float32")(x)
    embedding = layers.UnitNormalization(dtype="float32")(x)
    return keras.Model(picture, {"embedding": embedding, "layers": features}, name="embedder")


def styled_decoder(image_shape, vector_dim: int, widths=(128, 128, 112, 64, 32), style_dim: int = 128) -> keras.Model:
    """Map vectors [N, vector_dim] to images [N, H, W, C] in 0..1; what is made of the vector modulates every level.

    Args:
        image_shape: (H, W, C), sides that are multiples of 2 ** len(widths).
        vector_dim: length of the vector.
        widths: channels of the levels, each twice as large as the one before; the image is twice the last.
        style_dim: length of what two hidden layers make of the vector (the mapping of StyleGAN, Karras et al. 2019).
    """
    height, width, channels = image_shape
    first = height // 2 ** len(widths), width // 2 ** len(widths)
    vector = style = layers.Input((vector_dim,), name="vector")
    for _ in range(2):
        style = layers.LeakyReLU(0.2)(layers.Dense(style_dim, kernel_initializer="he_normal")(style))
    x = layers.Reshape((*first, widths[0]))(layers.Dense(first[0] * first[1] * widths[0])(style))
    for level, filters in enumerate(widths):
        if level:
            x = layers.UpSampling2D(2, interpolation="nearest")(layers.Conv2D(filters, 1)(x))
            x = layers.Conv2D(filters, 3, padding="same")(x)
        x = residual_block(x, style, "relu")
    x = Conv2DTranspose(channels, 4, strides=2, padding="same", dtype="float32")(layers.ReLU()(x))
    image = layers.Activation("sigmoid", dtype="float32", name="image")(x)
    return keras.Model(vector, image, name="styled_decoder")


def feature_stages(image_shape, base: int = 16) -> keras.Model:
    """Map images [N, H, W, C] in 0..1 to (features [N, h, w, base] of half the size, [N, h', w', 4 base])."""
    image = layers.Input(image_shape, name="image")
    first = _he(_center(image), base, 2)
    return keras.Model(image, [first, _he(_he(first, 2 * base, 2), 4 * base, 1)], name="feature_stages")


def feature_classifier(shape, classes: int) -> keras.Model:
    """Map features [N, *shape] to logits [N, classes]."""
    features = layers.Input(shape, name="features")
    x = layers.Dense(64, activation="relu", kernel_initializer="he_normal")(layers.Flatten()(features))
    return keras.Model(features, layers.Dense(classes, dtype="float32")(x), name="feature_classifier")


def feature_generator(first, last) -> keras.Model:
    """Map features [N, *first] to a change of features [N, *last], at first none: residual blocks at half the size."""
    features = layers.Input(first, name="features")
    x = _he(features, last[-1], 2)
    for _ in range(2):
        x = residual_block(x, activation="relu")
    x = layers.Conv2D(last[-1], 1, kernel_initializer="zeros")(x)
    return keras.Model(features, x, name="feature_generator")


def feature_critic(shape) -> keras.Model:
    """Map features [N, *shape] to logits [N, 1]."""
    features = layers.Input(shape, name="features")
    x = layers.Dense(128, kernel_initializer="he_normal")(layers.Flatten()(features))
    x = layers.Dense(1, dtype="float32")(layers.LeakyReLU(0.2)(x))
    return keras.Model(features, x, name="feature_critic")


def _he(x, width: int, strides: int):
    x = layers.Conv2D(width, 3, strides=strides, padding="same", kernel_initializer="he_normal")(x)
    return layers.ReLU()(x)
