"""Mask files to arrays of bool."""

import os

import cv2
import numpy as np

from vaekit.images.picture import DEFAULT_MAX_PIXELS, ImageError
from vaekit.images.reading import decode, read

_MOST_COLOURS = 64
"""Different colours, of 32768, that strokes of a brush have at most; a photo has more."""


def read_mask(
    path: str | os.PathLike[str], *, invert: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS
) -> np.ndarray:
    """Read a mask file as `decode_mask` does; raises ImageError as `read` does."""
    return _mask(read(path, max_pixels=max_pixels).pixels, invert, os.fspath(path))


def decode_mask(
    data: bytes, *, name: str = "mask", invert: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS
) -> np.ndarray:
    """Decode a mask file held in memory.

    Without transparency white is the hole: luma above 127 of 255, in 16 bit above the same share.

    In a file with transparent parts, colours that cannot be seen do not count, and a pixel can be seen where its
    alpha is above half of the largest. Strokes of any colours on a transparent layer are the hole. Only where
    the visible part is itself black and white, as a mask with a transparent margin is, white is the hole, and what is
    transparent is not.

    Args:
        data: the file's bytes.
        name: what error messages call the file.
        invert: exchange hole and known.
        max_pixels: refuse a file that declares more.

    Returns:
        [H, W] bool, True in the hole.

    Raises:
        ImageError: as `decode` does; also for a photo with an erased part, where it is unclear which part is the
            hole. With `invert` it is the erased one.
    """
    return _mask(decode(data, name=name, max_pixels=max_pixels).pixels, invert, name)


def _mask(pixels: np.ndarray, invert: bool, name: str) -> np.ndarray:
    top = np.iinfo(pixels.dtype).max
    light = cv2.cvtColor(pixels[..., :3], cv2.COLOR_RGB2GRAY) > top // 255 * 127
    if pixels.shape[2] == 3 or pixels[..., 3].min() == top:
        return light != invert
    alpha = pixels[..., 3]
    visible = alpha > alpha.max() // 2
    if np.all(visible):
        return light != invert
    colours, lights = pixels[visible][:, :3], light[visible]
    if len(colours) and lights.any() and not lights.all():
        if np.all(colours == colours[:, :1]):
            return (visible & light) != invert
        few = (colours >> (8 * pixels.itemsize - 5)).astype(np.uint16) @ np.array([1024, 32, 1], np.uint16)
        if not invert and len(np.unique(few)) > _MOST_COLOURS:
            raise ImageError(
                f"{name}: looks like a photo with an erased part, not like a mask"
                " (inverted, the erased part is the hole)"
            )
    return visible != invert
