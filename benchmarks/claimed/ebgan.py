"""The pull-away term makes what EBGAN draws more various."""

import numpy as np

from claimed.common import Classifier, Trial, drawn, mnist, say, train
from vaekit.models.ebgan import EBGAN

STEPS, COUNT = 3000, 5000


def main(trial: Trial) -> None:
    """Mean distance of pairs of samples, and how many digits they are of, with and without, on MNIST."""
    x, y, x_test, y_test = mnist(trial.data)
    judge = Classifier(x, y, x_test, y_test, epochs=2)
    lines = [f"real: {spread(judge.features(x_test[:COUNT])):.2f}"]
    for pull in (0.0, 0.1):
        model = train(lambda pull=pull: EBGAN((28, 28, 1), base=16, pull=pull), {"image": x}, trial.steps(STEPS))
        samples = drawn(model, COUNT)
        shares = np.bincount(judge.answers(samples).argmax(axis=1), minlength=10) / COUNT
        digits = int((shares > 0.01).sum())
        lines.append(f"pull {pull:g}: {spread(judge.features(samples)):.2f}, {digits} digits, least {shares.min():.1%}")
    say(
        "more modes, or pairs farther apart, with pull-away", f"distance of pairs: {'; '.join(lines)} ({COUNT} samples)"
    )


def spread(features: np.ndarray) -> float:
    """Mean distance of random pairs of features."""
    order = np.random.default_rng(0).permutation(len(features))
    return float(np.linalg.norm(features - features[order], axis=1).mean())
