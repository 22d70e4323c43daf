"""Where edits go, and that nothing is lost there: all that can be known is checked before any work."""

import atexit
import ntpath
import os
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from vaekit import console, images
from vaekit.errors import UserError
from vaekit.images import SUFFIXES, ImageError
from vaekit.images.reading import reason
from vaekit.inputs import MASK, PIPE, Input, below, first_of, look

ONE_PIXEL = (1, 1, 3)
"""Every format holds so much: whether a suffix can be written at all is asked with it."""


class DoneError(Exception):
    """An input's outputs are there, and that was to be enough."""


def check_folder(folder: Path) -> None:
    """Check that files can be written into a folder, or that it can be made; nothing is made yet.

    Raises:
        UserError: it is a file, or may not be written to.
    """
    while (status := look(folder)) is None and folder != folder.parent:
        folder = folder.parent
    if status is not None and not folder.is_dir():
        raise UserError(f"{folder}: not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: cannot be written to: permission denied")


def check_file(path: Path, *, overwrite: bool, inputs: Iterable[Path] = (), more: Sequence[str] = ()) -> None:
    """Check before any work that a picture can be written to a path, and make its folder.

    Args:
        path: the file.
        overwrite: whether a file that is there is replaced.
        inputs: files that must not be replaced.
        more: suffixes that can be written beside those of pictures.

    Raises:
        UserError: it is there already, is an input, is a folder, its suffix is of no format that is written, its
            folder cannot be made or written to, or it is a name that Windows keeps for a device.
    """
    if str(path) == PIPE:
        raise UserError("-o -: this command writes a file, not standard output")
    if path.suffix.lower() not in more:
        _check_suffix(path)
    _check_name(path)
    status = look(path)
    if status is not None:
        if not path.is_file():
            raise UserError(f"{path}: not a regular file")
        if any((there := look(each)) is not None and os.path.samestat(status, there) for each in inputs):
            raise UserError(f"{path}: is an input; name another output")
        if not overwrite:
            raise UserError(f"{path}: already exists (--overwrite replaces it)")
    check_folder(path.parent)
    _make(path.parent)


def _check_suffix(path: Path, hint: str = "") -> None:
    try:
        images.check_output(path, ONE_PIXEL)
    except ImageError as error:
        raise UserError(f"{error}{hint}") from None


def _check_name(path: Path) -> None:
    if os.name == "nt" and names_device(path):
        raise UserError(f"{path}: Windows keeps this name for a device")


def names_device(path: Path) -> bool:
    """Whether Windows takes a path for a device, as it does NUL.png."""
    if hasattr(ntpath, "isreserved"):  # Python 3.13
        return ntpath.isreserved(os.fspath(path))
    return PureWindowsPath(path).is_reserved()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {reason(error)}") from None


