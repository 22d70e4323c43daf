"""How strong a change of 1 and of -1 should be, attribute by attribute: what the recipe's [model.strength] says.

    python benchmarks/strengths.py runs/edit ../shared/data/celeb --holdout identity:15 --blend runs/edit-2

Training weighs an edit's success against all else and stops short of it; so a value of 1 may be made to ask for more.
Taken is the least of some strengths at which most faces of training come out as asked for in the judge's eyes, and the
greatest where none suffices: it is better that some do not come out than that all fall apart.
"""

import argparse
import contextlib
from pathlib import Path

import cv2
import numpy as np
from edit import CELEBA
from judge import Judge
from keras import ops

from vaekit.apps import task
from vaekit.apps.edit.training import single_changes
from vaekit.data import Holdout, open_source
from vaekit.training import blend, restore

STRENGTHS = (1.0, 1.15, 1.3, 1.45)
ENOUGH = 0.85
"""Share of the faces that shall come out."""
FACES = 32
"""For each attribute and way."""


def least(model, judge: Judge, faces: np.ndarray, changes: np.ndarray, column: int, present: bool) -> float:
    """The least of STRENGTHS at which enough faces [N, H, W, C] are then seen to have an attribute, or not."""
    for strength in STRENGTHS:
        edited = faces + ops.convert_to_numpy(model.edit(faces, np.float32(strength) * changes))
        seen = judge(edited.clip(0.0, 1.0))[0][:, column] > 0.5
        if (seen == present).mean() >= ENOUGH:
            return strength
    return STRENGTHS[-1]


def main(arguments: argparse.Namespace) -> None:
    """Print a table for the recipe."""
    model, recipe, *_ = restore(arguments.run, task)
    model.strength = {}
    judge = Judge()
    column, _, every = arguments.holdout.partition(":")
    names = [CELEBA[name] for name in model.attributes]
    source = open_source(arguments.folder, split="train", holdout=Holdout(column, int(every)), labels=names)
    order = np.random.default_rng(0).permutation(len(source))[: 100 * FACES]
    labels = np.stack([source[int(i)]["label"] for i in order])
    print("[model.strength]")
    with contextlib.ExitStack() as worn:
        worn.enter_context(model.averages())
        if arguments.blend:
            other, *_ = restore(arguments.blend, task)
            worn.enter_context(other.averages())
            blend(model, other, arguments.share)
        for k, name in enumerate(model.attributes):
            found = []
            for before in (0, 1):
                chosen = np.flatnonzero(labels[:, k] == before)[:FACES]
                small = [cv2.resize(source[int(order[i])]["image"], recipe.train.image_size[::-1]) for i in chosen]
                faces = np.stack(small).astype(np.float32) / 255.0
                changes = single_changes(labels[chosen], model.groups)[:, k]
                present = (before == 0) != names[k].startswith("!")  # as the judge's column has it
                place = judge.names.index(names[k].removeprefix("!"))
                found.append(least(model, judge, faces, changes, place, present))
            print(f"{name} = {found}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder")
    parser.add_argument("--blend", type=Path, help="a run that the weights are moved towards, as in vaekit export")
    parser.add_argument("--share", type=float, default=0.5, help="how far, with --blend")
    parser.add_argument("--holdout", required=True, help="COLUMN:EVERY, what is kept for validation, and not used here")
    main(parser.parse_args())
