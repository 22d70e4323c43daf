"""Damaged image files: does one end the process, hang, take the memory, or give a wrong picture?

    python benchmarks/fuzz.py --files 2000 --seed 0

Makes valid pictures in every format and layout that is read, damages them by a seeded generator (flipped bits,
truncations, sizes that lie, parts cut out, doubled or overwritten, half of the PNGs with their checksums made right
again), reads each in a process of its own pool and writes what was read. Counts

- crashes: the process ended;
- errors: an exception other than ImageError;
- hangs: more than 10 s of a core for one file, or 120 s in all;
- memory: the largest resident size of a process, in MB;
- wrong: a picture that is not what the file says, though it was read without an error. A file whose format has
  checksums over the pixels (PNG), and any that was cut short, must give the undamaged picture or none. Any other must
  agree with an independent decoder (Pillow or tifffile) where that reads the file, and have the undamaged one's size,
  except within a block, and in GIF and WebP, which do not tell how many pixels they hold;
- unwritten: a picture that was read and could not be written, or came back otherwise.

Prints each file that did so, with the seed that makes it again, and exits with 1 if there is any.
"""

import argparse
import collections
import contextlib
import io
import logging
import multiprocessing
import os
import struct
import sys
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageCms, ImageFile

from vaekit import images

SECONDS, MEGABYTES = 10, 2000
BLOCK = 16
"""Within so many pixels two sizes may have the same blocks, padded rows or tiles."""
ROWS, COLUMNS = np.mgrid[:61, :83]
RGB = np.stack([COLUMNS * 3, ROWS * 4, (ROWS + COLUMNS) * 2 - ROWS % 7], -1).astype(np.uint8)
RGB[20:40, 30:60] = np.random.default_rng(0).integers(0, 256, (20, 30, 3))
RGBA = np.dstack([RGB, (COLUMNS * 3).astype(np.uint8)])
DEEP = RGB.astype(np.uint16) * 257 + 5
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


# === Valid files ===


def saved(pixels, format_: str, mode: str | None = None, **options) -> bytes:
    """A file by Pillow."""
    image, file = Image.fromarray(pixels), io.BytesIO()
    (image.convert(mode) if mode else image).save(file, format_, **options)
    return file.getvalue()


def tiff(pixels, **options) -> bytes:
    """A file by tifffile."""
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **{"photometric": "rgb"} | options)
    return file.getvalue()


def animated(format_: str, mode: str | None = None, **options) -> bytes:
    """Two frames."""
    second = Image.fromarray(255 - RGB)
    return saved(RGB, format_, mode, save_all=True, append_images=[second.convert(mode) if mode else second], **options)


