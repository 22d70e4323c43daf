"""TIFF, BigTIFF and DNG: the directories are read and checked here; libvips decodes one page.

TIFF 6.0, Adobe 1992, with its supplements; DNG 1.7.1.
"""

import itertools
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import numpy as np

from vaekit.images import directories, exif, native
from vaekit.images.directories import Entry, TagFile, Tags
from vaekit.images.picture import CheckSize, Decoded, ImageError, damaged

PAGES = "several pages: only the first is used"
LARGEST = "several pages: only the largest is used"
_MOST_PAGES = 1000
_STRIP_BYTES, _WORD = 1 << 20, 8
_TYPE, _OLD_TYPE, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 255, 258, 259, 262
_STRIPS, _SAMPLES, _ROWS, _LENGTHS, _PLANES = 273, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_LENGTHS = 322, 323, 324, 325
_SUB_DIRECTORIES, _EXTRA, _FORMAT, _PROFILE = 330, 338, 339, 34675
_LAYOUT = (
    exif.WIDTH, exif.HEIGHT, _TYPE, _OLD_TYPE, _BITS, _COMPRESSION, _PHOTOMETRIC, _STRIPS, _SAMPLES, _ROWS, _LENGTHS,
    _PLANES, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_LENGTHS, _SUB_DIRECTORIES, _EXTRA, _FORMAT,
    266, 292, 293, 317, 320, 530, 531,
)  # fmt: skip
# The order of bits, options of fax, predictor, palette, inks, tables of JPEG, and the conversion of YCbCr.
_PIXEL_TAGS = {266, 292, 293, 317, 320, 332, 347, 529, 530, 531, 532}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_CHANNELS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}
_RAW = {32803, 34892}
_OTHER_COLOURS = {4: "a transparency mask", 8: "CIE Lab", 9: "ICC Lab", 10: "ITU Lab", 32844: "LogL", 32845: "LogLuv"}
_NONE, _JPEG, _DEFLATE, _PACKBITS = 1, 7, (8, 32946), 32773
# The most bytes that a byte of each compression can stand for; of the others there is no such limit.
_GROWTH = {_NONE: 1, 5: 1400, _JPEG: 512, 8: 1100, 32946: 1100, _PACKBITS: 64, 2: None, 3: None, 4: None}
_LENGTH_UNKNOWN = {2, 3, 4, 5, _PACKBITS}
"""Compressions that show what a part holds only where it is decoded."""
_OTHER_COMPRESSIONS = {
    6: "JPEG of the old kind", 34712: "JPEG 2000", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL",
    52546: "JPEG XL", 34887: "LERC",
}  # fmt: skip
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_PREMULTIPLIED, _STRAIGHT = 1, 2
_REDUCED, _MASK = 1, 4


@dataclass
class _Page:
    """One picture of the file."""

    entries: dict[int, Entry]
    width: int = 0
    height: int = 0
    kind: int = 0
    bits: int = 1
    samples: int = 1
    photometric: int = _BLACK_IS_ZERO
    compression: int = _NONE
    numbers: int = _UNSIGNED
    extra: tuple[int, ...] = field(default=())

    @property
    def channels(self) -> int:
        return _CHANNELS[self.photometric]

    @property
    def alpha(self) -> int | None:
        """Which sample is alpha. Where the file has one more than its colours need and does not say what, that is."""
        if self.samples <= self.channels:
            return None
        if not self.extra:
            return self.channels
        straight = [n for n, what in enumerate(self.extra) if what in (_PREMULTIPLIED, _STRAIGHT)]
        return self.channels + straight[0] if straight else None


def read(file: BinaryIO, check_size: CheckSize) -> Decoded:
    """Read the largest picture of a TIFF that is no reduced copy of another."""
    try:
        tags = TagFile(file)
        pages = _pages(tags)
        page = _main(pages)
        check_size(page.width, page.height)
        _check(page)
        decoded = Decoded(
            pixels=_decode(tags, page),
            exif=exif.of_tiff(tags, page.entries),
            icc=_profile(tags, page),
            dpi=exif.dpi(tags, page.entries),
        )
    except (ValueError, struct.error) as error:
        if isinstance(error, ImageError):
            raise
        raise damaged("its directory of tags") from None
    whole = [p for p in pages if not p.kind & (_REDUCED | _MASK)]
    if len(whole) > 1:
        decoded.notes.append(PAGES if page is whole[0] else LARGEST)
    _to_picture(decoded, page)
    return decoded


