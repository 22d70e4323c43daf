"""Pictures to image files, whole or not at all."""

import contextlib
import errno
import io
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from vaekit.images import exif, jpeg, png, tiff
from vaekit.images.picture import JPEG_SUFFIXES, TIFF_SUFFIXES, ImageError, Picture
from vaekit.images.reading import open_file, reason

_FORMATS = {".png": "PNG", ".webp": "WEBP", ".bmp": "BMP"}
_FORMATS |= dict.fromkeys(JPEG_SUFFIXES, "JPEG") | dict.fromkeys(TIFF_SUFFIXES, "TIFF")
_WITH_ALPHA = {"PNG", "WEBP", "TIFF"}
_WITH_16_BIT = {"PNG", "TIFF"}
_LARGEST_SIDE = {"WEBP": 16383, "JPEG": 65500}
_MOST_TIFF_BYTES = (1 << 32) - (1 << 24)
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {"compress_level": 1},  # a fifth larger than the default of 6, in a fifth of the time
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True, "quality": 30},  # with the colours under alpha 0; 30 is effort
    "BMP": {},
}
_MOST_EXIF_IN_JPEG = 65535 - 2 - len(jpeg.EXIF_PREFIX)


def encode(pixels: np.ndarray, extension: str, *, like: Picture | None = None) -> bytes:
    """Encode pixels as a file held in memory.

    JPEG is written at quality 95 and 4:4:4; all else is lossless, WebP always, so that pixels which an editor left
    alone come back as they were.

    What `like` says is kept where the format has a place for it: BMP keeps the resolution only; WebP has no grey and
    keeps a resolution in EXIF; gAMA, cHRM, sRGB and cICP are kept in PNG; JPEG loses EXIF over 64 KB; 16-bit grey with
    alpha becomes RGBA with equal channels. A profile is kept only where it fits the pixels: none for RGB in a grey
    file. The sizes that EXIF tells are set to those of `pixels`. XMP and text are not kept.

    Args:
        pixels: [H, W, 3] RGB, [H, W, 4] RGBA or [H, W] grey, uint8 or uint16.
        extension: names the format, '.png'.
        like: gives EXIF, profile and resolution to keep, and whether to write grey.

    Raises:
        ImageError: the format cannot hold the pixels: alpha or 16 bit in JPEG, a side over its limit.
    """
    file = io.BytesIO()
    _encode(pixels, extension, like, f"'{extension}' image", file)
    return file.getvalue()


def write(
    path: str | os.PathLike[str], pixels: np.ndarray, *, like: Picture | None = None, overwrite: bool = False
) -> None:
    """Write an image file whole or not at all: `encode` to a temporary file beside it, then rename.

    An existing file is refused unless `overwrite`; so is one that appears meanwhile, where the file system
    has hard links. Raises ImageError as `encode` does, or when it cannot write; nothing is left behind then.
    """
    _write(path, lambda suffix, file: _encode(pixels, suffix, like, os.fspath(path), file), overwrite)


def write_animation(
    path: str | os.PathLike[str], frames: Sequence[np.ndarray], milliseconds: int, *, overwrite: bool = False
) -> None:
    """Write [H, W, 3] RGB uint8 frames as a GIF that repeats for ever, with `write`'s care and errors."""

    from PIL import Image

    def save(_: str, file: BinaryIO) -> None:
        first, *rest = (Image.fromarray(frame) for frame in frames)
        first.save(file, "GIF", save_all=True, append_images=rest, duration=milliseconds, loop=0)

    _write(path, save, overwrite)


