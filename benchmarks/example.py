"""Draw the example photo of the README and its mask: a rendered face, printed on paper and scratched.

    python benchmarks/example.py

writes apps/inpaint/example/photo.png and mask.png.
"""

from pathlib import Path

import cv2
import numpy as np

from vaekit import images
from vaekit.data.rendered import Identity, Look, render

SIDE = 384
FOLDER = Path(__file__).parents[1] / "apps" / "inpaint" / "example"


def portrait(rng: np.random.Generator) -> np.ndarray:
    """A face before a soft background, with the grain of film; [SIDE, SIDE, 3] uint8."""
    who = Identity.draw(np.random.default_rng(21))
    on_black, on_white = (
        render(who, Look(yaw=14, smile=0.8, light=0.45, background=(grey,) * 3), SIDE) / 255.0 for grey in (0.0, 1.0)
    )
    through = (on_white - on_black).mean(axis=-1, keepdims=True)  # the share of background in every pixel
    clouds = cv2.resize(
        rng.uniform(0.25, 0.75, (5, 5, 3)).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC
    )
    clouds = 0.6 * clouds + 0.4 * clouds.mean(axis=-1, keepdims=True)
    scene = on_black + through * clouds
    grain = cv2.GaussianBlur(rng.normal(0, 0.05, (SIDE, SIDE, 1)), (0, 0), 0.7)[..., None]
    return np.round(255 * np.clip(scene + grain, 0, 1)).astype(np.uint8)


def scratches(rng: np.random.Generator) -> np.ndarray:
    """Scratches, a crease and a stain; [SIDE, SIDE] bool."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(5):
        ends = rng.uniform(0, SIDE, (4, 2))
        ends = ends[np.argsort(ends[:, 0])]
        cv2.polylines(mask, [ends.astype(np.int32)], False, 1, int(rng.integers(2, 5)), cv2.LINE_8)
    cv2.line(mask, (0, 250), (SIDE, 215), 1, 7)
    cv2.ellipse(mask, (95, 75), (26, 18), 20, 0, 360, 1, -1)
    return mask.astype(bool)


def main() -> None:
    """Write both files."""
    rng = np.random.default_rng(7)
    photo, mask = portrait(rng), scratches(rng)
    photo[mask] = (236, 230, 218)
    FOLDER.mkdir(exist_ok=True)
    images.write(FOLDER / "photo.png", photo, overwrite=True)
    images.write(FOLDER / "mask.png", mask.astype(np.uint8) * 255, overwrite=True)


if __name__ == "__main__":
    main()