def _pages(tags: TagFile) -> list[_Page]:
    """All pictures: those in the row of directories, and those below each."""
    pages: list[_Page] = []
    seen: set[int] = set()
    at = tags.first
    while at and at not in seen and len(seen) < _MOST_PAGES:
        seen.add(at)
        entries, after = tags.directory(at)
        below = tags.numbers(entries.get(_SUB_DIRECTORIES))[:_MOST_PAGES]
        pages += [_page(tags, found) for found in (entries, *(tags.directory(one)[0] for one in below))]
        at = tags.following(after)
    return pages


def _page(tags: TagFile, entries: dict[int, Entry]) -> _Page:
    def one(tag: int, default: int) -> int:
        return tags.numbers(entries.get(tag), (default,))[0]

    if any(tag in entries and not entries[tag].whole for tag in _LAYOUT):
        raise damaged("its directory of tags")
    bits = set(tags.numbers(entries.get(_BITS), (1,)))
    numbers = set(tags.numbers(entries.get(_FORMAT), (_UNSIGNED,)))
    return _Page(
        entries=entries,
        width=one(exif.WIDTH, 0),
        height=one(exif.HEIGHT, 0),
        kind=one(_TYPE, 0) | (_REDUCED if one(_OLD_TYPE, 0) == 2 else 0),
        bits=bits.pop() if len(bits) == 1 else 0,
        samples=one(_SAMPLES, 1),
        photometric=one(_PHOTOMETRIC, _BLACK_IS_ZERO),
        compression=one(_COMPRESSION, _NONE),
        numbers=numbers.pop() if len(numbers) == 1 else 0,
        extra=tags.numbers(entries.get(_EXTRA)),
    )


def _main(pages: list[_Page]) -> _Page:
    whole = [page for page in pages if not page.kind & (_REDUCED | _MASK)] or pages
    page = max(whole, key=lambda page: page.width * page.height)
    if page.photometric in _RAW:
        raise ImageError("a raw photo: only its preview could be read; convert it to TIFF or JPEG")
    return page


def _check(page: _Page) -> None:
    """Refuse what libvips reads otherwise than it is meant, or what the file cannot hold."""
    if page.photometric not in _CHANNELS:
        name = _OTHER_COLOURS.get(page.photometric, f"colours of kind {page.photometric}")
        raise ImageError(f"a TIFF of {name} is not supported")
    if page.compression not in _GROWTH:
        name = _OTHER_COMPRESSIONS.get(page.compression, f"kind {page.compression}")
        raise ImageError(f"TIFF compression {name} is not supported; save it as LZW or ZIP")
    depths = {1, 2, 4, 8, 16} if page.channels == 1 else {8, 16}
    depths = {1, 2, 4, 8} if page.photometric == _PALETTE else depths
    floats = page.numbers == _FLOAT and page.bits in (16, 32) and page.photometric in (_BLACK_IS_ZERO, _RGB)
    if not floats and (page.numbers not in (_UNSIGNED, 4) or page.bits not in depths):
        kinds = {_SIGNED: "signed ", _FLOAT: "floating-point "}.get(page.numbers, "")
        name = f"{page.bits}-bit {kinds}numbers" if page.bits else "samples of different sizes"
        raise ImageError(f"a TIFF of {name} in this layout is not supported")
    if not page.channels <= page.samples <= page.channels + 8 or (page.samples > 1 and page.bits < 8):
        raise ImageError(f"a TIFF of {page.samples} samples a pixel in this layout is not supported")
    if page.photometric == _PALETTE and page.samples > 1:
        raise ImageError("a TIFF of palette colours with transparency is not supported")


@dataclass
class _Parts:
    """The strips or tiles: where each stands in the file, and the rows of each."""

    places: list[tuple[int, int]]
    width: int
    height: int
    tiled: bool
    planes: int


