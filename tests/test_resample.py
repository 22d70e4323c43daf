"""Bicubic resampling in MATLAB's convention, in NumPy and in tensors."""

import numpy as np
import pytest
from keras import ops

from vaekit.networks.enlarging import enlarge
from vaekit.resample import bicubic


def test_halving_is_the_stretched_kernel_worked_by_hand():
    # Keys' kernel at 1/4, 3/4, 5/4, 7/4 (a = -1/2), halved: the weights of the samples at +-1/2, 3/2, 5/2, 7/2.
    near = np.array([111, 29, -9, -3]) / 256
    weights = np.concatenate([near[::-1], near])
    signal = np.zeros(24, np.float32)
    signal[8:16] = [3, 1, 4, 1, 5, 9, 2, 6]
    found = bicubic(signal[:, None], (12, 1))
    assert found[5, 0] == pytest.approx(weights @ signal[7:15], abs=1e-6)
    assert found[6, 0] == pytest.approx(weights @ signal[9:17], abs=1e-6)


def test_doubling_is_the_kernel_worked_by_hand():
    # A new sample lies a quarter off an old one: kernel at 5/4, 1/4, 3/4, 7/4.
    weights = np.array([-9, 111, 29, -3]) / 128
    signal = np.array([0, 0, 2, 7, 1, 8, 0, 0], np.float32)
    assert bicubic(signal[:, None], (16, 1))[7, 0] == pytest.approx(weights @ signal[2:6], abs=1e-6)


def test_the_border_is_mirrored():
    signal = np.array([5, 1, 2, 3], np.float32)
    whole = np.concatenate([signal[::-1], signal, signal[::-1]])
    np.testing.assert_allclose(bicubic(signal[:, None], (8, 1)), bicubic(whole[:, None], (24, 1))[8:16], atol=1e-6)


@pytest.mark.parametrize("size", [(3, 5), (13, 7), (40, 41)])
def test_what_is_constant_stays_so_and_sides_are_free(size):
    np.testing.assert_allclose(bicubic(np.full((9, 11, 3), 200, np.uint8), size), 200, rtol=1e-6)


def test_shrinking_does_not_alias():
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    np.testing.assert_allclose(bicubic(stripes, (16, 16))[:, 2:-2], 127.5, atol=1e-3)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_tensors_are_enlarged_as_arrays_are(factor):
    image = np.random.default_rng(0).uniform(size=(2, 7, 5, 3)).astype("float32")
    found = ops.convert_to_numpy(enlarge(ops.convert_to_tensor(image), factor))
    for one, expected in zip(found, image, strict=True):
        np.testing.assert_allclose(one, bicubic(expected, (7 * factor, 5 * factor)), atol=1e-6)
