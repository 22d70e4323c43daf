"""A conditional GAN captions a picture in more ways than likelihood does, and as rightly (Dai et al. 2017)."""

import numpy as np

from claimed.common import Trial, described_people, say, train
from vaekit.data.captions import GLASSES, HAIR, SMILING, Vocabulary, describe
from vaekit.models.captioner import Captioner

SIDE, STEPS, TESTED_ON, TIMES = 40, 3000, 300, 10


def main(trial: Trial) -> None:
    """Distinct captions of ten for one face, and how often what they name is so, on people nobody trained on."""
    x, attributes, kept = described_people(trial.data, SIDE)
    rng = np.random.default_rng(0)
    captions = [describe(row, rng) for row in attributes]
    vocabulary = Vocabulary(captions)
    text = vocabulary.encode(captions)
    test = rng.permutation(np.flatnonzero(kept))[:TESTED_ON]
    truth = [attributes[i] for i in test]
    lines = []
    for name, weight in (("likelihood", 0.0), ("conditional GAN", 0.1)):
        model = train(
            lambda weight=weight: Captioner(
                (SIDE, SIDE, 3), len(vocabulary.words), vocabulary.length, adversarial=weight
            ),
            {"image": x[~kept], "text": text[~kept]}, trial.steps(STEPS), flip=True,
        )  # fmt: skip
        ways = {"drawn by noise": lambda model=model: by_noise(model, x[test])} if weight else {
            f"words drawn at temperature {heat:g}": lambda model=model, heat=heat: drawn(model, x[test], heat)
            for heat in (0.0, 0.5, 1.0)
        }  # fmt: skip
        for way, write in ways.items():
            written = [[spelt(vocabulary, row) for row in rows] for rows in write()]
            lines.append(f"{name}, {way}: {summary(written, truth)}")
            print(f"  {lines[-1]}; such as {'; '.join(rows[0] for rows in written[:3])}", flush=True)
    real = [[describe(row, rng) for row in truth] for _ in range(TIMES)]
    lines.append(f"the grammar's own: {summary(real, truth)}")
    say("more distinct captions at equal relevance", f"{' | '.join(lines)} ({TESTED_ON} faces)")


def by_noise(model, images):
    """Captions of ten latents, [TIMES, N, length]."""
    rng = np.random.default_rng(1)
    return [_numbers(model.write, images, rng.standard_normal((len(images), model.latent_dim))) for _ in range(TIMES)]


def drawn(model, images, temperature: float):
    """Captions whose words are drawn ten times, [TIMES, N, length]."""
    return [_numbers(lambda part: model.sample(part, temperature), images) for _ in range(TIMES)]


def _numbers(call, *arrays):
    return np.asarray(call(*(np.asarray(array, np.float32) for array in arrays)))


def spelt(vocabulary: Vocabulary, numbers) -> str:
    """A caption's words."""
    return " ".join(vocabulary.words[number] for number in numbers if number)


def summary(written: list[list[str]], truth: list[dict]) -> str:
    """Distinct captions of ten for a face, and the share of statements that are right."""
    distinct = np.mean([len(set(rows)) for rows in zip(*written, strict=True)])
    right = np.mean([relevance(caption, row) for rows in written for caption, row in zip(rows, truth, strict=True)])
    return f"{distinct:.1f} distinct of {TIMES}, {right:.1%} right"


def relevance(caption: str, attributes: dict) -> float:
    """Share of what a caption says or leaves unsaid of sex, smile, age, glasses and hair that is so."""
    words = set(caption.split())
    colours = [colour for name, colour in HAIR.items() if attributes[name]][:1]
    said = {
        "Male": bool(words & {"man", "guy"}),
        "Smiling": bool(words & set(SMILING)),
        "Young": "young" in words,
        "Eyeglasses": bool(words & set(GLASSES)),
    }
    right = [said[name] == bool(attributes[name]) for name in said]
    return float(np.mean([*right, sorted(words & set(HAIR.values())) == colours]))
