"""Black-and-white photos stay so, though networks are trained on colours and give some to whatever they draw."""

from collections.abc import Iterator

import cv2
import numpy as np

ROWS = 64
"""Looked at together: a colour photo shows itself in the first, and copies of so many are small."""


def keep_grey(edited: np.ndarray, *pictures: np.ndarray) -> np.ndarray:
    """Make an edit grey, in place, if every picture that it was made of is: its colour channels are equal.

    Each pixel gets its luma (BT.601). Pixels that are grey already keep their exact values.

    Args:
        edited: [H, W, 3 or 4] uint8 or uint16; alpha stays as it is.
        *pictures: as `edited`, of any size.

    Returns:
        `edited`.

    Example:
        return keep_grey(result, image)
    """
    if all(is_grey(picture) for picture in pictures):
        for rows in _bands(edited):
            rows[..., :3] = cv2.cvtColor(rows[..., :3], cv2.COLOR_RGB2GRAY)[..., None]
    return edited


def is_grey(pixels: np.ndarray) -> bool:
    """Whether the colour channels of [H, W, 3 or 4] are equal everywhere."""
    return all((rows[..., 1:3] == rows[..., :1]).all() for rows in _bands(pixels))


def _bands(pixels: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(pixels), ROWS):
        yield pixels[first : first + ROWS]
