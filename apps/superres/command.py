"""`vaekit superres`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated

import typer

from vaekit import options

if TYPE_CHECKING:
    from vaekit import batch
    from vaekit.runtime import RuntimeName


def superres(
    inputs: options.Inputs,
    scale: Annotated[
        float, typer.Option("--scale", "-s", min=1, max=4, help="How many times larger; 2, 3 and 4 are exact.")
    ] = 4,
    detail: Annotated[
        float,
        typer.Option(min=0, max=1, help="From 0, the least erroneous enlargement, to 1, as sharp as photos are."),
    ] = 0.5,
    output: options.Output = None,
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    recursive: options.Recursive = False,
    samples: Annotated[int, typer.Option(min=1, max=100, help="Write so many different enlargements, _1, _2, ...")] = 1,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Which of the possible details; without it, the likeliest.")
    ] = None,
    jobs: options.Jobs = None,
    engine: options.EngineOption = options.Engine.PROCESSES,
    json: options.Json = False,
    runtime: options.RuntimeOption = options.Runtime.ONNX,
    bundle: options.Bundle = "superres",
    max_pixels: options.MaxPixels = options.MAX_PIXELS,
) -> None:
    """Enlarge photos.

    Examples:

      vaekit superres photo.jpg --scale 4

      vaekit superres photos/ --scale 2 -o large/ --recursive

      vaekit superres scan.png --detail 0

      vaekit superres face.png --detail 1 --samples 4
    """
    from vaekit import batch
    from vaekit.errors import UserError

    if scale == 1:
        raise UserError("--scale 1 would leave everything as it is: name a scale above 1")
    todo, targets = batch.plan(
        inputs,
        "superres",
        output,
        recursive=recursive,
        samples=samples,
        overwrite=overwrite,
        skip_existing=skip_existing,
    )
    opener = functools.partial(
        _open,
        targets=targets,
        bundle=bundle,
        runtime=runtime.value,
        scale=scale,
        detail=detail,
        seed=seed,
        max_pixels=max_pixels,
    )
    status = batch.run(todo, targets, opener, jobs=jobs, engine=engine.value, as_json=json)
    raise typer.Exit(status)


def _open(
    threads: int,
    *,
    targets: batch.Outputs,
    bundle: str,
    runtime: RuntimeName,
    scale: float,
    detail: float,
    seed: int | None,
    max_pixels: int,
) -> batch.Edit:
    from vaekit import batch, images
    from vaekit.apps.superres.editor import Editor

    editor = Editor(bundle, runtime=runtime, threads=threads)

    def edit(item: batch.Input) -> batch.Edited:
        picture = images.read(item.path, max_pixels=max_pixels)
        height, width = (round(scale * side) for side in picture.pixels.shape[:2])
        if height * width > max_pixels:
            raise images.ImageError(
                f"{item.path}: would be {width}x{height}, more than {max_pixels} pixels (--max-pixels allows it)"
            )
        paths = targets.paths(item, (height, width, *picture.pixels.shape[2:]), picture.pixels.dtype)
        for number, path in targets.missing(paths):
            drawn = (seed or 0) + number if len(paths) > 1 else seed
            enlarged = editor(picture.pixels, scale, detail=detail, seed=drawn)
            targets.write(path, enlarged, like=picture)
        return batch.Edited(paths, picture.notes)

    return edit
