"""From an image file's pixels to one training crop."""

import cv2
import numpy as np


def crop_resize(
    image: np.ndarray,
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    zoom: tuple[float, float] = (1.0, 1.0),
    rotate: float = 5.0,
    flip: bool = True,
    jitter: float = 1.0,
) -> np.ndarray:
    """A random crop, resized, turned and mirrored, in one resampling.

    Args:
        image: [h, w, C] uint8.
        shape: (H, W) of the crop.
        rng: every draw comes from it.
        zoom: the crop's size as a share of the largest crop of its aspect, drawn log-uniformly.
        rotate: standard deviation of the turn, in degrees.
        flip: whether half the crops are mirrored.
        jitter: how much of the zoom, the shift and the turn there is; 0 for the largest crop, centred, upright.

    Returns:
        [H, W, C] uint8; beyond the image's border it is reflected.
    """
    height, width = shape
    share = np.exp(jitter * rng.uniform(np.log(zoom[0]), np.log(zoom[1])))
    factor = 1.0 / (share * min(image.shape[0] / height, image.shape[1] / width))
    if factor < 0.6:  # more than bilinear sampling can average: shrink first
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        factor = 1.0
    spare_x = max(image.shape[1] - width / factor, 0.08 * image.shape[1])
    spare_y = max(image.shape[0] - height / factor, 0.08 * image.shape[0])
    centre = [
        (image.shape[1] - 1) / 2 + jitter * rng.uniform(-0.5, 0.5) * spare_x,
        (image.shape[0] - 1) / 2 + jitter * rng.uniform(-0.5, 0.5) * spare_y,
    ]
    angle = np.deg2rad(jitter * rng.normal(0.0, rotate))
    turn = factor * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if flip and rng.random() < 0.5:
        turn[:, 0] *= -1
    shift = np.array([(width - 1) / 2, (height - 1) / 2]) - turn @ centre
    kind = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_LINEAR
    matrix = np.column_stack([turn, shift])
    crop = cv2.warpAffine(image, matrix, (width, height), flags=kind, borderMode=cv2.BORDER_REFLECT_101)
    return crop if crop.ndim == 3 else crop[..., None]


def erase(image: np.ndarray, rng: np.random.Generator) -> None:
    """Hide a random rectangle under one random colour, in place: random erasing (Zhong et al. 2020).

    It is 2 to 20 % of the picture, and .4 to 2.5 times as high as wide; a side longer than the picture's is cut.

    Args:
        image: [H, W, C] float in 0..1.
        rng: every draw comes from it.
    """
    size = rng.uniform(0.02, 0.2) * image.shape[0] * image.shape[1]
    ratio = np.exp(rng.uniform(np.log(0.4), np.log(2.5)))
    height = min(round(np.sqrt(size * ratio)), image.shape[0])
    width = min(round(np.sqrt(size / ratio)), image.shape[1])
    top, left = rng.integers(image.shape[0] - height + 1), rng.integers(image.shape[1] - width + 1)
    image[top : top + height, left : left + width] = rng.random(image.shape[2])


def to_unit(image: np.ndarray) -> np.ndarray:
    """uint8 -> float32 in 0..1."""
    return image.astype(np.float32) / 255.0


def match_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """[H, W, 1, 3 or 4] -> [H, W, channels], 1 (luma) or 3 (RGB); opacity is dropped."""
    if image.shape[2] == 4:
        image = image[..., :3]
    if image.shape[2] == channels:
        return image
    return np.repeat(image, 3, axis=2) if channels == 3 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
