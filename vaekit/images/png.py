"""PNG: every chunk's checksum and the whole of the compressed pixels are checked before libvips sees them.

PNG specification, third edition, W3C 2025: https://www.w3.org/TR/png-3/
"""

import struct
import zlib
from typing import BinaryIO

from vaekit.images import native
from vaekit.images.picture import ANIMATED, CheckSize, Decoded, damaged

SIGNATURE = b"\x89PNG\r\n\x1a\n"
INCH = 0.0254  # metres
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_COLOUR_SIZES = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4}
_READ = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"iCCP", b"eXIf", b"pHYs", b"acTL", *_COLOUR_SIZES}
_OTHER_FRAMES = {b"fcTL", b"fdAT"}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE, _BITE = 1 << 20, 1 << 14
_MOST_PROFILE = 32 << 20


def read(file: BinaryIO, check_size: CheckSize) -> Decoded:
    """Read a PNG; of an animated one the still image."""
    file.seek(len(SIGNATURE))
    kind, body = _next(file)
    if kind != b"IHDR" or len(body) != 13:
        raise damaged("no header")
    width, height, depth, colour, compression, filter_, interlaced = struct.unpack(">IIBBBBB", body)
    check_size(width, height)
    if depth not in _DEPTHS.get(colour, ()) or compression or filter_ or interlaced > 1:
        raise damaged("its header says what no PNG can be")
    pixels = _Pixels(_raw_size(width, height, depth * _CHANNELS[colour], bool(interlaced)))
    kept, chunks = [chunk(b"IHDR", body)], {}
    while kind != b"IEND":
        kind, body = _next(file)
        if kind == b"IDAT":
            pixels.add(body)
        elif kind not in chunks:
            chunks[kind] = body
    pixels.end()
    palette = chunks.get(b"PLTE", b"")
    if colour == 3:
        if not 3 <= len(palette) <= 768 or len(palette) % 3:
            raise damaged("no palette")
        kept.append(chunk(b"PLTE", palette))
    transparent = chunks.get(b"tRNS", b"")
    fits = {0: len(transparent) == 2, 2: len(transparent) == 6, 3: 1 <= len(transparent) <= len(palette) // 3}
    if fits.get(colour):
        kept.append(chunk(b"tRNS", transparent))
    kept += [chunk(b"IDAT", piece) for piece in pixels.pieces] + [chunk(b"IEND", b"")]
    bands = (3 if colour == 3 else _CHANNELS[colour]) + bool(fits.get(colour))
    decoded = Decoded(
        native.decode(
            "png", SIGNATURE + b"".join(kept), (width, height), (bands,), {"ushort" if depth == 16 else "uchar"}
        ),
        exif=chunks.get(b"eXIf"),
        icc=_profile(chunks.get(b"iCCP", b"")),
        dpi=_dpi(chunks.get(b"pHYs", b"")),
        png_colour={k.decode(): chunks[k] for k, size in _COLOUR_SIZES.items() if len(chunks.get(k, b"")) == size},
    )
    if b"acTL" in chunks:
        decoded.notes.append(ANIMATED)
    return decoded


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def with_chunks(
    data: bytes,
    exif: bytes | None,
    icc: bytes | None,
    dpi: tuple[float, float] | None,
    colour: dict[str, bytes],
) -> bytes:
    """An encoded PNG with what else it is to say, before its pixels."""
    said = [chunk(kind.encode(), body) for kind, body in colour.items() if not (icc and kind == "sRGB")]
    if icc:
        said.append(chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc)))
    if dpi:
        said.append(chunk(b"pHYs", struct.pack(">IIB", *(round(number / INCH) for number in dpi), 1)))
    if exif:
        said.append(chunk(b"eXIf", exif))
    after_header = len(SIGNATURE) + 25
    return b"".join((data[:after_header], *said, memoryview(data)[after_header:]))


def _next(file: BinaryIO) -> tuple[bytes, bytes]:
    """Kind and body of the next chunk; the body is empty where it is not used."""
    start = file.tell()
    head = file.read(8)
    if len(head) < 8:
        raise damaged("it ends too early")
    length, kind = struct.unpack(">I4s", head)
    if not kind.isalpha() or length >= 1 << 31:
        raise damaged(f"no chunk at byte {start}")
    if kind in _OTHER_FRAMES:
        file.seek(length + 4, 1)
        return kind, b""
    body, checksum = [], zlib.crc32(kind)
    while length:
        piece = file.read(min(length, _PIECE))
        if not piece:
            raise damaged("it ends too early")
        checksum = zlib.crc32(piece, checksum)
        length -= len(piece)
        if kind in _READ:
            body.append(piece)
    if (end := file.read(4)) != struct.pack(">I", checksum):
        what = f"the checksum of {kind.decode()} at byte {start} is wrong" if len(end) == 4 else "it ends too early"
        raise damaged(what)
    return kind, b"".join(body)


class _Pixels:
    """The compressed pixels, checked as they come: their zlib stream must be whole and give `size` bytes."""

    def __init__(self, size: int):
        self.left, self.stream = size, zlib.decompressobj()
        self.pieces: list[bytes] = []
        self.most = 2 * size + _PIECE

    def add(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self.most -= len(piece)
        if self.most < 0:
            raise damaged("its pixels have more bytes than its size says")
        try:
            # In small bites: each may grow a thousandfold.
            for at in range(0, len(piece), _BITE):
                self.left -= len(self.stream.decompress(piece[at : at + _BITE]))
                if self.left < 0:
                    raise damaged("it has more pixels than its size says")
        except zlib.error as error:
            raise damaged(f"its pixels: {str(error).rpartition(': ')[2]}") from None

    def end(self) -> None:
        if self.left:
            raise damaged("it has fewer pixels than its size says")
        if not self.stream.eof:
            raise damaged("its pixels end without a checksum")


def _raw_size(width: int, height: int, bits: int, interlaced: bool) -> int:
    """Bytes of the pixels before compression, each row with the byte that names its filter."""
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    size = 0
    for left, top, across, down in passes:
        columns, rows = -((left - width) // across), -((top - height) // down)
        size += rows * (1 + -(-columns * bits // 8)) if columns > 0 and rows > 0 else 0
    return size


def _profile(body: bytes) -> bytes | None:
    _, _, rest = body.partition(b"\0")
    try:
        stream = zlib.decompressobj()
        profile = stream.decompress(rest[1:], _MOST_PROFILE)
        return profile if stream.eof and profile else None
    except zlib.error:
        return None


def _dpi(body: bytes) -> tuple[float, float] | None:
    if len(body) != 9 or body[8] != 1:
        return None
    across, down = struct.unpack(">II", body[:8])
    return (across * INCH, down * INCH) if across and down else None
