"""What an image file is in memory, and the errors of files that are none."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from vaekit.errors import UserError

DEFAULT_MAX_PIXELS = 175_000_000
MAX_SIDE = 1_000_000
"""Pixels on a side; as libpng has it. Longer strips cost decoders a multiple of their pixels."""

JPEG_SUFFIXES, TIFF_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif"), (".tif", ".tiff")
SUFFIXES = frozenset({".png", ".webp", ".bmp", ".gif", *JPEG_SUFFIXES, *TIFF_SUFFIXES})


class ImageError(UserError, ValueError):
    """An image that cannot be read or written; the message is one line that names the file and the reason."""

    exit_status = 1


@dataclass(frozen=True, eq=False)
class Picture:
    """The pixels of an image file, upright, and what else the file said.

    Attributes:
        pixels: [H, W, 3] (RGB) or [H, W, 4] (RGBA, straight alpha), uint8 or uint16, over the full range of the type.
        grey: the file had one colour channel; all three are equal here, and it is written back with one.
        exif: the EXIF block, from its TIFF header on. The orientation was applied to the pixels and reset to 1, and
            thumbnails were removed, as they would show the picture before it was edited.
        icc: the colour profile; pixels are in its colours, unconverted.
        dpi: pixels an inch, horizontally and vertically, where the file says.
        png_colour: the PNG chunks gAMA, cHRM, sRGB and cICP, by name; they go back into a PNG.
        notes: what a user must hear, such as "animated: only the first frame is used".
    """

    pixels: np.ndarray
    grey: bool = False
    exif: bytes | None = None
    icc: bytes | None = None
    notes: tuple[str, ...] = ()
    dpi: tuple[float, float] | None = None
    png_colour: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Decoded:
    """What a format's reader finds in a file, before it is turned upright.

    pixels: [H, W, C], C of 1 (grey), 2 (grey and alpha), 3 or 4.
    """

    pixels: np.ndarray
    exif: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    png_colour: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


CheckSize = Callable[[int, int], None]
"""check(width, height) raises ImageError where a file declares more pixels than are wanted, or none."""

ANIMATED = "animated: only the first frame is used"


def damaged(what: str) -> ImageError:
    """The error for a file that is not whole."""
    return ImageError(f"truncated or damaged: {what}")


def check(pixels: np.ndarray) -> None:
    """Raise ValueError where an array is no picture that can be edited: [H, W, 3 or 4] of uint8 or uint16."""
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"expected HxWx3 or HxWx4 of uint8 or uint16, not {pixels.shape} of {pixels.dtype}")
