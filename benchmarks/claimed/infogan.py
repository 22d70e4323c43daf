"""InfoGAN's categorical code finds the digit, without labels."""

from claimed.common import Trial, in_parts, mnist, say, train
from vaekit.metrics import purity
from vaekit.models.infogan import InfoGAN

STEPS = 8000


def main(trial: Trial) -> None:
    """Purity of the code that Q reads off the MNIST test digits."""
    x, _, x_test, y_test = mnist(trial.data)
    model = train(lambda: InfoGAN((28, 28, 1)), {"image": x}, trial.steps(STEPS), batch_size=128)
    codes = in_parts(lambda part: model.read(part)[0], x_test).argmax(axis=1)
    say("purity at least 85 %", f"{purity(y_test, codes):.1%} of {len(x_test)} test digits")
