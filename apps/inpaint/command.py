"""`vaekit inpaint`."""

from __future__ import annotations

import enum
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaekit import options

if TYPE_CHECKING:
    import numpy as np

    from vaekit import batch
    from vaekit.apps.inpaint.editor import Fill
    from vaekit.runtime import RuntimeName


class FillWith(enum.StrEnum):
    """What fills a hole."""

    AUTO = "auto"
    NETWORK = "network"
    TEXTURE = "texture"


UNSURE = 0.5
"""Confidence below which a user is told to look at a fill."""


def inpaint(
    inputs: options.Inputs,
    mask: Annotated[Path, typer.Option("--mask", "-m", help="White is the hole. One file for all, or a folder.")],
    output: options.Output = None,
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    recursive: options.Recursive = False,
    invert_mask: Annotated[bool, typer.Option("--invert-mask", help="Black is the hole.")] = False,
    resize_mask: Annotated[bool, typer.Option("--resize-mask", help="Fit a mask of another size (nearest).")] = False,
    fill: Annotated[
        FillWith,
        typer.Option(
            help="What fills the holes: the network, the photo's own texture, or whichever suits each hole "
            "(the network in faces and thin holes)."
        ),
    ] = FillWith.AUTO,
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
    jobs: options.Jobs = None,
    engine: options.EngineOption = options.Engine.PROCESSES,
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

      vaekit inpaint street.jpg --mask car.png --dilate 4 --samples 3

      vaekit inpaint "scans/*.tif" --mask dust.png --dilate 2 --fill network

      vaekit inpaint face.png --mask eyes.png --samples 4 --seed 1

      vaekit inpaint group.jpg --mask scratches.png --faces
    """
    from vaekit import batch
    from vaekit.errors import UserError

    if not mask.exists():
        raise UserError(f"{mask}: no such mask")
    todo, targets = batch.plan(
        inputs,
        "inpaint",
        output,
        recursive=recursive,
        leave_out=mask,
        samples=samples,
        overwrite=overwrite,
        skip_existing=skip_existing,
    )
    holes = Holes(mask, invert=invert_mask, resize=resize_mask, dilate=dilate, max_pixels=max_pixels)
    opener = functools.partial(
        _open,
        targets=targets,
        holes=holes,
        bundle=bundle,
        runtime=runtime.value,
        in_faces=in_faces or face_model is not None,
        face_model=face_model,
        seed=seed,
        controls={"fill": fill.value, "iterations": iterations, "feather": feather},
        max_pixels=max_pixels,
    )
    status = batch.run(todo, targets, opener, jobs=jobs, engine=engine.value, as_json=json)
    raise typer.Exit(status)


def _open(
    threads: int,
    *,
    targets: batch.Outputs,
    holes: Holes,
    bundle: str,
    runtime: RuntimeName,
    in_faces: bool,
    face_model: Path | None,
    seed: int | None,
    controls: dict,
    max_pixels: int,
) -> batch.Edit:
    from vaekit import batch, faces, images
    from vaekit.apps.inpaint.editor import Editor

    holes.read_only()
    editor = Editor(bundle, runtime=runtime, threads=threads)
    finder = faces.open_finder(face_model, threads) if in_faces else None

    def edit(item: batch.Input) -> batch.Edited:
        picture = images.read(item.path, max_pixels=max_pixels)
        hole = holes(item, picture.pixels.shape[:2])
        paths = targets.paths(item, images.output_suffix(picture, targets.suffix(item)))
        # A first repair shows the faces that the holes hide.
        found = faces.find(editor(picture.pixels, hole), finder) if finder and hole.any() else []
        fills: list[Fill] = []
        for number, path in enumerate(paths):
            if not hole.any() and path.suffix == item.path.suffix:
                images.copy(item.path, path, overwrite=targets.overwrite)
                continue
            drawn = (seed or 0) + number if len(paths) > 1 else seed
            repaired = editor.repair(picture.pixels, hole, seed=drawn, found=found, **controls)
            fills += repaired.fills
            images.write(path, repaired.image, like=picture, overwrite=targets.overwrite)
        notes = (*picture.notes, *_unsure(fills)) if hole.any() else (*picture.notes, "the mask is empty: copied")
        return batch.Edited(paths, notes, {"fills": [fill._asdict() for fill in fills]}, _summary(fills))

    return edit


def _summary(fills: Sequence[Fill]) -> str:
    """What filled how many holes, and how sure it is: "texture 2, network 1, least sure 64 %"."""
    counts = {method: sum(fill.method == method for fill in fills) for method in ("texture", "network")}
    parts = [f"{method} {count}" for method, count in counts.items() if count]
    if fills:
        parts.append(f"least sure {min(fill.confidence for fill in fills):.0%}")
    return ", ".join(parts)


def _unsure(fills: Sequence[Fill]) -> list[str]:
    """A note for the hole that most likely looks wrong, if one does."""
    worst = min(fills, key=lambda fill: fill.confidence)
    if worst.confidence >= UNSURE:
        return []
    left, top, width, height = worst.box
    place = f"the hole of {width}x{height} at ({left}, {top})"
    return [f"{place} is likely not filled well ({worst.confidence:.0%} sure): look at it; --samples gives others"]


@dataclass
class Holes:
    """Masks as the command line has them: one file for all pictures, or a folder with one for each."""

    mask: Path
    invert: bool
    resize: bool
    dilate: int
    max_pixels: int

    only: np.ndarray | None = None
    """The one for all, once it is read."""

    def read_only(self) -> None:
        """Read the one for all, if it is one: once, and before a picture is touched.

        Raises:
            ImageError: it is no image.
        """
        if not self.mask.is_dir():
            self.only = self.read(self.mask)

    def read(self, path: Path) -> np.ndarray:
        """A mask file, [H, W] bool."""
        from vaekit import images

        return images.read_mask(path, invert=self.invert, max_pixels=self.max_pixels)

    def __call__(self, item: batch.Input, shape: tuple[int, int]) -> np.ndarray:
        """What of a picture of this shape is a hole, [H, W] bool.

        Raises:
            ImageError: there is no mask for it, of another size, or one of the whole picture.
        """
        import cv2
        import numpy as np

        from vaekit import batch
        from vaekit.images import ImageError

        hole, path = self.only, self.mask
        if hole is None:
            path = batch.find_partner(item, self.mask, "_mask")
            hole = self.read(path)
        if hole.shape != shape:
            if not self.resize:
                sizes = [f"{width}x{height}" for height, width in (hole.shape, shape)]
                raise ImageError(
                    f"{item.path}: mask {path} is {sizes[0]}, the picture {sizes[1]} (--resize-mask fits it)"
                )
            hole = cv2.resize(hole.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)
        if self.dilate and hole.any():
            round_ = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * self.dilate + 1, 2 * self.dilate + 1))
            hole = cv2.dilate(hole.astype(np.uint8), round_).astype(bool)
        if hole.all():
            raise ImageError(f"{item.path}: the mask covers the whole picture: nothing is left to repair it from")
        return hole
