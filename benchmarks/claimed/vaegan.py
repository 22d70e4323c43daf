"""VAE/GAN draws sharper than a VAE at equal training."""

import numpy as np
from features import Features

from claimed.common import SIDE, Trial, celeba64, drawn, in_parts, say, train
from vaekit.metrics import frechet_distance
from vaekit.models.vae import VAE
from vaekit.models.vaegan import VAEGAN

STEPS, COUNT = 6000, 2000


def main(trial: Trial) -> None:
    """Frechet distance and gradient energy on `celeba64`, samples and reconstructions of validation."""
    x, held, *_ = celeba64(trial.data)
    features = trial.features(Features())
    real = features(held)
    lines = [f"real images: gradient energy {gradient_energy(held):.5f}"]
    for name, make in (
        ("VAE", lambda: VAE((SIDE, SIDE, 3), latent_dim=128, base=24, likelihood="gaussian")),
        ("VAE/GAN", lambda: VAEGAN((SIDE, SIDE, 3), base=24)),
    ):
        model = train(make, {"image": x}, trial.steps(STEPS), flip=True)
        samples = drawn(model, COUNT)
        redrawn = in_parts(model.reconstruct, held)
        lines.append(
            f"{name}: Frechet distance of samples {frechet_distance(features(samples), real):.2f}, "
            f"of reconstructions {frechet_distance(features(redrawn), real):.2f}, "
            f"gradient energy {gradient_energy(samples):.5f} and {gradient_energy(redrawn):.5f}"
        )
    say("VAE/GAN is sharper", f"{'; '.join(lines)} ({COUNT} samples, {len(held)} of validation)")


def gradient_energy(images: np.ndarray) -> float:
    """Mean squared difference of neighbouring pixels, across and down."""
    return float(np.mean(np.diff(images, axis=1) ** 2) + np.mean(np.diff(images, axis=2) ** 2))
