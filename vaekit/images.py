"""Image files to arrays and back: the only door to image files.

PNG, JPEG, WebP, TIFF, BMP and GIF are read; all but GIF are written. Pillow reads and writes the files, 8-bit
pixels and metadata; OpenCV takes the pixels of 16-bit files, which Pillow would cut to 8.

What a format cannot keep: 16-bit TIFF loses EXIF, BMP loses EXIF and ICC, JPEG loses EXIF over 64 KB,
WebP has no grey, 16-bit grey with alpha is written as RGBA with equal channels. XMP and text are not kept.
A profile is kept only where it fits the pixels: no RGB profile in a grey file, none at all from CMYK.
"""

import contextlib
import errno
import io
import os
import secrets
import struct
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from vaekit.errors import UserError

DEFAULT_MAX_PIXELS = 175_000_000  # Pillow itself opens no WebP and TIFF of more than 178 million
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif"})

_JPEG, _TIFF = (".jpg", ".jpeg", ".jpe", ".jfif"), (".tif", ".tiff")
_FORMATS = {".png": "PNG", ".webp": "WEBP", ".bmp": "BMP"}
_FORMATS |= dict.fromkeys(_JPEG, "JPEG") | dict.fromkeys(_TIFF, "TIFF")
_WITH_ALPHA = {"PNG", "WEBP", "TIFF"}
_WITH_16_BIT = {"PNG", "TIFF"}
_LARGEST_SIDE = {"WEBP": 16383, "JPEG": 65500}
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {"compress_level": 1},  # a fifth larger than the default of 6, in a fifth of the time
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True, "quality": 30},  # with the colours under alpha 0; 30 is effort
    "TIFF": {},
    "BMP": {},
}
_EXIF_PREFIX = b"Exif\0\0"
_MOST_EXIF_IN_JPEG = 65535 - 2 - len(_EXIF_PREFIX)

# Tags of a TIFF file that tell about the picture rather than about the layout of the file.
_TIFF_EXIF = (270, 271, 272, 305, 306, 315, 33432)
_TIFF_EXIF_DIRECTORIES = (34665, 34853)
_ORIENTATION = 274

# A command line answers for bad files in one line of its own.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
warnings.filterwarnings("ignore", module=r"PIL\.")


class ImageError(UserError, ValueError):
    """An image that cannot be read or written; the message is one line that names the file and the reason."""

    exit_status = 1


@dataclass(frozen=True, eq=False)
class Picture:
    """The pixels of an image file, upright, and what else the file said.

    pixels: HxWx3 (RGB) or HxWx4 (RGBA, straight alpha), uint8 or uint16, over the full range of the type.
    grey: the file was grey; the colour channels are equal, and it is written back as grey.
    exif: the EXIF block, from its TIFF header on; its orientation was applied to the pixels and reset to 1.
    icc: the colour profile; pixels are in its colours, unconverted.
    notes: what a user must hear, such as "animated: only the first frame is used".
    """

    pixels: np.ndarray
    grey: bool = False
    exif: bytes | None = None
    icc: bytes | None = None
    notes: tuple[str, ...] = ()


