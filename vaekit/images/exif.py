"""EXIF blocks: what has to change when a picture does, and not a byte else.

CIPA DC-008-2023 (Exif 3.0).
"""

import io
import struct
from dataclasses import dataclass

from vaekit.images import directories
from vaekit.images.directories import SHORT, Entry, TagFile, Tags

WIDTH, HEIGHT, ORIENTATION = 256, 257, 274
X_DPI, Y_DPI, DPI_UNIT = 282, 283, 296
EXIF_DIRECTORY, GPS_DIRECTORY = 34665, 34853
KEPT = {270, 271, 272, ORIENTATION, X_DPI, Y_DPI, DPI_UNIT, 305, 306, 315, 33432}
"""Tags of a TIFF file's directory that tell about the picture rather than about the layout of the file."""
_EXIF_WIDTH, _EXIF_HEIGHT, _INTEROPERABILITY = 40962, 40963, 40965
_THUMBNAIL = ((513, 514), (273, 279))  # offset and length, of a JPEG or of plain pixels
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"


@dataclass(frozen=True)
class Cleaned:
    """What an EXIF block says, and what of it may be kept."""

    block: bytes
    orientation: int
    dpi: tuple[float, float] | None


def clean(block: bytes) -> Cleaned | None:
    """Set the orientation to 1 and remove the thumbnails; None for a block that cannot be read.

    A thumbnail shows the picture before it was edited. It is overwritten with zeros where it stands, so that no
    offset changes: those in a maker's note count from the start of the block. Previews in a maker's note are
    known by the first bytes of a JPEG.
    """
    cleaned = bytearray(block)
    try:
        file = TagFile(io.BytesIO(block))
        entries, after = file.directory(file.first)
        orientation = file.numbers(entry := entries.get(ORIENTATION), (1,))[0]
        if entry:
            _put(cleaned, file.order, entry, 1)
    except (ValueError, struct.error):
        return None
    try:
        if second := file.following(after):
            cleaned[after : after + 4] = bytes(4)
            _remove_thumbnail(file, second, cleaned)
    except (ValueError, struct.error):  # it cannot be found, so nor can others find it
        pass
    _remove_jpegs(cleaned)
    return Cleaned(bytes(cleaned), orientation, dpi(file, entries))


def dpi(file: TagFile, entries: dict[int, Entry]) -> tuple[float, float] | None:
    """Pixels an inch."""
    try:
        factor = {2: 1.0, 3: 2.54}.get(file.numbers(entries.get(DPI_UNIT), (2,))[0], 0.0)
        across, down = (factor * file.fraction(entries.get(tag)) for tag in (X_DPI, Y_DPI))
    except ValueError:
        return None
    return (across, down) if across and down else None


def resized(block: bytes, width: int, height: int) -> bytes:
    """The block with the picture's size wherever it tells one."""
    changed = bytearray(block)
    try:
        file = TagFile(io.BytesIO(block))
        entries, _ = file.directory(file.first)
        found = [entries]
        if pointer := file.numbers(entries.get(EXIF_DIRECTORY)):
            found.append(file.directory(pointer[0])[0])
    except (ValueError, struct.error):
        return block
    for tags, number in (((WIDTH, _EXIF_WIDTH), width), ((HEIGHT, _EXIF_HEIGHT), height)):
        for tag in tags:
            for entries in found:
                if (entry := entries.get(tag)) and entry.count == 1:
                    _put(changed, file.order, entry, number)
    return bytes(changed)


def of_tiff(file: TagFile, entries: dict[int, Entry]) -> bytes | None:
    """An EXIF block of what a TIFF file's directory tells about the picture."""
    own, below = tags(file, entries)
    return directories.build(own, below) if own or below else None


def tags(file: TagFile, entries: dict[int, Entry]) -> tuple[Tags, dict[int, Tags]]:
    """What a directory tells about the picture, and the directories of EXIF and GPS below it."""
    below: dict[int, Tags] = {}
    for tag in (EXIF_DIRECTORY, GPS_DIRECTORY):
        try:
            if pointer := file.numbers(entries.get(tag)):
                found = file.tags(file.directory(pointer[0])[0])
                found.pop(_INTEROPERABILITY, None)  # an offset
                below |= {tag: found} if found else {}
        except (ValueError, struct.error):
            continue
    return file.tags(entries, KEPT), below


def tags_of_block(block: bytes) -> tuple[Tags, dict[int, Tags]]:
    """The same of an EXIF block; nothing of one that cannot be read."""
    try:
        file = TagFile(io.BytesIO(block))
        return tags(file, file.directory(file.first)[0])
    except (ValueError, struct.error):
        return {}, {}


def of_dpi(across: float, down: float) -> bytes:
    """An EXIF block that tells the resolution, for a format that has no other place for it."""
    return directories.build(dpi_tags(across, down))


def dpi_tags(across: float, down: float) -> Tags:
    """The resolution as tags."""
    return {X_DPI: directories.fraction(across), Y_DPI: directories.fraction(down), DPI_UNIT: directories.shorts(2)}


def _put(block: bytearray, order: str, entry: Entry, number: int) -> None:
    if entry.kind in (SHORT, directories.LONG) and (entry.kind == directories.LONG or number < 1 << 16):
        struct.pack_into(f"{order}{'H' if entry.kind == SHORT else 'I'}", block, entry.at, number)


def _remove_thumbnail(file: TagFile, at: int, block: bytearray) -> None:
    entries, end = file.directory(at)
    for places, lengths in _THUMBNAIL:
        pairs = zip(file.numbers(entries.get(places)), file.numbers(entries.get(lengths)), strict=False)
        for start, length in pairs:
            stop = min(start + length, len(block))
            block[start:stop] = bytes(max(0, stop - start))
    for entry in entries.values():
        if entry.at + entry.size <= len(block):
            block[entry.at : entry.at + entry.size] = bytes(entry.size)
    block[at : end + 4] = bytes(min(end + 4, len(block)) - at)


def _remove_jpegs(block: bytearray) -> None:
    while (start := block.find(_JPEG_START)) >= 0:
        end = block.rfind(_JPEG_END, start)
        end = end + 2 if end >= 0 else len(block)
        block[start:end] = bytes(end - start)
