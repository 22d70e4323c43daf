"""With three classes the latents of images come nearer to the prior than VAE/GAN's."""

import functools

import numpy as np

from claimed.common import SIDE, Trial, celeba64, in_parts, mean_and_spread, say, train
from vaekit.metrics import frechet_distance
from vaekit.models.three_class_vaegan import ThreeClassVAEGAN
from vaekit.models.vaegan import VAEGAN

STEPS = 5000
LATENTS, SEEDS = 64, (0, 1, 2)


def main(trial: Trial) -> None:
    """Frechet distance, in z, of samples from q(z | x) over `celeba64` to samples of the prior."""
    x, *_ = celeba64(trial.data)
    lines = []
    for name, kind in (("VAE/GAN", VAEGAN), ("three classes", ThreeClassVAEGAN)):
        distances = []
        for seed in SEEDS:
            model = train(
                lambda kind=kind: kind((SIDE, SIDE, 3), latent_dim=LATENTS, base=24),
                {"image": x}, trial.steps(STEPS), seed=seed,
            )  # fmt: skip
            rng = np.random.default_rng(0)
            mean, log_variance = (in_parts(functools.partial(posterior, model, which), x) for which in (0, 1))
            z = mean + np.exp(0.5 * log_variance) * rng.standard_normal(mean.shape)
            distances.append(frechet_distance(z, rng.standard_normal((20000, LATENTS))))
        lines.append(f"{name} {mean_and_spread(distances)}")
    say(
        "smaller than VAE/GAN's",
        f"distance of q(z) and p(z): {', '.join(lines)} ({len(x)} images, {len(SEEDS)} seeds)",
    )


def posterior(model, which: int, images):
    """Means (0) or logarithms of variances (1) of q(z | x)."""
    return model.encoder(images, training=False)[which]
