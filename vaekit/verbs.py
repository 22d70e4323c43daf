"""What the verbs that edit photos share: their options in groups, and the run over what is named.

A verb takes a group as one parameter:

    verbs = typer.Typer()

    @verbs.command()
    @grouped
    def sepia(inputs: options.Inputs, files: Files, work: Work, editing: Editing = Editing(bundle="sepia")) -> None:
        work.run(files.plan(inputs, "sepia"), editing, _open)
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, get_type_hints

import typer

from vaekit import options

if TYPE_CHECKING:
    import numpy as np

    from vaekit import faces, runner
    from vaekit.images import Picture


@dataclass(frozen=True)
class Files:
    """Where edits go."""

    output: options.Output = None
    overwrite: options.Overwrite = False
    skip_existing: options.SkipExisting = False
    recursive: options.Recursive = False

    def plan(self, inputs: Sequence[str], verb: str, **more: Any) -> runner.Outputs:
        """As vaekit.runner.plan, whose further options `more` are; what is to be edited are its `inputs`."""
        from vaekit import runner

        return runner.plan(inputs, verb, **dataclasses.asdict(self), **more)[1]


@dataclass(frozen=True, kw_only=True)
class Editing:
    """What edits, and pictures of which size."""

    runtime: options.RuntimeOption = "onnx"
    bundle: options.Bundle
    max_pixels: options.MaxPixels = options.MAX_PIXELS

    def open(self, editor: Callable[..., Any], threads: int = 0) -> Any:
        """An app's editor."""
        return editor(self.bundle, runtime=self.runtime, threads=threads)

    def check(self) -> None:
        """See that a server that is named answers for the bundle, before anything is done.

        Raises:
            RemoteError: it does not.
        """
        if "://" in self.runtime:
            from vaekit.bundle import find
            from vaekit.remote import Remote

            Remote(find(self.bundle), self.runtime).check()

    def read(self, path: Path) -> Picture:
        """Read a photo."""
        from vaekit import images

        return images.read(path, max_pixels=self.max_pixels)


@dataclass(frozen=True)
class Faces:
    """How faces are found."""

    face_model: options.FaceModel = None
    min_score: options.MinScore = None
    aligned: options.Aligned = False

    def finder(self) -> faces.Finder | None:
        """None where the pictures are aligned faces already."""
        from vaekit import faces

        return None if self.aligned else faces.open_finder(self.face_model, self.min_score)


@dataclass(frozen=True)
class Work:
    """What runs the edits of a folder, and how they are told of."""

    jobs: options.Jobs = None
    engine: options.EngineOption = options.Engine.PROCESSES
    json: options.Json = False

    def run(self, targets: runner.Outputs, editing: Editing, opener: Callable[..., runner.Edit]) -> NoReturn:
        """Edit all inputs of `targets`, and end with the exit status of vaekit.runner.run.

        Args:
            targets: from Files.plan.
            editing: what edits.
            opener: as vaekit.runner.run; is given `targets` and `editing` too.

        Raises:
            RemoteError: the server that is to run the network is not there.
        """
        from vaekit import runner

        editing.check()
        opener = functools.partial(opener, targets=targets, editing=editing)
        status = runner.run(
            targets.inputs, targets, opener, jobs=self.jobs, engine=self.engine.value, as_json=self.json
        )
        raise typer.Exit(status)


def surest(path: Path, pixels: np.ndarray, finder: faces.Finder | None) -> faces.Face | None:
    """The surest face of a file's pixels; None, which stands for a picture that is a face, without a finder.

    Raises:
        FaceError: there is none; the message names the file.
    """
    from vaekit import faces

    if finder is None:
        return None
    try:
        return faces.choose(faces.find(pixels, finder), "surest", finder.least)[0]
    except faces.FaceError as error:
        raise faces.FaceError(f"{path}: {error}") from None


def grouped(function: Callable[..., None]) -> Callable[..., None]:
    """A verb in whose signature every group stands as its options; a parameter's default has the options' defaults."""
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, type] = {}
    parameters = []
    for each in inspect.signature(function).parameters.values():
        kind = hints[each.name]
        if not dataclasses.is_dataclass(kind):
            parameters.append(each.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        groups[each.name] = kind  # type: ignore[assignment]
        fields = get_type_hints(kind, include_extras=True)
        defaults: Any = groups[each.name]() if each.default is inspect.Parameter.empty else each.default
        parameters += [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=getattr(defaults, name), annotation=fields[name]
            )
            for name in kind.__dataclass_fields__
        ]

    @functools.wraps(function)
    def verb(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in dataclasses.fields(kind)})
        function(**given)

    verb.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    verb.__annotations__ = {each.name: each.annotation for each in parameters}
    return verb
