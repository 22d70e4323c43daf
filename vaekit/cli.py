"""The command line: `vaekit VERB`. Nothing heavy is imported before its verb runs."""

import difflib
import functools
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from vaekit import __version__, apps, console, options
from vaekit.apps import exportable, implied, recipe_path, task
from vaekit.errors import UserError, missing_package
from vaekit.family import FAMILY
from vaekit.serving.command import serve

if TYPE_CHECKING:
    from vaekit.bundle import Bundle

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


def _version(asked: bool) -> None:
    if asked:
        console.say(f"vaekit {__version__}")
        raise typer.Exit


@app.callback()
def _vaekit(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """VAE-GAN image editing: repair photos, train, export."""


@app.command()
def train(
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A recipe (.toml), or a name: inpaint, superres, ..., vae, vaegan, cvaegan, ...; no need of it with "
            "--resume.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", parser=options.path, help="The run's folder.")] = Path("runs/run"),
    data: Annotated[
        list[str] | None,
        typer.Option("--data", help="Train on this folder, .npz, tfds:NAME or rendered:N instead."),
    ] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", help="Change a key: train.epochs=10.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint, with the recipe and data it has.")
    ] = False,
    strategy: Annotated[
        options.Strategy | None,
        typer.Option(
            "--strategy", help="Share every batch among the GPUs of this machine, machines (TF_CONFIG), JAX's devices."
        ),
    ] = None,
) -> None:
    """Train a model.

    Examples:

      vaekit train inpaint --data faces/ --out runs/faces

      vaekit train --resume --out runs/faces

      vaekit train cvaegan --data mnist.npz --out runs/digits
    """
    from vaekit.recipe import RecipeError, kept_recipe, load_recipe

    loaded = None
    if recipe is not None:
        path = recipe_path(os.path.expanduser(recipe))
        if not path.exists() and recipe.isidentifier():
            names = [*apps.names("training"), *FAMILY]
            near = difflib.get_close_matches(recipe, names, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
            raise RecipeError(f"{recipe}: no such recipe; {hint}")
        loaded = load_recipe(path, [*implied(recipe), *(changes or [])], data or [])
    if resume and (loaded is None or (out / "recipe.json").exists()):
        kept = kept_recipe(out, changes or [], data or [])
        if loaded and loaded.app != kept.app:
            raise RecipeError(f"{out} was begun with another app, {kept.app}: resume it as it was begun")
        loaded = kept
    if loaded is None:
        raise RecipeError("a recipe or a name is needed: vaekit train inpaint; or --resume and --out of a run")
    # After the recipe is found good: Keras and its backend take seconds.
    from vaekit.starting import weights
    from vaekit.training import train as run

    run(
        loaded,
        task,
        functools.partial(weights, tasks=task, exporters=exportable),
        out,
        resume=resume,
        progress=sys.stdout.isatty(),
        strategy=strategy and strategy.value,
        command=shlex.join(["vaekit", *sys.argv[1:]]),
    )


@app.command()
def evaluate(
    run: Annotated[str, typer.Argument(help="A run's folder; or a bundle, by name or folder.")],
    data: Annotated[list[str] | None, typer.Option("--data", help="Evaluate on this instead.")] = None,
    root: Annotated[str | None, typer.Option("--root", help="Where the recipe's data is now.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Batches of validation.")] = 20,
    json: options.Json = False,
) -> None:
    """Measure a run's averaged weights, or a bundle's, on the images kept for validation.

    Of a bundle there are the app's figures alone: it does not hold the networks that losses need.

    Examples:

      vaekit evaluate runs/inpaint --steps 50

      vaekit evaluate inpaint --data photos/
    """
    from vaekit import checkpoints
    from vaekit.recipe import parse_recipe
    from vaekit.training import evaluate as measure
    from vaekit.training import figures as measure_app
    from vaekit.training import restore

    folder = options.path(run)
    if (checkpoints.folder(folder) / "recipe.json").exists():
        model, recipe, _ = restore(folder, task)
    else:
        from vaekit import presets

        bundle = _bundle(run)
        model, recipe, measure = presets.load(run), parse_recipe(bundle.card["recipe"]), measure_app
    table = recipe.model_dump(mode="json")
    if data:
        table |= {"data": [{"source": source} for source in data], "root": "."}
    if root:
        table["root"] = root
    with model.averages():
        figures = measure(model, parse_recipe(table), task(recipe.app), steps)
    if json:
        console.say_json(figures)
        return
    for name, value in figures.items():
        console.say(f"{name:24} {value:10.4f}")


def _bundle(name: str) -> "Bundle":
    from vaekit.bundle import BundleError, find

    try:
        return find(name)
    except BundleError:
        raise UserError(f"{name}: neither a run, which has a recipe.json, nor a bundle") from None


@app.command()
def export(
    run: Annotated[
        str,
        typer.Argument(help="A run's folder; or a bundle, by name or folder, to write its files anew."),
    ],
    name: Annotated[str, typer.Argument(help="The bundle's name.")],
    out: Annotated[Path, typer.Option("--out", parser=options.path, help="Folder of bundles.")] = Path("saved_models"),
    blend: Annotated[
        Path | None, typer.Option("--blend", parser=options.path, help="Move the weights towards this run's.")
    ] = None,
    share: Annotated[float, typer.Option("--share", min=0, max=1, help="How far, with --blend.")] = 0.5,
    terms: Annotated[
        str | None, typer.Option("--terms", help="Terms of use of the weights, for the card.", show_default=False)
    ] = None,
) -> None:
    """Export a run's averaged weights as a bundle.

    A bundle is written anew from the weights that it holds: as its next version, with the files that this version of
    vaekit writes; unless its network is another one in this version, and answers otherwise.

    Examples:

      vaekit export runs/inpaint inpaint --out saved_models

      vaekit export runs/sharp mine --blend runs/faithful

      vaekit export inpaint inpaint --out saved_models

      vaekit export runs/faces faces --terms "CC BY 4.0"
    """
    from vaekit import checkpoints, provenance
    from vaekit.export import export as write
    from vaekit.training import blend as mix
    from vaekit.training import restore

    folder = options.path(run)
    if not (checkpoints.folder(folder) / "recipe.json").exists():
        from vaekit import presets
        from vaekit.export import export_anew, facts

        for option, given in (("--blend", blend), ("--terms", terms)):
            if given:
                raise UserError(f"{option} is for runs, and {run} is none")
        bundle = _bundle(run)
        made = exportable(bundle.card["app"])(presets.load(run), facts(bundle.card))
        console.say(str(export_anew(bundle, made, name, out)))
        return
    model, _, card = restore(folder, task)
    with model.averages():
        if blend:
            other, *_ = restore(blend, task)
            with other.averages():
                mix(model, other, share)
            card["started_from"] = [*card.get("started_from", []), *provenance.origins(str(blend))]
            card["blended"] = f"{share:g} of the weights of {blend.name}, {1 - share:g} of {folder.name}"
        stated = terms or card.get("terms")
        card["terms"] = stated or provenance.terms(card.get("started_from", []))
        if card["app"] in FAMILY:
            from vaekit.exported import export as write_signatures

            path = write_signatures(model.signatures, name, out, card)
        else:
            path = write(exportable(card["app"])(model, card), name, out)
        console.say(str(path))


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="Show this one's card.", show_default=False)] = None,
    check: Annotated[bool, typer.Option("--check", help="Compare every file with its checksum.")] = False,
    json: options.Json = False,
) -> None:
    """Show the installed bundles, or the card of one.

    Examples: vaekit models; vaekit models inpaint; vaekit models --check
    """
    from vaekit.bundle import find, installed

    bundles = [find(name)] if name else installed()
    if check:
        for bundle in bundles:
            bundle.check()
    if json:
        console.say_json([b.card | {"path": str(b.path)} for b in bundles])
    elif name:
        console.say_json(bundles[0].card, indent=1)
    else:
        for bundle in bundles:
            title = bundle.card.get("title", "")
            console.say(
                f"{bundle.name:12} version {bundle.version}  {title}  {bundle.path}{'  whole' if check else ''}"
            )


