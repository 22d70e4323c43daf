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


def frontalize(
    inputs: options.Inputs,
    turn: Annotated[float, typer.Option("--turn", min=0, max=1, help="How far: 0 not at all, 1 to the front.")] = 1.0,
    paste: Annotated[bool, typer.Option("--paste", help="Put the face back into the photo, and write that.")] = False,
    face: Annotated[str, typer.Option("--face", help="largest, or a number from 1, the largest.")] = "largest",
    face_model: options.FaceModel = None,
    aligned: options.Aligned = False,
    output: options.Output = None,
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    recursive: options.Recursive = False,
    jobs: options.Jobs = None,
    engine: options.EngineOption = options.Engine.PROCESSES,
    json: options.Json = False,
    runtime: options.RuntimeOption = options.Runtime.ONNX,
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
        raise UserError("--face all: one face is written a photo: largest, or its number")
    todo, targets = batch.plan(
        inputs, "frontalize", output, recursive=recursive, overwrite=overwrite, skip_existing=skip_existing
    )
    opener = functools.partial(
        _open,
        targets=targets,
        bundle=bundle,
        runtime=runtime.value,
        turn=turn,
        paste=paste,
        face=face,
        face_model=face_model,
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
    aligned: bool,
    max_pixels: int,
) -> batch.Edit:
    from vaekit import images
    from vaekit.apps.frontalize.editor import Editor

    editor = Editor(bundle, runtime=runtime, threads=threads)
    find = finding(face, face_model, aligned, threads)

    def edit(item: batch.Input) -> tuple[list[Path], tuple[str, ...]]:
        picture = images.read(item.path, max_pixels=max_pixels)
        # A face alone is RGB and small enough for every format.
        paths = targets.paths(item, picture.pixels.shape if paste else (1, 1, 3), picture.pixels.dtype)
        found = find(picture.pixels)
        if paste:
            turned, like = editor.pasted(picture.pixels, found, turn), picture
        else:
            turned, like = editor(picture.pixels, found, turn), None
        targets.write(paths[0], turned, like=like)
        return paths, picture.notes

    return edit


def transfer(
    identity: Annotated[
        Path, typer.Argument(parser=options.path, help="A photo of who is to be shown.", show_default=False)
    ],
    attributes: Annotated[
        Path, typer.Argument(parser=options.path, help="A photo of how: pose, light, expression.", show_default=False)
    ],
    output: options.OneFile,
    face_model: options.FaceModel = None,
    aligned: options.Aligned = False,
    overwrite: options.Overwrite = False,
    runtime: options.RuntimeOption = options.Runtime.ONNX,
    bundle: options.Bundle = "frontalize",
    max_pixels: options.MaxPixels = options.MAX_PIXELS,
) -> None:
    """Show the person of one photo in the pose, light and expression of another.

    Example: vaekit transfer me.jpg actor.jpg -o acting.png
    """
    from vaekit import images
    from vaekit.apps.frontalize.editor import Editor
    from vaekit.outputs import check_file

    check_file(output, overwrite=overwrite, inputs=[identity, attributes])
    editor = Editor(bundle, runtime=runtime.value)
    find = finding("largest", face_model, aligned)
    who, how = (images.read(path, max_pixels=max_pixels).pixels for path in (identity, attributes))
    images.write(output, editor.transfer(who, how, find(who), find(how)), overwrite=overwrite)


def finding(which: str, face_model: Path | None, aligned: bool, threads: int = 0):
    """A function from pixels to the face in them that is meant; None stands for a picture that is a face."""
    from vaekit import faces

    finder = None if aligned else faces.open_finder(face_model, threads)

    def find(pixels: np.ndarray) -> faces.Face | None:
        return faces.choose(faces.find(pixels, finder), which)[0] if finder else None

    return find
