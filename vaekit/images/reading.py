"""Image files to pictures."""

import functools
import io
import os
import stat
from collections.abc import Callable
from typing import BinaryIO

import cv2
import numpy as np

from vaekit.images import exif, jpeg, pillow, png, tiff, webp
from vaekit.images.picture import DEFAULT_MAX_PIXELS, MAX_SIDE, CheckSize, Decoded, ImageError, Picture, damaged

_MOST_DPI = 100_000

_READERS: dict[bytes, Callable[[BinaryIO, CheckSize], Decoded]] = {
    png.SIGNATURE: png.read,
    b"\xff\xd8\xff": jpeg.read,
    b"BM": pillow.read_bmp,
    b"GIF87a": pillow.read_gif,
    b"GIF89a": pillow.read_gif,
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), tiff.read),
}


def read(path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """Read an image file.

    Of a file that is no image, or is too large, no more than its header is read.

    Raises:
        ImageError: as `decode` does, or the file cannot be read or is a folder, a pipe or a device.
    """
    with open_file(path) as file:
        return _read(file, os.fspath(path), max_pixels)


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to be read.

    Raises:
        ImageError: it cannot be read, or is a folder, a pipe or a device.
    """
    name = os.fspath(path)
    try:
        # Opening a pipe that nobody writes to would wait for ever.
        file = open(path, "rb", opener=lambda p, flags: os.open(p, flags | getattr(os, "O_NONBLOCK", 0)))  # noqa: SIM115
    except OSError as error:
        raise ImageError(f"{name}: cannot be read: {reason(error)}") from None
    except ValueError:  # a null character in the name
        raise ImageError(f"{name!r}: cannot be read: not the name of a file") from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ImageError(f"{name}: cannot be read: not a regular file")
    return file


def decode(data: bytes, *, name: str = "image", max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """Decode an image file held in memory, of whichever format its first bytes show.

    Raises:
        ImageError: with `name` in its message, for what is empty, not an image, truncated, damaged, not supported,
            or declared to have more than `max_pixels` pixels: the size is checked before any are decoded.
    """
    return _read(io.BytesIO(data), name, max_pixels)


def size(data: bytes, *, name: str = "image") -> tuple[int, int]:
    """Width and height that an image file held in memory declares, before its orientation; no pixel is decoded.

    Raises:
        ImageError: with `name` in its message, for what is empty, not an image, not supported, or damaged so far.
    """

    def stop(width: int, height: int) -> None:
        _check_size(MAX_SIDE**2, width, height)
        raise _SizeFound(width, height)

    try:
        _reader(data[:16])(io.BytesIO(data), stop)
    except _SizeFound as found:
        return found.width, found.height
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    raise AssertionError("a reader has not checked the size of a picture")


class _SizeFound(BaseException):
    """Ends a reader where it knows the size of its picture."""

    def __init__(self, width: int, height: int):
        self.width, self.height = width, height


def _read(file: BinaryIO, name: str, max_pixels: int) -> Picture:
    try:
        read_format = _reader(file.read(16))
        decoded = read_format(file, functools.partial(_check_size, max_pixels))
        return _picture(decoded)
    except OSError as error:  # of the disk
        raise ImageError(f"{name}: cannot be read: {reason(error)}") from None
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    except MemoryError:
        raise ImageError(f"{name}: too large for the memory of this machine") from None


def _reader(head: bytes) -> Callable[[BinaryIO, CheckSize], Decoded]:
    if not head:
        raise ImageError("empty: the file has no bytes")
    if head[4:8] == b"ftyp":
        raise ImageError("HEIC, AVIF and video are not supported; convert it to PNG or JPEG")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return webp.read
    for signature, reader in _READERS.items():
        if head.startswith(signature):
            return reader
    raise ImageError("not an image, or of an unsupported kind (PNG, JPEG, WebP, TIFF, BMP and GIF are read)")


def _check_size(max_pixels: int, width: int, height: int) -> None:
    if not (width and height):
        raise damaged("it has no pixels")
    if width * height > max_pixels:
        raise ImageError(f"{width}x{height} is more than the limit of {max_pixels} pixels")
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"{width}x{height} is more than the limit of {MAX_SIDE} pixels on a side")


def _picture(decoded: Decoded) -> Picture:
    pixels, notes = decoded.pixels, list(decoded.notes)
    cleaned = exif.clean(decoded.exif) if decoded.exif else None
    if decoded.exif and not cleaned:
        notes.append("its EXIF data is damaged: left out")
    orientation = cleaned.orientation if cleaned else 1
    grey = pixels.shape[2] < 3
    if pixels.shape[2] == 1:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    elif pixels.shape[2] == 2:
        pixels = cv2.merge([pixels[..., 0]] * 3 + [pixels[..., 1]])
    dpi = decoded.dpi or (cleaned.dpi if cleaned else None)
    dpi = dpi if dpi and all(0 < number <= _MOST_DPI for number in dpi) else None
    return Picture(
        _upright(pixels, orientation),
        grey=grey,
        exif=cleaned.block if cleaned else None,
        icc=decoded.icc or None,
        notes=tuple(notes),
        dpi=dpi[::-1] if dpi and orientation >= 5 else dpi,
        png_colour=decoded.png_colour,
    )


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.require(pixels, requirements=["C", "W"])


def reason(error: Exception) -> str:
    """One line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.splitlines()[0].lower()
