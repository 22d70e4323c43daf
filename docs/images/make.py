"""Draw the before/after pictures of README and docs from `sources/`, with the shipped bundles.

    python docs/images/make.py [NAME ...]

Each picture is what a command line makes, beside its input; `page` is what a browser shows (Chromium and Playwright).
"""

import shutil
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
"""Of the panels, in pixels, at most."""

TOWERS = [
    [(185, 120), (205, 120), (212, 240), (218, 385), (165, 385), (180, 240)],
    [(436, 120), (454, 120), (460, 240), (475, 385), (430, 385), (437, 240)],
]
EDITS = ("black_hair=0.6", "brown_hair=1", "smiling=1.5")
FACE = np.s_[0:240, 105:345]


def pixels(path: Path) -> np.ndarray:
    """A picture's colours."""
    return images.read(path).pixels[..., :3]


def vaekit(*arguments) -> None:
    """Run one command line."""
    subprocess.run([sys.executable, "-m", "vaekit", *map(str, arguments)], check=True, cwd=tempfile.gettempdir())


def repair(work: Path) -> list[np.ndarray]:
    """Repair drawn damage with its mask."""
    vaekit("inpaint", EXAMPLE / "photo.jpg", "--mask", EXAMPLE / "mask.png", "-o", work / "out.png")
    return [pixels(EXAMPLE / "photo.jpg"), pixels(work / "out.png")]


def remove(work: Path) -> list[np.ndarray]:
    """Take two towers out of a photo."""
    photo = pixels(SOURCES / "rocket.jpg")
    mask = np.zeros(photo.shape, np.uint8)
    cv2.fillPoly(mask, [np.array(tower, np.int32) for tower in TOWERS], (255, 255, 255))
    images.write(work / "mask.png", mask)
    vaekit("inpaint", SOURCES / "rocket.jpg", "--mask", work / "mask.png", "--dilate", 2, "-o", work / "out.png")
    marked = np.where(mask > 0, 0.5 * photo + 0.5 * np.array([255, 0, 255]), photo).astype(np.uint8)
    return [marked, pixels(work / "out.png")]


def enlarge(work: Path) -> list[np.ndarray]:
    """Enlarge a small JPEG four times; bicubic enlargement beside it."""
    cat = pixels(SOURCES / "chelsea.jpg")[20:260, 60:360]
    small = cv2.resize(cat, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA)
    images.write(work / "small.jpg", small)
    vaekit("superres", work / "small.jpg", "-o", work / "out.png")
    return [_bicubic(work / "small.jpg", 4), pixels(work / "out.png")]


def clean(work: Path) -> list[np.ndarray]:
    """Clean a noisy JPEG and enlarge it twice; bicubic enlargement beside it."""
    cup = pixels(SOURCES / "coffee.jpg")[40:380, 80:560]
    small = cv2.resize(cup, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    noisy = np.clip(small + np.random.default_rng(0).normal(0, 14, small.shape), 0, 255)
    images.write(work / "noisy.jpg", np.rint(noisy).astype(np.uint8))
    vaekit("superres", work / "noisy.jpg", "--scale", 2, "-o", work / "out.png")
    return [_bicubic(work / "noisy.jpg", 2), pixels(work / "out.png")]


def edit(work: Path) -> list[np.ndarray]:
    """Change a face in several ways."""
    source = SOURCES / "astronaut.jpg"
    for number, change in enumerate(EDITS):
        vaekit("edit", source, "--set", change, "-o", work / f"{number}.png")
    return [pixels(path)[FACE] for path in (source, *(work / f"{number}.png" for number in range(len(EDITS))))]


def page(work: Path) -> list[np.ndarray]:
    """The page of `vaekit serve` after a repair."""
    from playwright.sync_api import expect, sync_playwright

    command = [sys.executable, "-m", "vaekit", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as started:
        assert server.stdout
        address = server.stdout.readline().split()[-1]
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 1120, "height": 680})
        shown.goto(address)
        expect(shown.locator("#go")).to_have_text("Repair")
        shown.set_input_files("#file", EXAMPLE / "photo.jpg")
        expect(shown.locator("#go")).to_be_enabled()
        shown.set_input_files("#masked", EXAMPLE / "mask.png")
        expect(shown.locator("#undo")).to_be_enabled()
        shown.click("#go")
        expect(shown.locator("#save")).to_be_visible(timeout=60_000)
        shown.screenshot(path=work / "page.png")
        browser.close()
        server.terminate()
    return [pixels(work / "page.png")]


def _bicubic(path: Path, times: int) -> np.ndarray:
    return cv2.resize(pixels(path), None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)


PICTURES = {picture.__name__: picture for picture in (repair, remove, enlarge, clean, edit, page)}


def main() -> None:
    """Draw the pictures named on the command line, or all."""
    for name in sys.argv[1:] or PICTURES:
        with tempfile.TemporaryDirectory() as folder:
            panels = PICTURES[name](Path(folder))
        if len(panels) > 1:
            height = min(HEIGHT, *(len(panel) for panel in panels))
            gap = np.full((height, 6, 3), 255, np.uint8)
            scaled = [
                cv2.resize(p, (round(p.shape[1] * height / len(p)), height), interpolation=cv2.INTER_AREA)
                for p in panels
            ]
            panels = [np.hstack([part for panel in scaled for part in (gap, panel)][1:])]
        images.write(FOLDER / f"{name}.jpg", panels[0], overwrite=True)


if __name__ == "__main__":
    main()