class Outputs:
    """Where edits go; no two of them to one file, and none over another input.

    Args:
        inputs: all that will be edited.
        output: a file (for a lone input), a folder, "-" for standard output (for a lone input), or None for
            STEM_COMMAND beside the input. What ends in a slash is a folder.
        command: the verb.
        alone: whether there is one input, named as a file.
        samples: files to write for an input.
        overwrite: replace what is there.
        skip_existing: leave an input alone whose outputs are there.
        masks: a mask, or a folder of masks, that is not to be replaced either.
        in_place: whether an input may be replaced by its own output, where that is named as it is.

    Attributes:
        inputs: those of `inputs` that are not results of another one.
        notes: what a user must hear of the input that `paths` was asked for last.
        written: files written for it.

    Raises:
        UserError: an output is named that cannot be one, what is there is to be both replaced and kept, or an
            output would replace another input.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        output: str | os.PathLike[str] | None,
        command: str,
        *,
        alone: bool,
        samples: int = 1,
        overwrite: bool = False,
        skip_existing: bool = False,
        masks: Path | None = None,
        in_place: bool = True,
    ):
        if overwrite and skip_existing:
            raise UserError("--overwrite and --skip-existing exclude each other")
        self.command = command
        self.samples, self.overwrite, self.skip_existing = samples, overwrite, skip_existing
        self.notes: list[str] = []
        self.written = 0
        self.taken: dict[str, list[tuple[Path, Input]]] = {}
        self.stream = output is not None and os.fspath(output) == PIPE
        if self.stream:
            if not alone or samples > 1:
                raise UserError("-o -: standard output takes one picture, of one file")
            folder = tempfile.mkdtemp(prefix="vaekit-")
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            output = os.path.join(folder, "standard-output.png")
        self.output, self.file = _file_or_folder(output, len(inputs), alone)
        if self.output is None and any(item.name for item in inputs):
            raise UserError(f"{inputs[0]}: name an output: -o FILE, or -o - for standard output")
        self.inputs = list(inputs)
        self.kept = self._replaced(masks, in_place)

    def _replaced(self, masks: Path | None, in_place: bool) -> dict[Path, str]:
        """Files that an output could be, and that must not be replaced, with what they are.

        Without --overwrite nothing is replaced; inputs that are named like another's result are results then.
        """
        by_file: dict[tuple[int, int], Input] = {}
        for item in self.inputs:
            if (status := _status(item.path)) is not None:
                by_file[status.st_dev, status.st_ino] = item
        kept: dict[Path, str] = {}
        results: set[Input] = set()
        for item in self.inputs:
            certain = self._paths(item, self.suffix(item))
            for path in [*certain, *(p for p in self._paths(item, ".png") if p not in certain)]:
                if (status := _status(path)) is None:
                    continue
                other = by_file.get((status.st_dev, status.st_ino))
                if in_place and other is item and os.path.abspath(path) == os.path.abspath(item.path):
                    continue  # asked for by name
                if other is not None:
                    kept[path] = "the same file as the input" if other is item else f"the input {other}"
                    results |= {other} if other is not item and path in certain else set()
                elif masks is not None and _is_mask(path, masks, item):
                    kept[path] = "a mask"
                if self.overwrite and path in kept and path in certain:
                    raise UserError(f"{path}: an output would replace {kept[path]}; name another")
        if results and not self.overwrite:
            left_out = [item for item in self.inputs if item in results]
            self.inputs = [item for item in self.inputs if item not in results]
            console.warn(f"{first_of(left_out)}: left out, named as a result of another input is")
        return kept

    def suffix(self, item: Input) -> str:
        """The suffix asked for."""
        return self.output.suffix if self.output is not None and self.file else item.path.suffix

    def done(self, item: Input) -> bool:
        """Whether an input can be skipped unread: its outputs are there with the suffix asked for."""
        return self.skip_existing and all(path.exists() for path in self._paths(item, self.suffix(item)))

    def paths(self, item: Input, shape: Sequence[int], dtype: Any = np.uint8, suffix: str | None = None) -> list[Path]:
        """The files to write for an input, one a sample; their folder is made.

        Args:
            item: the input.
            shape: of the array that will be written.
            dtype: of that array.
            suffix: what to write, where that is not what was asked for.

        Raises:
            DoneError: all of them exist, with `skip_existing`.
            ImageError: one exists (without `overwrite`) or is another input, another input's edit is there, the
                format asked for cannot hold the picture, or the folder cannot be written to.
        """
        wanted = self.suffix(item) if suffix is None else suffix
        fitting = self._fitting(item, wanted, shape, dtype)
        paths = self._paths(item, fitting)
        for path in paths:
            key = unicodedata.normalize("NFC", os.path.abspath(path)).casefold()
            for taken, other in self.taken.setdefault(key, []):
                if other is not item and (taken == path or _same(taken, path)):
                    raise ImageError(f"{item}: {path} is the output of {other} already")
            self.taken[key].append((path, item))
            if self.overwrite and path in self.kept:
                raise ImageError(f"{item}: {path} would replace {self.kept[path]}: name another folder")
        there = [path for path in paths if _exists(path)]
        if self.skip_existing and len(there) == len(paths):
            raise DoneError
        if there and not self.overwrite and not self.skip_existing:
            raise ImageError(f"{item}: {there[0]} already exists (--overwrite replaces it)")
        try:
            check_folder(paths[0].parent)
            _make(paths[0].parent)
        except UserError as error:
            raise ImageError(f"{item}: {error}") from None
        return paths

    def missing(self, paths: Sequence[Path]) -> Iterable[tuple[int, Path]]:
        """Of an input's files those to write, with their numbers from 0: with `skip_existing` those not there yet."""
        for number, path in enumerate(paths):
            if not (self.skip_existing and path.exists()):
                yield number, path

    def write(self, path: Path, pixels: np.ndarray, *, like: images.Picture | None = None) -> None:
        """Write a picture as `images.write` does; with `skip_existing` one that appeared meanwhile is left alone."""
        try:
            images.write(path, pixels, like=like, overwrite=self.overwrite)
        except ImageError:
            if not (self.skip_existing and path.exists()):
                raise
            return
        self.written += 1

    def copy(self, item: Input, path: Path) -> None:
        """Copy an input byte by byte, as `write` writes it."""
        if path.exists() and _same(item.path, path):
            return
        try:
            images.copy(item.path, path, overwrite=self.overwrite)
        except ImageError:
            if not (self.skip_existing and path.exists()):
                raise
            return
        self.written += 1

    def _fitting(self, item: Input, suffix: str, shape: Sequence[int], dtype: Any) -> str:
        """The suffix if its format can hold the picture, else .png, which is noted; a file that was named is exact."""
        name = self.output if self.file and self.output is not None else Path(item.path.stem + suffix)
        try:
            images.check_output(name, shape, dtype)
        except ImageError as error:
            if self.file:
                raise ImageError(f"{item}: {error}") from None
            if suffix:
                why = str(error).removeprefix(f"{name}: ").removesuffix("; write .png instead")
                self.notes.append(f"written as PNG: {why}")
            return ".png"
        return suffix

    def _paths(self, item: Input, suffix: str) -> list[Path]:
        # What follows a dot is part of the name, unless it is the suffix of an image.
        stem = item.path.stem if item.path.suffix.lower() in SUFFIXES else item.path.name
        if self.output is None:
            base = item.path.with_name(f"{stem}_{self.command}")
        elif self.file:
            base, suffix = self.output.with_suffix(""), self.output.suffix
        else:
            base = (self.output / item.relative).with_name(stem)
        numbers = [""] if self.samples == 1 else [f"_{number}" for number in range(1, self.samples + 1)]
        return [base.with_name(base.name + number + suffix) for number in numbers]


