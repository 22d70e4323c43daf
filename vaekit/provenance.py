"""What a run was made from: data and classes, commands, and the weights that it started from, with their terms."""

import json
from collections.abc import Sequence
from pathlib import Path

from vaekit import checkpoints
from vaekit.bundle import find
from vaekit.data import JoinedSource
from vaekit.recipe import Recipe, load_recipe_json

FILE = "provenance.json"
NONE = "None are stated."


def begin(run: Path, recipe: Recipe, source: JoinedSource, command: str | None) -> None:
    """Write down what a run is made from, as it begins: bundles may be gone when it is exported."""
    data = [
        {"source": table.source, "images": count, **({"other": table.other} if table.other else {})}
        for table, count in zip(recipe.data, source.counts, strict=True)
    ]
    started = [each for name in recipe.train.start for each in origins(name)]
    classes = {"classes": source.classes} if source.classes else {}
    _write(run, {"data": data, **classes, "commands": [command] if command else [], "started_from": started})


def go_on(run: Path, command: str | None) -> None:
    """Add the command that a run goes on with."""
    facts = read(run)
    if facts and command:
        _write(run, {**facts, "commands": [*facts["commands"], command]})


def read(run: Path) -> dict:
    """What `begin` has written; nothing of a run that is older than it."""
    try:
        return json.loads((run / FILE).read_text("utf-8"))
    except FileNotFoundError:
        return {}


def origins(name: str) -> list[dict[str, str]]:
    """Name and terms of a run or a bundle, and of all that it started from in its turn.

    Raises:
        BundleError: it is neither.
    """
    run = checkpoints.folder(Path(name))
    if (run / "recipe.json").exists():
        own, card, facts = run.name, load_recipe_json(run / "recipe.json").card, read(run)
    else:
        bundle = find(name)
        own, card = f"{bundle.name} {bundle.version}", bundle.card
        facts = card
    # Terms that were not stated quote those before them, which follow by themselves.
    terms = str(card.get("terms", NONE))
    return [{"name": own, "terms": NONE if terms.startswith(NONE) else terms}, *facts.get("started_from", [])]


def terms(started: Sequence[dict[str, str]]) -> str:
    """What a card says of the terms where its maker states none: those of the weights that it was made from."""
    stated = dict.fromkeys(f"{each['name']}: {each['terms']}" for each in started if each["terms"] != NONE)
    return f"{NONE} Those of the weights that it was made from: {' '.join(stated)}" if stated else NONE


def _write(run: Path, facts: dict) -> None:
    checkpoints.write(run / FILE, json.dumps(facts, indent=1, ensure_ascii=False).encode())
