"""Which pictures a command line names: files, folders, globs and standard input."""

import atexit
import functools
import glob
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vaekit import console
from vaekit.errors import UserError
from vaekit.images import SUFFIXES, ImageError
from vaekit.images.reading import reason

PIPE = "-"
"""Standard input, or standard output."""
MASK = re.compile(r"(.+)_mask\d*")
"""What the mask of a photo is called that lies beside it."""
_PIPES = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
MOST_PIPED = 2_000_000_000
"""Bytes of a picture from a pipe, which are kept in a temporary file."""
NOT_LOOKED_INTO = frozenset({"@eaDir", "__MACOSX"})
"""Folders of thumbnails and resource forks, which do not begin with a dot as others do."""


@dataclass(frozen=True)
class Input:
    """A picture to edit."""

    path: Path
    relative: Path
    """The path below the folder that was named: where it goes in an output folder, and how a mask is found."""
    name: str = ""
    """What it is called in messages, where that is not its path."""

    def __str__(self) -> str:
        return self.name or str(self.path)


def look(path: str | os.PathLike[str]) -> os.stat_result | None:
    """What stands at a path, links followed; None for nothing.

    Raises:
        UserError: the path cannot be looked at: its name is too long, a folder of it may not be read.
    """
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # ValueError: a null character, or what the file system cannot encode
        raise UserError(f"{os.fspath(path)}: {reason(error)}") from None


def check_readable(path: Path, what: str) -> None:
    """Check that a file or folder is there, whose reading comes to an end.

    Raises:
        UserError: it is not, or is a device or a named pipe.
    """
    status = look(path)
    if status is None:
        raise UserError(f"{path}: no such {what}")
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise UserError(f"{path}: a device or named pipe, no {what}")


def walk(
    folder: Path, *, recursive: bool = True, warn: Callable[[str], None] = console.warn
) -> Iterator[tuple[Path, list[Path]]]:
    """Every folder at and below a folder, with its regular files in the order of their names.

    Names that begin with a dot, `@eaDir` and `__MACOSX` are left out. Links are followed; a folder that several
    paths lead to is met once, by the path without links if there is one, so links in a circle do no harm.

    Args:
        folder: where to begin.
        recursive: whether to look into its folders.
        warn: told of folders below it that cannot be read; they are left out.

    Raises:
        UserError: `folder` itself cannot be read.
    """
    seen: set[tuple[int, int]] = set()
    folders, linked = [folder], list[Path]()
    while folders or linked:
        here = folders.pop() if folders else linked.pop(0)
        try:
            status = os.stat(here)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as error:
            message = f"{here}: cannot be read: {reason(error)}"
            if here == folder:
                raise UserError(message) from None
            warn(f"{message}: left out")
            continue
        entries = [e for e in entries if not e.name.startswith(".") and e.name not in NOT_LOOKED_INTO]
        yield here, [here / e.name for e in entries if _is(e.is_file)]
        if recursive:
            below = [e for e in reversed(entries) if _is(e.is_dir)]
            folders += [here / e.name for e in below if not e.is_symlink()]
            linked += [here / e.name for e in reversed(below) if e.is_symlink()]


def _is(question: Callable[[], bool]) -> bool:
    """What an entry of a folder says of itself; a link that leads nowhere is nothing."""
    try:
        return question()
    except OSError:
        return False


def image_files(folder: Path, *, recursive: bool = True, warn: Callable[[str], None] = console.warn) -> list[Path]:
    """Files called like an image in a folder, sorted by path; as `walk` finds them."""
    found = walk(folder, recursive=recursive, warn=warn)
    return sorted(file for _, files in found for file in files if file.suffix.lower() in SUFFIXES)


