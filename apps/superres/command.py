"""`vaekit superres`."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from vaekit import options
from vaekit.verbs import Editing, Files, Work, grouped

if TYPE_CHECKING:
    from vaekit import runner


verbs = typer.Typer()
DEFAULTS = Editing(bundle="superres")


@verbs.command()
@grouped
def superres(
    inputs: options.Inputs,
    *,
    scale: Annotated[
        float,
        typer.Option(
            "--scale", "-s", min=1, max=4, help="How many times larger; 1, which cleans alone, 2, 3 and 4 are exact."
        ),
    ] = 4,
    detail: Annotated[
        float,
        typer.Option(min=0, max=1, help="From 0, the least erroneous enlargement, to 1, as sharp as photos are."),
    ] = 0.5,
    clean: Annotated[
        str,
        typer.Option(help="How much noise, blur and compression to remove, from 0 to 1; auto estimates it."),
    ] = "auto",
    files: Files,
    samples: Annotated[int, typer.Option(min=1, max=100, help="Write so many different enlargements, _1, _2, ...")] = 1,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Which of the possible details; without it, the likeliest.")
    ] = None,
    work: Work,
    editing: Editing = DEFAULTS,
) -> None:
    """Enlarge photos, and clean them of noise, blur and compression.

    Examples:

      vaekit superres photo.jpg --scale 4

      vaekit superres photos/ --scale 2 -o large/ --recursive

      vaekit superres scan.png --detail 0 --clean 0

      vaekit superres old.jpg --scale 1

      vaekit superres face.png --detail 1 --samples 4
    """
    opener = functools.partial(_open, scale=scale, detail=detail, clean=_amount(clean), seed=seed)
    work.run(files.plan(inputs, "superres", samples=samples), editing, opener)


def _amount(clean: str) -> float | None:
    """A number from 0 to 1, or None for auto."""
    from vaekit.errors import UserError

    if clean == "auto":
        return None
    try:
        amount = float(clean)
    except ValueError:
        amount = -1.0
    if not 0 <= amount <= 1:
        raise UserError(f"--clean {clean}: expected auto or a number from 0 to 1")
    return amount


def _open(
    threads: int,
    *,
    targets: runner.Outputs,
    editing: Editing,
    scale: float,
    detail: float,
    clean: float | None,
    seed: int | None,
) -> runner.Edit:
    from vaekit import images, runner
    from vaekit.apps.superres.editor import Editor

    editor = editing.open(Editor, threads)
    alone = len(targets.inputs) == 1

    def edit(item: runner.Input) -> runner.Edited:
        picture = editing.read(item.path)
        height, width = (round(scale * side) for side in picture.pixels.shape[:2])
        if height * width > editing.max_pixels:
            raise images.ImageError(
                f"{item.path}: would be {width}x{height}, more than {editing.max_pixels} pixels "
                "(--max-pixels allows it)"
            )
        paths = targets.paths(item, (height, width, *picture.pixels.shape[2:]), picture.pixels.dtype)
        amount = editor.estimate(picture.pixels) if clean is None else clean
        notes = list(picture.notes)
        if clean is None and amount:
            notes.append(f"cleaned as it looks (--clean {amount:.2f}); --clean 0 leaves noise and compression")
        for number, path in targets.missing(paths):
            drawn = (seed or 0) + number if len(paths) > 1 else seed
            with _bar(alone, item) as progress:
                enlarged = editor(picture.pixels, scale, detail=detail, clean=amount, seed=drawn, progress=progress)
            targets.write(path, enlarged, like=picture)
        return runner.Edited(paths, notes, {"clean": amount})

    return edit


@contextlib.contextmanager
def _bar(alone: bool, item: runner.Input) -> Iterator[Callable[[float], object] | None]:
    """What moves a bar for a lone picture, where somebody looks; a folder's bar counts pictures."""
    if not alone or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(item.path.name, total=1.0)
        yield lambda share: bar.update(task, completed=share)
