"""The applications, by name."""

import importlib
from pathlib import Path

NAMES = ("inpaint",)


def recipe_path(name: str) -> Path:
    """The recipe of an app, or the path itself where it is none's name."""
    return Path(__file__).parent / name / "recipe.toml" if name in NAMES else Path(name)


def exportable(name: str):
    """What turns an app's trained model and its card into a vaekit.export.Exportable."""
    return importlib.import_module(f"vaekit.apps.{name}.exporting").exportable


def command(name: str):
    """An app's verb on the command line."""
    return getattr(importlib.import_module(f"vaekit.apps.{name}.command"), name)


def task(name: str):
    """The training side of an app (a vaekit.training.Task)."""
    if name not in NAMES:
        from vaekit.recipe import RecipeError

        raise RecipeError(f"no app is called {name}; there are {', '.join(NAMES)}")
    return importlib.import_module(f"vaekit.apps.{name}.training").TASK
