"""The command line: `vaekit VERB`. Nothing heavy is imported before its verb runs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from vaekit.apps import NAMES, command, exportable, recipe_path, task
from vaekit.errors import UserError

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def _vaekit() -> None:
    """VAE-GAN image editing: repair photos, train, export."""


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe (.toml), or the name of an app: inpaint.")],
    out: Annotated[Path, typer.Option("--out", help="The run's folder.")] = Path("runs/run"),
    data: Annotated[
        list[str] | None,
        typer.Option("--data", help="Train on this folder, .npz, tfds:NAME or rendered:N instead."),
    ] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", help="Change a key: train.epochs=10.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
) -> None:
    """Train a model.

    Examples: vaekit train inpaint --data faces/ --out runs/faces; vaekit train inpaint --out runs/faces --resume
    """
    from vaekit.recipe import load_recipe
    from vaekit.training import train as run

    loaded = load_recipe(recipe_path(recipe), changes or [], data or [])
    run(loaded, task(loaded.app), out, resume=resume, progress=sys.stdout.isatty())


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    name: Annotated[str, typer.Argument(help="The bundle's name.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of bundles.")] = Path("saved_models"),
) -> None:
    """Export a run's averaged weights as a bundle.

    Example: vaekit export runs/inpaint inpaint --out saved_models
    """
    from vaekit.export import export as write
    from vaekit.training import restore

    model, card = restore(run, task)
    with model.averages():
        print(write(exportable(card["app"])(model, card), name, out))


for name in NAMES:
    app.command(name)(command(name))


def main() -> None:
    """Entry point."""
    try:
        app(prog_name="vaekit")
    except UserError as error:
        print(f"vaekit: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
