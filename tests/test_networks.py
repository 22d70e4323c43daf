"""Blocks of networks."""

import keras
import numpy as np
import pytest
from keras import ops

from vaekit.networks.blocks import Conv2DTranspose, sub_pixel_convolution


def numbers(tensor):
    return ops.convert_to_numpy(tensor)


@pytest.mark.parametrize(("size", "stride"), [(4, 2), (8, 4), (6, 2), (9, 3), (12, 4), (3, 2), (2, 2), (5, 3)])
def test_a_sub_pixel_convolution_is_the_transposed_one(size, stride):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 5, 2)).astype(np.float32)
    kernel = rng.normal(size=(size, size, 4, 2)).astype(np.float32)
    expected = ops.conv_transpose(x, kernel, strides=stride, padding="same")
    found = sub_pixel_convolution(ops.convert_to_tensor(x), ops.convert_to_tensor(kernel), stride)
    assert found.shape == (2, 3 * stride, 5 * stride, 4)
    np.testing.assert_allclose(numbers(found), numbers(expected), rtol=1e-4, atol=1e-4)


def test_a_sub_pixel_convolution_by_hand():
    """One row [1, 10] with a kernel of 1, 2, 3, 4 and stride 2: each number puts 1 2 3 4 beside the next one's."""
    kernel = np.zeros((4, 4, 1, 1), np.float32)
    kernel[1, :, 0, 0] = [1, 2, 3, 4]  # row 1 of 4 is an output's own row
    x = np.array([1.0, 10.0], np.float32).reshape(1, 1, 2, 1)
    found = numbers(sub_pixel_convolution(ops.convert_to_tensor(x), ops.convert_to_tensor(kernel), 2))
    # 1 2 3 4 . . plus . . 10 20 30 40, cut by one at either end
    np.testing.assert_allclose(found[0, 0, :, 0], [2, 13, 24, 30])


def test_the_layer_is_keras_own_in_weights_and_output():
    own, other = (cls(3, 4, strides=2, padding="same", activation="relu") for cls in (
        Conv2DTranspose, keras.layers.Conv2DTranspose
    ))  # fmt: skip
    x = np.random.default_rng(0).normal(size=(1, 4, 6, 2)).astype(np.float32)
    other(x)
    own(x)
    own.set_weights([np.random.default_rng(1).normal(size=w.shape) for w in other.get_weights()])
    other.set_weights(own.get_weights())
    np.testing.assert_allclose(numbers(own(x)), numbers(other(x)), rtol=1e-4, atol=1e-5)
    assert own.name.startswith("conv2d_transpose")
