"""`vaekit inpaint`."""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaekit import options
from vaekit.verbs import Editing, Files, Work, grouped

if TYPE_CHECKING:
    import numpy as np

    from vaekit import runner
    from vaekit.apps.inpaint.editor import Fill


verbs = typer.Typer()
DEFAULTS = Editing(bundle="inpaint")


class FillWith(enum.StrEnum):
    """What fills a hole."""

    AUTO = "auto"
    NETWORK = "network"
    TEXTURE = "texture"


UNSURE = 0.5
"""Confidence below which a user is told to look at a fill."""


@verbs.command()
@grouped
def inpaint(
    inputs: options.Inputs,
    *,
    mask: Annotated[
        Path,
        typer.Option(
            "--mask",
            "-m",
            parser=options.path,
            help="White is the hole. One file for all, a folder, or auto: find the damage of old photos.",
        ),
    ],
    files: Files,
    invert_mask: Annotated[bool, typer.Option("--invert-mask", help="Black is the hole.")] = False,
    resize_mask: Annotated[bool, typer.Option("--resize-mask", help="Fit a mask of another size (nearest).")] = False,
    mask_threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="With --mask auto, how likely a pixel has to be damaged. [default: 0.5]",
            show_default=False,
        ),
    ] = None,
    save_mask: Annotated[
        Path | None,
        typer.Option(
            "--save-mask",
            parser=options.path,
            help="Write what is repaired as a mask: a file for one input, or a folder.",
        ),
    ] = None,
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
        typer.Option(
            "--match-seam",
            "--feather",  # as it was called
            min=0,
            max=1000,
            help="Even out the colours at the seam, so many pixels deep into the hole.",
        ),
    ] = 0.0,
    samples: Annotated[int, typer.Option(min=1, max=100, help="Write so many different repairs, _1, _2, ...")] = 1,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Which of the possible repairs; without it, the likeliest.")
    ] = None,
    iterations: Annotated[int, typer.Option(min=1, max=100, help="Repair the repair, so many times in all.")] = 1,
    in_faces: Annotated[
        bool | None,
        typer.Option(
            "--faces/--no-faces",
            help="Find the faces; a hole that lies in one is repaired upright, in all of it. [default: upright ones]",
            show_default=False,
        ),
    ] = None,
    face_model: options.FaceModel = None,
    work: Work,
    editing: Editing = DEFAULTS,
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

      vaekit inpaint old.jpg --mask auto --save-mask found.png
    """
    from vaekit import runner
    from vaekit.errors import UserError
    from vaekit.inputs import check_readable

    auto = mask == AUTO
    if auto and (invert_mask or resize_mask):
        raise UserError("--invert-mask and --resize-mask are for masks in files, not for --mask auto")
    if not auto and mask_threshold is not None:
        raise UserError("--mask-threshold goes with --mask auto")
    if not auto:
        check_readable(mask, "mask")
    if auto:
        dataclasses.replace(editing, bundle="damage").check()
    targets = files.plan(inputs, "inpaint", leave_out=None if auto else mask, samples=samples)
    todo, saved = targets.inputs, None
    if save_mask:
        again = files.overwrite or files.skip_existing  # a mask may be there of an edit that was interrupted
        saved = runner.Outputs(todo, save_mask, "mask", alone=len(todo) == 1, overwrite=again, in_place=False)
    opener = functools.partial(
        _open,
        holes=Holes(mask, editing, invert_mask, resize_mask, dilate, mask_threshold, saved),
        in_faces=in_faces,
        face_model=face_model,
        seed=seed,
        controls={"fill": fill.value, "iterations": iterations, "feather": feather},
    )
    work.run(targets, editing, opener)


def _open(
    threads: int,
    *,
    targets: runner.Outputs,
    editing: Editing,
    holes: Holes,
    in_faces: bool | None,
    face_model: Path | None,
    seed: int | None,
    controls: dict,
) -> runner.Edit:
    from vaekit import faces, runner
    from vaekit.apps.inpaint.editor import Editor

    holes.open(threads)
    editor = editing.open(Editor, threads)
    finder = None
    if in_faces or (in_faces is None and (face_model or faces.installed())):
        finder = faces.open_finder(face_model)
    tilts = faces.TILTS if in_faces else faces.TILTS[:1]
    look = functools.partial(faces.find_sure, finder=finder, tilts=tilts) if finder else None

    def edit(item: runner.Input) -> runner.Edited:
        picture = editing.read(item.path)
        hole = holes(item, picture.pixels)
        paths = targets.paths(item, picture.pixels.shape, picture.pixels.dtype)
        holes.keep(item, hole, paths)
        fills: list[Fill] = []
        for number, path in targets.missing(paths):
            if not hole.any() and path.suffix == item.path.suffix:
                targets.copy(item, path)
                continue
            drawn = _drawn(seed, number, len(paths))
            repaired = editor.repair(picture.pixels, hole, seed=drawn, look=look, **controls)
            fills += repaired.fills
            targets.write(path, repaired.image, like=picture)
        notes = (*picture.notes, *_unsure(fills)) if hole.any() else (*picture.notes, holes.none)
        return runner.Edited(paths, notes, {"fills": [fill._asdict() for fill in fills]}, _summary(fills))

    return edit


def _drawn(seed: int | None, number: int, samples: int) -> int | None:
    """The seed of one of several repairs; None is the likeliest repair."""
    return (seed or 0) + number if samples > 1 else seed


def _summary(fills: Sequence[Fill]) -> str:
    """What filled how many holes, and how sure it is: "texture 2, network 1, least sure 64 %"."""
    counts = {method: sum(fill.method == method for fill in fills) for method in ("texture", "network")}
    parts = [f"{method} {count}" for method, count in counts.items() if count]
    if fills:
        parts.append(f"least sure {min(fill.confidence for fill in fills):.0%}")
    return ", ".join(parts)


def _unsure(fills: Sequence[Fill]) -> list[str]:
    """A note for the hole that most likely looks wrong, if one does."""
    worst = min(fills, key=lambda fill: fill.confidence, default=None)
    if worst is None or worst.confidence >= UNSURE:
        return []
    left, top, width, height = worst.box
    place = f"the hole of {width}x{height} at ({left}, {top})"
    return [f"{place} is likely not filled well ({worst.confidence:.0%} sure): look at it; --samples gives others"]


AUTO = Path("auto")
"""Instead of a mask: find one."""


@dataclass
class Holes:
    """Masks as the command line has them: one file for all pictures, a folder with one for each, or AUTO."""

    mask: Path
    editing: Editing
    invert: bool
    resize: bool
    dilate: int
    threshold: float | None
    save: runner.Outputs | None
    """Where masks are written."""

    only: np.ndarray | None = None
    """The one for all, once it is read."""
    find: Callable[..., np.ndarray] | None = None
    """What finds the damage, with AUTO."""

    def open(self, threads: int) -> None:
        """Read the one for all, if it is one, or open what finds them: once, and before a picture is touched.

        Raises:
            ImageError: the mask is no image.
            BundleError: the bundle `damage` is missing or damaged.
        """
        if self.mask == AUTO:
            from vaekit.apps.damage.editor import THRESHOLD, Editor

            threshold = THRESHOLD if self.threshold is None else self.threshold
            self.find = functools.partial(Editor(runtime=self.editing.runtime, threads=threads), threshold=threshold)
        elif not self.mask.is_dir():
            self.only = self.read(self.mask)

    @property
    def none(self) -> str:
        """What a user is told of an empty mask."""
        return "no damage found: copied" if self.find else "the mask is empty: copied"

    def read(self, path: Path) -> np.ndarray:
        """A mask file, [H, W] bool."""
        from vaekit import images

        return images.read_mask(path, invert=self.invert, max_pixels=self.editing.max_pixels)

    def __call__(self, item: runner.Input, pixels: np.ndarray) -> np.ndarray:
        """What of a picture is a hole, [H, W] bool.

        Raises:
            ImageError: there is no mask for it, of another size, or one of the whole picture.
        """
        import cv2
        import numpy as np

        from vaekit.images import ImageError
        from vaekit.inputs import find_partner

        shape = pixels.shape[:2]
        hole, path = self.only, self.mask
        if self.find:
            hole = self.find(pixels)
        elif hole is None:
            path = find_partner(item, self.mask, "_mask")
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

    def keep(self, item: runner.Input, hole: np.ndarray, paths: list[Path]) -> None:
        """Write the mask, where that is asked for.

        Raises:
            ImageError: it cannot be written, or an edit goes to the same file.
        """
        import numpy as np

        from vaekit import images

        if not self.save:
            return
        (file,) = self.save.paths(item, hole.shape, suffix=".png")
        if file in paths:
            raise images.ImageError(f"{item.path}: mask and repaired picture cannot both be {file}")
        images.write(file, 255 * hole.astype(np.uint8), overwrite=self.save.overwrite)
