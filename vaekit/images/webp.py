"""WebP: the chunks are read here; libvips gets those of the first picture.

RFC 9649.
"""

import struct
from typing import BinaryIO

from vaekit.images import native
from vaekit.images.jpeg import EXIF_PREFIX
from vaekit.images.picture import ANIMATED, CheckSize, Decoded, damaged

_PIXELS = (b"VP8 ", b"VP8L")
_ICC, _ALPHA, _EXIF, _XMP, _ANIMATION = 0x20, 0x10, 0x08, 0x04, 0x02


def read(file: BinaryIO, check_size: CheckSize) -> Decoded:
    """Read a WebP; of an animated one the first frame."""
    file.seek(4)
    end = 8 + int.from_bytes(file.read(4), "little")
    file.seek(0, 2)
    if file.tell() < end:
        raise damaged("it ends too early")
    file.seek(12)
    chunks: dict[bytes, bytes] = {}
    size: tuple[int, int] | None = None
    frames = 0
    while file.tell() + 8 <= end:
        kind, length = struct.unpack("<4sI", file.read(8))
        if file.tell() + length > end:
            raise damaged("it ends too early")
        frames += kind == b"ANMF"
        if kind in chunks or kind not in {*_PIXELS, b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF"}:
            file.seek(length + length % 2, 1)
            continue
        if not chunks and kind == b"VP8X" and length == 10:
            chunks[kind] = file.read(length)
            size = _canvas(chunks[kind])
            check_size(*size)
            continue
        body = file.read(length)
        file.seek(length % 2, 1)
        if kind in _PIXELS:
            own = _size(kind, body)
            if size and size != own:
                raise damaged("its parts contradict each other")
            check_size(*own)
            size = own
        if kind == b"ANMF":
            _check_frame(body, size)
        chunks[kind] = body
    if not size or not chunks.keys() & {*_PIXELS, b"ANMF"}:
        raise damaged("no pixels")
    decoded = Decoded(
        native.decode("webp", _only_pixels(chunks), size, (3, 4), {"uchar"}),
        exif=chunks.get(b"EXIF", b"").removeprefix(EXIF_PREFIX) or None,
        icc=chunks.get(b"ICCP"),
    )
    if frames > 1:
        decoded.notes.append(ANIMATED)
    return decoded


def _canvas(body: bytes) -> tuple[int, int]:
    return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")


def _check_frame(body: bytes, canvas: tuple[int, int] | None) -> None:
    """A frame must lie inside of the canvas, and its pixels have its size."""
    if canvas is None or len(body) < 24:
        raise damaged("no header before the pixels")
    left, top, width, height = (int.from_bytes(body[at : at + 3], "little") for at in (0, 3, 6, 9))
    size, at = (width + 1, height + 1), 16
    kind = body[at : at + 4]
    if kind == b"ALPH":
        at += 8 + int.from_bytes(body[at + 4 : at + 8], "little") + body[at + 4] % 2
        kind = body[at : at + 4]
    outside = 2 * left + size[0] > canvas[0] or 2 * top + size[1] > canvas[1]
    if kind not in _PIXELS or outside or _size(kind, body[at + 8 : at + 18]) != size:
        raise damaged("its parts contradict each other")


def _size(kind: bytes, body: bytes) -> tuple[int, int]:
    if kind == b"VP8 ":
        if len(body) < 10 or body[3:6] != b"\x9d\x01\x2a":
            raise damaged("no header before the pixels")
        width, height = struct.unpack("<HH", body[6:10])
        return width & 0x3FFF, height & 0x3FFF
    if len(body) < 5 or body[0] != 0x2F:
        raise damaged("no header before the pixels")
    bits = int.from_bytes(body[1:5], "little")
    return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)


def _only_pixels(chunks: dict[bytes, bytes]) -> bytes:
    kept = b""
    if b"VP8X" in chunks:
        flags = chunks[b"VP8X"][0] & ~(_ICC | _EXIF | _XMP)
        kept = _chunk(b"VP8X", bytes([flags]) + chunks[b"VP8X"][1:])
    order = (b"ANIM", b"ANMF") if chunks.get(b"VP8X", b"\0")[0] & _ANIMATION else (b"ALPH", *_PIXELS)
    kept += b"".join(_chunk(kind, chunks[kind]) for kind in order if kind in chunks)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(kept), b"WEBP") + kept


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(body)) + body + bytes(len(body) % 2)
