"""Pictures show what their caption names (GAN-CLS, Reed et al. 2016)."""

import numpy as np
from judge import Judge

from claimed.common import Trial, adam, described_people, in_parts, say, train
from vaekit.apps.family.tasks import sheet
from vaekit.data.captions import Vocabulary, describe
from vaekit.models.text_to_image import TextToImage

SIDE, STEPS, CAPTIONS = 48, 5000, 1000
CHECKED = ("Male", "Smiling", "Young", "Eyeglasses", "Black_Hair", "Blond_Hair", "Wearing_Hat")
EDITS = {"Male": ("woman", "man"), "Smiling": ("young", "smiling young"), "Eyeglasses": ("", "with glasses")}


def main(trial: Trial) -> None:
    """How often a judge that never saw the model finds what captions of `celeb` and `celeb2` faces name."""
    x, attributes, kept = described_people(trial.data, SIDE)
    rng = np.random.default_rng(0)
    captions = [describe(row, rng) for row in attributes]
    vocabulary = Vocabulary(captions)
    text = vocabulary.encode(captions)
    print(f"  {np.sum(~kept)} faces, {len(vocabulary.words) - 1} words, such as: {captions[0]}", flush=True)
    model = train(
        lambda: TextToImage((SIDE, SIDE, 3), len(vocabulary.words), vocabulary.length),
        {"image": x[~kept], "text": text[~kept]}, trial.steps(STEPS), flip=True, optimizers=adam,
    )  # fmt: skip
    judge = Judge()
    chosen = rng.permutation(np.flatnonzero(kept))[:CAPTIONS]
    named = np.array([[attributes[i][name] for name in CHECKED] for i in chosen])
    columns = [judge.names.index(name) for name in CHECKED]
    own = in_parts(model.sample, text[chosen])
    lines = []
    for name, faces in (("drawn", own), ("the real faces", x[chosen])):
        right = (judge(faces)[0][:, columns] > 0.5) == named
        lines.append(f"{name} {balanced(right, named):.1%} ({each(right, named)})")
    say(
        "what is named is seen in 80 %, mean of those with and those without it",
        f"{'; '.join(lines)}, captions of {len(chosen)} faces of people not trained on",
    )
    edited(model, vocabulary, judge, trial)


def edited(model, vocabulary: Vocabulary, judge: Judge, trial: Trial) -> None:
    """How far the judge's answers move when a word of the caption changes and the noise stays."""
    noise = np.random.default_rng(1).standard_normal((200, model.latent_dim)).astype(np.float32)
    base = {"Male": "a young {}", "Smiling": "a {} woman", "Eyeglasses": "a young man {}"}
    lines, rows = [], []
    for name, (before, after) in EDITS.items():
        texts = [base[name].format(word).strip() for word in (before, after)]
        pictures = [in_parts(model.draw, np.repeat(vocabulary.encode([text]), 200, axis=0), noise) for text in texts]
        rows += [some[:10] for some in pictures]
        change = (judge(pictures[1])[0] - judge(pictures[0])[0]).mean(axis=0)
        others = [judge.names.index(other) for other in CHECKED if other != name]
        lines.append(
            f"{texts[0]} -> {texts[1]}: {name} {change[judge.names.index(name)]:+.2f}, "
            f"the others by {np.abs(change[others]).mean():.2f}"
        )
    trial.picture("text", sheet(np.stack(rows)))
    say("text edits change what they name", "; ".join(lines))


def balanced(right: np.ndarray, named: np.ndarray) -> float:
    """Mean over the attributes of the mean of both shares of right answers."""
    return float(np.mean([np.mean(shares) for shares in _shares(right, named)]))


def each(right: np.ndarray, named: np.ndarray) -> str:
    """Both shares of right answers, of faces with and without each attribute."""
    shares = zip(CHECKED, _shares(right, named), strict=True)
    return ", ".join(f"{name} {100 * present:.0f}/{100 * absent:.0f}" for name, (present, absent) in shares)


def _shares(right, named):
    return [(right[named[:, i] == 1, i].mean(), right[named[:, i] == 0, i].mean()) for i in range(len(CHECKED))]
