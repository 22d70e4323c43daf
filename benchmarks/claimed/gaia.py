"""What lies between two faces is a face, and least squares entangle attributes less than differences of means."""

import numpy as np
from features import Features
from judge import Judge

from claimed.common import SIDE, Trial, adam, celeba64, in_parts, say, train
from vaekit.latent import least_squares, mean_difference
from vaekit.metrics import frechet_distance
from vaekit.models.autoencoder import Autoencoder
from vaekit.models.gaia import GAIA

STEPS = 6000
ATTRIBUTES = ("Male", "Smiling", "Eyeglasses", "Young", "Wearing_Lipstick", "Blond_Hair", "Bald")


def main(trial: Trial) -> None:
    """On `celeba64`: midpoints against an autoencoder's, and what else a direction changes, by the judge."""
    x, held, which, rows = celeba64(trial.data)
    features = trial.features(Features())
    real = features(held)
    lines = []
    for kind in (Autoencoder, GAIA):
        steps = trial.steps(STEPS)
        model = train(
            lambda kind=kind: kind((SIDE, SIDE, 3), latent_dim=128, base=24),
            {"image": x},
            steps,
            flip=True,
            optimizers=adam,
        )
        z = in_parts(model.encode, held)
        middles = in_parts(model.decode, 0.5 * (z + np.roll(z, 1, axis=0)))
        lines.append(f"{kind.__name__} {frechet_distance(features(middles), real):.2f}")
    say("midpoints look like data", f"Frechet distance of midpoints: {', '.join(lines)} ({len(held)} faces)")

    table = np.array([[row[name] == "1" for name in ATTRIBUTES] for row in rows], np.float32)
    codes, known = in_parts(model.encode, x), table[~which]
    fitted = least_squares(codes, known)
    judge = Judge()
    places = [judge.names.index(name) for name in ATTRIBUTES]
    before = judge(in_parts(model.decode, z))[0][:, places]
    found = {"means": [], "least squares": []}
    for place in range(len(ATTRIBUTES)):
        means = mean_difference(codes[known[:, place] > 0.5], codes[known[:, place] < 0.5])
        for name, direction in (("means", means), ("least squares", fitted[place])):
            moved = judge(in_parts(model.decode, z + 1.5 * direction))[0][:, places] - before
            own, others = moved[:, place].mean(), np.abs(np.delete(moved, place, axis=1).mean(axis=0)).mean()
            found[name].append(others / max(abs(own), 1e-3))
    text = "; ".join(f"{name} {np.median(values):.2f}" for name, values in found.items())
    say(
        "least squares are less entangled",
        f"change of the others by that of the attribute, median over {len(ATTRIBUTES)}: {text} ({len(held)} faces)",
    )
