"""Small pictures from large ones: as super-resolution papers shrink them, and as cameras and the web leave them."""

import cv2
import numpy as np

from vaekit.data.augment import to_unit
from vaekit.resample import bicubic

BLUR = 0.6
"""Largest standard deviation of the blur, in pixels of the small picture."""
NOISE = 10.0
"""Largest standard deviation of the noise, of 255."""
QUALITY = (40, 95)
"""Of the JPEG file."""


def shrink(large: np.ndarray, scale: int, rng: np.random.Generator, realistic: float = 0.0) -> np.ndarray:
    """The small picture of a large one.

    Args:
        large: [H, W, 3] in 0..1, sides that `scale` divides.
        scale: how many times smaller.
        rng: every draw comes from it.
        realistic: share of the pictures that are blurred before, and noisy and a JPEG file after: the order of
            Wang et al. 2021 (Real-ESRGAN), once. The others are shrunk by antialiased bicubic alone.

    Returns:
        [H / scale, W / scale, 3] float32 in 0..1, of whole 255ths, as a file would be.
    """
    size = large.shape[0] // scale, large.shape[1] // scale
    if not realistic or rng.random() >= realistic:
        return to_unit(_bytes(bicubic(large, size)))
    blurred = cv2.GaussianBlur(large, (0, 0), max(scale * rng.uniform(0.0, BLUR), 1e-3), borderType=cv2.BORDER_REFLECT)
    small = bicubic(blurred, size)
    # Sensors' noise differs from channel to channel; what is left of it in a file is mostly of the luma.
    channels = 3 if rng.random() < 0.5 else 1
    small += rng.uniform(0.0, NOISE) / 255.0 * rng.standard_normal((*size, channels), np.float32)
    quality = int(rng.integers(QUALITY[0], QUALITY[1] + 1))
    _, file = cv2.imencode(".jpg", _bytes(small)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return to_unit(np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR_RGB)))


def _bytes(image: np.ndarray) -> np.ndarray:
    return np.clip(np.round(255.0 * image), 0, 255).astype(np.uint8)
