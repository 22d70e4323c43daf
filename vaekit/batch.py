"""Files in, files out: what one command is to do, and doing it so that one bad file stops no other."""

import glob
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vaekit.errors import UserError
from vaekit.images import SUFFIXES, ImageError


@dataclass(frozen=True)
class Input:
    """A picture to edit."""

    path: Path
    relative: Path
    """The path below the folder that was named: where it goes in an output folder, and how a mask is found."""


@dataclass
class Report:
    """What became of the inputs."""

    command: str
    done: list[dict] = field(default_factory=list)
    failed: list[dict] = field(default_factory=list)
    seconds: float = 0.0

    def line(self) -> str:
        """One line for people."""
        outputs = [name for entry in self.done for name in entry["outputs"]]
        where = outputs[0] if len(outputs) == 1 else f"{len(outputs)} files"
        line = f"{self.command}: {len(self.done)} done ({where}) in {self.seconds:.1f} s" if outputs else ""
        failed = f"{len(self.failed)} failed" if self.failed else ""
        return ", ".join(part for part in (line, failed) if part) or f"{self.command}: nothing"

    def json(self) -> str:
        """One object for machines."""
        return json.dumps(
            {
                "command": self.command,
                "done": self.done,
                "failed": self.failed,
                "seconds": round(self.seconds, 3),
            },
            ensure_ascii=False,
        )


def find_inputs(names: Sequence[str], command: str, *, recursive: bool = False, leave_out: Path | None = None):
    """Pictures named by files, folders and globs, in that order, each once.

    Args:
        names: what stands on the command line. A file is taken whatever its name; of a folder or a glob only
            what is called like an image, and no earlier output of `command`.
        command: the verb, to know earlier outputs by.
        recursive: descend into folders.
        leave_out: a folder whose files are not inputs (masks).

    Returns:
        A list of Input.

    Raises:
        UserError: a name stands for nothing.
    """
    found: dict[Path, Input] = {}
    for name in names:
        path = Path(name)
        if path.is_dir():
            files = sorted(path.rglob("*") if recursive else path.iterdir())
            new = [Input(file, file.relative_to(path)) for file in files]
        elif path.is_file():
            found.setdefault(path, Input(path, Path(path.name)))
            continue
        else:
            matches = [Path(match) for match in sorted(glob.glob(name, recursive=True))]
            if not matches:
                raise UserError(f"{name}: no such file or folder")
            new = [Input(match, Path(match.name)) for match in matches]
        new = [i for i in new if i.path.suffix.lower() in SUFFIXES and i.path.is_file()]
        if leave_out is not None:
            new = [i for i in new if not i.path.is_relative_to(leave_out)]
        new = [i for i in new if not _is_output(i.path, command)]
        if not new:
            raise UserError(f"{name}: no images in it{'' if recursive else ' (--recursive looks into its folders)'}")
        found.update({i.path: i for i in new if i.path not in found})
    return list(found.values())


def _is_output(path: Path, command: str) -> bool:
    """Whether `path` is what `command` made of a picture beside it: STEM_COMMAND or STEM_COMMAND_3."""
    stem, cut, rest = path.stem.rpartition(f"_{command}")
    if not cut or (rest and not rest.removeprefix("_").isdecimal()):
        return False
    return any(path.with_name(stem + suffix).is_file() for suffix in (path.suffix, *SUFFIXES))


def find_partner(item: Input, partners: Path, suffix: str) -> Path:
    """The file in a folder that belongs to an input: same relative path and stem, or stem + `suffix`.

    Raises:
        ImageError: there is none, or more than one.
    """
    folder = (partners / item.relative).parent
    stems = (item.relative.stem, item.relative.stem + suffix)
    there = folder.iterdir() if folder.is_dir() else ()
    found = [f for f in there if f.stem in stems and f.suffix.lower() in SUFFIXES]
    if not found:
        raise ImageError(f"{item.path}: no {suffix.strip('_')} for it: no {folder / stems[0]}.png or the like")
    if len(found) > 1:
        raise ImageError(f"{item.path}: several {suffix.strip('_')}s for it: {', '.join(sorted(map(str, found)))}")
    return found[0]


