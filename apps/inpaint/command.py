"""`vaekit inpaint`."""

from pathlib import Path
from typing import Annotated

import typer

from vaekit import options


def inpaint(
    inputs: options.Inputs,
    mask: Annotated[Path, typer.Option("--mask", "-m", help="White is the hole. One file for all, or a folder.")],
    output: options.Output = None,
    overwrite: options.Overwrite = False,
    recursive: options.Recursive = False,
    invert_mask: Annotated[bool, typer.Option("--invert-mask", help="Black is the hole.")] = False,
    resize_mask: Annotated[bool, typer.Option("--resize-mask", help="Fit a mask of another size (nearest).")] = False,
    dilate: Annotated[int, typer.Option(min=0, max=1000, help="Grow the hole by so many pixels.")] = 0,
    feather: Annotated[
        float,
        typer.Option(min=0, max=1000, help="Even out the colours at the seam, so many pixels deep into the hole."),
    ] = 0.0,
    samples: Annotated[int, typer.Option(min=1, max=100, help="Write so many different repairs, _1, _2, ...")] = 1,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Which of the possible repairs; without it, the likeliest.")
    ] = None,
    iterations: Annotated[int, typer.Option(min=1, max=100, help="Repair the repair, so many times in all.")] = 1,
    in_faces: Annotated[
        bool, typer.Option("--faces", help="Find the faces; a hole that lies in one is repaired upright, in all of it.")
    ] = False,
    face_model: options.FaceModel = None,
    json: options.Json = False,
    runtime: options.RuntimeOption = options.Runtime.ONNX,
    bundle: options.Bundle = "inpaint",
    max_pixels: options.MaxPixels = options.MAX_PIXELS,
) -> None:
    """Repair the holes of photos.

    What is white in the mask is replaced; every other pixel stays as it is (a JPEG is encoded anew: -o x.png
    keeps it exactly). Masks in a folder are found by the photo's name, photo.png or photo_mask.png.

    Examples:

      vaekit inpaint photo.jpg --mask mask.png

      vaekit inpaint photos/ --mask masks/ -o repaired/ --recursive

      vaekit inpaint "scans/*.tif" --mask dust.png --dilate 2

      vaekit inpaint face.png --mask eyes.png --samples 4 --seed 1

      vaekit inpaint group.jpg --mask scratches.png --faces
    """
    import cv2
    import numpy as np

    from vaekit import batch, faces, images
    from vaekit.apps.inpaint.editor import Editor
    from vaekit.errors import UserError

    one_mask = not mask.is_dir()
    if not mask.exists():
        raise UserError(f"{mask}: no such mask")
    todo = batch.find_inputs(inputs, "inpaint", recursive=recursive, leave_out=mask)
    targets = batch.Outputs(todo, output, "inpaint", alone=len(inputs) == 1 and Path(inputs[0]).is_file())
    editor = Editor(bundle, runtime=runtime.value)
    finder = faces.open_finder(face_model) if in_faces or face_model else None
    read_once = images.read_mask(mask, invert=invert_mask, max_pixels=max_pixels) if one_mask else None

    def hole_for(item: batch.Input, shape: tuple[int, int]) -> np.ndarray:
        path = mask if one_mask else batch.find_partner(item, mask, "_mask")
        hole = read_once
        if hole is None:
            hole = images.read_mask(path, invert=invert_mask, max_pixels=max_pixels)
        if hole.shape != shape:
            if not resize_mask:
                sizes = [f"{width}x{height}" for height, width in (hole.shape, shape)]
                raise images.ImageError(
                    f"{item.path}: mask {path} is {sizes[0]}, the picture {sizes[1]} (--resize-mask fits it)"
                )
            small = hole.astype(np.uint8)
            hole = cv2.resize(small, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)
        if dilate and hole.any():
            round_ = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * dilate + 1, 2 * dilate + 1))
            hole = cv2.dilate(hole.astype(np.uint8), round_).astype(bool)
        if hole.all():
            raise images.ImageError(
                f"{item.path}: the mask covers the whole picture: nothing is left to repair it from"
            )
        return hole

    def edit(item: batch.Input) -> tuple[list[Path], tuple[str, ...]]:
        picture = images.read(item.path, max_pixels=max_pixels)
        hole = hole_for(item, picture.pixels.shape[:2])
        paths = targets.paths(item, images.output_suffix(picture, targets.suffix(item)), samples, overwrite=overwrite)
        # A first repair shows the faces that the holes hide.
        found = faces.find(editor(picture.pixels, hole), finder) if finder and hole.any() else []
        for number, path in enumerate(paths):
            if not hole.any() and path.suffix == item.path.suffix:
                images.copy(item.path, path, overwrite=overwrite)
                continue
            drawn = (seed or 0) + number if samples > 1 else seed
            repaired = editor(picture.pixels, hole, seed=drawn, iterations=iterations, feather=feather, found=found)
            images.write(path, repaired, like=picture, overwrite=overwrite)
        notes = picture.notes if hole.any() else (*picture.notes, "the mask is empty: copied")
        return paths, notes

    raise typer.Exit(batch.run("inpaint", todo, edit, as_json=json))
