"""CVAE-GAN's images are classified right: above CGAN's, far above CVAE's (97.78, 61.97 and 8.09 % on faces)."""

import numpy as np

from claimed.common import SIDE, Classifier, Trial, adam, drawn, mnist, people, say, train
from vaekit.metrics import accuracy, frechet_distance, inception_score
from vaekit.models.cvaegan import CVAEGAN
from vaekit.models.gan import GAN
from vaekit.models.vae import VAE

DIGIT_STEPS, FACE_STEPS = 4000, 3000
PEOPLE = 30
WEIGHTS = {"reconstruction": 0.2, "center": 0.1, "class_center": 0.1}
"""Of CVAE-GAN, found by trial on the digits: the paper's, 1, 1e-3 and 1e-3, are for much larger networks."""


def main(trial: Trial) -> None:
    """On the digits of MNIST, and on the 30 most photographed people of `celeb`."""
    x, y, x_test, y_test = mnist(trial.data)
    judge = Classifier(x, y, x_test, y_test, epochs=3)
    compare(trial, judge, x, y, x_test, trial.steps(DIGIT_STEPS), 10000, latent_dim=16, likelihood="bernoulli")

    faces, who = people(trial.data, "celeb", SIDE)
    often = np.argsort(-np.bincount(who), kind="stable")[:PEOPLE]
    chosen = np.flatnonzero(np.isin(who, often))
    label = np.searchsorted(np.sort(often), who[chosen]).astype("int32")
    # The classifier that judges is the only one who sees all pictures; every fifth is kept to test it first.
    test = np.arange(len(chosen)) % 5 == 0
    print(f"  {len(chosen)} photos of {PEOPLE} people")
    tried = faces[chosen]
    judge = Classifier(tried[~test], label[~test], tried[test], label[test], epochs=60, flip=True)
    steps = trial.steps(FACE_STEPS)
    compare(trial, judge, tried, label, tried, steps, 3000, latent_dim=64, likelihood="gaussian", flip=True)


def compare(trial, judge, x, y, real, steps, count, *, latent_dim, likelihood, flip=False) -> None:
    """Train all three alike and print what the judge says of `count` samples, as many of each class."""
    shape, classes = x.shape[1:], int(y.max()) + 1
    labels = np.arange(count, dtype="int32") % classes
    whole = inception_score(judge.answers(real))
    features = trial.features(judge.features)
    known = features(real)
    lines = []
    for name, make in (
        ("CVAE", lambda: VAE(shape, latent_dim=latent_dim, base=24, classes=classes, likelihood=likelihood)),
        ("CGAN", lambda: GAN(shape, latent_dim=latent_dim, base=24, classes=classes)),
        ("CVAE-GAN", lambda: CVAEGAN(shape, classes=classes, latent_dim=latent_dim, base=24, **WEIGHTS)),
    ):
        model = train(make, {"image": x, "label": y}, steps, flip=flip, optimizers=adam)
        samples = drawn(model, count, labels)
        answers = judge.answers(samples)
        score = inception_score(answers)
        distance = frechet_distance(features(samples), known)
        lines.append(
            f"{name} {accuracy(labels, answers):.2%}, score {score:.2f} ({score / whole:.0%}), FD {distance:.1f}"
        )
    say(
        "CVAE-GAN above CGAN above CVAE; score at least 91 % of real images'",
        f"{'; '.join(lines)} ({count} samples; score of real images {whole:.2f})",
    )