def _file_or_folder(output: str | os.PathLike[str] | None, count: int, alone: bool) -> tuple[Path | None, bool]:
    """An output as a path, and whether it is a file.

    Raises:
        UserError: it can be neither.
    """
    if output is None:
        return None, False
    text = os.path.expanduser(os.fspath(output))
    if not text:
        raise UserError("-o: an empty name stands for no file or folder")
    path = Path(text)
    status = look(path)
    _check_name(path)
    if (status is not None and path.is_dir()) or (status is None and text.endswith(("/", os.sep))):
        check_folder(path)
        return path, False
    if status is None and path.suffix.lower() not in SUFFIXES and (not alone or not path.suffix):
        check_folder(path)
        return path, False
    if not alone:
        hint = "not a folder" if status is not None else f"names a file ({path}/ is a folder)"
        raise UserError(f"{path}: {hint}, and there are {count} inputs or a folder of them")
    if status is not None and not path.is_file():
        raise UserError(f"{path}: not a regular file")
    _check_suffix(path, "" if status is not None else f"; {path}{os.sep} is a folder")
    check_folder(path.parent)
    return path, True


def _is_mask(path: Path, masks: Path, item: Input) -> bool:
    """Whether a file is the mask or in the folder of masks; where the photo is there too, only if it is called so."""
    if not masks.is_dir():
        return _same(path, masks)
    return below(path, masks) and (not below(item.path, masks) or MASK.fullmatch(path.stem) is not None)


def _status(path: Path) -> os.stat_result | None:
    """What is at a path, or None; what cannot be looked at fails when its turn comes."""
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def _exists(path: Path) -> bool:
    """Whether a file is there.

    Raises:
        OSError: its name is too long, or its folder may not be read.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
