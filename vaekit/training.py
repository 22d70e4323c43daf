"""Training runs: a folder that holds the recipe, checkpoints, logs and previews, and can be resumed exactly."""

import contextlib
import functools
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from vaekit import callbacks, checkpoints, provenance
from vaekit.data import Batches, Holdout, JoinedSource, ReaderPool, WithOther, open_source
from vaekit.data.sources import NOT_FILES
from vaekit.distribution import Strategy, open_strategy
from vaekit.recipe import Data, Optimizer, Recipe, RecipeError, load_recipe_json

if TYPE_CHECKING:
    from vaekit.data.on_device import DeviceBatches, Making


@dataclass(frozen=True)
class Task:
    """What a recipe's `app` stands for: a model, how it sees an item, and what to show of it."""

    model: Callable[..., keras.Model]
    """Makes the model: called with image_shape= and the recipe's [model] table."""
    example: Callable[[dict, Data, tuple, np.random.Generator], dict]
    """(item, its data table, (H, W), generator) -> one training example."""
    measure: Callable[[keras.Model, dict], dict[str, np.ndarray]]
    """(model, batch) -> figures by name, one an example: [N]."""
    preview: Callable[[keras.Model, dict], np.ndarray] | None = None
    """(model, batch) -> a sheet, uint8 [H, W, 3]."""
    complete: Callable[[Recipe], Recipe] | None = None
    """Takes from the data what a recipe leaves open."""
    on_device: "Callable[[Recipe], Making] | None" = None
    """How an accelerator makes a recipe's batches."""


def sources(recipe: Recipe, split: str) -> JoinedSource:
    """Open the recipe's data, one split of it ("train" or "validation")."""
    opened = []
    for data in recipe.data:
        holdout = Holdout(**data.holdout.model_dump())
        balance = data.balance if split == "train" else 0.0
        source = open_source(
            _spec(recipe, data.source),
            labels=data.labels,
            split=split,
            holdout=holdout,
            balance=balance,
            partner=data.partner,
        )
        other = open_source(_spec(recipe, data.other), split=split, holdout=holdout) if data.other else None
        opened.append(WithOther(source, other) if other else source)
    return JoinedSource(opened, weights=[data.weight for data in recipe.data])


def _spec(recipe: Recipe, source: str) -> str:
    if source.startswith(NOT_FILES):
        return source
    return str(Path(os.path.expanduser(recipe.root)) / os.path.expanduser(source))


def batches(
    recipe: Recipe, task: Task, split: str, *, start_epoch: int = 0, steps: int | None = None, processes: int = 0
) -> Batches:
    """Batches of one split, in the order that the recipe's seed decides; made in so many other processes."""
    train = recipe.train

    def example(item, rng):
        return task.example(item, recipe.data[item["source"]], train.image_size, rng)

    return Batches(
        sources(recipe, split),
        example,
        batch_size=train.batch_size,
        steps_per_epoch=steps or train.steps_per_epoch,
        seed=train.seed + (split != "train"),
        start_epoch=start_epoch,
        pool=ReaderPool(functools.partial(batches, recipe, task, split), processes) if processes else None,
        # A thread waits for each process.
        workers=processes or min(train.workers, 1) if split == "train" else 0,
        max_queue_size=max(2 * processes, 10),
    )


def device_batches(recipe: Recipe, task: Task) -> "DeviceBatches":
    """Batches for training that the accelerator makes itself.

    Raises:
        RecipeError: the app has none, or Keras runs on another backend than JAX.
        DataError: the pictures are too many.
    """
    if task.on_device is None:
        raise RecipeError(f"train.on_device: batches of {recipe.app} are made by the CPU alone")
    if keras.backend.backend() != "jax":
        raise RecipeError("train.on_device needs JAX: set KERAS_BACKEND=jax")
    from vaekit.data.on_device import DeviceBatches

    making, schedule = task.on_device(recipe), recipe.train
    data = sources(recipe, "train")
    return DeviceBatches(data, making, steps_per_epoch=schedule.steps_per_epoch, seed=schedule.seed)


def build(recipe: Recipe, task: Task) -> keras.Model:
    """The recipe's model, compiled, at step 0; weights and noise follow from the recipe's seed."""
    keras.utils.set_random_seed(recipe.train.seed)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(recipe.train.precision)
    try:
        model = task.model(**recipe.model)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"model: {error}") from None
    finally:  # layers have taken it over; what else the process builds is not ours
        keras.config.set_dtype_policy(before)
    steps = recipe.train.epochs * recipe.train.steps_per_epoch
    try:
        optimizers = {player: _optimizer(o, steps) for player, o in recipe.optimizers.items()}
        model.compile(optimizers, average=recipe.train.average)
    except ValueError as error:
        raise RecipeError(f"optimizers: {error}") from None
    return model


