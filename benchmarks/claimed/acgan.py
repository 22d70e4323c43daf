"""ACGAN's digits are more often of the class that was asked for than CGAN's."""

import numpy as np

from claimed.common import Classifier, Trial, drawn, mnist, say, train
from vaekit.metrics import accuracy, inception_score
from vaekit.models.acgan import ACGAN
from vaekit.models.gan import GAN

STEPS, COUNT = 4000, 10000


def main(trial: Trial) -> None:
    """Accuracy, by a classifier that no model has seen, of as many digits of each class."""
    x, y, x_test, y_test = mnist(trial.data)
    judge = Classifier(x, y, x_test, y_test, epochs=2)
    labels = np.arange(COUNT, dtype="int32") % 10
    found = {}
    for name, make in (
        ("CGAN", lambda: GAN((28, 28, 1), base=24, classes=10)),
        ("ACGAN as the paper has it", lambda: ACGAN((28, 28, 1), base=24)),
        ("with D's class loss on real digits alone", lambda: ACGAN((28, 28, 1), base=24, real_classes=True)),
    ):
        model = train(make, {"image": x, "label": y}, trial.steps(STEPS))
        answers = judge.answers(drawn(model, COUNT, labels))
        found[name] = (
            f"{name} {accuracy(labels, answers):.2%} (inception score {inception_score(answers):.2f}, 1 split)"
        )
    say("ACGAN above CGAN", f"{', '.join(found.values())}, {COUNT} samples")
