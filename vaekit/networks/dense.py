"""Networks without convolutions, as GAN and the semi-supervised GAN have them for digits."""

import math

import keras
from keras import layers, ops

from vaekit.networks.blocks import batch_norm


@keras.saving.register_keras_serializable("vaekit")
class NormalizedDense(layers.Layer):
    """A dense layer whose weights are a direction and a length for each unit (Salimans & Kingma 2016, eq. 2).

    Args:
        units: length of the output.
    """

    def __init__(self, units: int, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape):
        """Shape: [N, D]."""
        inputs = shape[-1]
        self.direction = self.add_weight(
            shape=(inputs, self.units), initializer=keras.initializers.RandomNormal(stddev=0.05), name="direction"
        )
        # As He's initialisation: outputs of unit size behind a ReLU.
        self.length = self.add_weight(
            shape=(self.units,), initializer=keras.initializers.Constant(math.sqrt(2.0)), name="length"
        )
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, x):
        """length * direction / |direction| x + bias."""
        direction = ops.cast(self.direction, "float32")
        size = ops.cast(self.length, "float32") * ops.rsqrt(ops.sum(direction**2, axis=0) + 1e-12)
        return ops.matmul(x, self.direction) * ops.cast(size, x.dtype) + self.bias

    def compute_output_shape(self, shape):
        """[N, units]."""
        return (*shape[:-1], self.units)

    def get_config(self):
        """Mirror __init__."""
        return {**super().get_config(), "units": self.units}


def noisy_dense_classifier(image_shape, classes: int, hidden, noise: float) -> keras.Model:
    """Map images to {"logits": [N, classes], "features": [N, hidden[-1]]}, in training through noise before each layer.

    Args:
        image_shape: (H, W, C).
        classes: k.
        hidden: units of the layers.
        noise: standard deviation of the noise on images in 0..1; that on hidden layers is .5 (Salimans et al. 2016).
    """
    image = layers.Input(image_shape, name="image")
    x = layers.GaussianNoise(noise)(layers.Flatten()(image))
    for width in hidden:
        features = layers.ReLU()(NormalizedDense(width)(x))
        x = layers.GaussianNoise(0.5)(features)
    logits = NormalizedDense(classes, dtype="float32")(x)
    return keras.Model(image, {"logits": logits, "features": features}, name="noisy_dense_classifier")


def dense_generator(image_shape, latent_dim: int, hidden) -> keras.Model:
    """Map latents [N, latent_dim] to images [N, H, W, C] in 0..1."""
    z = x = layers.Input((latent_dim,), name="z")
    for width in hidden:
        x = layers.Activation("softplus")(batch_norm()(layers.Dense(width, use_bias=False)(x)))
    x = NormalizedDense(math.prod(image_shape), dtype="float32")(x)
    image = layers.Reshape(image_shape, name="image")(layers.Activation("sigmoid", dtype="float32")(x))
    return keras.Model(z, image, name="dense_generator")


PIECES = 5
"""Of a maxout unit (Goodfellow et al. 2014)."""


def dense_decoder(image_shape, latent_dim: int, hidden, condition_dim: int = 0) -> keras.Model:
    """Map latents [N, latent_dim] (and a condition [N, K]) to images [N, H, W, C] in 0..1, by layers of ReLUs."""
    z = layers.Input((latent_dim,), name="z")
    inputs, x = _with_condition(z, z, condition_dim)
    for width in hidden:
        x = layers.Dense(width, activation="relu", kernel_initializer="he_normal")(x)
    x = layers.Dense(math.prod(image_shape), activation="sigmoid", dtype="float32")(x)
    return keras.Model(inputs, layers.Reshape(image_shape, name="image", dtype="float32")(x), name="dense_decoder")


def maxout_discriminator(image_shape, hidden, condition_dim: int = 0) -> keras.Model:
    """Map images (and a condition [N, K]) to {"logits": [N, 1], "features": [N, hidden[-1]]}, by layers of maxout.

    A unit is the largest of PIECES affine functions (Goodfellow et al. 2013).
    """
    image = layers.Input(image_shape, name="image")
    inputs, x = _with_condition(image, layers.Flatten()(layers.Rescaling(2.0, offset=-1.0)(image)), condition_dim)
    for width in hidden:
        x = layers.Reshape((width, PIECES))(layers.Dense(width * PIECES)(x))
        x = ops.max(x, axis=-1)
    logits = layers.Dense(1, dtype="float32")(x)
    return keras.Model(inputs, {"logits": logits, "features": x}, name="maxout_discriminator")


def _with_condition(tensor, x, condition_dim: int):
    """Inputs, and x with the condition behind it."""
    if not condition_dim:
        return tensor, x
    condition = layers.Input((condition_dim,), name="condition")
    return [tensor, condition], layers.Concatenate()([x, condition])
