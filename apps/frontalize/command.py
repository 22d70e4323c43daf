"""`vaekit frontalize` and `vaekit transfer`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaekit import options
from vaekit.verbs import Editing, Faces, Files, Work, grouped, surest

if TYPE_CHECKING:
    from vaekit import runner


verbs = typer.Typer()
DEFAULTS = Editing(bundle="frontalize")


@verbs.command()
@grouped
def frontalize(
    inputs: options.Inputs,
    *,
    turn: Annotated[float, typer.Option("--turn", min=0, max=1, help="How far: 0 not at all, 1 to the front.")] = 1.0,
    paste: Annotated[bool, typer.Option("--paste", help="Put the face back into the photo, and write that.")] = False,
    face: Annotated[str, typer.Option("--face", help="surest, largest, or a number from 1, the surest.")] = "surest",
    faces: Faces,
    files: Files,
    work: Work,
    editing: Editing = DEFAULTS,
) -> None:
    """Turn the faces in photos to the front: the same people, in the same light.

    What is written is the face alone, 128 pixels wide. Of an aligned face template N is expected: the face without
    hair and chin, eyes at 37 % of the height.

    Examples:

      vaekit frontalize portrait.jpg

      vaekit frontalize photos/ -o fronts/ --face-model yunet.onnx

      vaekit frontalize portrait.jpg --paste --turn 0.5
    """
    from vaekit.errors import UserError

    if face == "all":
        raise UserError("--face all: one face is written a photo: surest, largest, or its number")
    opener = functools.partial(_open, finding=faces, turn=turn, paste=paste, face=face)
    work.run(files.plan(inputs, "frontalize"), editing, opener)


def _open(
    threads: int,
    *,
    targets: runner.Outputs,
    editing: Editing,
    finding: Faces,
    turn: float,
    paste: bool,
    face: str,
) -> runner.Edit:
    from vaekit import faces, runner
    from vaekit.apps.frontalize.editor import Editor

    editor, finder = editing.open(Editor, threads), finding.finder()

    def edit(item: runner.Input) -> runner.Edited:
        picture = editing.read(item.path)
        # A face alone is RGB and small enough for every format.
        paths = targets.paths(item, picture.pixels.shape if paste else (1, 1, 3), picture.pixels.dtype)
        found = faces.find(picture.pixels, finder) if finder else []
        chosen = faces.choose(found, face, finder.least)[0] if finder else None
        if paste:
            turned, like = editor.pasted(picture.pixels, chosen, turn), picture
        else:
            turned, like = editor(picture.pixels, chosen, turn), None
        targets.write(paths[0], turned, like=like)
        if chosen is None:
            return runner.Edited(paths, picture.notes)
        return runner.Edited(paths, picture.notes, {"faces": faces.described(found, [chosen])}, faces.summary(found))

    return edit


@verbs.command()
@grouped
def transfer(
    identity: Annotated[
        Path, typer.Argument(parser=options.path, help="A photo of who is to be shown.", show_default=False)
    ],
    attributes: Annotated[
        Path, typer.Argument(parser=options.path, help="A photo of how: pose, light, expression.", show_default=False)
    ],
    output: options.OneFile,
    *,
    faces: Faces,
    overwrite: options.Overwrite = False,
    editing: Editing = DEFAULTS,
) -> None:
    """Show the person of one photo in the pose, light and expression of another.

    Example: vaekit transfer me.jpg actor.jpg -o acting.png
    """
    from vaekit import images
    from vaekit.apps.frontalize.editor import Editor
    from vaekit.outputs import check_file

    check_file(output, overwrite=overwrite, inputs=[identity, attributes])
    editing.check()
    editor, finder = editing.open(Editor), faces.finder()
    who, how = (editing.read(path).pixels for path in (identity, attributes))
    edited = editor.transfer(who, how, surest(identity, who, finder), surest(attributes, how, finder))
    images.write(output, edited, overwrite=overwrite)
