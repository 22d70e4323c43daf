"""What a bundle says of how it was made."""

import json
import tomllib

import pytest

from vaekit import apps, provenance
from vaekit.data import JoinedSource
from vaekit.data.sources import Subset
from vaekit.recipe import load_recipe, parse_recipe

SMALL = {"batch_size": 2, "epochs": 1, "steps_per_epoch": 1}


@pytest.mark.parametrize("name", apps.names("editor"))
def test_other_data_leave_the_shipped_card_behind(name):
    path = apps.recipe_path(name)
    card = tomllib.loads(path.read_text("utf-8"))["card"]
    assert load_recipe(path, ["train.epochs=1", "root=elsewhere"]).card == card
    assert load_recipe(path, [], ["mine"]).card == {}
    assert load_recipe(path, ["data.source=mine"]).card == {}
    assert load_recipe(path, ["card.title=Mine"], ["mine"]).card == {"title": "Mine"}


def test_what_a_run_started_from_is_told_with_its_terms_through_every_run_between(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    repeated = JoinedSource([Subset(range(9), [0, 0, 4, 7])])
    for run, start in ((first, "inpaint"), (second, str(first))):
        table = {"app": "inpaint", "data": [{"source": "mine"}], "train": {**SMALL, "start": [start]}}
        recipe = parse_recipe(table)
        provenance.begin(run, recipe, repeated, f"vaekit train --out {run.name}")
        (run / "recipe.json").write_text(recipe.model_dump_json())
    provenance.go_on(second, "vaekit train --resume")
    facts = provenance.read(second)
    assert facts["data"] == [{"source": "mine", "images": 3}]
    assert facts["commands"] == ["vaekit train --out second", "vaekit train --resume"]
    (shipped,) = provenance.origins("inpaint")
    assert shipped["name"].startswith("inpaint ") and len(shipped["terms"]) > 20
    assert facts["started_from"] == [{"name": "first", "terms": provenance.NONE}, shipped]
    said = provenance.terms(facts["started_from"])
    assert said == f"None are stated. Those of the weights that it was made from: {shipped['name']}: {shipped['terms']}"
    assert provenance.terms([]) == "None are stated."


def test_a_card_is_written_from_the_run_and_its_terms_are_its_makers(tmp_path, vaekit_here):
    small = ["train.batch_size=2", "train.epochs=1", "train.steps_per_epoch=1", "train.image_size=[12, 12]"]
    small += ["model.latent_dim=2", "model.base=4"]
    sets = [part for each in small for part in ("--set", each)]
    done = vaekit_here("train", "vae", "--data", "rendered:40", "--out", "run", *sets, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for options, expected in (([], "None are stated."), (["--terms", "CC0"], "CC0")):
        done = vaekit_here("export", "run", "mine", "--out", "bundles", *options, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        card = json.loads((tmp_path / done.stdout.strip() / "assets.extra" / "card.json").read_text("utf-8"))
        assert card["terms"] == expected
        assert card["data"] == [{"source": "rendered:40", "images": 38}]
        assert card["started_from"] == [] and card["seconds"] >= 0
        (command,) = card["commands"]
        assert command.startswith("vaekit train vae --data rendered:40 --out run --set train.batch_size=2")