def _parts(tags: TagFile, page: _Page) -> _Parts:
    planes = page.samples if tags.numbers(page.entries.get(_PLANES), (1,))[0] == 2 else 1
    tiled = _TILES in page.entries
    if tiled:
        width, height = (tags.numbers(page.entries.get(tag), (0,))[0] for tag in (_TILE_WIDTH, _TILE_HEIGHT))
        if not (width and height) or max(width, height) > 1 << 16:
            raise damaged("its tiles have no size")
    else:
        width, height = page.width, tags.numbers(page.entries.get(_ROWS), (page.height,))[0] or page.height
        height = min(height, page.height)
    count = -(-page.width // width) * -(-page.height // height) * planes
    offsets = tags.numbers(page.entries.get(_TILES if tiled else _STRIPS))
    lengths = tags.numbers(page.entries.get(_TILE_LENGTHS if tiled else _LENGTHS))
    if len(offsets) != count or len(lengths) != count:
        raise damaged("it has not as many parts as its size needs")
    return _Parts(list(zip(offsets, lengths, strict=True)), width, height, tiled, planes)


def _check_parts(tags: TagFile, page: _Page, parts: _Parts) -> None:
    """Each part must lie inside of the file, and have no fewer bytes than its pixels can do with."""
    # A part that is empty in all may stand in the file once, so the same place twice is right.
    places = sorted(set(parts.places))
    if any(at + length > after for (at, length), (after, _) in itertools.pairwise(places)) or places[0][0] < 8:
        raise damaged("its parts overlap")
    size = -(-parts.width * (page.samples // parts.planes) * page.bits // 8) * parts.height
    last, in_plane = page.height % parts.height or parts.height, len(parts.places) // parts.planes
    for number, (at, length) in enumerate(parts.places):
        if at + length > tags.size:
            raise damaged("its pixels end too early")
        is_last = not parts.tiled and number % in_plane == in_plane - 1
        needed = size * last // parts.height if is_last else size
        if page.photometric == _YCBCR:
            needed //= 6  # subsampled, and a row or column may be cut
        growth = _GROWTH[page.compression]
        if growth and length * growth < needed:
            raise damaged(f"a part of {length} bytes cannot hold its {needed}")
        if page.photometric == _YCBCR:
            continue
        if page.compression == _NONE:
            _check_length(length, needed, size)
        elif page.compression in _DEFLATE:
            _check_length(_inflated(tags.read(at, length), size), needed, size)


def _only_pixels(tags: TagFile, page: _Page, parts: _Parts) -> bytes:
    """A TIFF of this page alone, with the tags that its pixels need."""
    kept = tags.tags(page.entries, _PIXEL_TAGS) | {
        exif.WIDTH: directories.longs(page.width),
        exif.HEIGHT: directories.longs(page.height),
        _BITS: directories.shorts(*[page.bits] * page.samples),
        _COMPRESSION: directories.shorts(page.compression),
        _PHOTOMETRIC: directories.shorts(page.photometric),
        _SAMPLES: directories.shorts(page.samples),
        _PLANES: directories.shorts(2 if parts.planes > 1 else 1),
        _FORMAT: directories.shorts(*[page.numbers] * page.samples),
    }
    kept |= {_EXTRA: directories.shorts(*page.extra[: page.samples - page.channels])} if page.extra else {}
    if parts.tiled:
        kept |= {_TILE_WIDTH: directories.longs(parts.width), _TILE_HEIGHT: directories.longs(parts.height)}
    else:
        kept[_ROWS] = directories.longs(parts.height)
    offsets_tag, lengths_tag = (_TILES, _TILE_LENGTHS) if parts.tiled else (_STRIPS, _LENGTHS)
    lengths = [length for _, length in parts.places]
    head = _with_offsets(kept | {lengths_tag: directories.longs(*lengths)}, {}, offsets_tag, lengths, tags.order)
    return b"".join((head, *(tags.read(at, length) for at, length in parts.places)))


def _with_offsets(own: Tags, below: Mapping[int, Tags], tag: int, lengths: list[int], order: str = "<") -> bytes:
    """A header whose tag tells where parts of these lengths stand, if they follow it."""
    # Which offsets they are does not change the length of the header.
    before = len(directories.build(own | {tag: directories.longs(*lengths)}, below, order))
    offsets = itertools.accumulate(lengths[:-1], initial=before)
    return directories.build(own | {tag: directories.longs(*offsets)}, below, order)


def _check_length(found: int, needed: int, size: int) -> None:
    """A part has the bytes of its rows, or of as many rows as the others have; some writers fill up to a whole word."""
    if found < needed:
        raise damaged("it has fewer pixels than its size says")
    if not (found < needed + _WORD or size <= found < size + _WORD):
        raise damaged("it has more pixels than its size says")


def _inflated(data: bytes, size: int) -> int:
    """The bytes that a part holds, which must be a whole zlib stream."""
    stream, found = zlib.decompressobj(), 0
    try:
        for start in range(0, len(data), 1 << 14):
            found += len(stream.decompress(data[start : start + (1 << 14)]))
            if found > 2 * size + (1 << 20):
                raise damaged("it has more pixels than its size says")
    except zlib.error as error:
        raise damaged(f"its pixels: {str(error).rpartition(': ')[2]}") from None
    if not stream.eof:
        raise damaged("its pixels end without a checksum")
    return found


def _profile(tags: TagFile, page: _Page) -> bytes | None:
    entry = page.entries.get(_PROFILE)
    return tags.read(entry.at, entry.size) if entry and entry.at + entry.size <= tags.size else None


def _decode(tags: TagFile, page: _Page) -> np.ndarray:
    parts = _parts(tags, page)
    _check_parts(tags, page, parts)
    if not parts.tiled and page.compression in _LENGTH_UNKNOWN and page.photometric != _YCBCR:
        _check_last(tags, page, parts)
    if not (parts.tiled and parts.planes > 1):
        return _native(tags, page, parts)
    # libvips reads no tiles of separate planes.
    if page.photometric == _WHITE_IS_ZERO:
        raise ImageError("a TIFF of tiles in separate planes where white is zero is not supported")
    grey, each = _plane(page), len(parts.places) // parts.planes
    planes = [parts.places[start : start + each] for start in range(0, len(parts.places), each)]
    return np.concatenate([_native(tags, grey, replace(parts, places=p, planes=1)) for p in planes], axis=2)


def _plane(page: _Page) -> _Page:
    return replace(page, photometric=_BLACK_IS_ZERO, samples=1, extra=())


def _check_last(tags: TagFile, page: _Page, parts: _Parts) -> None:
    """The last strip must not have one row more than strips have: that would be a size that is too small."""
    one = replace(page if parts.planes == 1 else _plane(page), height=parts.height + 1)
    taller = replace(parts, places=parts.places[-1:], height=parts.height + 1, planes=1)
    if native.is_whole("tiff", _only_pixels(tags, one, taller)):
        raise damaged("it has more pixels than its size says")


def _native(tags: TagFile, page: _Page, parts: _Parts) -> np.ndarray:
    bands = (1, 3) if page.photometric == _PALETTE else (page.samples,)
    formats = {"float"} if page.numbers == _FLOAT else {"ushort"} if page.bits == 16 else {"uchar"}
    return native.decode("tiff", _only_pixels(tags, page, parts), (page.width, page.height), bands, formats)


def _to_picture(decoded: Decoded, page: _Page) -> None:
    """Colours and alpha out of the samples, floats to 16 bit, CMYK to RGB."""
    pixels = decoded.pixels
    if pixels.dtype == np.float32:
        pixels = _from_float(pixels)
        decoded.notes.append("floating-point numbers from 0 to 1 read as 16 bit")
    if pixels.shape[2] > page.channels and page.photometric != _PALETTE:
        colour, alpha = pixels[..., : page.channels], page.alpha
        if page.photometric == _CMYK:
            colour = native.from_cmyk(colour, decoded.icc)
        if page.samples - page.channels > (alpha is not None):
            decoded.notes.append("extra channels left out")
        pixels = colour if alpha is None else np.concatenate([colour, pixels[..., alpha : alpha + 1]], axis=2)
    elif page.photometric == _CMYK:
        pixels = native.from_cmyk(pixels, decoded.icc)
    if page.photometric == _CMYK:
        decoded.icc = None
        decoded.notes.append("CMYK converted to RGB")
    decoded.pixels = pixels


def _from_float(pixels: np.ndarray) -> np.ndarray:
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):  # not a number too
        raise ImageError(f"a TIFF of floating-point numbers from {low:g} to {high:g}: only 0 to 1 is read as a picture")
    scaled = np.empty(pixels.shape, np.uint16)
    for row, numbers in zip(scaled, pixels, strict=True):
        row[:] = np.rint(numbers * 65535)
    return scaled


def head(shape: tuple[int, ...], dtype: np.dtype, own: Tags, below: Mapping[int, Tags], icc: bytes | None) -> bytes:
    """What stands before the pixels of an uncompressed TIFF, which follow as they are, little-endian.

    Args:
        shape: [H, W] or [H, W, 2] (grey, with alpha), [H, W, 3] or [H, W, 4] (RGB, with alpha).
        dtype: uint8 or uint16.
        own: further tags of its directory.
        below: directories below it.
        icc: its profile.
    """
    height, width, samples = (*shape, 1)[:3]
    row = width * samples * dtype.itemsize
    rows = min(height, max(1, _STRIP_BYTES // row))
    lengths = [row * min(rows, height - top) for top in range(0, height, rows)]
    tags = own | {
        exif.WIDTH: directories.longs(width),
        exif.HEIGHT: directories.longs(height),
        _BITS: directories.shorts(*[8 * dtype.itemsize] * samples),
        _COMPRESSION: directories.shorts(_NONE),
        _PHOTOMETRIC: directories.shorts(_BLACK_IS_ZERO if samples < 3 else _RGB),
        _SAMPLES: directories.shorts(samples),
        _ROWS: directories.longs(rows),
        _LENGTHS: directories.longs(*lengths),
        _PLANES: directories.shorts(1),
    }
    if samples in (2, 4):
        tags[_EXTRA] = directories.shorts(_STRAIGHT)
    if icc:
        tags[_PROFILE] = (7, len(icc), icc)
    return _with_offsets(tags, below, _STRIPS, lengths)
