"""How far one picture is from another. Pictures are [H, W, C] float in 0..1; a mask is [H, W] bool."""

import cv2
import numpy as np


def psnr(first: np.ndarray, second: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in dB, -10 log10 of the mean squared error; over `mask` where it is given.

    Raises:
        ValueError: pictures of integers, such as 0..255.
    """
    first, second = np.asarray(first), np.asarray(second)
    for picture in (first, second):
        if picture.dtype.kind in "biu":
            raise ValueError(f"psnr: pictures are floats in 0..1, found {picture.dtype} (divide uint8 by 255)")
    error = np.mean(_chosen((first - second) ** 2, mask))
    return float(-10.0 * np.log10(max(error, 1e-10)))


def l1(first: np.ndarray, second: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean absolute difference; over `mask` where it is given."""
    return float(np.mean(_chosen(np.abs(first - second), mask)))


def _chosen(values, mask):
    return values if mask is None else values[mask]


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004, eq. 13), the mean over channels and pixels.

    Their constants: a Gaussian window of 11 pixels with sigma 1.5, K1 = .01, K2 = .03; only windows that lie
    wholly inside count. Both sides must be at least 11.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)

    def local(values):
        return cv2.GaussianBlur(values, (11, 11), 1.5)[5:-5, 5:-5]

    mean1, mean2 = local(first), local(second)
    variance1, variance2 = local(first**2) - mean1**2, local(second**2) - mean2**2
    covariance = local(first * second) - mean1 * mean2
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean1 * mean2 + c1) / (mean1**2 + mean2**2 + c1)
    structure = (2 * covariance + c2) / (variance1 + variance2 + c2)
    return float(np.mean(luminance * structure))
