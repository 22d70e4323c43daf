"""Files in, files out: what one command is to do, and doing it so that one bad file stops no other."""

import contextlib
import glob
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from vaekit import workers
from vaekit.errors import UserError
from vaekit.images import SUFFIXES, ImageError

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""


@dataclass(frozen=True)
class Input:
    """A picture to edit."""

    path: Path
    relative: Path
    """The path below the folder that was named: where it goes in an output folder, and how a mask is found."""


@dataclass(frozen=True)
class Outcome:
    """What became of an input: `error` says what failed, and `skipped` that its outputs were there already."""

    input: str
    outputs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str | None = None
    skipped: bool = False
    details: dict = field(default_factory=dict)
    summary: str = ""


@dataclass
class Report:
    """What became of the inputs."""

    command: str
    done: list[dict] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[dict] = field(default_factory=list)
    interrupted: bool = False
    seconds: float = 0.0
    summary: str = ""
    """Of the last input that was done."""

    def add(self, outcome: Outcome) -> None:
        """Note an outcome, and tell on standard error what a user must hear of it at once."""
        if outcome.error is not None:
            print(f"vaekit: {outcome.error}", file=sys.stderr)
            self.failed.append({"input": outcome.input, "error": outcome.error})
            return
        for note in outcome.notes:
            print(f"vaekit: {outcome.input}: {note}", file=sys.stderr)
        if outcome.skipped:
            self.skipped.append(outcome.input)
            return
        entry = {"input": outcome.input, "outputs": list(outcome.outputs), "seconds": outcome.seconds}
        self.done.append({**entry, "notes": list(outcome.notes), **outcome.details})
        self.summary = outcome.summary

    def line(self) -> str:
        """One line for people."""
        outputs = [name for entry in self.done for name in entry["outputs"]]
        where = outputs[0] if len(outputs) == 1 else f"{len(outputs)} files"
        parts = [f"{len(self.done)} done ({where}) in {self.seconds:.1f} s"] if outputs else []
        parts += [self.summary] if self.summary and len(self.done) == 1 else []
        parts += [f"{len(self.skipped)} skipped"] if self.skipped else []
        parts += [f"{len(self.failed)} failed"] if self.failed else []
        parts += ["interrupted"] if self.interrupted else []
        return f"{self.command}: {', '.join(parts) or 'nothing'}"

    def json(self) -> str:
        """One object for machines."""
        return json.dumps(
            {
                "command": self.command,
                "done": self.done,
                "skipped": self.skipped,
                "failed": self.failed,
                "interrupted": self.interrupted,
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


class DoneError(Exception):
    """An input's outputs are there, and that was to be enough."""


class Outputs:
    """Where edits go; no two of them to one file.

    Args:
        inputs: all that will be edited.
        output: a file (for a lone input), a folder, or None for STEM_COMMAND beside the input.
        command: the verb.
        alone: whether there is one input, named as a file.
        samples: files to write for an input.
        overwrite: replace what is there.
        skip_existing: leave an input alone whose outputs are there.

    Raises:
        UserError: an output is named that cannot be one, or what is there is to be both replaced and kept.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        output: Path | None,
        command: str,
        *,
        alone: bool,
        samples: int = 1,
        overwrite: bool = False,
        skip_existing: bool = False,
    ):
        if overwrite and skip_existing:
            raise UserError("--overwrite and --skip-existing exclude each other")
        self.output, self.command = output, command
        self.samples, self.overwrite, self.skip_existing = samples, overwrite, skip_existing
        self.file = output is not None and alone and not output.is_dir() and output.suffix != ""
        if output is not None and not self.file and output.exists() and not output.is_dir():
            raise UserError(f"{output}: not a folder, and there are {len(inputs)} inputs")
        self.taken: dict[Path, Input] = {}

    def suffix(self, item: Input) -> str:
        """The suffix asked for."""
        return self.output.suffix if self.output is not None and self.file else item.path.suffix

    def done(self, item: Input) -> bool:
        """Whether an input can be skipped unread: its outputs are there with the suffix asked for."""
        return self.skip_existing and all(path.exists() for path in self._paths(item, self.suffix(item)))

    def paths(self, item: Input, suffix: str) -> list[Path]:
        """The files to write for an input, one a sample; their folder is made.

        Raises:
            DoneError: all of them exist, with `skip_existing`.
            ImageError: one exists (without `overwrite`), another input's edit is there, or the suffix asked
                for cannot hold the picture.
        """
        paths = self._paths(item, suffix)
        for path in paths:
            if self.taken.setdefault(path, item) is not item:
                raise ImageError(f"{item.path}: {path} is the output of {self.taken[path].path} already")
        if self.skip_existing and all(path.exists() for path in paths):
            raise DoneError
        for path in paths:
            if path.exists() and not self.overwrite:
                raise ImageError(f"{item.path}: {path} already exists (--overwrite replaces it)")
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        return paths

    def _paths(self, item: Input, suffix: str) -> list[Path]:
        if self.output is None:
            base = item.path.with_name(f"{item.path.stem}_{self.command}{suffix}")
        elif self.file:
            base = self.output
        else:
            base = (self.output / item.relative).with_suffix(suffix)
        numbers = [""] if self.samples == 1 else [f"_{number}" for number in range(1, self.samples + 1)]
        return [base.with_name(base.stem + number + base.suffix) for number in numbers]


def plan(
    names: Sequence[str],
    command: str,
    output: Path | None,
    *,
    recursive: bool = False,
    leave_out: Path | None = None,
    **options,
) -> tuple[list[Input], Outputs]:
    """What is to be edited, as `find_inputs` finds it, and where it goes: `options` are those of Outputs.

    Raises:
        UserError: as both do.
    """
    inputs = find_inputs(names, command, recursive=recursive, leave_out=leave_out)
    alone = len(names) == 1 and Path(names[0]).is_file()
    return inputs, Outputs(inputs, output, command, alone=alone, **options)


class Edited(NamedTuple):
    """What an edit wrote and has to say."""

    paths: Sequence[Path]
    notes: Sequence[str]
    """For the user, on standard error."""
    details: dict | None = None
    """Further entries of the report in JSON."""
    summary: str = ""
    """For the summary line, where there is one input."""


Edit = Callable[[Input], Edited | tuple[Sequence[Path], Sequence[str]]]
"""Edits an input and writes its files."""


def run(
    inputs: Sequence[Input],
    targets: Outputs,
    opener: Callable[[int], Edit],
    *,
    jobs: int | None = None,
    engine: str = "processes",
    as_json: bool = False,
) -> int:
    """Edit every input; a failure is told at once on standard error and the rest goes on.

    Args:
        inputs: what to edit.
        targets: where to.
        opener: opens the bundle and all else that edits share, once in every process, to which it goes by pickling;
            is told how many threads a call of the network may take, 0 for all cores.
        jobs: processes; None for one a core, and none but this for a lone input.
        engine: what runs them, one of vaekit.workers.ENGINES.
        as_json: print the report as JSON, not as a line.

    Returns:
        The exit status: 0 all done, 1 some failed, 130 interrupted.

    Raises:
        UserError: what `opener` raises.
    """
    report, start = Report(targets.command), workers.ENGINES[engine]
    started = time.monotonic()
    with bar(len(inputs), targets.command) as advance:
        try:
            with contextlib.closing(start(_Attempts(opener, targets), _groups(inputs), jobs)) as outcomes:
                for outcome in outcomes:
                    report.add(outcome)
                    advance()
        except KeyboardInterrupt:
            report.interrupted = True
    report.seconds = time.monotonic() - started
    print(report.json() if as_json else report.line())
    if report.interrupted:
        return INTERRUPTED
    return 1 if report.failed else 0


def _groups(inputs: Sequence[Input]) -> list[list[Input]]:
    """Inputs that could be given the same output stay together, so that it shows."""
    groups: dict[str, list[Input]] = {}
    for item in inputs:
        key = str(item.relative.with_suffix("")).casefold()
        groups.setdefault(key, []).append(item)
    return list(groups.values())


@dataclass
class _Attempts:
    """Opens what edits share, and edits groups of inputs whatever becomes of each."""

    opener: Callable[[int], Edit]
    targets: Outputs

    def open(self, threads: int) -> Callable[[list[Input]], list[Outcome]]:
        edit = self.opener(threads)
        return lambda group: [self._attempt(edit, item) for item in group]

    def lost(self, group: list[Input], reason: str) -> list[Outcome]:
        """Outcomes of a group whose process has ended."""
        return [Outcome(str(item.path), error=f"{item.path}: {reason}") for item in group]

    def _attempt(self, edit: Edit, item: Input) -> Outcome:
        began = time.monotonic()
        try:
            if self.targets.done(item):
                raise DoneError
            edited = Edited(*edit(item))
        except DoneError:
            return Outcome(str(item.path), skipped=True)
        except (ImageError, OSError, MemoryError) as error:
            reason = "not enough memory" if isinstance(error, MemoryError) else str(error)
            message = reason if str(item.path) in reason else f"{item.path}: {reason}"
            return Outcome(str(item.path), error=message)
        seconds = round(time.monotonic() - began, 3)
        return Outcome(
            str(item.path),
            tuple(str(path) for path in edited.paths),
            tuple(edited.notes),
            seconds,
            details=edited.details or {},
            summary=edited.summary,
        )


@contextlib.contextmanager
def bar(count: int, command: str) -> Iterator[Callable[[], None]]:
    """A progress bar where there are several inputs and somebody looks; yields what advances it by one."""
    if count < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(command, total=count)
        yield lambda: progress.advance(task)
