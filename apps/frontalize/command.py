"""`vaekit frontalize` and `vaekit transfer`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaekit import options

if TYPE_CHECKING:
    import numpy as np

    from vaekit import batch, faces
    from vaekit.runtime import RuntimeName


verbs = typer.Typer()


@verbs.command()
def frontalize(
    inputs: options.Inputs,
    turn: Annotated[float, typer.Option("--turn", min=0, max=1, help="How far: 0 not at all, 1 to the front.")] = 1.0,
    paste: Annotated[bool, typer.Option("--paste", help="Put the face back into the photo, and write that.")] = False,
    face: Annotated[str, typer.Option("--face", help="surest, largest, or a number from 1, the surest.")] = "surest",
    face_model: options.FaceModel = None,
    min_score: options.MinScore = None,
    aligned: options.Aligned = False,
    output: options.Output = None,
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    recursive: options.Recursive = False,
    jobs: options.Jobs = None,
    engine: options.EngineOption = options.Engine.PROCESSES,
    json: options.Json = False,
    runtime: options.RuntimeOption = "onnx",
    bundle: options.Bundle = "frontalize",
    max_pixels: options.MaxPixels = options.MAX_PIXELS,
) -> None:
    """Turn the faces in photos to the front: the same people, in the same light.

    What is written is the face alone, 128 pixels wide. Of an aligned face template N is expected: the face without
    hair and chin, eyes at 37 % of the height.

    Examples:

      vaekit frontalize portrait.jpg

      vaekit frontalize photos/ -o fronts/ --face-model yunet.onnx

      vaekit frontalize portrait.jpg --paste --turn 0.5
    """
    from vaekit import batch
    from vaekit.errors import UserError

    if face == "all":
        raise UserError("--face all: one face is written a photo: surest, largest, or its number")
    todo, targets = batch.plan(
        inputs, "frontalize", output, recursive=recursive, overwrite=overwrite, skip_existing=skip_existing
    )
    opener = functools.partial(
        _open,
        targets=targets,
        bundle=bundle,
        runtime=runtime,
        turn=turn,
        paste=paste,
        face=face,
        face_model=face_model,
        min_score=min_score,
        aligned=aligned,
        max_pixels=max_pixels,
    )
    raise typer.Exit(batch.run(todo, targets, opener, jobs=jobs, engine=engine.value, as_json=json))


def _open(
    threads: int,
    *,
    targets: batch.Outputs,
    bundle: str,
    runtime: RuntimeName,
    turn: float,
    paste: bool,
    face: str,
    face_model: Path | None,
    min_score: float | None,
    aligned: bool,
    max_pixels: int,
) -> batch.Edit:
    from vaekit import batch, faces, images
    from vaekit.apps.frontalize.editor import Editor

    editor = Editor(bundle, runtime=runtime, threads=threads)
    finder = None if aligned else faces.open_finder(face_model, min_score)

    def edit(item: batch.Input) -> batch.Edited:
        picture = images.read(item.path, max_pixels=max_pixels)
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
            return batch.Edited(paths, picture.notes)
        return batch.Edited(paths, picture.notes, {"faces": faces.described(found, [chosen])}, faces.summary(found))

    return edit


@verbs.command()
def transfer(
    identity: Annotated[
        Path, typer.Argument(parser=options.path, help="A photo of who is to be shown.", show_default=False)
    ],
    attributes: Annotated[
        Path, typer.Argument(parser=options.path, help="A photo of how: pose, light, expression.", show_default=False)
    ],
    output: options.OneFile,
    face_model: options.FaceModel = None,
    min_score: options.MinScore = None,
    aligned: options.Aligned = False,
    overwrite: options.Overwrite = False,
    runtime: options.RuntimeOption = "onnx",
    bundle: options.Bundle = "frontalize",
    max_pixels: options.MaxPixels = options.MAX_PIXELS,
) -> None:
    """Show the person of one photo in the pose, light and expression of another.

    Example: vaekit transfer me.jpg actor.jpg -o acting.png
    """
    from vaekit import faces, images
    from vaekit.apps.frontalize.editor import Editor
    from vaekit.outputs import check_file

    check_file(output, overwrite=overwrite, inputs=[identity, attributes])
    editor = Editor(bundle, runtime=runtime)
    finder = None if aligned else faces.open_finder(face_model, min_score)
    who, how = (images.read(path, max_pixels=max_pixels).pixels for path in (identity, attributes))
    edited = editor.transfer(who, how, surest(identity, who, finder), surest(attributes, how, finder))
    images.write(output, edited, overwrite=overwrite)


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
