"""`vaekit edit`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vaekit import options
from vaekit.apps.edit import fitting
from vaekit.verbs import Editing, Faces, Files, Work, grouped

if TYPE_CHECKING:
    from vaekit import runner
    from vaekit.latent import Direction

verbs = typer.Typer()
verbs.add_typer(fitting.direction)
DEFAULTS = Editing(bundle="edit")

STEPS = 5
"""Columns of a strip or a sheet."""
DRAWN = (1, 1, 3)
"""A strip or a sheet is RGB and small enough for every format."""


@verbs.command()
@grouped
def edit(
    inputs: options.Inputs,
    *,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="ATTRIBUTE=VALUE, from -2 to 2: smiling=1. `vaekit models edit` lists them."),
    ] = None,
    direction: Annotated[
        list[str] | None,
        typer.Option("--direction", help="A fitted direction, FILE or FILE=VALUE: hat.npz=1.5."),
    ] = None,
    face: Annotated[
        str, typer.Option("--face", help="all, surest, largest, or a number from 1, the surest.")
    ] = "surest",
    faces: Faces,
    strip: Annotated[
        str | None,
        typer.Option("--strip", help="Write a row of strengths instead: LOW..HIGH, times the values.", metavar="RANGE"),
    ] = None,
    sheet: Annotated[bool, typer.Option("--sheet", help="Write all attributes at all strengths instead.")] = False,
    files: Files,
    work: Work,
    editing: Editing = DEFAULTS,
) -> None:
    """Change attributes of the faces in photos.

    1 makes an absent attribute present, -1 a present one absent, 0 leaves it as it is. Of an aligned face template W
    is expected: eyes at 48 % of the height, chin and hair in the picture.

    Examples:

      vaekit edit portrait.jpg --set smiling=1

      vaekit edit group.jpg --set blond_hair=1 --set eyeglasses=-1 --face all

      vaekit edit photos/ --set age=0.5 -o older/ --recursive

      vaekit edit face.png --aligned --set smiling=1 --strip -2..2

      vaekit edit portrait.jpg --sheet -o sheet.png
    """
    from vaekit.errors import UserError
    from vaekit.latent import load_direction

    values = dict(_assigned(change, "--set") for change in changes or [])
    named = [_assigned(text, "--direction") if "=" in text else (text, 1.0) for text in direction or []]
    directions = [(load_direction(options.path(path)), strength) for path, strength in named]
    if not (values or directions or sheet):
        raise UserError("nothing to change: name an attribute (--set smiling=1) or a --direction, or ask for a --sheet")
    if (strip or sheet) and face == "all":
        raise UserError("--strip and --sheet show one face: --face surest, largest, or its number")
    if strip and sheet:
        raise UserError("--strip and --sheet are two pictures: ask for one of them")
    opener = functools.partial(
        _open,
        finding=faces,
        values=values,
        directions=directions,
        drawing="sheet" if sheet else "strip" if strip else None,
        reach=_range(strip or "-2..2"),
        face=face,
    )
    work.run(files.plan(inputs, "edit"), editing, opener)


def _open(
    threads: int,
    *,
    targets: runner.Outputs,
    editing: Editing,
    finding: Faces,
    values: dict[str, float],
    directions: list[tuple[Direction, float]],
    drawing: Literal["sheet", "strip"] | None,
    reach: tuple[float, float],
    face: str,
) -> runner.Edit:
    import numpy as np

    from vaekit import faces, runner
    from vaekit.apps.edit.editor import Editor

    editor = editing.open(Editor, threads)
    editor.check(values, directions)
    strengths = np.linspace(*reach, STEPS).round(3).tolist()
    unchanged = not drawing and not any(values.values()) and not any(strength for _, strength in directions)
    finder = None if unchanged else finding.finder()

    def edit(item: runner.Input) -> runner.Edited:
        picture = editing.read(item.path)
        if drawing:
            paths = targets.paths(item, DRAWN, suffix=targets.suffix(item) if targets.file else ".png")
        else:
            paths = targets.paths(item, picture.pixels.shape, picture.pixels.dtype)
        if unchanged and paths[0].suffix == item.path.suffix:
            targets.copy(item, paths[0])
            return runner.Edited(paths, (*picture.notes, "nothing changes: copied"))
        found = faces.find(picture.pixels, finder) if finder else [faces.whole(picture.pixels)]
        chosen = faces.choose(found, face, finder.least if finder else 0.0)
        if drawing == "sheet":
            edited, like = editor.sheet(picture.pixels, chosen[0], strengths), None
        elif drawing == "strip":
            edited, like = editor.strip(picture.pixels, chosen[0], values, strengths, directions=directions), None
        else:
            edited, like = editor(picture.pixels, values, chosen, directions=directions), picture
        targets.write(paths[0], edited, like=like)
        if finder is None:
            return runner.Edited(paths, picture.notes)
        return runner.Edited(paths, picture.notes, {"faces": faces.described(found, chosen)}, faces.summary(found))

    return edit


def _assigned(text: str, option: str) -> tuple[str, float]:
    """NAME=NUMBER; the name may hold further =, as a path can."""
    from vaekit.errors import UserError

    name, _, value = text.rpartition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise UserError(f"{option} {text}: expected NAME=NUMBER") from None


def _range(text: str) -> tuple[float, float]:
    from vaekit.errors import UserError

    low, dots, high = text.partition("..")
    try:
        if not dots:
            raise ValueError
        return float(low), float(high)
    except ValueError:
        raise UserError(f"--strip {text}: expected LOW..HIGH, -2..2") from None
