"""Make the example photo of README's first command and its mask: a public-domain portrait with drawn damage.

    python benchmarks/example.py

writes apps/inpaint/example/photo.jpg and mask.png. The portrait is docs/images/sources/astronaut.jpg.
"""

from pathlib import Path

import cv2
import numpy as np

from vaekit import images
from vaekit.data.damage import damage, visible

ROOT = Path(__file__).parents[1]
KINDS = ["scratches", "creases", "stains"]
SEED = 3


def main() -> None:
    """Draw the damage, mark it with a margin of two pixels, and write both files."""
    portrait = images.read(ROOT / "docs" / "images" / "sources" / "astronaut.jpg").pixels / np.float32(255)
    damaged = damage(portrait, np.random.default_rng(SEED), KINDS)
    mask = cv2.dilate(visible(portrait, damaged).astype(np.uint8), np.ones((5, 5), np.uint8))
    folder = ROOT / "apps" / "inpaint" / "example"
    images.write(folder / "photo.jpg", np.rint(255 * damaged).astype(np.uint8), overwrite=True)
    images.write(folder / "mask.png", np.repeat(255 * mask[..., None], 3, axis=2), overwrite=True)


if __name__ == "__main__":
    main()