def _optimizer(table: Optimizer, steps: int) -> keras.optimizers.Optimizer:
    rate = table.learning_rate
    if table.final_learning_rate is not None:
        rate = keras.optimizers.schedules.CosineDecay(rate, steps, alpha=table.final_learning_rate / rate)
    return keras.optimizers.Adam(rate, table.beta_1, table.beta_2, global_clipnorm=table.clip_norm)


def train(
    recipe: Recipe,
    tasks: Callable[[str], Task],
    start: Callable[[str], dict[str, list]],
    run: Path,
    *,
    resume: bool = False,
    progress: bool = True,
    strategy: str | None = None,
    command: str | None = None,
) -> keras.Model:
    """Train from scratch, or go on exactly where the last checkpoint of `run` stands.

    Args:
        recipe: what to train.
        tasks: finds the task of an `app`.
        start: from a name in `train.start` to weights by player, as vaekit.starting.weights has them.
        run: the folder of the run.
        resume: whether a run that is there already goes on.
        progress: whether there is a bar.
        strategy: how several devices share the training, as vaekit.distribution.open_strategy has it. The weights are
            those that one device would have; every worker needs the run's folder, and the first writes it.
        command: what was typed, for the card.

    Raises:
        RecipeError: the run exists and `resume` was not asked for, or was begun with other settings, the data cannot
            be used, or a network of a run to start from does not fit or is missing.
        NonFiniteError: a loss is no longer a number.
        UserError: another training is at work in the folder, or it cannot be written to.
    """
    run = Path(run)
    task = tasks(recipe.app)
    devices = open_strategy(strategy)
    if task.complete:
        recipe = task.complete(recipe)
    data = _data(recipe, task)
    with contextlib.closing(data), checkpoints.lock(run) if devices.chief else contextlib.nullcontext():
        done = checkpoints.found(run)
        if done and not resume:
            raise RecipeError(f"{run} holds a training already: resume it, or name another folder")
        if done:
            _check_same(load_recipe_json(run / "recipe.json"), recipe, run)
        if devices.chief:
            # The run is found again from any folder.
            kept = recipe.model_copy(update={"root": os.path.abspath(os.path.expanduser(recipe.root))})
            checkpoints.write(run / "recipe.json", kept.model_dump_json(indent=1).encode())
        begun: dict[str, list] = {}
        for name in () if done else recipe.train.start:
            begun |= start(name)
        if devices.chief:
            if done:
                provenance.go_on(run, command)
            else:
                provenance.begin(run, recipe, data.source, command)
        with devices.scope():
            model = build(recipe, task)
        if done:
            data.epoch = checkpoints.load_newest(model, run)
        else:
            _start(model, begun)
        if not _ended(recipe, run, data.epoch):
            _fit(model, recipe, task, run, devices, data, progress)
    return model


def _ended(recipe: Recipe, run: Path, epochs: int) -> bool:
    """Whether `train.patience` has ended the training before."""
    schedule = recipe.train
    patience = schedule.patience or math.inf
    return callbacks.idle(run, epochs, schedule.monitor, schedule.mode) >= patience


def _data(recipe: Recipe, task: Task) -> "Batches | DeviceBatches":
    """Batches for training; what an example lacks is told here, before anything is written."""
    if recipe.train.on_device:
        return device_batches(recipe, task)
    workers = recipe.train.workers
    data = batches(recipe, task, "train", processes=workers if workers > 1 else 0)
    data.rows(0, range(1))
    return data


def _fit(
    model: keras.Model, recipe: Recipe, task: Task, run: Path, devices: Strategy, data: Any, progress: bool
) -> None:
    chosen: list[keras.callbacks.Callback] = [callbacks.StopOnNonFinite(run)]
    if devices.chief:
        schedule = recipe.train
        if schedule.validation_steps:
            kept = batches(recipe, task, "validation", steps=schedule.validation_steps)
            chosen.append(callbacks.Validation(task.measure, kept))
        if schedule.monitor:
            chosen.append(callbacks.Best(run, schedule.monitor, schedule.mode, schedule.patience, data.epoch))
        chosen += [callbacks.Checkpoints(run, schedule.keep), callbacks.Log(run)]
        if task.preview:
            chosen.append(callbacks.Preview(run, task.preview, batches(recipe, task, "validation", steps=1)[0]))
        if keras.backend.backend() == "tensorflow":  # which its files need
            chosen.append(keras.callbacks.TensorBoard(run / "logs"))
    devices.fit(
        model,
        data,
        initial_epoch=data.epoch,
        epochs=recipe.train.epochs,
        verbose=("auto" if progress else 2) if devices.chief else 0,
        callbacks=chosen,
    )


