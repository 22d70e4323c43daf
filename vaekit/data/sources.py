"""Random access to images: folders (with CSV labels), npz files, TFDS names, joined at will."""

import csv
import functools
import logging
import os
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vaekit import images
from vaekit.data.augment import match_channels
from vaekit.errors import UserError
from vaekit.images.reading import reason
from vaekit.inputs import check_readable, image_files, look

KEEP_BYTES = 1_000_000_000
"""Of decoded images that a folder keeps in memory."""

NOT_FILES = ("tfds:", "rendered:")
"""What a source begins with that is no path."""

Labels = str | Sequence[str] | None

log = logging.getLogger(__name__)


class DataError(UserError, ValueError):
    """Data that cannot be used; the message is one line."""


class Source(Protocol):
    """A sequence of items: dicts with "image" [H, W, 1 or 3] uint8 and, where known, "label" (int, or [K]).

    An item may know its "partner": a function that draws another image of the same person with a generator, and, with
    a label too, one that has that label. Its "partner_label" draws such an image's label alone. Its "name" is that of
    its file below the folder, without the suffix.
    """

    def __len__(self) -> int:
        """How many items."""

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One item."""


@dataclass(frozen=True)
class Holdout:
    """Which items are kept for validation: those whose number in `column` is divisible by `every`.

    Column "file" stands for the digits in the file's stem. Where these would keep less than half or more than twice
    of what is asked for, as the times of photos can, and where there are no files, it stands for the item's place,
    counted from 0: every `every`th is kept, and always the first.
    """

    column: str = "file"
    every: int = 20

    def keeps(self, number: int) -> bool:
        """Whether an item of that number is for validation."""
        return number % self.every == 0


FOLDERS = "/"
"""In place of a CSV's column: the name of the folder in the source's that an image lies in."""


def open_source(
    spec: str,
    *,
    split: str | None = None,
    labels: Labels = None,
    holdout: Holdout | None = None,
    balance: float = 0.0,
    partner: str | None = None,
) -> Source:
    """Open a folder, a CSV file that lists images, `FILE.npz`, `tfds:NAME[:SPLIT]` or `rendered:COUNT`.

    Args:
        spec: where the images are.
        split: "train" or "validation" of `holdout`; None takes all.
        labels: the CSV's column of labels (folders), or FOLDERS; words are numbered in sorted order; or several columns
            of 0 and 1, then a label is [K] float32, and `!COLUMN` is 1 where COLUMN is 0; or FILE.npz:ARRAY beside the
            folder, with a row [K] for every row of the CSV. Of rendered faces: "traits", what a person is drawn from.
        holdout: how the split is made.
        partner: the CSV's column that images of one person share (folders), or FOLDERS.
        balance: images with a label of 0 or 1 that fewer than this share have are met so often that it is met.

    Raises:
        DataError: it is missing, empty, or has no such column.
    """
    if split not in (None, "train", "validation"):
        raise DataError(f"split is train or validation, not {split}")
    kind, _, rest = spec.partition(":")
    if kind == "tfds":
        source: Any = TfdsSource(rest)
    elif kind == "rendered":
        from vaekit.data.rendered import RenderedFaces

        if not rest.isdecimal() or not int(rest):
            raise DataError(f"{spec}: expected rendered:COUNT")
        if labels not in (None, "traits"):
            raise DataError(f"{spec}: labels of drawn faces are traits, or people where none are named")
        source = RenderedFaces(int(rest), traits=labels == "traits")
    elif spec.endswith(".npz"):
        source = NpzSource(Path(os.path.expanduser(spec)))
    else:
        path = Path(os.path.expanduser(spec))
        table = path if spec.lower().endswith(".csv") else None
        source = FolderSource(path.parent if table else path, labels, partner, table)
    if split is None:
        return source
    holdout = holdout or Holdout()
    numbers = source.numbers(holdout) if isinstance(source, FolderSource) else range(len(source))
    chosen = [i for i, number in enumerate(numbers) if holdout.keeps(number) == (split == "validation")]
    if not chosen:
        raise DataError(
            f"{spec}: nothing is left for {split} of {len(source)} images; --set data.holdout.every=N keeps every Nth"
        )
    if balance:
        if not isinstance(labels, tuple | list):
            raise DataError(f"{spec}: balance needs labels, columns of 0 and 1")
        chosen = balanced(chosen, source.labels, balance)
    return Subset(source, chosen)


def balanced(chosen: Sequence[int], labels: np.ndarray, share: float) -> list[int]:
    """Repeat items until their rarest label is met about as often as in a share of all items.

    Args:
        chosen: items.
        labels: [all items, K] of 0 and 1.
        share: below 1/2; what more items have is left as it is.

    Returns:
        `chosen`, each as often as its rarest label asks for: share / frequency, rounded, at least once.
    """
    rows = labels[list(chosen)]
    frequency = np.where(rows > 0.5, rows.mean(axis=0), 1.0 - rows.mean(axis=0))
    counts = np.maximum(np.rint(share / frequency.min(axis=1)), 1).astype(int)
    return np.repeat(np.asarray(chosen), counts).tolist()


class FolderSource:
    """Every image below a folder, in natural order; labels from FOLDER.csv or FOLDER/labels.csv. Or what a CSV lists.

    Links to folders are followed, each folder once; hidden files are left out. A file that cannot be read is counted
    in `damaged`, and another stands in for it.
    """

    def __init__(self, folder: Path, labels: Labels = None, partner: str | None = None, table: Path | None = None):
        self.folder, self.listed = folder, dict[Path, str]()
        if table:
            self.rows = _read_table(table)
            self.listed = {folder / name: name for name in self.rows}
            self.files = list(self.listed)
            for path, name in self.listed.items():
                if look(path) is None:
                    raise DataError(f"{table}: names {name}, which is not there")
        else:
            self.files = sorted(_found(folder), key=_natural)
            if not self.files:
                raise DataError(f"{folder}: no images in it")
            self.rows = self._read_rows()
        self.damaged: dict[Path, str] = {}
        self.kept: dict[int, np.ndarray] = {}
        self.room = KEEP_BYTES
        self.labels: Any = None
        self.classes: list[str] | None = None
        """Names of the labels, where they have some."""
        if isinstance(labels, str):
            self.labels = self._array(labels) if ".npz:" in labels else self._numbered(labels)
        elif labels is not None:
            self.labels = self._attributes(labels)
        self.groups: dict[str, list[int]] = {}
        self.group_of = self._column(partner) if partner else []
        for place, group in enumerate(self.group_of):
            self.groups.setdefault(group, []).append(place)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        for offset in range(len(self.files)):
            place = (index + offset) % len(self.files)
            path = self.files[place]
            if path in self.damaged:
                continue
            try:
                item: dict[str, Any] = {"image": self._pixels(place), "name": self.name(place)}
            except (images.ImageError, OSError) as error:
                self.damaged[path] = str(error)
                log.warning("skipped: %s", error)
                continue
            if self.labels is not None:
                item["label"] = self.labels[place]
            if self.group_of:
                item["partner"] = functools.partial(self._partner, place)
                if self.labels is not None:
                    item["partner_label"] = functools.partial(self._partner_label, place)
            return item
        raise DataError(f"{self.folder}: every image is damaged")

    def name(self, place: int) -> str:
        """Of a file: its path below the folder, without the suffix."""
        return self.files[place].relative_to(self.folder).with_suffix("").as_posix()

    def _partner(self, place: int, rng: np.random.Generator, label: int | None = None) -> np.ndarray | None:
        """Another image of the same group, or the same one where there is no other that can be read.

        With `label` it is one that has it, or None where there is none.
        """
        others = self._others(place)
        if label is not None:
            others = [p for p in others if self.labels[p] == label]
        if not others:
            return self._pixels(place) if label is None else None
        other = others[rng.integers(len(others))]
        try:
            return self._pixels(other)
        except (images.ImageError, OSError) as error:
            self.damaged[self.files[other]] = str(error)
            log.warning("skipped: %s", error)
            return self._partner(place, rng, label)

    def _partner_label(self, place: int, rng: np.random.Generator):
        """Another image's label, or the same one's where there is no other."""
        others = self._others(place) or [place]
        return self.labels[others[rng.integers(len(others))]]

    def _others(self, place: int) -> list[int]:
        return [p for p in self.groups[self.group_of[place]] if p != place and self.files[p] not in self.damaged]

    def _pixels(self, place: int) -> np.ndarray:
        """[H, W, 3] uint8, not to be written to: decoded once, while there is room to keep it."""
        if place in self.kept:
            return self.kept[place]
        pixels = images.read(self.files[place]).pixels
        if pixels.dtype == np.uint16:
            pixels = (pixels >> 8).astype(np.uint8)
        pixels = match_channels(pixels, 3)
        if pixels.nbytes <= self.room:
            self.room -= pixels.nbytes
            self.kept[place] = pixels
            pixels.flags.writeable = False
        return pixels

    def numbers(self, holdout: Holdout) -> list[int]:
        """A number for every file, as `holdout` has it: from a CSV column, in its name, or its place."""
        if holdout.column == "file":
            numbers = [int(re.sub(r"[^0-9]", "", p.stem) or i) for i, p in enumerate(self.files)]
            kept, asked = sum(map(holdout.keeps, numbers)), len(numbers) / holdout.every
            sound = max(1, 0.5 * asked) <= kept <= max(2, 2 * asked) and kept < len(numbers)
            return numbers if sound else list(range(len(numbers)))
        try:
            return [int(value) for value in self._column(holdout.column)]
        except ValueError:
            raise DataError(f"{self.folder}: column {holdout.column} does not hold numbers") from None

    @property
    def has_class_folders(self) -> bool:
        """Whether all images lie in folders of the folder's, of which there are several, and no CSV tells of them."""
        folders = {self._class_folder(path) for path in self.files}
        return not self.rows and "" not in folders and len(folders) > 1

    def _class_folder(self, path: Path) -> str:
        """The first folder below the source's that a file lies in; "" where it lies in none."""
        parts = Path(self._key(path)).parts
        return parts[0] if len(parts) > 1 else ""

    def _column(self, column: str) -> list[str]:
        if column == FOLDERS:
            found = [self._class_folder(path) for path in self.files]
            if "" in found:
                raise DataError(f"{self.files[found.index('')]}: lies in no folder that would be its class")
            return found
        there = list(next(iter(self.rows.values()), {}))
        if column not in there:
            raise DataError(f"{self.folder}: no column {column}; there are: {', '.join(there) or 'none (no CSV)'}")
        return [row[column] for row in self._rows_of_files()]

    def _rows_of_files(self) -> list[dict[str, str]]:
        missing = [p for p in self.files if self._key(p) not in self.rows]
        if missing:
            raise DataError(f"{missing[0]}: not listed in the CSV ({len(missing)} such files)")
        return [self.rows[self._key(p)] for p in self.files]

    def _numbered(self, column: str) -> list[int]:
        values = self._column(column)
        if all(re.fullmatch(r"-?\d+", v) for v in values):
            return [int(v) for v in values]
        self.classes = sorted(set(values))
        place = {value: i for i, value in enumerate(self.classes)}
        return [place[v] for v in values]

    def _attributes(self, columns: Sequence[str]) -> np.ndarray:
        table = []
        for column in columns:
            values = self._column(column.removeprefix("!"))
            if not set(values) <= {"0", "1"}:
                raise DataError(f"{self.folder}: column {column} holds other values than 0 and 1")
            table.append([(value == "1") != column.startswith("!") for value in values])
        return np.array(table, np.float32).T

    def _array(self, spec: str) -> np.ndarray:
        """Rows of FILE.npz:ARRAY, in the order of the files."""
        name, _, key = spec.rpartition(":")
        path = Path(os.path.abspath(self.folder)).with_name(name)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                if key not in arrays:
                    raise DataError(f"{path}: no array {key}; there are {', '.join(arrays)}")
                rows = arrays[key]
        except (OSError, ValueError) as error:
            raise error if isinstance(error, DataError) else DataError(f"{path}: {error}") from None
        place = {file: i for i, file in enumerate(self.rows)}
        if rows.ndim != 2 or len(rows) != len(place):
            raise DataError(f"{path}: {key} is {rows.shape}, not a row for each of the CSV's {len(place)}")
        self._rows_of_files()
        return rows[[place[self._key(p)] for p in self.files]].astype(np.float32)

    def _read_rows(self) -> dict[str, dict[str, str]]:
        there = Path(os.path.abspath(self.folder))
        for path in (there.with_name(f"{there.name}.csv"), self.folder / "labels.csv"):
            if path.is_file():
                return _read_table(path)
        return {}

    def _key(self, path: Path) -> str:
        return self.listed.get(path) or path.relative_to(self.folder).as_posix()


