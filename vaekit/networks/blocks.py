"""Building blocks: strided sizes, residual blocks, modulation by a latent, self-attention."""

import keras
from keras import layers, ops

from vaekit.backends import replicas


def stage_sizes(height: int, width: int, smallest: int = 4) -> list[tuple[int, int]]:
    """Sizes after each halving (rounded up), until both sides are at most 2 * smallest - 1.

    >>> stage_sizes(64, 48)
    [(64, 48), (32, 24), (16, 12), (8, 6), (4, 3)]
    """
    sizes = [(height, width)]
    while max(sizes[-1]) >= 2 * smallest:
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return sizes


def batch_norm():
    """Batch normalisation, of the whole batch where replicas share it."""
    return layers.BatchNormalization(momentum=0.9, synchronized=replicas.is_distributed())


@keras.saving.register_keras_serializable("vaekit")
class Clip(keras.constraints.Constraint):
    """Keeps every number of a weight within -limit..limit (WGAN, Arjovsky et al. 2017)."""

    def __init__(self, limit: float):
        self.limit = limit

    def __call__(self, weight):
        """The nearest weight that is allowed."""
        return ops.clip(weight, -self.limit, self.limit)

    def get_config(self):
        """Mirror __init__."""
        return {"limit": self.limit}


@keras.saving.register_keras_serializable("vaekit")
class Conv2DTranspose(layers.Conv2DTranspose):
    """Keras's layer, with the same weights and the same output, for square kernels, strides and `padding="same"`.

    XLA computes a transposed convolution on a CPU several times slower than the same numbers as a sub-pixel
    convolution (Shi et al. 2016), so that is what JAX is given.
    """

    def call(self, inputs):
        """[N, H, W, C] -> [N, stride H, stride W, filters]."""
        if keras.backend.backend() != "jax":
            return super().call(inputs)
        x = sub_pixel_convolution(inputs, ops.convert_to_tensor(self.kernel), self.strides[0])
        if self.use_bias:
            x = x + ops.convert_to_tensor(self.bias)
        return self.activation(x)