for each in apps.names("command"):
    try:
        app.add_typer(apps.found()[each].load("command").verbs)
    except Exception as error:  # of somebody else's code, whatever it is
        apps.left_out(f"the verbs of {each} are left out: {error}")
app.command()(serve)


def main() -> None:
    """Entry point: what the user can put right is told in one line, and with --json as an object too."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name that its encoding lacks ends nothing
    arguments = sys.argv[1:]
    try:
        if any(not each or re.fullmatch(r"--[a-z-]+=", each) for each in arguments):
            raise UserError("an empty argument: a variable that is not set, perhaps")
        app(prog_name="vaekit")
    except ModuleNotFoundError as error:
        if (missing := missing_package(error)) is None:
            raise
        _end(str(missing), missing.exit_status, arguments)
    except UserError as error:
        _end(str(error), error.exit_status, arguments)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        _end(f"{error.filename}: {reason}" if error.filename else reason, 2 if error.filename else 1, arguments)
    except MemoryError:
        _end("not enough memory", 1, arguments)
    except SystemExit:
        try:
            if sys.stdout:
                sys.stdout.flush()
        except OSError as error:
            _end(f"standard output: {(error.strerror or str(error)).lower()}", 1, arguments)
        raise


def _end(message: str, status: int, arguments: list[str]) -> NoReturn:
    console.warn(message)
    try:
        if "--json" in arguments:
            console.say_json({"command": arguments[0], **EMPTY, "error": message})
        elif sys.stdout:
            sys.stdout.flush()
    except (OSError, UserError):
        # Python would flush it once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(status)


EMPTY = {"done": [], "skipped": [], "failed": [], "interrupted": False, "seconds": 0.0}
"""vaekit.runner.Report of a command that was refused, without importing what that needs."""