def _start(model: keras.Model, begun: dict[str, list]) -> None:
    untrained = model.frozen.keys() - begun.keys()
    if untrained:
        raise RecipeError(f"train.start names no run that has trained the {', '.join(untrained)}")
    networks = model.players | model.frozen
    for player in begun.keys() & networks.keys():
        try:
            for network, weights in zip(networks[player], begun[player], strict=True):
                network.set_weights(weights)
        except ValueError:
            raise RecipeError(f"train.start: the {player} there is of another shape than this one's") from None


FREE = {f"train.{name}" for name in ("epochs", "workers", "keep", "validation_steps", "monitor", "mode", "patience")}
"""What may be other than it was where a run goes on: what changes none of its steps."""


def _check_same(begun: Recipe, recipe: Recipe, run: Path) -> None:
    old, new = (_settings(each) for each in (begun, recipe))
    other = sorted(key for key in old.keys() | new.keys() if key not in FREE and old.get(key) != new.get(key))
    if other:
        raise RecipeError(f"{run} was begun with another {', '.join(other)}: resume it as it was begun")


def _settings(recipe: Recipe) -> dict:
    table = recipe.model_dump(mode="json")
    settings = {key: table[key] for key in ("app", "data")}
    for name in ("model", "train", "optimizers"):
        settings |= {f"{name}.{key}": value for key, value in table[name].items()}
    return settings


def restore(run: Path, task: Callable[[str], Task]) -> tuple[keras.Model, Recipe, dict]:
    """The model of a run's last whole checkpoint, in float32, its recipe, and what a card says of its training.

    Args:
        run: its folder, or its best.weights.h5, for the weights of the epoch that `train.monitor` chose.
        task: finds the task of an `app`.

    Raises:
        RecipeError: it is not a run, or has no checkpoint yet.
        CheckpointError: none can be read.
    """
    best, run = run, checkpoints.folder(run)
    recipe = load_recipe_json(run / "recipe.json")
    if not checkpoints.found(run):
        raise RecipeError(f"{run}: no checkpoint in it yet")
    exact = recipe.train.model_copy(update={"precision": "float32"})
    model = build(recipe.model_copy(update={"train": exact}), task(recipe.app))
    if best != run:
        checkpoints.load(model, best)
        epochs = int(model.optimizer.iterations) // recipe.train.steps_per_epoch
    else:
        epochs = checkpoints.load_newest(model, run)
    steps = epochs * recipe.train.steps_per_epoch
    return (
        model,
        recipe,
        {
            "app": recipe.app,
            "data": [{"source": data.source} for data in recipe.data],
            **provenance.read(run),
            "steps": steps,
            "images": steps * recipe.train.batch_size,
            "seconds": round(sum(line["seconds"] for line in callbacks.logged(run, epochs))),
            **recipe.card,
            "recipe": recipe.model_dump(mode="json", exclude={"root", "card"}),
        },
    )


def blend(model: keras.Model, other: keras.Model, share: float) -> None:
    """Move the averaged players' weights towards another run's by a share of 0..1.

    Between a faithful network and one trained on from it against a discriminator lies every compromise of the two:
    network interpolation (Wang et al. 2018, ESRGAN, sec. 3.4).

    Raises:
        RecipeError: their networks differ in shape.
    """
    try:
        for player in model.averaged:
            for network, towards in zip(model.players[player], other.players[player], strict=True):
                pairs = zip(network.get_weights(), towards.get_weights(), strict=True)
                network.set_weights([(1.0 - share) * own + share * its for own, its in pairs])
    except (KeyError, ValueError):
        raise RecipeError(f"the run to blend with has no {player} of the same shape") from None


def evaluate(model: keras.Model, recipe: Recipe, task: Task, steps: int) -> dict[str, float]:
    """Means over `steps` batches of validation: the app's figures, then losses and terms.

    Raises:
        RecipeError, DataError: the data cannot be used.
    """
    data = batches(recipe, task, "validation", steps=steps)
    return figures(model, recipe, task, steps) | model.evaluate(data, verbose=0, return_dict=True)


def figures(model: keras.Model, recipe: Recipe, task: Task, steps: int) -> dict[str, float]:
    """The app's figures, as evaluate has them.

    Raises:
        RecipeError, DataError: the data cannot be used.
    """
    data = batches(recipe, task, "validation", steps=steps)
    found = [task.measure(model, data[step]) for step in range(steps)]
    return {name: float(np.mean(np.concatenate([part[name] for part in found]))) for name in found[0]}
