"""The applications, by name: the folders beside this file, and the packages that others add.

Another distribution adds one by an entry point of the group `vaekit.apps`: its name is the app's, its value a package.
The modules in the package say what the app can do: `command`, `training`, `exporting`, `editor`, `serving`.
"""

import functools
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from multiprocessing import parent_process
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vaekit import console
from vaekit.errors import UserError
from vaekit.family import FAMILY

if TYPE_CHECKING:
    from vaekit.export import Exportable
    from vaekit.serving.calls import Call
    from vaekit.training import Task

GROUP = "vaekit.apps"
LAST = 100
"""The place of an app that says none: in the help and on the page, those of a place by their names."""


@dataclass(frozen=True)
class App:
    """An app: a name, and the package that holds its modules."""

    name: str
    package: str

    def has(self, part: str) -> bool:
        """Whether there is a module called so, without importing it."""
        return importlib.util.find_spec(f"{self.package}.{part}") is not None

    def load(self, part: str) -> ModuleType:
        """Import one of its modules."""
        return importlib.import_module(f"{self.package}.{part}")

    @property
    def place(self) -> int:
        """PLACE of its package."""
        return getattr(importlib.import_module(self.package), "PLACE", LAST)

    @property
    def recipe(self) -> Path:
        """Where its recipe is."""
        return Path(str(importlib.import_module(self.package).__file__)).parent / "recipe.toml"


@functools.cache
def found() -> dict[str, App]:
    """All apps by name, in the order of their places. What cannot be imported is told of and left out.

    The cards of bundles name apps, so nobody else's takes the name of one that stands here.
    """
    own = [App(each.name, f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__) if each.ispkg]
    others = [App(each.name, each.value) for each in entry_points(group=GROUP)]
    apps, places = {}, {}
    for each in (*others, *own):
        try:
            places[each.name] = each.place
        except Exception as error:  # of somebody else's code, whatever it is
            left_out(f"the app {each.name} is left out: {each.package}: {error}")
        else:
            apps[each.name] = each
    return {name: apps[name] for name in sorted(apps, key=lambda name: (places[name], name))}


def left_out(message: str) -> None:
    """Tell of somebody else's app that does not work, once: not in the processes that a folder is edited in."""
    if parent_process() is None:
        console.warn(message)


def names(part: str) -> list[str]:
    """Names of the apps that have a module called so."""
    return [name for name, app in found().items() if app.has(part)]


def recipe_path(name: str) -> Path:
    """The recipe of an app, or of the family, or the path itself where it is none's name."""
    folder = "family" if name in FAMILY else name
    return found()[folder].recipe if folder in found() else Path(name)


def implied(name: str) -> list[str]:
    """What a name says beside its recipe: which model of the family."""
    return [f"app={name}"] if name in FAMILY else []


def exportable(name: str) -> "Callable[[Any, dict], Exportable]":
    """What turns an app's trained model and its card into a vaekit.export.Exportable."""
    return _load(name, "exporting").exportable


def editor(name: str) -> Any:
    """An app's class of editors."""
    return _load(name, "editor").Editor


def serving(name: str) -> "Callable[[Any], dict[str, Call]]":
    """What an app answers a server's clients: a function from its editor to vaekit.serving.calls.Call, by signature."""
    return _load(name, "serving").calls


def task(name: str) -> "Task":
    """The training side of an app, or of a model of the family."""
    if name in FAMILY:
        return found()["family"].load("tasks").task(name)
    return _load(name, "training").TASK


def _load(name: str, part: str) -> ModuleType:
    if name not in names(part):
        raise UserError(f"no app for this is called {name}; there are {', '.join(names(part))}")
    return found()[name].load(part)
