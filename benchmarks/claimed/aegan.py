"""AEGAN's Frechet distance is about half of VAE's and below WAE-GAN's (40, 78 and 49 on CelebA)."""

from features import Features

from claimed.common import Classifier, Trial, celeba64, drawn, mnist, say, train
from vaekit.metrics import frechet_distance
from vaekit.models.aegan import AEGAN
from vaekit.models.vae import VAE
from vaekit.models.wae import WAEGAN

FACE_STEPS, DIGIT_STEPS, COUNT = 6000, 4000, 5000


def main(trial: Trial) -> None:
    """Same encoders and decoders, same steps, on `celeba64` and on MNIST."""
    x, held, *_ = celeba64(trial.data)
    compare(
        "celeba64",
        x,
        held,
        trial.features(Features()),
        trial.steps(FACE_STEPS),
        "gaussian",
        latent_dim=64,
        divergence=100.0,
        flip=True,
    )
    x, y, x_test, y_test = mnist(trial.data)
    judge = Classifier(x, y, x_test, y_test, epochs=2)
    known = trial.features(judge.features)
    compare("MNIST", x, x_test, known, trial.steps(DIGIT_STEPS), "bernoulli", latent_dim=16, divergence=10.0)


def compare(name, x, real, features, steps, likelihood, *, latent_dim, divergence, flip=False) -> None:
    """Train all three and print their distances to images that they have not seen."""
    shape, known = x.shape[1:], features(real)
    found = {}
    for model_name, make in (
        ("VAE", lambda: VAE(shape, latent_dim=latent_dim, base=24, likelihood=likelihood)),
        ("WAE-GAN", lambda: WAEGAN(shape, latent_dim=latent_dim, base=24, divergence=divergence)),
        ("AEGAN", lambda: AEGAN(shape, latent_dim=latent_dim, base=24)),
    ):
        model = train(make, {"image": x}, steps, flip=flip)
        found[model_name] = frechet_distance(features(drawn(model, COUNT)), known)
    text = ", ".join(f"{key} {value:.2f}" for key, value in found.items())
    ratio = found["AEGAN"] / found["VAE"]
    say(
        "AEGAN < WAE-GAN < VAE, AEGAN at most 0.6 x VAE",
        f"{name}: {text}; AEGAN {ratio:.2f} x VAE ({COUNT} samples, {len(real)} real)",
    )
