"""What the notes derive of GAN's game: D*, V(G, D*) = 2 JS - 2 log 2, and gradients that vanish (Goodfellow 2014)."""

import keras
import numpy as np

from claimed.common import Trial, plot, say

STEPS, GRID = 3000, np.linspace(-8.0, 16.0, 4801)
MEANS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Of what the generator draws, N(d, 1); the real numbers are of N(0, 1)."""


def main(trial: Trial) -> None:
    """A discriminator of one number, trained to the end, against the closed forms."""
    curves, lines, gradients = [], [], []
    for mean in MEANS:
        network = trained(mean, trial.steps(STEPS))
        real, fake = density(0.0), density(mean)
        optimum, logits = real / (real + fake), evaluate(network)
        found = np.exp(-np.logaddexp(0.0, -logits))
        seen = real + fake > 1e-3
        curves.append((optimum, np.where(seen, found, np.nan)))
        value = integral(-real * np.logaddexp(0.0, -logits) - fake * np.logaddexp(0.0, logits))
        closed = 2.0 * jensen_shannon(real, fake) - 2.0 * np.log(2.0)
        lines.append(
            f"d = {mean:g}: largest |D - D*| {np.abs(found - optimum)[seen].max():.3f}, "
            f"V {value:.4f}, closed form {closed:.4f} ({abs(value / closed - 1):.1%} off)"
            if abs(closed) > 1e-2
            else f"d = {mean:g}: V {value:.4f}, closed form {closed:.4f} ({abs(value - closed):.4f} off)"
        )
        slope = np.gradient(logits, GRID)
        gradients.append((abs(integral(fake * found * slope)), abs(integral(fake * (1.0 - found) * slope))))
    trial.picture("optimum", plot(GRID, curves, low=0.0, high=1.0))
    say("D* = p_r / (p_r + p_g), V(G, D*) = 2 JS - 2 log 2, within 2 %", "; ".join(lines))
    say(
        "with the optimal D, log(1 - D) gives the generator no gradient where it is far off, -log D does",
        "; ".join(f"d = {d:g}: {low:.1e} and {high:.2f}" for d, (low, high) in zip(MEANS, gradients, strict=True)),
    )


def trained(mean: float, steps: int) -> keras.Model:
    """Logits of numbers [N, 1], by the discriminator's side of GAN's game, which is logistic regression."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((1,)), *(keras.layers.Dense(32, activation="tanh") for _ in range(2))])
    network.add(keras.layers.Dense(1))
    rate = keras.optimizers.schedules.CosineDecay(1e-2, steps)
    network.compile(keras.optimizers.Adam(rate), keras.losses.BinaryCrossentropy(from_logits=True))
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.standard_normal((256 * steps, 1)), mean + rng.standard_normal((256 * steps, 1))], axis=1)
    x = x.reshape(-1, 1).astype(np.float32)
    network.fit(x, np.tile([[1.0], [0.0]], (256 * steps, 1)), batch_size=512, epochs=1, shuffle=False, verbose=0)
    return network


def evaluate(network) -> np.ndarray:
    """Logits on the grid."""
    return network.predict(GRID[:, None].astype(np.float32), batch_size=len(GRID), verbose=0)[:, 0].astype(float)


def density(mean: float) -> np.ndarray:
    """Of N(mean, 1) on the grid."""
    return np.exp(-0.5 * (GRID - mean) ** 2) / np.sqrt(2.0 * np.pi)


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    """JS(p || q) of densities on the grid, in nats."""
    middle = 0.5 * (p + q)
    return 0.5 * sum(integral(a * np.log(np.maximum(a, 1e-300) / np.maximum(middle, 1e-300))) for a in (p, q))


def integral(values: np.ndarray) -> float:
    """Over the grid."""
    return float(np.trapezoid(values, GRID))
