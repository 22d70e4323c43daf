"""GIF and BMP, by Pillow: libvips, as its wheel has it, reads no BMP and gives some GIFs another size.

GIF89a, CompuServe 1990; BMP: Windows GDI, "Bitmap storage".
"""

import io
import struct
from typing import Any, BinaryIO

import numpy as np

from vaekit.images.picture import ANIMATED, CheckSize, Decoded, damaged
from vaekit.images.png import INCH

_WORD = 8
_MOST_PIXELS_IN_A_BYTE = {"bmp_rle": 255, "gif": 4096}


def read_gif(file: BinaryIO, check_size: CheckSize) -> Decoded:
    """Read a GIF; of an animated one the first frame."""
    from PIL.GifImagePlugin import GifImageFile

    data, (width, height), more = _first_frame(file, check_size)
    check_size(width, height)
    if width * height > _MOST_PIXELS_IN_A_BYTE["gif"] * len(data):
        raise damaged(f"{len(data)} bytes cannot hold {width}x{height} pixels")
    return Decoded(_pixels(GifImageFile(io.BytesIO(data))), notes=[ANIMATED] if more else [])


def read_bmp(file: BinaryIO, check_size: CheckSize) -> Decoded:
    """Read a BMP."""
    from PIL.BmpImagePlugin import BmpImageFile

    size = file.seek(0, 2)
    file.seek(0)
    try:
        image = BmpImageFile(file)
    except Exception as error:  # the parser raises whatever a bad file makes it trip over
        raise damaged(f"its header: {error}") from None
    check_size(*image.size)
    tile: Any = image.tile[0]
    file.seek(34)
    bytes_told, *told = struct.unpack("<Iii", file.read(12).ljust(12, b"\0"))
    if tile.codec_name == "raw":
        needed = tile.args[1] * image.height
        whole = tile.offset + needed <= size
        if bytes_told > needed + _WORD:
            raise damaged("it has more pixels than its size says")
    else:
        whole = image.width * image.height <= _MOST_PIXELS_IN_A_BYTE["bmp_rle"] * size
    if not whole:
        raise damaged("it ends too early")
    dpi = image.info.get("dpi")
    if dpi and min(told) > 0:
        dpi = (told[0] * INCH, told[1] * INCH)
    return Decoded(_pixels(image), dpi=dpi if dpi and min(dpi) > 0 else None)


def _pixels(image: Any) -> np.ndarray:
    """[H, W, C]: grey as one channel, what has a transparent colour as four."""
    try:
        image.load()
        if image.mode == "P":
            return _palette_colours(image)
        grey = image.mode in ("1", "L")
        mode = "RGBA" if image.mode == "RGBA" or "transparency" in image.info else "L" if grey else "RGB"
        pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    except MemoryError:
        raise
    except Exception as error:
        raise damaged(str(error).splitlines()[0] if str(error) else "cannot be decoded") from None
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def _palette_colours(image: Any) -> np.ndarray:
    """As Pillow's own conversion, which takes twice the memory."""
    colours = np.zeros((256, 3), np.uint8)
    found = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    colours[: len(found)] = found
    clear = image.info.get("transparency")
    if clear is not None:
        alpha = np.where(np.arange(256) == clear, 0, 255).astype(np.uint8)
        colours = np.column_stack([colours, alpha])
    return colours[np.asarray(image)]


def _first_frame(file: BinaryIO, check_size: CheckSize) -> tuple[bytes, tuple[int, int], bool]:
    """A GIF of the first frame alone, its size, and whether there are more frames."""
    file.seek(0)
    head = _exactly(file, 13)
    width, height = struct.unpack("<HH", head[6:10])
    check_size(width, height)
    kept = [head, _palette(file, head[10])]
    found = False
    while True:
        kind = _exactly(file, 1)
        if kind == b"\x21":
            label = _exactly(file, 1)
            body = _blocks(file)
            if label == b"\xf9" and not found:
                kept.append(kind + label + body)
        elif kind == b"\x2c" and not found:
            frame = _exactly(file, 9)
            left, top, across, down = struct.unpack("<4H", frame[:8])
            width, height = max(width, left + across), max(height, top + down)
            kept += [kind + frame, _palette(file, frame[8]), _exactly(file, 1), _blocks(file)]
            found = True
        elif kind == b"\x3b" or (kind == b"\x2c" and found):
            if not found:
                raise damaged("no frame")
            return b"".join((*kept, b"\x3b")), (width, height), kind == b"\x2c"
        else:
            raise damaged(f"no block at byte {file.tell() - 1}")


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise damaged("it ends too early")
    return data


def _palette(file: BinaryIO, flags: int) -> bytes:
    return _exactly(file, 3 * 2 ** (1 + (flags & 7))) if flags & 0x80 else b""


def _blocks(file: BinaryIO) -> bytes:
    """Data blocks with their lengths, up to the empty one."""
    kept = []
    while True:
        length = _exactly(file, 1)
        kept += [length, _exactly(file, length[0])]
        if not length[0]:
            return b"".join(kept)
