"""Black-and-white photos stay so, though networks are trained on colours and give some to whatever they draw."""

from collections.abc import Iterator

import cv2
import numpy as np

ROWS = 64
"""Looked at together: a colour photo shows itself in the first, and copies of so many are small."""


def keep_grey(edited: np.ndarray, *pictures: np.ndarray) -> np.ndarray:
    """Make an edit grey, in place, if every picture that it was made of is.

    Each pixel gets its luma (BT.601), but one that is as it was in the first picture keeps its exact values.

    Args:
        edited: [H, W, 3 or 4] uint8 or uint16; alpha stays as it is.
        *pictures: as `edited`, of any size.

    Returns:
        `edited`.

    Example:
        return keep_grey(result, image)
    """
    if not all(is_grey(picture) for picture in pictures):
        return edited
    if edited.shape != pictures[0].shape:
        for rows in _bands(edited):
            rows[..., :3] = _luma(rows)
        return edited
    for rows, before in zip(_bands(edited), _bands(pictures[0]), strict=True):
        changed = (rows != before).any(axis=2, keepdims=True)
        np.copyto(rows[..., :3], _luma(rows), where=changed)
    return edited


def is_grey(pixels: np.ndarray) -> bool:
    """Whether the colour channels of [H, W, 3 or 4] are equal everywhere, to 1/255: lossy WebP rounds them so."""
    least = np.iinfo(pixels.dtype).max // 255
    return all((_spread(rows) <= least).all() for rows in _bands(pixels))


def _spread(rows: np.ndarray) -> np.ndarray:
    red, green, blue = (rows[..., channel] for channel in range(3))
    return np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)


def _luma(rows: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(rows[..., :3], cv2.COLOR_RGB2GRAY)[..., None]


def _bands(pixels: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(pixels), ROWS):
        yield pixels[first : first + ROWS]
