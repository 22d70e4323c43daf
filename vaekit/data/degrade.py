"""Small pictures from large ones: as super-resolution papers shrink them, and as cameras and the web leave them."""

import cv2
import numpy as np

from vaekit.data.augment import to_unit
from vaekit.resample import bicubic

BLUR = (0.1, 0.9)
"""Standard deviation of a blur, in pixels of the small picture."""
NOISE = 10.0
"""Largest standard deviation of the noise, of 255."""
QUALITY = (20, 95)
"""Of a JPEG file."""
RESIZERS = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)


def shrink(large: np.ndarray, scale: int, rng: np.random.Generator, realistic: float = 0.0) -> np.ndarray:
    """The small picture of a large one.

    Args:
        large: [H, W, 3] in 0..1, sides that `scale` divides.
        scale: how many times smaller.
        rng: every draw comes from it.
        realistic: share of the pictures that are degraded as `degrade` does it. The others are shrunk by antialiased
            bicubic alone.

    Returns:
        [H / scale, W / scale, 3] float32 in 0..1, of whole 255ths, as a file would be.
    """
    if realistic and rng.random() < realistic:
        return degrade(large, scale, rng)[0]
    return to_unit(_bytes(bicubic(large, (large.shape[0] // scale, large.shape[1] // scale))))


def degrade(large: np.ndarray, scale: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Shrink a picture as cameras, apps and web sites do, one after the other, and say how much it has lost.

    The second-order degradation of Wang et al. 2021 (Real-ESRGAN): blur, resize, noise and JPEG, twice, with the last
    resize, noise and JPEG in any order. Each step is left out at times.

    Args:
        large: [H, W, 3] in 0..1, sides that `scale` divides.
        scale: how many times smaller, 1 for the same size.
        rng: every draw comes from it.

    Returns:
        The small picture [H / scale, W / scale, 3], float32 in 0..1, of whole 255ths, and its severity in 0.1..1:
        the root of the squared sum of noise / NOISE, (100 - quality) / 70 and blur / BLUR[1], cut at 1.
    """
    size = large.shape[0] // scale, large.shape[1] // scale
    image, lost = large.astype(np.float32), {"blur": 0.0, "noise": 0.0, "jpeg": 0.0}

    def blurred(image):
        pixels = image.shape[0] / size[0]
        sigmas = rng.uniform(*BLUR, 2) if rng.random() < 0.4 else np.repeat(rng.uniform(*BLUR), 2)
        lost["blur"] = float(np.hypot(lost["blur"], sigmas.max()))
        return cv2.filter2D(image, -1, gaussian(pixels * sigmas, rng.uniform(0, np.pi)), borderType=cv2.BORDER_REFLECT)

    def noisy(image):
        # What is added at a larger size is averaged with it.
        left = min(1.0, size[0] / image.shape[0])
        sigma = rng.uniform(0.0, NOISE)
        lost["noise"] = float(np.hypot(lost["noise"], left * sigma))
        # Sensors' noise differs from channel to channel; what is left of it in a file is mostly of the luma.
        normal = rng.standard_normal((*image.shape[:2], 3 if rng.random() < 0.5 else 1), np.float32)
        if rng.random() < 0.4:  # of photons: its variance grows with the light
            return image + sigma / 255.0 * np.sqrt(np.clip(image, 0.0, 1.0) / 0.5) * normal
        return image + sigma / 255.0 * normal

    def as_jpeg(image):
        quality = int(rng.integers(QUALITY[0], QUALITY[1] + 1))
        lost["jpeg"] = max(lost["jpeg"], (100 - quality) * min(1.0, size[0] / image.shape[0]))
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420 if rng.random() < 0.7 else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
        _, file = cv2.imencode(".jpg", _bytes(image)[..., ::-1], options)
        return to_unit(np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR_RGB)))

    def resized(image, to):
        if rng.random() < 0.4 or to == image.shape[:2]:
            return bicubic(image, to)
        return cv2.resize(image, to[::-1], interpolation=int(rng.choice(RESIZERS)))

    if rng.random() < 0.8:
        image = blurred(image)
    if scale > 1 and rng.random() < 0.4:
        share = rng.uniform(1.0, scale) / scale
        image = resized(image, (max(round(share * large.shape[0]), 8), max(round(share * large.shape[1]), 8)))
    for step, often in ((noisy, 0.3), (as_jpeg, 0.4), (blurred, 0.2)):
        if rng.random() < often:
            image = step(image)
    last = [(lambda image: resized(image, size), 1.0), (noisy, 0.5), (as_jpeg, 0.8)]
    for place in (0, 1, 2) if rng.random() < 0.6 else rng.permutation(3):
        step, often = last[place]
        if rng.random() < often:
            image = step(image)
    parts = lost["noise"] / NOISE, lost["jpeg"] / 70.0, lost["blur"] / BLUR[1]
    return to_unit(_bytes(image)), float(np.clip(np.linalg.norm(parts), 0.1, 1.0))


def gaussian(sigmas: np.ndarray, angle: float) -> np.ndarray:
    """A Gaussian kernel [K, K] of two standard deviations, in pixels, the first of them along `angle` in radians."""
    reach = max(int(np.ceil(3.0 * max(sigmas))), 1)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    kernel = np.exp(-0.5 * ((along / sigmas[0]) ** 2 + (across / sigmas[1]) ** 2))
    return (kernel / kernel.sum()).astype(np.float32)


def _bytes(image: np.ndarray) -> np.ndarray:
    return np.clip(np.round(255.0 * image), 0, 255).astype(np.uint8)