class Outputs:
    """Where edits go; no two of them to one file.

    Args:
        inputs: all that will be edited.
        output: a file (for a lone input), a folder, or None for STEM_COMMAND beside the input.
        command: the verb.
        alone: whether there is one input, named as a file.

    Raises:
        UserError: an output is named that cannot be one.
    """

    def __init__(self, inputs: Sequence[Input], output: Path | None, command: str, *, alone: bool):
        self.output, self.command = output, command
        self.file = output is not None and alone and not output.is_dir() and output.suffix != ""
        if output is not None and not self.file and output.exists() and not output.is_dir():
            raise UserError(f"{output}: not a folder, and there are {len(inputs)} inputs")
        self.taken: dict[Path, Input] = {}

    def suffix(self, item: Input) -> str:
        """The suffix asked for."""
        return self.output.suffix if self.output is not None and self.file else item.path.suffix

    def paths(self, item: Input, suffix: str, samples: int, *, overwrite: bool) -> list[Path]:
        """The files to write for an input, one a sample; their folder is made.

        Raises:
            ImageError: one exists (without `overwrite`), another input's edit is there, or the suffix asked
                for cannot hold the picture.
        """
        if self.output is None:
            base = item.path.with_name(f"{item.path.stem}_{self.command}{suffix}")
        elif self.file:
            base = self.output
        else:
            base = (self.output / item.relative).with_suffix(suffix)
        numbers = [""] if samples == 1 else [f"_{number}" for number in range(1, samples + 1)]
        paths = [base.with_name(base.stem + number + base.suffix) for number in numbers]
        for path in paths:
            if self.taken.setdefault(path, item) is not item:
                raise ImageError(f"{item.path}: {path} is the output of {self.taken[path].path} already")
            if path.exists() and not overwrite:
                raise ImageError(f"{item.path}: {path} already exists (--overwrite replaces it)")
        base.parent.mkdir(parents=True, exist_ok=True)
        return paths


def run(
    command: str, inputs: Iterable[Input], edit: Callable[[Input], tuple[list[Path], Sequence[str]]], *, as_json: bool
) -> int:
    """Edit every input; a failure is told at once on standard error and the rest goes on.

    Args:
        command: the verb.
        inputs: what to edit.
        edit: edits one, writes its files, returns their paths and notes for the user.
        as_json: print the report as JSON, not as a line.

    Returns:
        The exit status: 0 all done, 1 some failed.
    """
    inputs = list(inputs)
    report = Report(command)
    started = time.monotonic()
    for item in with_bar(inputs, command):
        began = time.monotonic()
        try:
            outputs, notes = edit(item)
        except (ImageError, OSError, MemoryError) as error:
            reason = "not enough memory" if isinstance(error, MemoryError) else str(error)
            message = reason if str(item.path) in reason else f"{item.path}: {reason}"
            print(f"vaekit: {message}", file=sys.stderr)
            report.failed.append({"input": str(item.path), "error": message})
            continue
        for note in notes:
            print(f"vaekit: {item.path}: {note}", file=sys.stderr)
        seconds = round(time.monotonic() - began, 3)
        entry = {"input": str(item.path), "outputs": [str(path) for path in outputs], "seconds": seconds}
        report.done.append({**entry, "notes": list(notes)})
    report.seconds = time.monotonic() - started
    print(report.json() if as_json else report.line())
    return 1 if report.failed else 0


def with_bar(inputs: list[Input], command: str) -> Iterable[Input]:
    """The inputs, under a progress bar where there are several and somebody looks."""
    if len(inputs) < 2 or not sys.stderr.isatty():
        return inputs
    from rich.console import Console
    from rich.progress import track

    return track(inputs, description=command, console=Console(stderr=True))
