"""More iterations repair better: 1 < 5 <= 10 (CVAE-GAN, section 4.4)."""

import numpy as np

from claimed.common import SIDE, Trial, adam, in_parts, people, say, train
from claimed.cvaegan import FACE_STEPS, PEOPLE
from vaekit.metrics import psnr
from vaekit.models.cvaegan import CVAEGAN

PARTS = {"eyes": (13, 19, 9, 23), "nose": (16, 23, 12, 20), "mouth": (22, 27, 11, 21)}
"""Top, bottom, left, right of what is missing, in pixels of 32."""


def main(trial: Trial) -> None:
    """PSNR in the hole of faces of `celeb` of which a part is missing, at first grey."""
    faces, who = people(trial.data, "celeb", SIDE)
    often = np.sort(np.argsort(-np.bincount(who), kind="stable")[:PEOPLE])
    chosen = np.flatnonzero(np.isin(who, often))
    x, y = faces[chosen], np.searchsorted(often, who[chosen]).astype("int32")
    held = np.arange(len(x)) % 5 == 0
    arrays = {"image": x[~held], "label": y[~held]}
    model = train(
        lambda: CVAEGAN((SIDE, SIDE, 3), classes=PEOPLE, latent_dim=64, base=24),
        arrays,
        trial.steps(FACE_STEPS),
        flip=True,
        optimizers=adam,
    )
    lines = []
    for part, (top, bottom, left, right) in PARTS.items():
        mask = np.zeros((held.sum(), SIDE, SIDE, 1), np.float32)
        mask[:, top:bottom, left:right] = 1
        hole = mask[0, ..., 0] > 0
        damaged = np.where(mask > 0, np.float32(0.5), x[held])
        found = []
        for count in (1, 5, 10):
            repaired = in_parts(lambda a, b, c, count=count: model.repair(a, b, c, count), damaged, mask, y[held])
            found.append(np.mean([psnr(a, b, hole) for a, b in zip(x[held], repaired, strict=True)]))
        lines.append(f"{part} {', '.join(f'{value:.2f}' for value in found)} dB")
    say("1 < 5 <= 10", f"1, 5, 10 iterations: {'; '.join(lines)} ({held.sum()} faces)")
