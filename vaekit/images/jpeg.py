"""JPEG: the segments are read here; libvips gets those that its pixels need.

Rec. ITU-T T.81 (1992), annex B; JFIF in T.871.
"""

import struct
from typing import BinaryIO

from vaekit.images import native
from vaekit.images.picture import CheckSize, Decoded, ImageError, damaged

EXIF_PREFIX, _ICC_PREFIX = b"Exif\0\0", b"ICC_PROFILE\0"
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}  # baseline, extended, progressive; the last two with arithmetic coding
_KEPT = {0xC4, 0xCC, 0xDB, 0xDD, _SOS, *_FRAMES}
_OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF}
_SEQUENTIAL = {0xC0, 0xC1, 0xC9}
_MOST_PIXELS_IN_A_BYTE = 8 * 64  # a bit for each block of 8x8, the least that a scan can spend
_MOST_BYTES_OF_A_PIXEL = 16
_MOST_ROWS = 65500  # of libjpeg
_JFIF = b"JFIF\0\1\1\0\0\1\0\1\0\0"


def read(file: BinaryIO, check_size: CheckSize) -> Decoded:
    """Read a JPEG; of several pictures in one file (MPO) the first."""
    file.seek(2)
    head, marker = _Head(check_size), 0
    while marker != _SOS:
        marker, body = _next(file)
        head.add(marker, body)
    if not head.bands:
        raise damaged("no header before the pixels")
    count = head.width * head.height
    pixels = file.read(_MOST_BYTES_OF_A_PIXEL * count + (1 << 20))
    if count > _MOST_PIXELS_IN_A_BYTE * len(pixels):
        raise damaged(f"{len(pixels)} bytes cannot hold {head.width}x{head.height} pixels")
    colour = native.decode("jpeg", b"".join((*head.kept, pixels)), (head.width, head.height), (head.bands,), {"uchar"})
    # Of a size that is too large pixels are missing; one that is too small shows where one more row can be decoded.
    taller = head.taller()
    shrink = {"shrink": 8} if min(head.width, head.height) > 64 else {}  # an eighth of the work
    if taller and native.is_whole("jpeg", b"".join((*taller, pixels)), **shrink):
        raise damaged("it has more pixels than its size says")
    icc = b"".join(head.profile[number] for number in sorted(head.profile)) or None
    if head.bands < 4:
        return Decoded(colour, head.exif, icc, head.dpi)
    notes = ["CMYK converted to RGB"]
    return Decoded(native.from_cmyk(colour, icc), head.exif, None, head.dpi, notes=notes)


class _Head:
    """The segments before the pixels: what they say, and in `kept` those that the pixels need."""

    def __init__(self, check_size: CheckSize):
        self.check_size = check_size
        self.kept = [b"\xff\xd8"]
        self.width = self.height = self.bands = 0
        self.sequential, self.block = False, 8
        self.exif: bytes | None = None
        self.profile: dict[int, bytes] = {}
        self.dpi: tuple[float, float] | None = None

    def add(self, marker: int, body: bytes) -> None:
        """Take a segment."""
        if marker in _OTHER_FRAMES:
            raise ImageError("a JPEG of a kind that is not supported (lossless or hierarchical)")
        if marker in _FRAMES:
            self._frame(marker, body)
        elif marker == _SOS and self.sequential and len(body) > 3:
            body = body[:-3] + b"\0\x3f\0"  # the only value there; some cameras write another, which is harmless
        elif marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 12:
            self.dpi = _dpi(body)
            body = _JFIF
        elif marker == 0xE1 and body.startswith(EXIF_PREFIX):
            self.exif = self.exif or body[len(EXIF_PREFIX) :]
        elif marker == 0xE2 and body.startswith(_ICC_PREFIX) and len(body) > len(_ICC_PREFIX) + 2:
            self.profile[body[len(_ICC_PREFIX)]] = body[len(_ICC_PREFIX) + 2 :]
        if marker in _KEPT or (marker == 0xEE and body.startswith(b"Adobe")) or body is _JFIF:
            self.kept.append(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body)

    def taller(self) -> list[bytes] | None:
        """`kept`, where the picture is said to have one more row of blocks; None where that need not be tried.

        Progressive scans are decoded to their ends, so that what is left over is noticed at once.
        """
        height = self.block * (-(-self.height // self.block) + 1)
        if height > _MOST_ROWS or not self.sequential:
            return None
        return [part[:5] + struct.pack(">H", height) + part[7:] if part[1] in _FRAMES else part for part in self.kept]

    def _frame(self, marker: int, body: bytes) -> None:
        if self.bands or len(body) < 6:
            raise damaged("its header is not whole, or not the only one")
        precision, self.height, self.width, self.bands = struct.unpack(">BHHB", body[:6])
        self.sequential = marker in _SEQUENTIAL
        samplings = [sampling & 15 for sampling in body[7 : 6 + 3 * self.bands : 3]]
        self.block = 8 * max(samplings, default=1)
        self.check_size(self.width, self.height)
        if precision != 8:
            raise ImageError(f"a JPEG of {precision} bits a colour is not supported")
        if self.bands not in (1, 3, 4):
            raise ImageError(f"a JPEG of {self.bands} colours is not supported")


def _next(file: BinaryIO) -> tuple[int, bytes]:
    """Marker and body of the next segment, up to the start of the pixels."""
    start = file.tell()
    one = first = file.read(1)
    while one == b"\xff":  # any number of them
        one = file.read(1)
    if not one:
        raise damaged("it ends too early")
    marker = one[0]
    if marker == _EOI:
        raise damaged("it ends before its pixels")
    if first != b"\xff" or marker in (0x00, 0x01, _SOI) or 0xD0 <= marker <= 0xD7:
        raise damaged(f"no segment at byte {start}")
    length = int.from_bytes(file.read(2))
    body = file.read(max(0, length - 2))
    if length < 2 or len(body) < length - 2:
        raise damaged("it ends too early")
    return marker, body


def _dpi(jfif: bytes) -> tuple[float, float] | None:
    unit, across, down = struct.unpack(">BHH", jfif[7:12])
    factor = {1: 1.0, 2: 2.54}.get(unit)
    return (across * factor, down * factor) if factor and across and down else None
