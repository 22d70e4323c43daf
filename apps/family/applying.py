"""What a trained model of the family does with pictures: its signatures, on files."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from vaekit.apps.family.tasks import fitted, grey_of_three
from vaekit.data import match_channels, to_unit
from vaekit.errors import UserError
from vaekit.game import AdversarialModel, Signature
from vaekit.recipe import Recipe
from vaekit.specs import Images, Labels

STRIDE = 16
"""What the sides of a picture of any size are mirrored up to: networks halve them several times."""


class Applied:
    """One signature of a model, for pictures of any size: applied(picture, other) -> picture or numbers.

    Args:
        model: the model of a run.
        recipe: the recipe of the run.
        name: of a signature; None for the first that takes pictures.

    Attributes:
        label: the class, [1], where it takes one.

    Raises:
        UserError: there is no such signature, or it takes no pictures.
    """

    def __init__(self, model: AdversarialModel, recipe: Recipe, name: str | None = None):
        able = {
            name: does
            for name, does in model.signatures.items()
            if all(isinstance(spec, Images | Labels) for spec in does.inputs.values())
            and any(isinstance(spec, Images) for spec in does.inputs.values())
        }
        if not able:
            raise UserError(f"a {recipe.app} takes no pictures: it can sample alone")
        if name is not None and name not in able:
            raise UserError(f"--does {name}: a {recipe.app} can {', '.join(able)}")
        self.name = name or next(iter(able))
        self.signature: Signature = able[self.name]
        self.inputs = list(self.signature.inputs.values())
        self.pictures = [spec for spec in self.inputs if isinstance(spec, Images)]
        self.label: np.ndarray | None = None
        # Colouring: the run has learned from the luma of its pictures.
        self.from_grey = recipe.app == "pix2pix" and not any(data.other for data in recipe.data)

    @property
    def takes_label(self) -> bool:
        """Whether it takes a class."""
        return any(isinstance(spec, Labels) for spec in self.inputs)

    @property
    def takes_two(self) -> bool:
        """Whether it takes two pictures."""
        return len(self.pictures) > 1

    def __call__(self, picture: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
        """What the model answers.

        Args:
            picture: [h, w, C] uint8.
            other: as `picture`, where it takes two, and only there.

        Returns:
            A picture, uint8 [H, W, C], or numbers [D].
        """
        shown = [picture] if other is None else [picture, other]
        fitted_ = [self._fitted(spec, each) for spec, each in zip(self.pictures, shown, strict=True)]
        pictures = iter(fitted_)
        given = [next(pictures)[None] if isinstance(spec, Images) else self.label for spec in self.inputs]
        answer = keras.ops.convert_to_numpy(self.signature.call(*given))[0]
        if answer.ndim != 3:
            return answer.ravel()
        if None in self.pictures[0].shape[:2]:
            # As much larger as the network has made it, without what was mirrored.
            sizes = zip(answer.shape, fitted_[0].shape, picture.shape, strict=False)
            height, width, _ = (made * size // seen for made, seen, size in sizes)
            answer = answer[:height, :width]
        return np.rint(255.0 * np.clip(answer, 0.0, 1.0)).astype(np.uint8)

    def _fitted(self, spec: Images, picture: np.ndarray) -> np.ndarray:
        height, width, channels = spec.shape
        if self.from_grey:
            picture = grey_of_three(match_channels(picture, 3))
        picture = match_channels(picture, channels or 3)
        if height and width:
            return to_unit(fitted(picture, (height, width), np.random.default_rng(0)))
        beyond = [(0, -side % STRIDE) for side in picture.shape[:2]]
        return to_unit(np.pad(picture, (*beyond, (0, 0)), mode="symmetric"))


def table(names: Sequence[Path], rows: Sequence[np.ndarray]) -> list[str]:
    """Lines of CSV: a heading, and numbers a file."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["file", *range(len(rows[0]))])
    lines.writerows([name, *(f"{value:.6g}" for value in row)] for name, row in zip(names, rows, strict=True))
    return text.getvalue().splitlines()
