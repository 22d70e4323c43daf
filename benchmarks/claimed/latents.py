"""Two numbers a digit: how VAE, WAE and AEGAN lay the digits out, and what of the prior stays empty."""

import numpy as np

from claimed.common import Trial, drawn, in_parts, mnist, say, scatter, train
from vaekit.metrics import frechet_distance
from vaekit.models.aegan import AEGAN
from vaekit.models.vae import VAE
from vaekit.models.wae import WAEGAN, WAEMMD

STEPS, COUNT = 3000, 5000
MODELS = {
    "VAE": lambda: VAE((28, 28, 1), latent_dim=2, base=24),
    "WAE-MMD": lambda: WAEMMD((28, 28, 1), latent_dim=2, base=24),
    "WAE-GAN": lambda: WAEGAN((28, 28, 1), latent_dim=2, base=24),
    "AEGAN": lambda: AEGAN((28, 28, 1), latent_dim=2, base=24),
}


def main(trial: Trial) -> None:
    """Codes of the MNIST test digits, beside the latents that samples are decoded from."""
    x, _, x_test, y_test = mnist(trial.data)
    pictures, lines = [], []
    for name, make in MODELS.items():
        model = train(make, {"image": x}, trial.steps(STEPS))
        codes = in_parts(model.encode, x_test)
        prior = in_parts(lambda part, model=model: model.prior(len(part)), x_test[:COUNT])
        pictures.append(scatter(codes, y_test))
        lines.append(
            f"{name} {frechet_distance(codes / codes.std(), prior / codes.std()):.3f} (samples' FD in pixels "
            f"{frechet_distance(_small(drawn(model, COUNT)), _small(x_test)):.2f})"
        )
    trial.picture("latents", np.concatenate(pictures, axis=1))
    say(
        "codes lie where samples are drawn from",
        f"distance of codes and latents, in their spread: {', '.join(lines)}; {COUNT} each",
    )


def _small(images: np.ndarray) -> np.ndarray:
    """[N, 49] of pictures [N, 28, 28, 1], averaged over 4x4 pixels."""
    return images.reshape(len(images), 7, 4, 7, 4).mean(axis=(2, 4)).reshape(len(images), 49)