def find_inputs(
    names: Sequence[str],
    command: str,
    *,
    recursive: bool = False,
    leave_out: Path | None = None,
    output: Path | None = None,
) -> list[Input]:
    """Pictures named by files, folders and globs, in that order, each once.

    Of a folder or a glob are taken the files that are called like an image and are not hidden, but no masks, no
    earlier results of `command` (photo_COMMAND.png beside photo.png) and nothing in the output folder. A file that
    is named itself is taken whatever it is called; only where its photo is named too, as by a glob of the shell, a
    mask or an earlier result is left out, and so is what is in the output folder beside names that are not. That is
    told on standard error.

    Args:
        names: what stands on the command line; "-" is standard input.
        command: the verb, to know earlier results by.
        recursive: descend into folders; links are followed, each folder once.
        leave_out: a mask, or a folder of masks.
        output: a folder that results go to.

    Raises:
        UserError: a name stands for nothing, or cannot be read.
    """
    found: dict[str, Input] = {}
    named = {os.path.abspath(os.path.expanduser(name)) for name in names if name}
    dropped: list[str] = []
    mixed = output is not None and not all(_named_below(name, output) for name in names)
    for name in names:
        if not name:
            raise UserError("an empty name stands for no file")
        if name == PIPE or name.startswith(_PIPES):
            found.setdefault(name, _from_pipe(name))
            continue
        path = Path(os.path.expanduser(name))
        status = _look_or_glob(os.path.expanduser(name))
        if mixed and output is not None and _named_below(name, output):
            dropped.append(name)
            continue
        if status and stat.S_ISREG(status.st_mode):
            if _is_aside(path, path.parent, leave_out):
                whose = _mask_of(path) if os.path.isdir(leave_out or "") else names  # one mask is all the others'
            else:
                whose = _result_of(path, command)
            if named & {os.path.abspath(os.path.expanduser(each)) for each in whose} - {os.path.abspath(path)}:
                dropped.append(name)
                continue
            new = [Input(path, Path(path.name))]
        else:
            new = _gathered(path, status, command, recursive, leave_out, output)
        for item in new:
            found.setdefault(os.path.abspath(item.path), item)
    if dropped:
        console.warn(f"{first_of(dropped)}: left out, a mask or an earlier result, as other names are not")
    return list(found.values())


def first_of(names: Sequence[object]) -> str:
    """The first of some names, and how many more there are."""
    return f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}"


def _gathered(
    path: Path, status: os.stat_result | None, command: str, recursive: bool, masks: Path | None, output: Path | None
) -> list[Input]:
    """The pictures of a folder, or of a glob where there is no status."""
    if status:
        check_readable(path, "picture (- is standard input)")
        base, new = path, [Input(file, file.relative_to(path)) for file in image_files(path, recursive=recursive)]
    else:
        base, new = _head(str(path)), [Input(match, Path(match.name)) for match in expand(str(path))]
        if not new:
            raise UserError(f"{path}: no such file or folder")
        new = [i for i in new if i.path.suffix.lower() in SUFFIXES and os.path.isfile(i.path)]
    if not new:
        raise UserError(f"{path}: no images in it{'' if recursive else ' (--recursive looks into its folders)'}")
    new = [i for i in new if not _is_aside(i.path, base, masks)]
    new = [i for i in new if output is None or not below(i.path, output) or below(base / "_", output)]
    new = [i for i in new if not any(os.path.isfile(source) for source in _result_of(i.path, command))]
    if not new:
        raise UserError(f"{path}: no images in it but masks and earlier results")
    return new


def _look_or_glob(name: str) -> os.stat_result | None:
    if not glob.has_magic(name):
        status = look(name)
        if status is None:
            raise UserError(f"{name}: no such file or folder")
        return status
    try:
        return os.stat(name)  # brackets can be part of a name
    except (OSError, ValueError):
        return None


def expand(pattern: str) -> list[Path]:
    """What a glob stands for, sorted; `**` is every folder at and below a place, as `walk` meets them.

    Brackets in the name of an existing folder are taken literally.
    """
    parts, plain = Path(pattern).parts, len(_head(pattern).parts)
    if plain < len(parts):
        pattern = os.path.join(glob.escape(os.path.join("", *parts[:plain])), *parts[plain:])
    head, stars, tail = _split(pattern)
    if not stars:
        return [Path(match) for match in sorted(glob.glob(pattern))]
    places = [place for place in sorted(glob.glob(head)) if os.path.isdir(place)] if head else [os.curdir]
    found: set[Path] = set()
    for place in places:
        for folder, _ in walk(Path(place)):
            found.update(expand(os.path.join(glob.escape(str(folder)), tail or "*")))
    return sorted(found)


def _split(pattern: str) -> tuple[str, bool, str]:
    """What stands before and after the first `**` of a glob, and whether there is one."""
    parts = Path(pattern).parts
    if "**" not in parts:
        return pattern, False, ""
    at = parts.index("**")
    return os.path.join("", *parts[:at]), True, os.path.join("", *parts[at + 1 :])


def _head(pattern: str) -> Path:
    """The folder that all of a glob's matches lie below."""
    parts = Path(pattern).parts
    plain = 0
    while plain < len(parts) - 1 and (not glob.has_magic(parts[plain]) or os.path.isdir(Path(*parts[: plain + 1]))):
        plain += 1
    return Path(*parts[:plain])


