"""Directories of tags, as TIFF files and EXIF blocks have them: read, and made anew.

TIFF 6.0, Adobe 1992; BigTIFF: https://libtiff.gitlab.io/libtiff/specification/bigtiff.html. Pillow can read and write
them too, but writes an EXIF block anew where one number changes, which breaks the offsets inside of a maker's note,
and refuses a TIFF whose pixels it cannot show before its tags can be asked.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

SHORT, LONG, RATIONAL = 3, 4, 5
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_SWAPPED = {5: 4, 10: 4}
"""Bytes of the numbers that a value is made of, where they are not the value."""
_MOST_ENTRIES = 4096

Tags = dict[int, tuple[int, int, bytes]]
"""Type, count and little-endian value of each tag."""


@dataclass(frozen=True)
class Entry:
    """One tag: where its value stands in the file."""

    kind: int
    count: int
    at: int

    @property
    def size(self) -> int:
        """Bytes of the value; 0 where its type is unknown."""
        return self.count * _SIZES.get(self.kind, 0)

    @property
    def whole(self) -> bool:
        """Whether it is one or more whole numbers."""
        return self.kind in _WHOLE and self.count > 0


class TagFile:
    """A TIFF file or an EXIF block.

    Raises:
        ValueError: it is neither; also where a directory or a value lies outside of it.
    """

    def __init__(self, file: BinaryIO):
        self.file = file
        self.size = file.seek(0, 2)
        head = self.read(0, 8)
        self.order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
        version = struct.unpack(f"{self.order}H", head[2:4])[0] if self.order else 0
        if version not in (42, 43):
            raise ValueError("no TIFF header")
        self.big = version == 43
        self.first = struct.unpack(f"{self.order}Q", self.read(8, 8))[0] if self.big else self._long(head[4:])

    def read(self, at: int, size: int) -> bytes:
        """Bytes of the file."""
        if at + size > self.size:
            raise ValueError("a value lies outside of the file")
        self.file.seek(at)
        return self.file.read(size)

    def directory(self, at: int) -> tuple[dict[int, Entry], int]:
        """The entries of the directory at a byte, and where the next directory is told."""
        wide = self.big
        count = struct.unpack(f"{self.order}{'Q' if wide else 'H'}", self.read(at, 8 if wide else 2))[0]
        if count > _MOST_ENTRIES:
            raise ValueError("no directory")
        length, start = (20, at + 8) if wide else (12, at + 2)
        table = self.read(start, count * length)
        entries = {}
        for number in range(count):
            here = number * length
            tag, kind, values = struct.unpack_from(f"{self.order}HH{'Q' if wide else 'I'}", table, here)
            if tag not in entries:
                entry = Entry(kind, values, start + here + (12 if wide else 8))
                if entry.size > (8 if wide else 4):
                    told = table[here + length - (8 if wide else 4) : here + length]
                    entry = Entry(kind, values, self._offset(told))
                entries[tag] = entry
        return entries, start + count * length

    def following(self, at: int) -> int:
        """The offset that stands at a byte."""
        return self._offset(self.read(at, 8 if self.big else 4))

    def numbers(self, entry: Entry | None, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """A value of whole numbers."""
        if entry is None or not entry.whole:
            return default
        return struct.unpack(f"{self.order}{entry.count}{_WHOLE[entry.kind]}", self.read(entry.at, entry.size))

    def fraction(self, entry: Entry | None) -> float:
        """The first of a value of fractions; 0 where there is none."""
        if entry is None or entry.kind != RATIONAL or not entry.count:
            return 0.0
        above, below = struct.unpack(f"{self.order}II", self.read(entry.at, 8))
        return above / below if below else 0.0

    def tags(self, entries: Mapping[int, Entry], wanted: set[int] | None = None) -> Tags:
        """Values, little-endian, of the wanted tags or of all; a value that lies outside of the file is left out."""
        found: Tags = {}
        for tag, entry in entries.items():
            if (
                entry.size
                and entry.kind < 16
                and (wanted is None or tag in wanted)
                and entry.at + entry.size <= self.size
            ):
                raw = self.read(entry.at, entry.size)
                found[tag] = (entry.kind, entry.count, raw if self.order == "<" else _swapped(entry.kind, raw))
        return found

    def _offset(self, raw: bytes) -> int:
        return struct.unpack(f"{self.order}Q", raw)[0] if self.big else self._long(raw)

    def _long(self, raw: bytes) -> int:
        return struct.unpack(f"{self.order}I", raw)[0]


def _swapped(kind: int, raw: bytes) -> bytes:
    width = _SWAPPED.get(kind, _SIZES[kind])
    return raw if width == 1 else np.frombuffer(raw, f">u{width}").byteswap().tobytes()


def build(tags: Tags, below: Mapping[int, Tags] | None = None, order: str = "<") -> bytes:
    """A TIFF header with one directory of these tags, and, where it is little-endian, directories `below` some."""
    if order == ">":
        header = struct.pack(">2sHI", b"MM", 42, 8)
        return header + _directory({t: (k, n, _swapped(k, raw)) for t, (k, n, raw) in tags.items()}, 8, order)
    below = below or {}
    tags = tags | {tag: (LONG, 1, bytes(4)) for tag in below}
    head = bytearray(b"II*\0\x08\0\0\0") + _directory(tags, 8)
    for place, tag in enumerate(sorted(tags)):
        if tag in below:
            struct.pack_into("<I", head, 10 + 12 * place + 8, len(head))
            head += _directory(below[tag], len(head))
    return bytes(head)


def _directory(tags: Tags, at: int, order: str = "<") -> bytes:
    table, values = struct.pack(f"{order}H", len(tags)), b""
    after = at + 2 + 12 * len(tags) + 4
    for tag in sorted(tags):
        kind, count, raw = tags[tag]
        table += struct.pack(f"{order}HHI", tag, kind, count)
        if len(raw) <= 4:
            table += raw.ljust(4, b"\0")
        else:
            table += struct.pack(f"{order}I", after + len(values))
            values += raw + bytes(len(raw) % 2)
    return table + bytes(4) + values


def shorts(*numbers: int) -> tuple[int, int, bytes]:
    """A value of 16-bit numbers."""
    return SHORT, len(numbers), struct.pack(f"<{len(numbers)}H", *numbers)


def longs(*numbers: int) -> tuple[int, int, bytes]:
    """A value of 32-bit numbers."""
    return LONG, len(numbers), struct.pack(f"<{len(numbers)}I", *numbers)


def fraction(number: float) -> tuple[int, int, bytes]:
    """A value of one fraction, to a ten-thousandth."""
    return RATIONAL, 1, struct.pack("<II", round(number * 10_000), 10_000)
