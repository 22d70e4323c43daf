"""One photo of a person is enough to know them again."""

import numpy as np

from claimed.common import Draws, Trial, in_parts, people, say, train
from vaekit.metrics import roc_auc
from vaekit.models.siamese import Siamese

STEPS = 6000
SIDE = 64


class Pairs(Draws):
    """Batches of two photos each of as many people as a batch has rows."""

    def __getitem__(self, index):
        rng = np.random.default_rng((self.seed, index))
        labels = self.arrays["label"]
        chosen = rng.choice(np.unique(labels), self.batch_size, replace=False)
        rows = [rng.choice(np.flatnonzero(labels == person), 2, replace=False) for person in chosen]
        first, second = (self.arrays["image"][list(part)] for part in zip(*rows, strict=True))
        return {"image": worn(first, rng), "partner": worn(second, rng), "label": chosen.astype("int32")}


def worn(images, rng):
    """Mirrored, lighter or darker, and shifted at random."""
    flipped = np.where(rng.random((len(images), 1, 1, 1)) < 0.5, images[:, :, ::-1], images)
    light = rng.uniform(0.75, 1.25, (len(images), 1, 1, 1)).astype(np.float32)
    return np.roll(flipped * light, rng.integers(-3, 4, 2), (1, 2)).clip(0, 1)


def main(trial: Trial) -> None:
    """AUC of verification between photos of people who are in no training; one photo of each is known."""
    wide, first = people(trial.data, "celeb", round(SIDE / 0.74))
    top, left = (round(part * wide.shape[1]) for part in (0.21, 0.13))  # what `cfp` shows of a face
    celeb = wide[:, top : top + SIDE, left : left + SIDE]
    cfp, second = people(trial.data, "cfp", SIDE)
    images = np.concatenate([celeb, cfp])
    held = np.concatenate([first % 15 == 0, second % 10 == 0])
    who = np.concatenate([first, second + 100_000])
    _, place, count = np.unique(who, return_inverse=True, return_counts=True)
    known = ~held & (count[place] > 1)
    model = train(
        lambda: Siamese((SIDE, SIDE, 3)),
        {"image": images[known], "label": who[known]},
        trial.steps(STEPS),
        batches=Pairs,
    )
    found = in_parts(model.embed, images[held])
    cosines, same = found @ found.T, who[held][:, None] == who[held][None]
    apart = ~np.eye(len(found), dtype=bool)
    auc = roc_auc(cosines[same & apart], cosines[~same])
    say("AUC at least .85", f"{auc:.3f} ({held.sum()} photos of {len(np.unique(who[held]))} people)")