def sub_pixel_convolution(x, kernel, stride: int):
    """ops.conv_transpose(x, kernel, stride, padding="same"), as a convolution at x's size and a rearrangement.

    Of an output pixel q stride + a along an axis, the transposed convolution is the sum over d of
    x[q - d] kernel[a + pad + d stride]: for each a, a convolution whose taps are every stride-th of the kernel's.

    Args:
        x: [N, H, W, C].
        kernel: [k, k, F, C].
        stride: s.

    Returns:
        [N, s H, s W, F].
    """
    size, _, filters, channels = kernel.shape
    pad = max(size - stride, 0) // 2
    first = -((stride - 1 + pad) // stride)
    last = (size - 1 - pad) // stride
    taps = last - first + 1
    before = -(pad + first * stride)
    after = taps * stride - size - before
    # Along both axes: taps of d, first to last, and a. A convolution meets x[q - last] first.
    kernel = ops.pad(kernel, [[before, after], [before, after], [0, 0], [0, 0]])
    kernel = ops.reshape(kernel, (taps, stride, taps, stride, filters, channels))
    kernel = ops.transpose(ops.flip(kernel, axis=(0, 2)), (0, 2, 5, 1, 3, 4))
    kernel = ops.reshape(kernel, (taps, taps, channels, stride * stride * filters))
    x = ops.conv(ops.pad(x, [[0, 0], [last, -first], [last, -first], [0, 0]]), kernel, padding="valid")
    height, width = x.shape[1:3]
    x = ops.transpose(ops.reshape(x, (-1, height, width, stride, stride, filters)), (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, stride * height, stride * width, filters))


def perceptron(inputs: int, outputs: int, width: int = 256, depth: int = 3, name="perceptron") -> keras.Model:
    """Map vectors [N, inputs] to vectors [N, outputs] by `depth` hidden layers."""
    vector = x = layers.Input((inputs,), name="vector")
    for _ in range(depth):
        x = layers.LeakyReLU(0.2)(layers.Dense(width, kernel_initializer="he_normal")(x))
    return keras.Model(vector, layers.Dense(outputs, dtype="float32")(x), name=name)


def crop_to(x, size: tuple[int, int]):
    """Cut the bottom rows and right columns that rounding up has added."""
    extra = [x.shape[1] - size[0], x.shape[2] - size[1]]
    return layers.Cropping2D(((0, extra[0]), (0, extra[1])))(x) if any(extra) else x


@keras.saving.register_keras_serializable("vaekit")
class Film(layers.Layer):
    """Feature-wise modulation x (1 + s(z)) + t(z) of an image by a vector (Perez et al. 2018)."""

    def build(self, shapes):
        """Shapes: x [N, H, W, C] and z [N, D]."""
        channels = shapes[0][-1]
        self.dense = layers.Dense(2 * channels, kernel_initializer=keras.initializers.RandomNormal(stddev=0.02))
        self.dense.build(shapes[1])

    def call(self, inputs):
        """Modulate x [N, H, W, C] by z [N, D]."""
        x, z = inputs
        scale, shift = ops.split(self.dense(z)[:, None, None, :], 2, axis=-1)
        return x * (1.0 + scale) + shift

    def compute_output_shape(self, shapes):
        """The image's shape."""
        return shapes[0]


@keras.saving.register_keras_serializable("vaekit")
class SelfAttention(layers.Layer):
    """Residual self-attention over the positions of a feature map; starts as the identity.

    Zhang et al. 2019 (SAGAN): far parts of a picture, such as the other eye, inform this one.
    """

    def __init__(self, key_channels: int, **kwargs):
        super().__init__(**kwargs)
        self.key_channels = key_channels

    def build(self, shape):
        """Shape: [N, H, W, C]."""
        channels = shape[-1]
        self.query = layers.Dense(self.key_channels, use_bias=False)
        self.key = layers.Dense(self.key_channels, use_bias=False)
        self.value = layers.Dense(channels, use_bias=False)
        self.out = layers.Dense(channels, kernel_initializer="zeros")
        for dense in (self.query, self.key, self.value, self.out):
            dense.build((None, None, channels))

    def call(self, x):
        """Attend over x [N, H, W, C], H and W may be unknown until run time."""
        shape = ops.shape(x)
        flat = ops.reshape(x, (shape[0], shape[1] * shape[2], x.shape[-1]))
        scores = ops.matmul(self.query(flat), ops.transpose(self.key(flat), (0, 2, 1)))
        attention = ops.softmax(scores * self.key_channels**-0.5, axis=-1)
        return x + ops.reshape(self.out(ops.matmul(attention, self.value(flat))), shape)

    def compute_output_shape(self, shape):
        """Unchanged."""
        return shape

    def get_config(self):
        """Mirror __init__."""
        return {**super().get_config(), "key_channels": self.key_channels}


@keras.saving.register_keras_serializable("vaekit")
class BilinearUpsampling(layers.Layer):
    """Enlarge [N, H, W, C] to [N, 2 H, 2 W, C] by bilinear interpolation with half-pixel centres.

    `UpSampling2D(2, interpolation="bilinear")` computes the same, but cannot be exported where H and W are unknown.
    """

    def call(self, x):
        """Interpolate along both axes."""
        for axis in (1, 2):
            padded = ops.pad(x, [[1, 1] if each == axis else [0, 0] for each in range(4)], mode="symmetric")
            before, after = (padded[:, :-2], padded[:, 2:]) if axis == 1 else (padded[:, :, :-2], padded[:, :, 2:])
            pairs = ops.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis=axis + 1)
            shape = list(ops.shape(x))
            shape[axis] = 2 * shape[axis]
            x = ops.reshape(pairs, shape)
        return x

    def compute_output_shape(self, shape):
        """Twice the height and width."""
        return (shape[0], *(side and 2 * side for side in shape[1:3]), shape[3])


def residual_block(x, z=None, activation: str = "silu"):
    """x + conv(act(conv(act(film(x, z))))), starting as the identity: no normalisation is needed."""
    channels = x.shape[-1]
    y = Film()([x, z]) if z is not None else x
    y = layers.Activation(activation)(y)
    y = layers.Conv2D(channels, 3, padding="same")(y)
    y = layers.Activation(activation)(y)
    y = layers.Conv2D(channels, 3, padding="same", kernel_initializer="zeros")(y)
    return layers.Add()([x, y])
