"""What a training starts from: the averaged weights of a run, or those that a bundle holds."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from vaekit import checkpoints
from vaekit.bundle import BundleError, find
from vaekit.recipe import RecipeError, parse_recipe
from vaekit.training import Task, build, restore

Weights = dict[str, list[list[np.ndarray]]]
"""Of the networks of each player."""


def weights(name: str, tasks: Callable[[str], Task], exporters: Callable[[str], Callable]) -> Weights:
    """Of every player of a run's folder, or of the players that a bundle, by name or folder, holds whole.

    Args:
        name: the run or the bundle.
        tasks: finds the task of an `app`.
        exporters: finds what makes an `app`'s vaekit.export.Exportable, which knows what its bundles hold.

    Raises:
        RecipeError: it is neither.
        BundleError: the bundle is damaged.
    """
    if (checkpoints.folder(Path(name)) / "recipe.json").exists():
        model, *_ = restore(Path(name), tasks)
        with model.averages():
            return {player: _arrays(networks) for player, networks in model.players.items()}
    try:
        bundle = find(name)
    except BundleError:
        raise RecipeError(f"train.start: {name} is neither a run nor a bundle") from None
    bundle.check()
    recipe = parse_recipe(bundle.card["recipe"])
    model = build(recipe, tasks(recipe.app))
    held = exporters(recipe.app)(model, bundle.card).weights
    held.load(bundle.path)
    return {
        player: _arrays(networks)
        for player, networks in (model.players | model.frozen).items()
        if all(any(network is own for own in held.networks) for network in networks)
    }


def _arrays(networks: list[keras.Model]) -> list[list[np.ndarray]]:
    return [network.get_weights() for network in networks]
