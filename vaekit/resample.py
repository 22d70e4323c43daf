"""New pixels from old ones: bicubic resampling as super-resolution papers have it, and the nearest known pixel."""

import cv2
import numpy as np


def bicubic(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resample an image with Keys' cubic kernel (Keys 1981, a = -1/2).

    When a side shrinks, the kernel is stretched by as much, so that nothing aliases. Beyond the border the
    image is mirrored. MATLAB's imresize gives the same, where OpenCV's INTER_CUBIC (a = -3/4, never
    antialiased) does not.

    Args:
        image: [h, w, ...], of any number type.
        size: (H, W), each at least 1.

    Returns:
        [H, W, ...] float32, not clipped.
    """
    rows = _along_first(np.asarray(image, np.float32), size[0])
    return np.ascontiguousarray(np.swapaxes(_along_first(np.swapaxes(rows, 0, 1), size[1]), 0, 1))


def _along_first(values: np.ndarray, size: int) -> np.ndarray:
    if values.shape[0] == size:
        return values
    places, weights = taps(values.shape[0], size)
    result = np.zeros((size, *values.shape[1:]), np.float32)
    for place, weight in zip(places.T, weights.T, strict=True):
        result += weight.reshape(-1, *[1] * (values.ndim - 1)) * values[place]
    return result


def taps(length: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of `length` samples each of `size` new ones is made of: (places [size, T], weights [size, T])."""
    scale = size / length
    stretch = min(scale, 1.0)
    middles = (np.arange(size) + 0.5) / scale - 0.5
    count = int(np.ceil(4.0 / stretch)) + 2
    places = np.floor(middles - 2.0 / stretch).astype(int)[:, None] + np.arange(count)
    weights = cubic(stretch * (middles[:, None] - places))
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    used = np.any(weights != 0, axis=0)
    mirrored = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    return mirrored[places[:, used] % (2 * length)], weights[:, used]


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys' kernel with a = -1/2, of width 4.

    >>> cubic(np.array([0.0, 0.5, 1.0, 1.5, 2.0])).tolist()
    [1.0, 0.5625, 0.0, -0.0625, 0.0]
    """
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1.0
    far = -0.5 * x**3 + 2.5 * x**2 - 4.0 * x + 2.0
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def from_nearest(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Give every pixel of values [H, W, ...] that of the nearest known one; `known` is [H, W] bool, not all False."""
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    by_label = np.zeros((labels.max() + 1, *values.shape[2:]), values.dtype)
    by_label[labels[known]] = values[known]
    return by_label[labels]
