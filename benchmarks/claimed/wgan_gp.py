"""WGAN-GP trains an architecture on which clipping fails: a critic without batch normalisation."""

from claimed.common import Classifier, Trial, drawn, mnist, say, train
from vaekit.metrics import frechet_distance
from vaekit.models.wgan import WGAN, WGANGP

STEPS, COUNT = 2500, 5000


def main(trial: Trial) -> None:
    """Frechet distance on MNIST, same networks, same steps."""
    x, y, x_test, y_test = mnist(trial.data)
    judge = Classifier(x, y, x_test, y_test, epochs=2)
    features = trial.features(judge.features)
    real = features(x_test)
    lines = []
    for name, make in (
        ("clipped to .01", lambda: WGAN((28, 28, 1), base=16, normalize=False)),
        ("clipped to .1", lambda: WGAN((28, 28, 1), base=16, clip=0.1, normalize=False)),
        ("with the penalty", lambda: WGANGP((28, 28, 1), base=16)),
    ):
        model = train(make, {"image": x}, trial.steps(STEPS))
        distance = frechet_distance(features(drawn(model, COUNT)), real)
        lines.append(f"{name} {distance:.1f}")
    say("the penalty trains where clipping fails", f"Frechet distance {', '.join(lines)} ({COUNT} samples)")
