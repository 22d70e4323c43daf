"""Draw the before/after pictures of README and docs from `sources/`, with the shipped bundles.

    python docs/images/make.py [NAME ...]

Each picture is one command line's result beside its input; the command is in PICTURES.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from vaekit import images

FOLDER = Path(__file__).parent
SOURCES = FOLDER / "sources"
EXAMPLE = FOLDER.parents[1] / "apps" / "inpaint" / "example"
HEIGHT = 300
"""Of the panels, in pixels."""

STATUE = [[(250, 30), (300, 30), (315, 160), (335, 200), (335, 290), (355, 362), (190, 362), (215, 290), (222, 170)]]


def polygons(source: Path, shapes: list) -> np.ndarray:
    """A mask with the polygons white, as large as the source."""
    mask = np.zeros(images.read(source).pixels.shape, np.uint8)
    for shape in shapes:
        cv2.fillPoly(mask, [np.array(shape, np.int32)], (255, 255, 255))
    return mask


def vaekit(*arguments) -> None:
    """Run one command line."""
    subprocess.run([sys.executable, "-m", "vaekit", *map(str, arguments)], check=True, cwd=tempfile.gettempdir())


def repair(work: Path) -> list[Path]:
    """Repair drawn damage with its mask."""
    vaekit("inpaint", EXAMPLE / "photo.jpg", "--mask", EXAMPLE / "mask.png", "-o", work / "out.png")
    return [EXAMPLE / "photo.jpg", work / "out.png"]


def removal(name: str, shapes: list, work: Path) -> list[Path]:
    """Take something out of a photo."""
    source, mask = SOURCES / f"{name}.jpg", polygons(SOURCES / f"{name}.jpg", shapes)
    images.write(work / "mask.png", mask)
    marked = np.where(mask > 0, np.uint8([255, 60, 60]), images.read(source).pixels)
    images.write(work / "marked.png", marked)
    vaekit("inpaint", source, "--mask", work / "mask.png", "--dilate", 6, "-o", work / "out.png")
    return [work / "marked.png", work / "out.png"]


def enlarge(work: Path) -> list[Path]:
    """Enlarge a small JPEG four times; bicubic enlargement beside it."""
    cat = images.read(SOURCES / "chelsea.jpg").pixels[20:260, 60:360]
    small = cv2.resize(cat, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA)
    images.write(work / "small.jpg", small)
    vaekit("superres", work / "small.jpg", "-o", work / "out.png")
    bicubic = cv2.resize(images.read(work / "small.jpg").pixels, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    images.write(work / "bicubic.png", bicubic)
    return [work / "bicubic.png", work / "out.png"]


PICTURES = {
    "repair": repair,
    "remove-statue": lambda work: removal("square", STATUE, work),
    "enlarge": enlarge,
}


def main() -> None:
    """Draw the pictures named on the command line, or all."""
    for name in sys.argv[1:] or PICTURES:
        with tempfile.TemporaryDirectory() as folder:
            panels = [images.read(path).pixels[..., :3] for path in PICTURES[name](Path(folder))]
        scaled = [
            cv2.resize(p, (round(p.shape[1] * HEIGHT / p.shape[0]), HEIGHT), interpolation=cv2.INTER_AREA)
            for p in panels
        ]
        gap = np.full((HEIGHT, 6, 3), 255, np.uint8)
        row = [part for panel in scaled for part in (gap, panel)][1:]
        images.write(FOLDER / f"{name}.jpg", np.hstack(row), overwrite=True)


if __name__ == "__main__":
    main()