def interlaced_deep_animation() -> bytes:
    """An animated interlaced PNG of 16 bit: one with a broken frame ends OpenCV's process."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for x, y, dx, dy in passes for row in DEEP[y::dy, x::dx])
    body, size = zlib.compress(raw), struct.pack(">II", DEEP.shape[1], DEEP.shape[0])
    frame = size + struct.pack(">IIHHBB", 0, 0, 1, 10, 0, 0)
    return join([
        (b"IHDR", size + b"\x10\2\0\0\1"), (b"acTL", struct.pack(">II", 2, 0)), (b"fcTL", bytes(4) + frame),
        (b"IDAT", body), (b"fcTL", b"\0\0\0\1" + frame), (b"fdAT", b"\0\0\0\2" + body), (b"IEND", b""),
    ])  # fmt: skip


def sources() -> dict[str, bytes]:
    """Every format and layout."""
    exif = Image.Exif()
    exif[271], exif[274], exif[34665] = "Maker", 6, {40962: 83, 40963: 61}
    said = {"exif": exif.tobytes(), "icc_profile": ICC, "dpi": (300, 300)}
    grey_alpha = {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": ["unassalpha"]}
    two = io.BytesIO()
    with tifffile.TiffWriter(two) as writer:
        writer.write(RGB[::4, ::4].copy(), photometric="rgb", subfiletype=1, subifds=1)
        writer.write(RGB, photometric="rgb")
    made = {
        "png": saved(RGB, "PNG"),
        "png said": saved(RGB, "PNG", **said),
        "png rgba": saved(RGBA, "PNG"),
        "png la": saved(RGBA, "PNG", "LA"),
        "png palette": saved(RGB, "PNG", "P", transparency=3),
        "png 1": saved(RGB, "PNG", "1"),
        "png animated": animated("PNG"),
        "png 16": images.encode(DEEP, ".png"),
        "png 16 rgba": images.encode(np.dstack([DEEP, DEEP[..., 0]]), ".png"),
        "png 16 interlaced animated": interlaced_deep_animation(),
        "jpeg": saved(RGB, "JPEG"),
        "jpeg said": saved(RGB, "JPEG", **said),
        "jpeg progressive": saved(RGB, "JPEG", progressive=True),
        "jpeg restarts": saved(RGB, "JPEG", restart_marker_rows=1),
        "jpeg grey": saved(RGB, "JPEG", "L"),
        "jpeg cmyk": saved(RGB, "JPEG", "CMYK"),
        "webp": saved(RGB, "WEBP"),
        "webp said": saved(RGBA, "WEBP", **{k: said[k] for k in ("exif", "icc_profile")}),
        "webp lossless": saved(RGBA, "WEBP", lossless=True),
        "webp animated": animated("WEBP"),
        "gif": saved(RGB, "GIF", "P"),
        "gif animated": animated("GIF", "P"),
        "bmp": saved(RGB, "BMP"),
        "bmp palette": saved(RGB, "BMP", "P"),
        "tiff": saved(RGB, "TIFF", **said),
        "tiff palette": saved(RGB, "TIFF", "P"),
        "tiff cmyk": saved(RGB, "TIFF", "CMYK"),
        **{f"tiff {name}": saved(RGB, "TIFF", compression=name) for name in ("tiff_lzw", "packbits", "jpeg")},
        "tiff zip": tiff(RGB, compression="zlib"),
        "tiff group4": saved(RGB, "TIFF", "1", compression="group4"),
        "tiff 16": tiff(DEEP, rowsperstrip=16),
        "tiff 16 big endian": tiff(DEEP, byteorder=">", bigtiff=True),
        "tiff 16 planes": tiff(DEEP.transpose(2, 0, 1).copy(), planarconfig="separate"),
        "tiff 16 tiles": tiff(DEEP, tile=(32, 32), compression="zlib"),
        "tiff 16 grey alpha": tiff(DEEP[..., :2].copy(), **grey_alpha),
        "tiff float": tiff((RGB / 255).astype(np.float32)),
        "tiff below a preview": two.getvalue(),
    }
    return made


# === Damage ===


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Of a PNG, as far as it goes."""
    found, at = [], 8
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def join(parts: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG, with right lengths and checksums."""
    made = [struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


def flip_bits(data: bytearray, rng: np.random.Generator) -> None:
    """One bit, or up to 16."""
    for _ in range(rng.choice([1, 1, 2, 16])):
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))


def flip_head(data: bytearray, rng: np.random.Generator) -> None:
    """A byte of the first 200."""
    data[rng.integers(4, min(len(data), 200))] = rng.integers(256)


def flip_tail(data: bytearray, rng: np.random.Generator) -> None:
    """A byte of the last 300, where directories of TIFFs are."""
    data[rng.integers(max(0, len(data) - 300), len(data))] = rng.integers(256)


def truncate(data: bytearray, rng: np.random.Generator) -> None:
    """Cut short."""
    del data[rng.integers(1, len(data)) :]


def cut_out(data: bytearray, rng: np.random.Generator) -> None:
    """Leave a part out."""
    start = rng.integers(len(data))
    del data[start : start + int(rng.integers(1, 200))]


def double(data: bytearray, rng: np.random.Generator) -> None:
    """Repeat a part."""
    start = rng.integers(len(data))
    data[start:start] = data[start : start + int(rng.integers(1, 200))]


def overwrite(data: bytearray, rng: np.random.Generator) -> None:
    """A run of zeros, of ones, or of noise."""
    start = rng.integers(len(data))
    run = min(int(rng.integers(1, 100)), len(data) - start)
    data[start : start + run] = (bytes(run), b"\xff" * run, rng.bytes(run))[rng.integers(3)]


def lie(data: bytearray, rng: np.random.Generator) -> None:
    """Another width or height, wherever the file tells them."""
    old, told = int(rng.choice([83, 61])), int(rng.choice([1, 7, 60, 84, 255, 600, 5000, 13000, 65535]))
    forms = ">H", "<H", ">I", "<I"
    places = [(form, at) for form in forms for at in _all(data, struct.pack(form, old))]
    for form, at in places:
        if rng.random() < 2 / max(2, len(places)):
            struct.pack_into(form, data, at, told)
    if data[12:15] == b"VP8":  # 14 bits, less one
        struct.pack_into("<I", data, 21, (told & 0x3FFF) | 60 << 14)


def _all(data: bytearray, part: bytes) -> Iterator[int]:
    at = data.find(part)
    while at >= 0:
        yield at
        at = data.find(part, at + 1)


DAMAGES: tuple[Callable[[bytearray, np.random.Generator], None], ...] = (
    flip_bits, flip_head, flip_tail, truncate, cut_out, double, overwrite, lie, lie,
)  # fmt: skip


_SIZES_KNOWN = ("png", "jpeg", "bmp", "tiff")
"""Formats that tell a lie about the size by the number of pixels that they hold, if no other."""


@dataclass(frozen=True)
class Case:
    """A damaged file."""

    seed: int
    source: str
    damage: str
    data: bytes
    checked: bool
    """Its damage must be noticed: it was cut short, or its checksums are as they were."""


def case(made: dict[str, bytes], seed: int) -> Case:
    """The damaged file of a seed."""
    rng = np.random.default_rng(seed)
    name = list(made)[seed % len(made)]
    damage = DAMAGES[rng.integers(len(DAMAGES))]
    data, repaired = bytearray(made[name]), name.startswith("png") and rng.random() < 0.5
    if not repaired:
        damage(data, rng)
        return Case(seed, name, damage.__name__, bytes(data), name.startswith("png") or damage is truncate)
    parts = chunks(bytes(data))
    place = int(rng.integers(len(parts)))
    kind, body = parts[place]
    if body:
        changed = bytearray(body)
        # Half of the time the pixels themselves, below their compression.
        if kind == b"IDAT" and rng.random() < 0.5:
            changed = bytearray(zlib.decompress(b"".join(b for k, b in parts if k == b"IDAT")))
            damage(changed, rng)
            parts = [(k, b) for k, b in parts if k != b"IDAT" or b is body]
            changed = bytearray(zlib.compress(bytes(changed)))
        elif len(changed) > 5:
            damage(changed, rng)
        parts = [(k, bytes(changed) if b is body else b) for k, b in parts]
    return Case(seed, name, f"{damage.__name__} of {kind.decode()}", join(parts), checked=False)


# === Reading it ===


def reference(data: bytes, several: bool = False) -> np.ndarray | None:
    """The picture as an independent decoder has it, not turned, [H, W, 3 or 4] uint8; None where that reads none.

    Of `several` pictures in a TIFF Pillow would take the first, not the largest.
    """
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
                other = _tiff_reference(data)
                if other is not None or several:
                    return other
            with Image.open(io.BytesIO(data)) as image:
                if image.width * image.height > 4_000_000:
                    return None
                return np.array(image.convert("RGBA"))
        except Exception:
            return None


def _tiff_reference(data: bytes) -> np.ndarray | None:
    with contextlib.suppress(Exception), tifffile.TiffFile(io.BytesIO(data)) as file:
        pages = [page for top in file.pages for page in (top, *(top.pages or ()))]
        page = max((p for p in pages if not p.subfiletype & 1), key=lambda p: p.imagewidth * p.imagelength)
        if page.imagewidth * page.imagelength > 4_000_000 or page.photometric not in (1, 2):
            return None
        pixels = page.asarray()
        pixels = pixels.transpose(1, 2, 0) if page.planarconfig == 2 and pixels.ndim == 3 else pixels
        return _eight(pixels)
    return None


def _eight(pixels: np.ndarray) -> np.ndarray | None:
    if pixels.dtype.kind == "f":
        pixels = np.rint(pixels * 65535).astype(np.uint16)
    pixels = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
    if pixels.ndim == 2 or pixels.shape[2] == 2:
        alpha = [] if pixels.ndim == 2 else [pixels[..., 1]]
        pixels = np.dstack([pixels if pixels.ndim == 2 else pixels[..., 0]] * 3 + alpha)
    return pixels if pixels.dtype == np.uint8 else None


def same(pixels: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    """Whether they show the same; where both are invisible, anything is."""
    eight = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
    if eight.shape[:2] != other.shape[:2]:
        return False
    solid = np.full((*eight.shape[:2], 1), 255, np.uint8)
    mine, theirs = (np.concatenate([a, solid], 2) if a.shape[2] == 3 else a for a in (eight, other))
    seen = mine[..., 3:] > 0
    return float(np.abs(np.where(seen, mine.astype(int) - theirs, 0)).mean()) <= tolerance


def attempt(item: Case, whole: np.ndarray) -> str:
    """What becomes of it: refused, right, unsure (nothing to compare with), or a fault."""
    try:
        picture = images.decode(item.data)
    except images.ImageError as error:
        return "refused" if "\n" not in str(error) else "error: several lines"
    except Exception as error:  # the fault that is looked for
        return f"error: {type(error).__name__}: {error}"
    return written(item, picture) or compared(item, picture, whole)


def written(item: Case, picture: images.Picture) -> str | None:
    """The fault of writing what was read, if there is one."""
    extension = ".png" if item.source.startswith(("png", "gif", "webp")) else ".tif"
    try:
        again = images.decode(images.encode(picture.pixels, extension, like=picture)).pixels
    except Exception as error:  # the fault that is looked for
        return f"unwritten: {type(error).__name__}: {error}"
    return None if np.array_equal(again, picture.pixels) else "unwritten: came back otherwise"


def compared(item: Case, picture: images.Picture, whole: np.ndarray) -> str:
    """Whether the right picture was read, or a wrong one."""
    if np.array_equal(picture.pixels, whole):
        return "right"
    if item.checked:
        return "wrong: damage unnoticed"
    sides = zip(sorted(picture.pixels.shape[:2]), sorted(whole.shape[:2]), strict=True)
    if item.source.startswith(_SIZES_KNOWN) and any(abs(side - true) >= BLOCK for side, true in sides):
        return f"wrong: size {picture.pixels.shape}"
    other = reference(item.data, "preview" in item.source)
    if other is None:
        return "unsure"
    # Damaged EXIF may say any orientation, and decoders differ in how much of it they take.
    turned = [
        turn for way in (other, other.transpose(1, 0, 2)) for turn in (way, way[::-1], way[:, ::-1], way[::-1, ::-1])
    ]
    tolerance = 1.5 if "jpeg" in item.source else 0.05
    return "right" if any(same(picture.pixels, turn, tolerance) for turn in turned) else "wrong: otherwise"


def work(numbers, results, made: dict[str, bytes]) -> None:
    """A process of the pool."""
    import resource

    logging.getLogger("tifffile").disabled = True
    whole = {name: images.decode(data).pixels for name, data in made.items()}
    for number in iter(numbers.get, None):
        item = case(made, number)
        results.put((os.getpid(), number, None, 0, 0))
        began = time.process_time()
        found = attempt(item, whole[item.source])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        results.put((os.getpid(), number, found, time.process_time() - began, peak))


class Pool:
    """Processes that may end, or not, over a file; each is replaced."""

    def __init__(self, count: int, made: dict[str, bytes]):
        self.context, self.made = multiprocessing.get_context("spawn"), made
        self.numbers, self.results = self.context.Queue(), self.context.Queue()
        self.processes, self.busy = {}, {}
        for _ in range(count):
            self._start()

    def _start(self) -> None:
        process = self.context.Process(target=work, args=(self.numbers, self.results, self.made), daemon=True)
        process.start()
        self.processes[process.pid] = process

    def run(self, numbers: list[int]) -> Iterator[tuple[int, str, float, int]]:
        """Number, outcome, seconds and megabytes of each."""
        for number in numbers:
            self.numbers.put(number)
        left = set(numbers)
        while left:
            try:
                pid, number, found, seconds, peak = self.results.get(timeout=1)
            except Exception:  # queue.Empty
                for number, outcome in self._lost():
                    left.discard(number)
                    yield number, outcome, SECONDS, 0
                continue
            if found is None:
                self.busy[pid] = (number, time.monotonic())
                continue
            self.busy.pop(pid, None)
            left.discard(number)
            yield number, found if seconds < SECONDS else f"hang: {seconds:.1f} s", seconds, peak
        for _ in self.processes:
            self.numbers.put(None)

    def _lost(self) -> Iterator[tuple[int, str]]:
        for pid, process in list(self.processes.items()):
            number, began = self.busy.get(pid, (None, 0.0))
            hangs = number is not None and time.monotonic() - began > 12 * SECONDS
            if hangs:
                process.kill()
                process.join()
            if not process.is_alive():
                del self.processes[pid]
                self._start()
                if number is not None:
                    del self.busy[pid]
                    yield number, "hang" if hangs else f"crash: status {process.exitcode}"


def main() -> int:
    """Run it and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="of the first file; each has the next")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="write the files with faults into this folder")
    parser.add_argument("--verbose", action="store_true", help="show the unsure ones too")
    arguments = parser.parse_args()
    made = sources()
    counts: collections.Counter[str] = collections.Counter()
    slowest, largest = (0.0, 0), (0, 0)
    for number, found, seconds, peak in Pool(arguments.jobs, made).run(
        list(range(arguments.seed, arguments.seed + arguments.files))
    ):
        kind = found.partition(":")[0]
        counts[kind] += 1
        slowest, largest = max(slowest, (seconds, number)), max(largest, (peak, -number))
        if kind not in ("refused", "right", "unsure") or (arguments.verbose and kind == "unsure"):
            item = case(made, number)
            print(f"seed {number}: {item.source}, {item.damage}: {found}", flush=True)
            if arguments.keep:
                arguments.keep.mkdir(parents=True, exist_ok=True)
                (arguments.keep / f"{number}.{item.source.split()[0]}").write_bytes(item.data)
    faults = {kind: counts[kind] for kind in ("crash", "error", "hang", "wrong", "unwritten")}
    print(f"{arguments.files} files from seed {arguments.seed}, {len(made)} formats and layouts")
    print(f"refused {counts['refused']}, read and right {counts['right']}, read and unsure {counts['unsure']}")
    print(", ".join(f"{kind} {count}" for kind, count in faults.items()))
    print(f"slowest {slowest[0]:.2f} s (seed {slowest[1]}), largest process {largest[0]} MB (seed {-largest[1]})")
    return int(any(faults.values()) or largest[0] > MEGABYTES)


if __name__ == "__main__":
    sys.exit(main())
