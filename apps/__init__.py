"""The applications, by name."""

import importlib
from pathlib import Path

from vaekit.family import FAMILY

NAMES = ("inpaint", "superres", "edit", "frontalize")
"""Apps that edit images: verbs of the command line."""
BUNDLED = (*NAMES, "damage")
"""Apps whose trained models are bundles."""
TASKS = (*BUNDLED, "embed", "recognise", "upscale", "restore")
"""What can be trained, beside the family."""


def recipe_path(name: str) -> Path:
    """The recipe of an app, or of the family, or the path itself where it is none's name."""
    folder = "family" if name in FAMILY else name
    return Path(__file__).parent / folder / "recipe.toml" if name in (*TASKS, *FAMILY) else Path(name)


def implied(name: str) -> list[str]:
    """What a name says beside its recipe: which model of the family."""
    return [f"app={name}"] if name in FAMILY else []


def exportable(name: str):
    """What turns an app's trained model and its card into a vaekit.export.Exportable."""
    _check(name, BUNDLED)
    return importlib.import_module(f"vaekit.apps.{name}.exporting").exportable


def editor(name: str):
    """An app's class of editors."""
    _check(name, BUNDLED)
    return importlib.import_module(f"vaekit.apps.{name}.editor").Editor


def serving(name: str):
    """What an app answers a server's clients: a function from its editor to vaekit.serving.calls.Call, by signature."""
    _check(name, BUNDLED)
    return importlib.import_module(f"vaekit.apps.{name}.serving").calls


def command(name: str):
    """An app's verb on the command line."""
    return getattr(importlib.import_module(f"vaekit.apps.{name}.command"), name)


def task(name: str):
    """The training side of an app, or of a model of the family (a vaekit.training.Task)."""
    if name in FAMILY:
        return importlib.import_module("vaekit.apps.family.training").task(name)
    _check(name, TASKS)
    return importlib.import_module(f"vaekit.apps.{name}.training").TASK


def _check(name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        from vaekit.errors import UserError

        raise UserError(f"no app for this is called {name}; there are {', '.join(names)}")
