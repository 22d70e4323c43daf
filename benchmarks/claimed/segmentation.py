"""An adversary makes maps of parts better than cross-entropy alone does (Luc et al. 2016)."""

import cv2
import numpy as np

from claimed.common import Trial, in_parts, mean_and_spread, say, train
from vaekit.apps.family.tasks import sheet
from vaekit.data.rendered import PARTS, RenderedFaces, parts, render
from vaekit.models.adversarial_segmenter import AdversarialSegmenter

SIDE, TRAINED_ON, TESTED_ON = 64, 400, 300
STEPS, SEEDS, WEIGHTS = 1000, (0, 1, 2), (0.0, 0.1)


def main(trial: Trial) -> None:
    """Mean IoU of the parts of drawn faces that are seen blurred and through noise, with and without the adversary."""
    x, maps = faces(TRAINED_ON, seed=0)
    x_test, truth = faces(TESTED_ON, seed=1)
    found: dict[float, list] = {weight: [] for weight in WEIGHTS}
    rows = [x_test[:10]]
    for seed in SEEDS:
        for weight in WEIGHTS:
            model = train(
                lambda weight=weight: AdversarialSegmenter(classes=len(PARTS), adversarial=weight),
                {"image": x, "maps": maps}, trial.steps(STEPS), batch_size=16, seed=seed,
            )  # fmt: skip
            answers = in_parts(model.segment, x_test).argmax(axis=-1)
            found[weight].append(100.0 * mean_iou(truth.argmax(axis=-1), answers))
            if seed == 0:
                rows.append(coloured(answers[:10]))
    trial.picture("segmentation", sheet(np.stack([*rows, coloured(truth[:10].argmax(axis=-1))])))
    lines = [f"{'with it' if weight else 'cross-entropy'} {mean_and_spread(found[weight])} %" for weight in WEIGHTS]
    say("mean IoU above the same network's without the adversary", f"{', '.join(lines)} ({TESTED_ON} faces, 3 seeds)")


def faces(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Drawn faces as a bad camera sees them [N, SIDE, SIDE, 3] float32 in 0..1, and their parts, one-hot."""
    source, rng = RenderedFaces(count, seed=seed), np.random.default_rng(seed)
    images, maps = [], []
    for index in range(count):
        who, look = source.identity(index % source.people), source.look(index)
        seen = cv2.GaussianBlur(render(who, look, SIDE).astype(np.float32) / 255.0, (0, 0), 1.5)
        images.append(np.clip(seen + rng.normal(0.0, 0.2, seen.shape), 0.0, 1.0))
        maps.append(np.eye(len(PARTS), dtype=np.float32)[parts(who, look, SIDE)])
    return np.stack(images).astype(np.float32), np.stack(maps)


def mean_iou(truth: np.ndarray, answers: np.ndarray) -> float:
    """Intersection over union of each part over all faces, then the mean of the parts."""
    both = [np.sum((truth == part) & (answers == part)) for part in range(len(PARTS))]
    either = [np.sum((truth == part) | (answers == part)) for part in range(len(PARTS))]
    return float(np.mean(np.divide(both, either)))


def coloured(maps: np.ndarray) -> np.ndarray:
    """Maps [N, H, W] of parts as pictures."""
    inks = np.array(
        [(0.1, 0.1, 0.15), (0.9, 0.7, 0.55), (0.4, 0.25, 0.1), (1, 1, 1), (0.2, 0.1, 0), (0.8, 0.4, 0.3), (0.8, 0, 0)]
    )
    return inks[maps].astype(np.float32)