def _found(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    try:
        return image_files(folder, warn=log.warning)
    except (OSError, UserError) as error:
        raise DataError(str(error)) from None


def _read_table(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a CSV, without their column "file", by what stands in it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: {reason(error)}") from None
    if not rows or "file" not in rows[0]:
        raise DataError(f"{path}: expected a header with a column named file")
    return {row.pop("file"): row for row in rows}


class NpzSource:
    """Images (and labels) of an .npz file: arrays x_train, y_train, or images, labels.

    Images are uint8 [N, H, W] or [N, H, W, C] with C 1, 3 or 4. Labels are whole numbers [N] or [N, 1], classes, or
    one-hot [N, K].
    """

    def __init__(self, path: Path):
        try:
            check_readable(path, "file")
            # np.load leaves a file that it cannot read open.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                names = [n for n in ("x_train", "images", "x") if n in arrays]
                if not names:
                    raise DataError(f"{path}: no array x_train, images or x; there are {', '.join(arrays)}")
                self.images = arrays[names[0]]
                label = {"x_train": "y_train", "images": "labels", "x": "y"}[names[0]]
                self.labels = arrays.get(label)
        except DataError:
            raise
        except (
            UserError,
            OSError,
            ValueError,
            EOFError,
            TypeError,
            MemoryError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            raise DataError(f"{path}: cannot be read: {reason(error)}") from None
        if self.images.ndim == 3:
            self.images = self.images[..., None]
        if self.images.ndim != 4 or self.images.dtype != np.uint8 or not self.images.size:
            what = f"{self.images.dtype} {self.images.shape}"
            raise DataError(f"{path}: expected images [N, H, W, C] of uint8, not {what}")
        if self.images.shape[3] not in (1, 3, 4):
            what = f"{self.images.shape}{'; its channels stand first' if self.images.shape[1] in (1, 3, 4) else ''}"
            raise DataError(f"{path}: expected images [N, H, W, C] with 1, 3 or 4 channels, not {what}")
        if self.labels is not None:
            self.labels = self._classes(path, label, self.labels)

    def _classes(self, path: Path, name: str, labels: np.ndarray) -> np.ndarray:
        """Classes [N] of labels [N], [N, 1] or one-hot [N, K]."""
        if len(labels.shape) == 0 or len(labels) != len(self.images):
            raise DataError(f"{path}: {name} is {labels.shape}, not a label for each of {len(self.images)} images")
        if labels.dtype.kind not in "biuf" or not (np.isfinite(labels).all() and (labels == np.rint(labels)).all()):
            raise DataError(f"{path}: {name} is of {labels.dtype}; expected whole numbers, the classes from 0")
        if labels.ndim == 2 and labels.shape[1] > 1:
            if not (np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()):
                raise DataError(f"{path}: {name} is {labels.shape}; expected classes [N] or one-hot [N, K]")
            return labels.argmax(axis=1)
        if labels.ndim > 2 or not labels.size:
            raise DataError(f"{path}: {name} is {labels.shape}; expected classes [N] or one-hot [N, K]")
        return labels.reshape(len(labels)).astype(np.int64)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        item = {"image": self.images[index]}
        return item if self.labels is None else {**item, "label": int(self.labels[index])}


class TfdsSource:
    """A TensorFlow Datasets name, by random access: `mnist`, `celeb_a:test`."""

    def __init__(self, spec: str):
        import tensorflow_datasets as tfds

        name, _, split = spec.partition(":")
        try:
            self.source = tfds.data_source(name, split=split or "train")
        except Exception as error:  # TFDS raises whatever its builders raise
            raise DataError(f"tfds:{spec}: {str(error).splitlines()[0]}") from None

    def __len__(self):
        return len(self.source)

    def __getitem__(self, index):
        row = self.source[index]
        item = {"image": np.asarray(row["image"])}
        return {**item, "label": int(row["label"])} if "label" in row else item


class Subset:
    """Some items of a source."""

    def __init__(self, source: Source, indices: Sequence[int]):
        self.source, self.indices = source, list(indices)
        self.count = len(set(self.indices))

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        return self.source[self.indices[index]]


class WithOther:
    """A source whose items know the pictures of another source.

    Their "other" is a function that draws any of them with a generator, their "pair" one that finds the picture of the
    same name, or, where files have no names, at the same place.
    """

    def __init__(self, source: Source, other: Source):
        self.source, self.other = source, other
        self.count: int = getattr(source, "count", len(source))

    @functools.cached_property
    def places(self) -> dict[str, int] | None:
        """Where the other pictures are, by name; None where they have none."""
        names = _names(self.other)
        return None if names is None else {name: place for place, name in enumerate(names)}

    def __len__(self):
        return len(self.source)

    def __getitem__(self, index):
        item = self.source[index]
        return {**item, "other": self._draw, "pair": functools.partial(self._pair, item.get("name"), index)}

    def _draw(self, rng: np.random.Generator) -> np.ndarray:
        return self.other[int(rng.integers(len(self.other)))]["image"]

    def _pair(self, name: str | None, index: int) -> np.ndarray:
        if (name is None) != (self.places is None):
            raise DataError("pairs are of two folders, or of two files: one of these is a folder and one is none")
        if name is None or self.places is None:
            if len(self.source) != len(self.other):
                raise DataError(f"pairs need as many pictures of both: {len(self.source)} and {len(self.other)}")
            return self.other[index]["image"]
        if name not in self.places:
            raise DataError(f"{name}: no picture of that name among the others")
        item = self.other[self.places[name]]
        if item["name"] != name:
            raise DataError(f"{name}: the other picture of that name cannot be read")
        return item["image"]


def _names(source: Source) -> list[str] | None:
    """The names of a folder's files."""
    if isinstance(source, Subset):
        all_names = _names(source.source)
        return None if all_names is None else [all_names[i] for i in source.indices]
    return [source.name(place) for place in range(len(source))] if isinstance(source, FolderSource) else None


class JoinedSource:
    """Several sources; an item also says which it came from ("source", an int).

    Args:
        sources: at least one.
        weights: how often each is drawn, in proportion; by their sizes where None.

    Raises:
        DataError: there is none, or their classes have other names, so that a number would stand for several.
    """

    def __init__(self, sources: Sequence[Source], weights: Sequence[float] | None = None):
        if not sources:
            raise DataError("no data is named")
        self.sources = list(sources)
        shares = np.asarray(weights if weights is not None else [len(s) for s in sources], float)
        self.shares = shares / shares.sum()
        named = [getattr(getattr(source, "source", source), "classes", None) for source in sources]
        for each in named:
            if each != named[0]:
                raise DataError(f"data of other classes: {_few(named[0])}, and {_few(each)}")
        self.classes: list[str] | None = named[0]
        """Names of the labels, where they have some."""

    @property
    def counts(self) -> list[int]:
        """How many different items each source has."""
        return [getattr(source, "count", len(source)) for source in self.sources]

    def __len__(self):
        return sum(len(s) for s in self.sources)

    def __getitem__(self, index):
        for place, source in enumerate(self.sources):
            if index < len(source):
                return {**source[index], "source": place}
            index -= len(source)
        raise IndexError(index)

    def draw(self, place: int, index: int) -> dict:
        """Item `index` of source `place`."""
        return {**self.sources[place][index], "source": place}


def _few(names: list[str] | None) -> str:
    return "numbers" if names is None else ", ".join([*names[:3], *(["..."] if len(names) > 3 else [])])


def _natural(path: Path) -> list:
    """Sort key under which 2.jpg comes before 10.jpg."""
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in re.split(r"(\d+)", str(path))]