def copy(source: str | os.PathLike[str], path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Copy a file byte by byte, whole or not at all, with `write`'s care and errors."""
    with open_file(source) as data:
        _write(path, lambda _, file: shutil.copyfileobj(data, file, 1 << 20), overwrite)


def check_output(path: str | os.PathLike[str], shape: Sequence[int], dtype: Any = np.uint8) -> None:
    """Check, before any work is done, that an image file of this name can hold an array.

    Args:
        path: the file to be written; its suffix names the format.
        shape: of the array, (H, W), (H, W, 3) or (H, W, 4).
        dtype: of the array, uint8 or uint16.

    Raises:
        ImageError: the suffix is of no format that is written, or the format holds no alpha, no 16 bit or no side
            of this length. The message names the file and the limit.
    """
    name, suffix = os.fspath(path), Path(path).suffix
    format_ = _FORMATS.get(suffix.lower())
    if not format_:
        raise ImageError(f"{name}: '{suffix}' cannot be written, only {', '.join(sorted(_FORMATS))}")
    if misfit := _misfit(shape, dtype, format_):
        raise ImageError(f"{name}: {format_} cannot hold {misfit}; write .png instead")


def output_suffix(picture_or_pixels: Picture | np.ndarray, suffix: str, *, shape: Sequence[int] | None = None) -> str:
    """The suffix to write these pixels under: `suffix` if its format can hold them, else '.png'.

    `shape` is the shape of what will be written, where it is not that of the pixels (an enlargement).
    """
    pixels = picture_or_pixels.pixels if isinstance(picture_or_pixels, Picture) else picture_or_pixels
    format_ = _FORMATS.get(suffix.lower())
    fits = format_ and _misfit(shape or pixels.shape, pixels.dtype, format_) is None
    return suffix if fits else ".png"


def _misfit(shape: Sequence[int], dtype: Any, format_: str) -> str | None:
    if len(shape) == 3 and shape[2] == 4 and format_ not in _WITH_ALPHA:
        return "transparency"
    if dtype == np.uint16 and format_ not in _WITH_16_BIT:
        return "16 bit"
    if format_ == "TIFF" and np.prod(shape, dtype=np.int64) * np.dtype(dtype).itemsize > _MOST_TIFF_BYTES:
        return "more than 4 GB"
    limit = _LARGEST_SIDE.get(format_, 2**31 - 1)
    return f"more than {limit} pixels on a side" if max(shape[:2]) > limit else None


def _encode(pixels: np.ndarray, extension: str, like: Picture | None, name: str, file: BinaryIO) -> None:
    format_ = _FORMATS.get(extension.lower())
    if not format_:
        raise ImageError(f"{name}: '{extension}' cannot be written, only {', '.join(sorted(_FORMATS))}")
    shape_fits = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if not (shape_fits and pixels.size and pixels.dtype in (np.uint8, np.uint16)):
        raise ImageError(f"{name}: {pixels.dtype} pixels of shape {pixels.shape} are not an image")
    if misfit := _misfit(pixels.shape, pixels.dtype, format_):
        raise ImageError(f"{name}: {format_} cannot hold {misfit}; write .png instead")

    like = like or Picture(pixels)
    if pixels.ndim == 3 and like.grey and format_ != "WEBP":
        pixels = _to_grey(pixels)
    space = b"GRAY" if pixels.ndim == 2 or pixels.shape[2] == 2 else b"RGB "
    icc = like.icc if like.icc and like.icc[16:20] == space else None
    block = exif.resized(like.exif, pixels.shape[1], pixels.shape[0]) if like.exif else None
    try:
        if format_ == "TIFF":
            _save_tiff(pixels, block, icc, like.dpi, file)
        elif format_ == "PNG":
            file.write(png.with_chunks(_png(pixels), block, icc, like.dpi, like.png_colour))
        else:
            _save(pixels, format_, block, icc, like.dpi, file)
    except Exception as error:  # whatever the encoders raise
        if isinstance(error, OSError) and error.errno:  # the file's trouble, not theirs
            raise
        raise ImageError(f"{name}: cannot be encoded as {format_}: {reason(error)}") from None


def _to_grey(pixels: np.ndarray) -> np.ndarray:
    """[H, W, 3] to [H, W] and, in 8 bit, [H, W, 4] to [H, W, 2]; exact where the channels are equal."""
    level = cv2.cvtColor(pixels[..., :3], cv2.COLOR_RGB2GRAY)
    if pixels.shape[2] == 3:
        return level
    return cv2.merge([level] * (1 if pixels.dtype == np.uint8 else 3) + [pixels[..., 3]])


def _png(pixels: np.ndarray) -> bytes:
    if pixels.dtype == np.uint16:
        from_rgb = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
        ordered = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, from_rgb[pixels.shape[2]])
        return cv2.imencode(".png", ordered)[1].tobytes()
    file = io.BytesIO()
    _save(pixels, "PNG", None, None, None, file)
    return file.getvalue()


def _save(
    pixels: np.ndarray,
    format_: str,
    block: bytes | None,
    icc: bytes | None,
    dpi: tuple[float, float] | None,
    file: BinaryIO,
) -> None:
    from PIL import Image

    if format_ == "WEBP" and dpi and not block:
        block = exif.of_dpi(*dpi)
    if format_ == "JPEG" and len(block or b"") > _MOST_EXIF_IN_JPEG:
        block = None
    said: dict[str, Any] = {"dpi": dpi} if dpi else {}
    if format_ in ("JPEG", "WEBP"):
        said |= {"exif": jpeg.EXIF_PREFIX + block if block else b"", "icc_profile": icc}
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, format_, **_SAVE_OPTIONS[format_], **said)


def _save_tiff(
    pixels: np.ndarray, block: bytes | None, icc: bytes | None, dpi: tuple[float, float] | None, file: BinaryIO
) -> None:
    own, below = exif.tags_of_block(block) if block else ({}, {})
    own |= exif.dpi_tags(*dpi) if dpi else {}
    file.write(tiff.head(pixels.shape, pixels.dtype, own, below, icc))
    file.write(np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<")).data)


def _write(path: str | os.PathLike[str], save: Callable[[str, BinaryIO], object], overwrite: bool) -> None:
    name = os.fspath(path)
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            raise ImageError(f"{name}: cannot be written: not a regular file")
        if target.exists() and not overwrite:
            raise FileExistsError
        _write_atomically(target, save, overwrite)
    except FileExistsError:
        raise ImageError(f"{name}: already exists") from None
    except OSError as error:
        raise ImageError(f"{name}: cannot be written: {reason(error)}") from None


def _write_atomically(target: Path, save: Callable[[str, BinaryIO], object], overwrite: bool) -> None:
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with _new_file(temporary) as file:
            save(target.suffix, file)
            file.flush()
            os.fsync(file.fileno())
            if not overwrite:
                try:
                    _link(file, temporary, target)  # tests for the name and takes it in one step
                    return
                except FileExistsError:
                    raise
                except OSError:  # no hard links on this file system
                    if target.exists():
                        raise FileExistsError from None
            if not temporary.exists():
                _link(file, temporary, temporary)
        os.replace(temporary, target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _new_file(path: Path) -> BinaryIO:
    """A file to be written: without a name where the system can, so that a killed process leaves nothing behind."""
    # Not tempfile: its files can be read by their owner only.
    if hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd"):
        try:
            return os.fdopen(os.open(path.parent, os.O_RDWR | os.O_TMPFILE, 0o666), "w+b")
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                raise
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666), "w+b")


def _link(file: BinaryIO, name: Path, target: Path) -> None:
    """Give a new file, called `name` or without a name, the name `target`."""
    if name.exists():
        os.link(name, target)
    else:  # a link of /proc is followed only where a folder's descriptor is given too, whichever it is
        os.link(f"/proc/self/fd/{file.fileno()}", target, src_dir_fd=file.fileno())
