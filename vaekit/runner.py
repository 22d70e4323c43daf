"""Files in, files out: what one command is to do, and doing it so that one bad file stops no other."""

import contextlib
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from vaekit import console, workers
from vaekit.errors import UserError
from vaekit.images.reading import reason
from vaekit.inputs import PIPE, Input, find_inputs
from vaekit.outputs import DoneError, Outputs

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""


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
    """What became of the inputs; `error` is what ended the command early."""

    command: str
    done: list[dict] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[dict] = field(default_factory=list)
    interrupted: bool = False
    seconds: float = 0.0
    error: str | None = None
    summary: str = ""
    """Of the last input that was done."""

    def add(self, outcome: Outcome) -> None:
        """Note an outcome, and tell on standard error what a user must hear of it at once."""
        if outcome.error is not None:
            console.warn(outcome.error)
            self.failed.append({"input": outcome.input, "error": outcome.error})
            return
        for note in outcome.notes:
            console.warn(f"{outcome.input}: {note}")
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

    def object(self) -> dict[str, Any]:
        """One object for machines; "error" is there only where something ended the command early."""
        told = asdict(self) | {"seconds": round(self.seconds, 3)}
        left_out = ("summary",) if self.error is not None else ("summary", "error")
        return {key: value for key, value in told.items() if key not in left_out}


def plan(
    names: Sequence[str],
    command: str,
    output: str | os.PathLike[str] | None,
    *,
    recursive: bool = False,
    leave_out: Path | None = None,
    **options,
) -> tuple[list[Input], Outputs]:
    """What is to be edited, as `find_inputs` finds it, and where it goes: `options` are those of Outputs.

    Raises:
        UserError: as both do.
    """
    folder = os.path.expanduser(output or "")
    results = Path(folder) if folder and os.path.isdir(folder) else None
    inputs = find_inputs(names, command, recursive=recursive, leave_out=leave_out, output=results)
    alone = len(names) == 1 and len(inputs) == 1 and not os.path.isdir(os.path.expanduser(names[0]))
    targets = Outputs(inputs, output, command, alone=alone, masks=leave_out, **options)
    return targets.inputs, targets


class Edited(NamedTuple):
    """What an edit wrote and has to say."""

    paths: Sequence[Path]
    notes: Sequence[str] = ()
    """For the user, on standard error."""
    details: dict | None = None
    """Further entries of the report in JSON."""
    summary: str = ""
    """For the summary line, where there is one input."""


Edit = Callable[[Input], Edited]
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
        The exit status: 0 all done, 1 some failed, 130 interrupted, or that of a UserError that `opener` raised.

    Raises:
        UserError: the report and a picture are both to go to standard output.
        OSError: standard output takes no more.
    """
    if as_json and targets.stream:
        raise UserError("--json and -o - both need standard output")
    report, start, status = Report(targets.command), workers.ENGINES[engine], 0
    started = time.monotonic()
    with bar(len(inputs), targets.command) as advance:
        try:
            with contextlib.closing(start(_Attempts(opener, targets), _groups(inputs), jobs)) as outcomes:
                for outcome in outcomes:
                    report.add(outcome)
                    advance()
        except KeyboardInterrupt:
            report.interrupted = True
        except UserError as error:
            report.error, status = str(error), error.exit_status
    report.seconds = time.monotonic() - started
    if report.error is not None:
        console.warn(report.error)
    if targets.stream and report.done:
        sys.stdout.buffer.write(Path(report.done[0]["outputs"][0]).read_bytes())
        sys.stdout.buffer.flush()
        report.done[0]["outputs"] = [PIPE]
    if as_json:
        console.say_json(report.object())
    elif targets.stream:
        console.warn(report.line())
    elif report.error is None or report.done or report.failed:
        console.say(report.line())
    if report.interrupted:
        return INTERRUPTED
    return status or (1 if report.failed else 0)


def _groups(inputs: Sequence[Input]) -> list[list[Input]]:
    """Inputs that could be given the same output stay together, so that it shows."""
    groups: dict[str, list[Input]] = {}
    for item in inputs:
        key = unicodedata.normalize("NFC", str(item.relative.with_suffix(""))).casefold()
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
        return [Outcome(str(item), error=f"{item}: {reason}") for item in group]

    def _attempt(self, edit: Edit, item: Input) -> Outcome:
        began, targets = time.monotonic(), self.targets
        targets.notes, targets.written = [], 0
        try:
            if targets.done(item):
                raise DoneError
            edited = edit(item)
            if targets.skip_existing and not targets.written:
                raise DoneError
        except DoneError:
            return Outcome(str(item), skipped=True)
        except UserError as error:
            if type(error) is UserError:  # wrong usage, not a fault of this file
                raise
            return Outcome(str(item), error=failure(item, error))
        except Exception as error:  # whatever a bad file makes a decoder or a network trip over is its failure alone
            return Outcome(str(item), error=failure(item, error))
        seconds = round(time.monotonic() - began, 3)
        return Outcome(
            str(item),
            tuple(map(str, edited.paths)),
            (*edited.notes, *targets.notes),
            seconds,
            details=edited.details or {},
            summary=edited.summary,
        )


def failure(item: Input, error: Exception) -> str:
    """One line that names the input and why it failed."""
    if isinstance(error, MemoryError):
        text = "not enough memory"
    elif isinstance(error, OSError):
        name = error.filename
        text = f"{name}: {reason(error)}" if isinstance(name, str) and name != str(item.path) else reason(error)
    elif isinstance(error, UserError):
        text = str(error).replace(str(item.path), str(item))
    else:
        text = f"{type(error).__name__}: {reason(error)}"
    return text if str(item) in text else f"{item}: {text}"


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