def _from_pipe(name: str) -> Input:
    """Standard input, or what a process writes to, kept in a temporary file that goes with this process."""
    folder = tempfile.mkdtemp(prefix="vaekit-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder, "standard-input")
    try:
        if name == PIPE and (sys.stdin is None or sys.stdin.isatty()):
            raise UserError("-: standard input is a terminal; a picture is expected from a pipe")
        with path.open("wb") as file, sys.stdin.buffer if name == PIPE else open(name, "rb") as pipe:
            for chunk in iter(lambda: pipe.read(1 << 20), b""):
                file.write(chunk)
                if file.tell() > MOST_PIPED:
                    raise UserError(f"{name}: more than {MOST_PIPED} bytes, and no end")
    except OSError as error:
        raise UserError(f"{name}: cannot be read: {reason(error)}") from None
    return Input(path, Path(path.name), name)


def _real(folder: Path) -> Path:
    return _resolved(os.path.abspath(folder))


@functools.lru_cache(256)
def _resolved(folder: str) -> Path:
    return Path(os.path.realpath(folder))


def below(path: Path, folder: Path) -> bool:
    """Whether a file lies in a folder or below it, links followed."""
    return _real(path.parent).is_relative_to(_real(folder))


def _named_below(name: str, folder: Path) -> bool:
    """Whether a name on the command line stands for a folder or for what is in it."""
    path = Path(os.path.expanduser(name))
    return below(path / "_" if os.path.isdir(path) else path, folder)


def _is_aside(path: Path, base: Path, masks: Path | None) -> bool:
    """Whether a file is a mask: the one for all, in a folder of masks, or beside its photo where both are mixed."""
    if masks is None:
        return False
    if not os.path.isdir(masks):
        return path.name == masks.name and _real(path) == _real(masks)
    if not below(path, masks):
        return False
    return not below(base / "_", masks) or any(os.path.isfile(photo) for photo in _mask_of(path))


def _mask_of(path: Path) -> list[Path]:
    """The photos that a file is the mask of by its name: photo_mask.png and photo_mask001.png of photo.png."""
    match = MASK.fullmatch(path.stem)
    return _beside(path, match[1]) if match else []


def _result_of(path: Path, command: str) -> list[Path]:
    """The pictures that a file is made of by its name: STEM_COMMAND and STEM_COMMAND_3 of STEM."""
    match = re.fullmatch(rf"(.+)_{re.escape(command)}(_\d+)?", path.stem)
    return _beside(path, match[1]) if match else []


def _beside(path: Path, stem: str) -> list[Path]:
    suffixes = dict.fromkeys([path.suffix, *SUFFIXES, *map(str.upper, SUFFIXES)])
    return [path.with_name(stem + suffix) for suffix in suffixes]


def find_partner(item: Input, partners: Path, suffix: str) -> Path:
    """The file in a folder that belongs to an input: same relative path, and stem or stem + `suffix` (+ digits).

    Where photos and partners are in one folder, only stem + `suffix` is a partner.

    Raises:
        ImageError: there is none, or more than one.
    """
    folder, stem = (partners / item.relative).parent, item.relative.stem
    mixed = _real(folder) == _real(item.path.parent)
    try:
        there = _by_stem(os.path.abspath(folder), suffix).get(stem, [])
    except OSError as error:
        raise ImageError(f"{item}: {folder}: cannot be read: {reason(error)}") from None
    found = [folder / name for name in there if not (mixed and Path(name).stem == stem)]
    found = [file for file in found if os.path.isfile(file)]
    what = suffix.strip("_")
    if not found:
        wanted = folder / (stem + suffix if mixed else stem)
        raise ImageError(f"{item}: no {what} for it: no {wanted}.png or the like")
    if len(found) > 1:
        raise ImageError(f"{item}: several {what}s for it: {', '.join(sorted(map(str, found)))}")
    return found[0]


@functools.lru_cache(16)  # of a folder that is not listed anew for every picture
def _by_stem(folder: str, suffix: str) -> dict[str, list[str]]:
    """Names of a folder's images by their stems, and by what stands before `suffix` and digits."""
    partner = re.compile(rf"(.+){re.escape(suffix)}\d*")
    found: dict[str, list[str]] = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        file = Path(name)
        if file.suffix.lower() in SUFFIXES:
            match = partner.fullmatch(file.stem)
            for stem in (file.stem, match[1]) if match else (file.stem,):
                found.setdefault(stem, []).append(name)
    return found
