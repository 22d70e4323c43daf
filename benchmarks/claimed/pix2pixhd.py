"""Coarse-to-fine generators and discriminators of several sizes draw large pictures better (Wang et al. 2018)."""

import numpy as np
from features import Features

from claimed.common import Trial, in_parts, say, train
from vaekit.apps.family.tasks import sheet
from vaekit.data.rendered import PARTS, RenderedFaces, parts, render
from vaekit.metrics import frechet_distance
from vaekit.models.pix2pix import Pix2Pix
from vaekit.models.pix2pixhd import Pix2PixHD

SIDE, TRAINED_ON, TESTED_ON, STEPS = 256, 600, 300, 800


def main(trial: Trial) -> None:
    """Frechet distance of drawn faces from maps of their parts, 256 pixels, against pix2pix on the same data."""
    maps, x = faces(TRAINED_ON, seed=0)
    maps_test, x_test = faces(TESTED_ON, seed=1)
    features = trial.features(Features())
    known = features(x_test)
    lines, rows = [], [x_test[:6]]
    for name, make in (
        ("pix2pix", lambda: Pix2Pix(condition_channels=len(PARTS))),
        ("pix2pixHD", lambda: Pix2PixHD(condition_channels=len(PARTS))),
    ):
        model = train(make, {"condition": maps, "image": x}, trial.steps(STEPS), batch_size=4)
        drawn = np.concatenate([in_parts(model.translate, maps_test[i : i + 20]) for i in range(0, TESTED_ON, 20)])
        rows.append(drawn[:6])
        lines.append(f"{name} {frechet_distance(features(drawn), known):.2f}")
    trial.picture("pix2pixhd", sheet(np.stack(rows)))
    say("FD below pix2pix's", f"FD {', '.join(lines)} ({TESTED_ON} faces of people that nobody trained on)")


def faces(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps of parts, one-hot [N, SIDE, SIDE, 7], and the faces [N, SIDE, SIDE, 3] float32 in 0..1."""
    source = RenderedFaces(count, seed=seed)
    shown = [(source.identity(index % source.people), source.look(index)) for index in range(count)]
    maps = np.stack([np.eye(len(PARTS), dtype=bool)[parts(*each, SIDE)] for each in shown])
    return maps, np.stack([render(*each, SIDE) for each in shown]).astype(np.float32) / 255.0
