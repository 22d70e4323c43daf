"""The pull-away term makes what EBGAN draws more various."""

import numpy as np

from claimed.common import Classifier, Trial, drawn, mean_and_spread, mnist, say, train
from vaekit.metrics import frechet_distance
from vaekit.models.ebgan import EBGAN

STEPS, COUNT, SEEDS = 3000, 5000, (0, 1, 2)


def main(trial: Trial) -> None:
    """Mean distance of pairs of samples, how many digits they are of, and FD, with and without, on MNIST."""
    x, y, x_test, y_test = mnist(trial.data)
    judge = Classifier(x, y, x_test, y_test, epochs=2)
    known = trial.features(judge.features)
    real = known(x_test)
    lines = [f"real: {spread(judge.features(x_test[:COUNT])):.2f}"]
    for pull in (0.0, 0.1):
        pairs, digits, distances = [], [], []
        for seed in SEEDS:
            model = train(
                lambda pull=pull: EBGAN((28, 28, 1), base=16, pull=pull), {"image": x}, trial.steps(STEPS), seed=seed
            )
            samples = drawn(model, COUNT)
            shares = np.bincount(judge.answers(samples).argmax(axis=1), minlength=10) / COUNT
            digits.append(int((shares > 0.01).sum()))
            pairs.append(spread(judge.features(samples)))
            distances.append(frechet_distance(known(samples), real))
        lines.append(
            f"pull {pull:g}: {mean_and_spread(pairs)}, {'/'.join(map(str, digits))} digits, "
            f"FD {mean_and_spread(distances)}"
        )
    say(
        "more modes, or pairs farther apart, with pull-away",
        f"distance of pairs: {'; '.join(lines)} ({COUNT} samples, {len(SEEDS)} seeds)",
    )


def spread(features: np.ndarray) -> float:
    """Mean distance of random pairs of features."""
    order = np.random.default_rng(0).permutation(len(features))
    return float(np.linalg.norm(features - features[order], axis=1).mean())
