"""`vaekit direction fit`: learn a direction from two folders."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vaekit import options

direction = typer.Typer(
    name="direction", no_args_is_help=True, help="Directions for `vaekit edit` that nobody has labelled."
)

FEWEST = 2
"""Faces of a kind that a direction is fitted from."""


class Method(StrEnum):
    """How a direction is fitted."""

    MEAN = "mean"
    LEAST_SQUARES = "least-squares"


@direction.command()
def fit(
    positive: Annotated[list[str], typer.Option("--positive", help="Photos that have it: a folder, file or glob.")],
    negative: Annotated[list[str], typer.Option("--negative", help="Photos that have it not.")],
    output: Annotated[Path, typer.Option("--output", "-o", parser=options.path, help="The direction's file, .npz.")],
    method: Annotated[
        Method,
        typer.Option(help="least-squares holds the bundle's attributes fast, mean is the plain difference."),
    ] = Method.LEAST_SQUARES,
    face_model: options.FaceModel = None,
    aligned: options.Aligned = False,
    recursive: options.Recursive = False,
    overwrite: options.Overwrite = False,
    bundle: options.Bundle = "edit",
    max_pixels: options.MaxPixels = options.MAX_PIXELS,
) -> None:
    """Learn what sets the faces of two sets of photos apart.

    Of every photo the largest face counts; photos without one are named and left out. Some twenty photos of a kind
    make a usable direction.

    Examples:

      vaekit direction fit --positive with_hat/ --negative without/ -o hat.npz

      vaekit edit portrait.jpg --direction hat.npz=1.5
    """
    import numpy as np

    from vaekit import console, faces, images, runner
    from vaekit.apps.edit.editor import Editor
    from vaekit.errors import UserError
    from vaekit.inputs import find_inputs
    from vaekit.latent import Direction, least_squares, mean_difference, save_direction
    from vaekit.outputs import check_file

    check_file(output, overwrite=overwrite, more=(output.suffix.lower(),))
    editor = Editor(bundle)
    finder = None if aligned else faces.open_finder(face_model)
    failed = 0

    def codes(names: list[str]) -> tuple[np.ndarray, np.ndarray]:
        nonlocal failed
        found = []
        todo = find_inputs(names, "edit", recursive=recursive)
        with runner.bar(len(todo), "fit") as advance:
            for item in todo:
                try:
                    pixels = images.read(item.path, max_pixels=max_pixels).pixels
                    seen = faces.find(pixels, finder) if finder else [faces.whole(pixels)]
                    face = faces.choose(seen, "surest", finder.least if finder else 0.0)[0]
                    found.append(editor.encode(pixels, face))
                except Exception as error:  # of one photo, whatever it is
                    console.warn(runner.failure(item, error))
                    failed += 1
                advance()
        if len(found) < FEWEST:
            raise UserError(f"{', '.join(names)}: {len(found)} faces, and a direction needs {FEWEST} of each kind")
        return np.stack([code for code, _ in found]), np.stack([seen for _, seen in found])

    (having, seen), (lacking, seen_too) = codes(positive), codes(negative)
    if method is Method.MEAN:
        step = mean_difference(having, lacking)
    else:
        kind = np.repeat([1.0, 0.0], [len(having), len(lacking)])
        attributes = np.column_stack([kind, np.concatenate([seen, seen_too])])
        step = least_squares(np.concatenate([having, lacking]), attributes)[0]
    save_direction(Direction(step.astype(np.float32), editor.name), output, overwrite=overwrite)
    console.say(f"direction: {output}, of {len(having)} faces against {len(lacking)}")
    raise typer.Exit(1 if failed else 0)
