"""`vaekit sample`, `reconstruct`, `morph` and `apply`: what a trained model of the family can do."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaekit import options
from vaekit.verbs import Editing, Faces, Files, grouped, surest

if TYPE_CHECKING:
    import numpy as np

    from vaekit.game import AdversarialModel
    from vaekit.models.generative import Generative

verbs = typer.Typer()
Run = Annotated[Path, typer.Argument(parser=options.path, help="A run of `vaekit train`.", show_default=False)]
Label = Annotated[
    str | None,
    typer.Option("--label", help="The class, a name or a number, where the model has classes.", show_default=False),
]
FRONTALIZE = Editing(bundle="frontalize")


class Through(enum.StrEnum):
    """What a walk of a run's model goes through."""

    prior = "prior"
    code = "code"


COLUMNS = 8
MILLISECONDS = 80
"""Of a frame of a GIF."""


@verbs.command()
def sample(
    run: Run,
    output: options.OneFile,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=4096, help="How many pictures.")] = 64,
    label: Label = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the noise.")] = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Draw new pictures with a trained model, side by side in one file.

    Examples: vaekit sample runs/vae -o samples.png; vaekit sample runs/flowers -o tulips.png --label tulip -n 16
    """
    from vaekit.outputs import check_file

    check_file(output, overwrite=overwrite)
    # After what is asked for is found good: Keras and its backend take seconds.
    import keras
    import numpy as np

    from vaekit import images
    from vaekit.apps.family.tasks import sheet

    model = _restored(run)
    model.seeds.state.assign(keras.random.SeedGenerator(seed).state)
    with model.averages():
        drawn = keras.ops.convert_to_numpy(model.sample(count, _labels(run, model, label, count)))
    columns = min(COLUMNS, count)
    blank = np.ones((-count % columns, *drawn.shape[1:]), drawn.dtype)
    rows = np.concatenate([drawn, blank]).reshape(-1, columns, *drawn.shape[1:])
    images.write(output, sheet(rows), overwrite=overwrite)


@verbs.command()
def reconstruct(
    run: Run,
    inputs: options.Inputs,
    output: options.OneFile,
    label: Label = None,
    overwrite: options.Overwrite = False,
    max_pixels: options.MaxPixels = options.MAX_PIXELS,
) -> None:
    """Show pictures, and below them what a trained model redraws of them.

    Example: vaekit reconstruct runs/vaegan faces/*.png -o redrawn.png
    """
    from vaekit.inputs import find_inputs
    from vaekit.outputs import check_file

    found = find_inputs(inputs, "reconstruct")
    check_file(output, overwrite=overwrite, inputs=[item.path for item in found])
    import keras
    import numpy as np

    from vaekit import images
    from vaekit.apps.family.tasks import sheet

    model = _restored(run)
    redraw, labels = _able(model, "reconstruct"), _labels(run, model, label, len(found), needed=True)
    pictures = np.stack([_read(model, item.path, max_pixels) for item in found])
    with model.averages():
        redrawn = keras.ops.convert_to_numpy(redraw(pictures, labels))
    images.write(output, sheet(np.stack([pictures, redrawn])), overwrite=overwrite)


@verbs.command()
@grouped
def morph(
    context: typer.Context,
    *,
    first: Annotated[Path, typer.Argument(parser=options.path, help="A picture.", show_default=False)],
    second: Annotated[Path, typer.Argument(parser=options.path, help="Another one.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", parser=options.path, help="A picture for a strip, or a .gif.")
    ],
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", parser=options.path, help="A run of `vaekit train`; without it, faces are morphed by a bundle."
        ),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=2, max=256, help="How many pictures.")] = 9,
    through: Annotated[
        Through | None,
        typer.Option(
            "--through",
            help="Of a run: the codes that its encoder finds, or its prior, in which both pictures are searched for. "
            "[default: code, and prior for AEGAN and where there is no encoder]",
            show_default=False,
        ),
    ] = None,
    label: Label = None,
    faces: Faces,
    overwrite: options.Overwrite = False,
    editing: Editing = FRONTALIZE,
) -> None:
    """Walk from one picture to another: through a trained model's latents, or a face's pose, light and expression.

    Of two photos of faces, the person is the first one's all the way; of a run, all changes.

    Examples:

      vaekit morph left.jpg right.jpg -o turning.gif

      vaekit morph a.png b.png --run runs/vae -o strip.png

      vaekit morph a.png b.png --run runs/gan --through prior -o walk.gif
    """
    import numpy as np

    from vaekit import images
    from vaekit.errors import UserError
    from vaekit.outputs import check_file

    of_faces, of_runs = ("face_model", "min_score", "aligned", "runtime", "bundle"), ("label", "through")
    for name in of_runs if run is None else of_faces:
        source = context.get_parameter_source(name)
        if source and source.name == "COMMANDLINE":
            raise UserError(f"--{name.replace('_', '-')} has no use {'without' if run is None else 'with'} --run")
    check_file(output, overwrite=overwrite, inputs=[first, second], more=(".gif",))
    shares = np.linspace(0.0, 1.0, steps, dtype=np.float32)
    if run is None:
        from vaekit.apps.frontalize.editor import Editor

        editing.check()
        editor, finder = editing.open(Editor), faces.finder()
        start, end = (_eight_bit(editing.read(path).pixels) for path in (first, second))
        found = surest(first, start, finder), surest(second, end, finder)
        frames = editor.morph(start, end, shares.tolist(), *found)
    else:
        frames = _walk(run, (first, second), shares, through, label, editing.max_pixels)
    if output.suffix.lower() == ".gif":
        images.write_animation(output, [*frames, *frames[-2:0:-1]], MILLISECONDS, overwrite=overwrite)
    else:
        images.write(output, np.concatenate(frames, axis=1), overwrite=overwrite)


@verbs.command()
@grouped
def apply(
    *,
    run: Run,
    inputs: options.Inputs,
    does: Annotated[
        str | None, typer.Option("--does", help="What of all that the model can. [default: the first]")
    ] = None,
    other: Annotated[
        Path | None,
        typer.Option("--with", parser=options.path, help="The second picture, where it takes two.", show_default=False),
    ] = None,
    label: Label = None,
    files: Files,
    max_pixels: options.MaxPixels = options.MAX_PIXELS,
) -> None:
    """Have a trained model of the family do what it does: translate, enlarge, classify, compare pictures.

    Pictures are written as files are edited. Numbers are printed as CSV, a line a picture.

    Examples:

      vaekit apply runs/pix2pix sketches/ -o drawn/

      vaekit apply runs/siamese faces/*.jpg --does distance --with anna.jpg > distances.csv

      vaekit apply runs/ipgan anna.jpg --does transfer --with bert.jpg -o anna-as-bert.png
    """
    from vaekit import console, images, runner
    from vaekit.errors import UserError

    targets = files.plan(inputs, "apply")
    if targets.stream:
        raise UserError("-o -: this command writes files; numbers are printed in any case")
    from vaekit.apps import task
    from vaekit.apps.family.applying import Applied, table
    from vaekit.training import restore

    model, recipe, _ = restore(run, task)
    applied = Applied(model, recipe, does)
    applied.label = _labels(run, model, label, 1, needed=applied.takes_label)
    if applied.takes_two != (other is not None):
        needed = f"{applied.name} takes two pictures" if applied.takes_two else f"{applied.name} takes one picture"
        raise UserError(f"--with {other or 'is needed'}: {needed}")
    second = None if other is None else _eight_bit(images.read(other, max_pixels=max_pixels).pixels)
    rows, failed = {}, False
    with model.averages(), runner.bar(len(targets.inputs), "apply") as advance:
        for item in targets.inputs:
            try:
                answer = applied(_eight_bit(images.read(item.path, max_pixels=max_pixels).pixels), second)
                if answer.ndim == 1:
                    rows[item.path] = answer
                else:
                    for path in targets.paths(item, answer.shape):
                        targets.write(path, answer)
            except images.ImageError as error:  # one bad file does not end a folder
                console.warn(str(error))
                failed = True
            advance()
    for line in table(list(rows), list(rows.values())) if rows else ():
        console.say(line)
    if failed:
        raise typer.Exit(1)


def _walk(
    run: Path,
    paths: tuple[Path, Path],
    shares: np.ndarray,
    through: Through | None,
    label: str | None,
    max_pixels: int,
) -> list[np.ndarray]:
    """What a run's model draws on the line between two pictures in its codes or its prior, uint8 [H, W, 3] each."""
    import keras
    import numpy as np

    from vaekit import runner
    from vaekit.apps.family.tasks import sheet
    from vaekit.latent import STEPS, invert

    model = _restored(run)
    by_code = (through or model.through) == "code"
    encode = _able(model, "encode") if by_code else None
    labels = _labels(run, model, label, len(paths), needed=True)
    pictures = np.stack([_read(model, path, max_pixels) for path in paths])
    with model.averages():
        if encode:
            start, end = keras.ops.convert_to_numpy(encode(pictures, labels))
        else:
            with runner.bar(STEPS, "morph") as advance:
                (start, end), _ = invert(model, pictures, labels, progress=lambda share: advance())
        latents = (1.0 - shares[:, None]) * start + shares[:, None] * end
        decode = model.decode if encode else model.from_noise
        drawn = keras.ops.convert_to_numpy(decode(latents, _labels(run, model, label, len(shares))))
    return [sheet(frame[None, None]) for frame in drawn]


def _restored(run: Path) -> Generative:
    from vaekit.apps import task
    from vaekit.errors import UserError
    from vaekit.models.generative import Generative
    from vaekit.training import restore

    model, recipe, _ = restore(run, task)
    if not isinstance(model, Generative):
        raise UserError(f"{run}: a {recipe.app} draws no pictures from latents")
    return model


def _able(model: Generative, what: str):
    from vaekit.errors import UserError

    if not model.encodes:
        raise UserError(f"a {type(model).__name__} has no encoder: it can sample alone")
    return getattr(model, what)


def _labels(
    run: Path, model: AdversarialModel, label: str | None, count: int, *, needed: bool = False
) -> np.ndarray | None:
    """The class that is asked for, `count` times; None where none is.

    Raises:
        UserError: the model has no such class, or one is needed.
    """
    import numpy as np

    from vaekit import checkpoints, provenance
    from vaekit.errors import UserError

    names = provenance.read(checkpoints.folder(run)).get("classes", [])
    classes = getattr(model, "classes", 0)
    there = ", ".join(names) if names else f"0 to {classes - 1}"
    if label is None:
        if needed and classes:
            raise UserError(f"--label is needed: the model has {classes} classes, {there}")
        return None
    if label in names:
        return np.full(count, names.index(label))
    if not classes:
        raise UserError(f"--label {label}: the model has no classes")
    if not label.isdecimal() or int(label) >= classes:
        raise UserError(f"--label {label}: the model has {classes} classes, {there}")
    return np.full(count, int(label))


def _read(model: Generative, path: Path, max_pixels: int) -> np.ndarray:
    """[H, W, C] float32 in 0..1, the largest crop at the middle, of the model's size."""
    import numpy as np

    from vaekit import images
    from vaekit.apps.family.tasks import fitted
    from vaekit.data import match_channels, to_unit

    height, width, channels = model.image_shape
    pixels = images.read(path, max_pixels=max_pixels).pixels
    pixels = match_channels(_eight_bit(pixels), channels)
    return to_unit(fitted(pixels, (height, width), np.random.default_rng(0)))


def _eight_bit(pixels: np.ndarray) -> np.ndarray:
    return (pixels >> 8).astype("uint8") if pixels.dtype == "uint16" else pixels
