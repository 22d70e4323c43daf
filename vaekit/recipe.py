"""Recipes: the typed TOML files that say what is trained, on what, and how."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from vaekit.errors import UserError


class RecipeError(UserError, ValueError):
    """A recipe that cannot be used; the message is one line."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HoldoutTable(_Table):
    """Which items are kept for validation: those whose number in `column` is divisible by `every`."""

    column: str = "file"
    every: PositiveInt = 20


class Data(_Table):
    """One source of images; `source` is a folder, an .npz, tfds:NAME or rendered:N."""

    source: str
    weight: PositiveFloat = 1.0
    labels: str | tuple[str, ...] | None = None
    holdout: HoldoutTable = HoldoutTable()
    zoom: tuple[PositiveFloat, PositiveFloat] | None = None
    wide: bool = False
    """Whether the faces show hair and chin (template W), where an app works on the face alone (template N)."""
    partner: str | None = None
    """The CSV's column that images of one person share, where an app takes two of one person."""
    other: str | None = None
    """Other pictures, of which an app takes one beside each, as `source` is written."""
    balance: float = Field(0.0, ge=0, le=0.5)
    """Share of the examples that shall have an image's rarest label; images of rarer ones are met more often."""
    realistic: float = Field(0.0, ge=0, le=1)
    """Share of the pictures to enlarge that are blurred, noisy JPEG files."""


class Optimizer(_Table):
    """Adam with a cosine decay to `final_learning_rate` over the whole training."""

    learning_rate: PositiveFloat
    final_learning_rate: PositiveFloat | None = None
    beta_1: float = Field(0.5, ge=0, lt=1)
    beta_2: float = Field(0.99, ge=0, lt=1)
    clip_norm: PositiveFloat | None = None


class Schedule(_Table):
    """How long, in what pieces; an epoch is `steps_per_epoch` steps and ends with a checkpoint."""

    batch_size: PositiveInt
    epochs: PositiveInt
    steps_per_epoch: PositiveInt
    seed: int = 0
    start: tuple[str, ...] = ()
    """Runs, bundles: players that both have start from their (averaged) weights, and frozen networks take theirs."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    average: float = Field(0.999, ge=0, lt=1)
    workers: int = Field(1, ge=0)
    """What makes the batches: 0 is the training itself, 1 a thread beside it, more are so many processes."""
    on_device: bool = False
    """Whether the accelerator makes its batches itself, of pictures that it keeps: on JAX, of some apps."""
    keep: PositiveInt = 2
    validation_steps: int = Field(4, ge=0)
    """Batches of validation that are looked at after every epoch, the same ones; 0 for none."""
    monitor: str | None = None
    """Figure of the log, such as val_psnr, whose best epoch is kept in best.weights.h5."""
    mode: Literal["min", "max"] = "min"
    """Which way `monitor` is better."""
    patience: PositiveInt | None = None
    """Epochs without a better one of `monitor` after which training ends."""
    image_size: tuple[PositiveInt, PositiveInt] = (128, 128)


class Recipe(_Table):
    """A whole recipe."""

    app: str
    card: dict[str, Any] = {}
    """What the card of an exported bundle shall say: title, description, terms, ..."""
    root: str = "."
    model: dict[str, Any] = {}
    data: tuple[Data, ...]
    train: Schedule
    optimizers: dict[str, Optimizer] = {}


def load_recipe(path: str | Path, overrides: Sequence[str] = (), data: Sequence[str] = ()) -> Recipe:
    """Read a recipe, take other data, and apply overrides.

    Args:
        path: a TOML file.
        overrides: `key.key=value`, values in TOML's notation, bare words are strings.
        data: sources that replace the recipe's, if any.

    Where data are replaced, or settings of theirs, the recipe's card goes: it tells of its own.

    Raises:
        RecipeError: the file is missing or is not TOML, a key is unknown, a value is of the wrong type.
    """
    try:
        table = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: {error}") from None
    if data:
        _take(table, data)
        table["root"] = "."
    _override_all(table, overrides)
    return parse_recipe(table, str(path))


def kept_recipe(run: Path, overrides: Sequence[str] = (), data: Sequence[str] = ()) -> Recipe:
    """The recipe that a run has kept, to go on with; data named as they are there stay as they are.

    Args:
        run: the folder of the run.
        overrides, data: as in load_recipe.

    Raises:
        RecipeError: it is not there, or as in load_recipe.
    """
    path = run / "recipe.json"
    table = load_recipe_json(path).model_dump(mode="json", exclude_unset=True)
    if data and list(data) != [kept["source"] for kept in table["data"]]:
        _take(table, data)
    _override_all(table, overrides)
    return parse_recipe(table, str(path))


def load_recipe_json(path: Path) -> Recipe:
    """Read the recipe that a run has kept.

    Raises:
        RecipeError: it is not there, or not a recipe.
    """
    try:
        return parse_recipe(json.loads(path.read_text("utf-8")), str(path))
    except (OSError, ValueError) as error:
        raise error if isinstance(error, RecipeError) else RecipeError(f"{path}: {error}") from None


def parse_recipe(table: dict, name: str = "recipe") -> Recipe:
    """Check a table against the schema; see load_recipe."""
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise RecipeError(f"{name}: {key}: {first['msg']}") from None


def _take(table: dict, data: Sequence[str]) -> None:
    table["data"] = [{"source": source} for source in data]
    table.pop("card", None)


def _override_all(table: dict, overrides: Sequence[str]) -> None:
    if any(override.partition("=")[0].strip().split(".")[0] == "data" for override in overrides):
        table.pop("card", None)
    for override in overrides:
        _override(table, override)


def _override(table: dict, override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals:
        raise RecipeError(f"--set {override}: expected key=value")
    *path, last = key.strip().split(".")
    tables = [table]
    for part in path:
        found = [t.setdefault(part, {}) for t in tables]
        # Of a list of tables, such as data, all are changed.
        tables = [t for value in found for t in (value if isinstance(value, list) else [value])]
        if not all(isinstance(t, dict) for t in tables):
            raise RecipeError(f"--set {override}: {part} is not a table")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    for t in tables:
        t[last] = value
