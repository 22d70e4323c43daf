"""Presets: a model's settings and weights in a folder, or those of a bundle."""

import json
from pathlib import Path

import keras

CONFIG, WEIGHTS = "config.json", "model.weights.h5"


def save(model: keras.Model, folder) -> None:
    """Write a model's settings and weights, averaged ones where there are some; no optimizer."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    bare = type(model).from_config(model.get_config())
    with model.averages():
        bare.set_weights(model.get_weights())
    config = keras.saving.serialize_keras_object(bare)
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", "utf-8")
    bare.save_weights(folder / WEIGHTS, overwrite=True)


def load(name) -> keras.Model:
    """A model from a folder that `save` has written, or from a bundle by name or folder.

    Raises:
        vaekit.errors.UserError: it is neither, or damaged.
    """
    folder = Path(name)
    if (folder / CONFIG).exists():
        from vaekit import models  # noqa: F401 - registers what a preset may be

        model = keras.saving.deserialize_keras_object(json.loads((folder / CONFIG).read_text("utf-8")))
        model.load_weights(folder / WEIGHTS)
        return model
    from vaekit.apps import exportable, task
    from vaekit.bundle import find
    from vaekit.recipe import parse_recipe

    bundle = find(str(name))
    bundle.check()
    recipe = parse_recipe(bundle.card["recipe"])
    model = task(recipe.app).model(**recipe.model)
    exportable(recipe.app)(model, bundle.card).weights.load(bundle.path)
    return model