def read(path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """Read an image file; raises ImageError as `decode` does, or when the file itself cannot be read."""
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise ImageError(f"{name}: cannot be read: {_reason(error)}") from None
    return decode(data, name=name, max_pixels=max_pixels)


def decode(data: bytes, *, name: str = "image", max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """Decode an image file held in memory, of whichever format its first bytes show.

    Raises ImageError, with `name` in its message, for what is empty, not an image, truncated, damaged, not
    supported, or declared to have more than `max_pixels` pixels: the size is checked before any are decoded.
    """
    from PIL.Image import DecompressionBombError

    try:
        file = _open(data)
        width, height = file.size
        if width * height > max_pixels:
            raise ImageError(f"{width}x{height} is more than the limit of {max_pixels} pixels")
        notes = []
        if getattr(file, "is_animated", False):
            notes.append(_PAGES if file.format == "TIFF" else _ANIMATED)
        cmyk = file.mode == "CMYK"
        notes += ["CMYK converted to RGB"] if cmyk else []
        bits = _bits(file, data)
        pixels = _deep_pixels(file, data) if bits == 16 else _pixels(file, bits)
        grey = data[25] in (0, 4) if file.format == "PNG" else file.mode in _GREY_MODES
        # Both decoders turn a TIFF upright themselves.
        exif = _tiff_exif(file) if file.format == "TIFF" else file.info.get("exif")
        orientation, exif = _reset_orientation(exif.removeprefix(_EXIF_PREFIX)) if exif else (1, None)
        icc = None if cmyk else file.info.get("icc_profile")
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    except DecompressionBombError:
        raise ImageError(f"{name}: more pixels than the limit of the decoder") from None
    except MemoryError:
        raise ImageError(f"{name}: too large for the memory of this machine") from None
    except Exception:  # the parsers raise whatever a bad file makes them trip over
        raise ImageError(f"{name}: truncated or damaged: cannot be decoded") from None
    return Picture(_upright(pixels, orientation), grey, exif, icc or None, tuple(notes))


def check(pixels: np.ndarray) -> None:
    """Raise ValueError where an array is no picture that can be edited: [H, W, 3 or 4] of uint8 or uint16."""
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"expected HxWx3 or HxWx4 of uint8 or uint16, not {pixels.shape} of {pixels.dtype}")


def read_mask(
    path: str | os.PathLike[str], *, invert: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS
) -> np.ndarray:
    """Read a mask file as `decode_mask` does; raises ImageError as `read` does."""
    return _mask(read(path, max_pixels=max_pixels).pixels, invert)


def decode_mask(
    data: bytes, *, name: str = "mask", invert: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS
) -> np.ndarray:
    """Decode a mask file held in memory as HxW bool, True in the hole; raises ImageError as `decode` does.

    White is the hole: luma above 127 of 255, in 16 bit above the same share. Alpha is ignored if the colour
    varies at all. A file of one flat colour with varying alpha is a drawing on a transparent layer: there the
    hole is what was drawn, alpha above 127. `invert` exchanges hole and known.
    """
    return _mask(decode(data, name=name, max_pixels=max_pixels).pixels, invert)


def _mask(pixels: np.ndarray, invert: bool) -> np.ndarray:
    level = cv2.cvtColor(pixels[..., :3], cv2.COLOR_RGB2GRAY)
    if pixels.shape[2] == 4 and np.all(pixels[..., :3] == pixels[0, 0, :3]) and np.ptp(pixels[..., 3]):
        level = pixels[..., 3]
    return np.asarray(level > np.iinfo(pixels.dtype).max // 255 * 127) != invert


def encode(pixels: np.ndarray, extension: str, *, like: Picture | None = None) -> bytes:
    """Encode HxWx3 RGB, HxWx4 RGBA or HxW grey pixels, uint8 or uint16, as a file of that extension ('.png').

    `like` gives the EXIF and ICC to keep, and whether to write grey. JPEG is written at quality 95 and 4:4:4;
    all else is lossless, WebP always, so that pixels which an editor left alone come back as they were.
    Raises ImageError when the format cannot hold the pixels: alpha or 16 bit in JPEG, a side over its limit.
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
    """Write HxWx3 RGB uint8 frames as a GIF that goes round for ever, with `write`'s care and errors."""

    from PIL import Image

    def save(_: str, file: BinaryIO) -> None:
        first, *rest = (Image.fromarray(frame) for frame in frames)
        first.save(file, "GIF", save_all=True, append_images=rest, duration=milliseconds, loop=0)

    _write(path, save, overwrite)


def copy(source: str | os.PathLike[str], path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Copy a file byte by byte, whole or not at all, with `write`'s care and errors."""
    try:
        data = Path(source).read_bytes()
    except OSError as error:
        raise ImageError(f"{os.fspath(source)}: cannot be read: {_reason(error)}") from None
    _write(path, lambda _, file: file.write(data), overwrite)


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


# === Reading ===

_ANIMATED, _PAGES = "animated: only the first frame is used", "several pages: only the first is used"
_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr"}
_DEEP_MODES = {"RGB", "RGBA", "I;16", "I;16B"}
_GREY_MODES = {"1", "L", "LA", "La", "I;16", "I;16B"}


def _open(data: bytes) -> Any:
    """The file's header, as a Pillow image with nothing decoded yet."""
    # The classes themselves, as Image.open would try every format it knows and keep a pixel limit of its own.
    from PIL.BmpImagePlugin import BmpImageFile
    from PIL.GifImagePlugin import GifImageFile
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile
    from PIL.TiffImagePlugin import TiffImageFile
    from PIL.WebPImagePlugin import WebPImageFile

    if not data:
        raise ImageError("empty: the file has no bytes")
    if data[4:8] == b"ftyp":
        raise ImageError("HEIC, AVIF and video are not supported; convert it to PNG or JPEG")
    classes: dict[bytes, Any] = {
        b"\x89PNG\r\n\x1a\n": PngImageFile,
        b"\xff\xd8\xff": JpegImageFile,
        b"BM": BmpImageFile,
    }
    classes |= {b"GIF87a": GifImageFile, b"GIF89a": GifImageFile}
    classes |= {b"II*\0": TiffImageFile, b"MM\0*": TiffImageFile}
    classes |= {b"RIFF": WebPImageFile} if data[8:12] == b"WEBP" else {}
    for signature, image_file in classes.items():
        if data.startswith(signature):
            file = image_file(io.BytesIO(data))
            if file.format == "TIFF":
                _check_tiff(file, len(data))
            return file
    raise ImageError("not an image, or of an unsupported kind (PNG, JPEG, WebP, TIFF, BMP and GIF are read)")


def _check_tiff(file: Any, size: int) -> None:
    tags = file.tag_v2
    for offsets, counts in ((273, 279), (324, 325)):  # libtiff would print about missing strips and tiles
        ends = zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False)
        if any(at + count > size for at, count in ends):
            raise ImageError("truncated: its pixels end too early")
    bits = _bits(file)
    if file.mode not in (_DEEP_MODES if bits == 16 else _MODES) or (bits == 16 and 1 in tags.get(338, ())):
        raise ImageError(f"TIFF with {bits}-bit {file.mode} pixels of this kind is not supported")


def _bits(file: Any, data: bytes = b"") -> int:
    if file.format == "TIFF":
        return max(file.tag_v2.get(258, (1,)))
    return data[24] if file.format == "PNG" else 8


def _pixels(file: Any, bits: int) -> np.ndarray:
    file.load()
    key = file.info.get("transparency")
    if file.format == "PNG" and file.mode == "L" and bits < 8 and isinstance(key, int):
        file.info["transparency"] = key * (255 // (2**bits - 1))  # Pillow scales the pixels, not the key
    if file.mode in ("La", "RGBa"):
        file = file.convert(file.mode.upper())
    return np.array(file.convert("RGBA" if key is not None or file.mode in ("LA", "PA", "RGBA") else "RGB"))


def _deep_pixels(file: Any, data: bytes) -> np.ndarray:
    file.load()  # finds damage without a word, where libpng prints
    pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ImageError("truncated or damaged: cannot be decoded")
    if file.format == "TIFF" and file.tag_v2.get(262) == 0:  # white is zero
        pixels = ~pixels
    key = file.info.get("transparency")
    if pixels.ndim == 2 and isinstance(key, int):  # the one transparency OpenCV does not read
        pixels = np.dstack([pixels, pixels, pixels, np.where(pixels == key, 0, 65535).astype(np.uint16)])
    to_rgb = {2: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
    return cv2.cvtColor(pixels, to_rgb[2 if pixels.ndim == 2 else pixels.shape[2]])


def _tiff_exif(file: Any) -> bytes | None:
    from PIL.Image import Exif

    tags, exif = file.getexif(), Exif()
    for tag in _TIFF_EXIF:
        if tag in tags:
            exif[tag] = tags[tag]
    for tag in _TIFF_EXIF_DIRECTORIES:
        if tags.get_ifd(tag):
            exif[tag] = tags.get_ifd(tag)
    return exif.tobytes() if len(exif) else None


def _reset_orientation(exif: bytes) -> tuple[int, bytes]:
    """The orientation in an EXIF block, and the block with that value made 1 and no other byte changed."""
    order = ">" if exif[:2] == b"MM" else "<"
    with contextlib.suppress(struct.error):  # a broken block tells nothing
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", exif, at)
            if tag == _ORIENTATION and kind in (3, 4):
                form = f"{order}{'H' if kind == 3 else 'I'}"
                reset = bytearray(exif)
                struct.pack_into(form, reset, at + 8, 1)
                return struct.unpack_from(form, exif, at + 8)[0], bytes(reset)
    return 1, exif


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


# === Writing ===


def _misfit(shape: Sequence[int], dtype: Any, format_: str) -> str | None:
    if len(shape) == 3 and shape[2] == 4 and format_ not in _WITH_ALPHA:
        return "transparency"
    if dtype == np.uint16 and format_ not in _WITH_16_BIT:
        return "16 bit"
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

    if like and like.grey and pixels.ndim == 3 and format_ != "WEBP":
        pixels = _to_grey(pixels)
    space = b"GRAY" if (pixels.ndim == 2 or pixels.shape[2] == 2) and format_ != "WEBP" else b"RGB "
    icc = like.icc if like and like.icc and like.icc[16:20] == space else None
    exif = like.exif if like and (format_ != "JPEG" or len(like.exif or b"") <= _MOST_EXIF_IN_JPEG) else None
    try:
        (_save if pixels.dtype == np.uint8 else _save_deep)(pixels, format_, exif, icc, file)
    except Exception as error:  # whatever the encoders raise
        if isinstance(error, OSError) and error.errno:  # the file's trouble, not theirs
            raise
        raise ImageError(f"{name}: cannot be encoded as {format_}: {_reason(error)}") from None


def _to_grey(pixels: np.ndarray) -> np.ndarray:
    """HxWx3 to HxW and, in 8 bit, HxWx4 to HxWx2; exact where the channels are equal."""
    level = cv2.cvtColor(pixels[..., :3], cv2.COLOR_RGB2GRAY)
    if pixels.shape[2] == 3:
        return level
    return np.dstack([level, pixels[..., 3]] if pixels.dtype == np.uint8 else [level] * 3 + [pixels[..., 3]])


def _save(pixels: np.ndarray, format_: str, exif: bytes | None, icc: bytes | None, file: BinaryIO) -> None:
    from PIL import Image

    metadata = {} if format_ == "BMP" else {"exif": _EXIF_PREFIX + exif if exif else b"", "icc_profile": icc}
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, format_, **_SAVE_OPTIONS[format_], **metadata)


def _save_deep(pixels: np.ndarray, format_: str, exif: bytes | None, icc: bytes | None, file: BinaryIO) -> None:
    from_rgb = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    ordered = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, from_rgb[pixels.shape[2]])
    if format_ == "TIFF":
        data = cv2.imencode(".tif", ordered)[1].tobytes()
        file.write(_tiff_with(data, pixels.ndim == 3 and pixels.shape[2] == 4, icc))
        return
    blocks: dict[int, bytes | None] = {cv2.IMAGE_METADATA_EXIF: exif, cv2.IMAGE_METADATA_ICCP: icc}
    kept = {kind: np.frombuffer(block, np.uint8) for kind, block in blocks.items() if block}
    file.write(cv2.imencodeWithMetadata(".png", ordered, [*kept], [*kept.values()])[1].data)


def _tiff_with(data: bytes, alpha: bool, icc: bytes | None) -> bytes:
    """OpenCV's TIFF with a profile and the word that alpha is straight, in a new directory."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = [data[at : at + 12] for at in range(start + 2, start + 2 + 12 * count, 12)]
    if alpha:
        entries.append(struct.pack("<HHIHH", 338, 3, 1, 2, 0))
    data += b"\0" * (len(data) % 2)
    if icc:
        entries.append(struct.pack("<HHII", 34675, 7, len(icc), len(data)))
        data += icc + b"\0" * (len(icc) % 2)
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry))
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return data[:4] + struct.pack("<I", len(data)) + data[8:] + directory


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
        raise ImageError(f"{name}: cannot be written: {_reason(error)}") from None


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


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.splitlines()[0].lower()
