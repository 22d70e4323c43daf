"""Gradient difference and adversarial losses predict sharper frames than L2 does (Mathieu et al. 2016)."""

import numpy as np

from claimed.common import Trial, in_parts, mnist, say, train
from vaekit.apps.family.tasks import sheet
from vaekit.models.video_predictor import VideoPredictor

SIDE, KNOWN, AHEAD = 48, 4, 3
CLIPS, TESTED_ON, STEPS = 2000, 300, 2000
FORMS = {
    "L2": {"adversarial": 0.0, "gradient": 0.0},
    "L2 + gradient difference": {"adversarial": 0.0, "gradient": 1.0},
    "L2 + gradient difference + adversary": {"adversarial": 0.05, "gradient": 1.0},
}


def main(trial: Trial) -> None:
    """PSNR and sharpness, in dB, of the first and the third frame that follow four of two moving digits."""
    x, _, x_test, _ = mnist(trial.data)
    clips, test = moving(x, CLIPS, seed=0), moving(x_test, TESTED_ON, seed=1)
    past, truth = test[..., :KNOWN], test[..., KNOWN:]
    lines, rows = [], [past[:10, ..., index : index + 1] for index in (KNOWN - 2, KNOWN - 1)]
    for name, form in FORMS.items():
        model = train(
            lambda form=form: VideoPredictor(channels=1, frames=KNOWN, **form),
            {"past": clips[..., :KNOWN], "image": clips[..., KNOWN : KNOWN + 1]}, trial.steps(STEPS), batch_size=16,
        )  # fmt: skip
        drawn = in_parts(lambda part, model=model: model.continued(part, AHEAD), past)
        rows.append(drawn[:10, ..., AHEAD - 1 :])
        figures = [
            f"{psnr(truth[..., i], drawn[..., i]):.2f}, {sharpness(truth[..., i], drawn[..., i]):.2f} dB"
            for i in (0, AHEAD - 1)
        ]
        lines.append(f"{name}: {'; '.join(figures)}")
    trial.picture("video", sheet(np.stack([*rows, truth[:10, ..., AHEAD - 1 :]])))
    say(
        "sharpness above L2's at its PSNR - .5 dB",
        f"PSNR, sharpness of the first and the third frame: {' | '.join(lines)} ({TESTED_ON} clips of test digits)",
    )


def moving(digits: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Clips of two digits that move straight on and are thrown back by the edges [N, SIDE, SIDE, frames]."""
    rng, room = np.random.default_rng(seed), SIDE - 28
    clips = np.zeros((count, SIDE, SIDE, KNOWN + AHEAD), np.float32)
    for clip in clips:
        for digit in digits[rng.integers(0, len(digits), 2), ..., 0]:
            start, speed = rng.uniform(0, room, 2), rng.uniform(-4.0, 4.0, 2)
            for frame in range(clip.shape[-1]):
                y, x = np.rint(room - np.abs((start + frame * speed) % (2 * room) - room)).astype(int)
                window = clip[y : y + 28, x : x + 28, frame]
                np.maximum(window, digit, out=window)
    return clips


def psnr(truth: np.ndarray, drawn: np.ndarray) -> float:
    """Mean over the frames [N, H, W]."""
    return float(np.mean(-10.0 * np.log10(np.mean((truth - drawn) ** 2, axis=(1, 2)))))


def sharpness(truth: np.ndarray, drawn: np.ndarray) -> float:
    """-10 log10 of the mean | |gradients of the truth| - |gradients of the drawn| |, mean over the frames (eq. 9)."""
    first, second = (np.abs(np.diff(a, axis=1))[:, :, :-1] + np.abs(np.diff(a, axis=2))[:, :-1] for a in (truth, drawn))
    return float(np.mean(-10.0 * np.log10(np.mean(np.abs(first - second), axis=(1, 2)))))
