"""Found damage against classical detectors: the same photos with drawn damage, in one run.

    python benchmarks/damage.py photos/more --holdout file:10

Each photo is aged, damaged by one kind after another and by a mixture, and scanned (vaekit.data), seeded by its place.
A found pixel is right if damage is within 2 pixels, and a damaged one is found if a found one is; precision, recall and
F1 are of all pixels of all photos together. "intact" is the share of the pixels of the undamaged photos that is marked,
as they are, and aged and scanned. The classical detectors are the larger of black-hat and top-hat (a disc of 11
pixels), and the largest curvature of the luma at scales of 1, 2 and 3 pixels (eigenvalues of the Hessian,
scale-normalised); each has the threshold at which its own F1 on the mixtures is highest.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from common import add_source, described, fit, load, write_card
from rich.progress import track

from vaekit import images
from vaekit.apps.damage.editor import THRESHOLD
from vaekit.apps.damage.editor import Editor as Finder
from vaekit.apps.inpaint.editor import Editor as Painter
from vaekit.data.aged import age, grey, scan
from vaekit.data.damage import KINDS, damage, visible

DISC = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
"""Pixels within 2 of one."""
MIXED, PHOTO, PRINT = "mixed", "photo", "print"
LEVELS = np.geomspace(0.04, 0.4, 10)
"""Thresholds that the classical detectors may have."""


def old(image: np.ndarray, kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A photo [H, W, 3] uint8 as an old print of a kind (or PRINT, undamaged, or PHOTO, as it is), and its mask."""
    if kind == PHOTO:
        return image, np.zeros(image.shape[:2], bool)
    rng = np.random.default_rng([seed, *kind.encode()])
    before = age(image.astype(np.float32) / 255.0, rng)
    after = before if kind == PRINT else damage(before, rng, [kind] if kind in KINDS else ())
    if rng.random() < 0.4:
        before, after = grey(before), grey(after)
    return np.rint(255.0 * scan(after, rng)).astype(np.uint8), visible(before, after)


def hats(image: np.ndarray) -> np.ndarray:
    """The larger of black-hat and top-hat of the luma, [H, W] in 0..1."""
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))
    return np.maximum(*(cv2.morphologyEx(luma, kind, disc) for kind in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT)))


def ridges(image: np.ndarray) -> np.ndarray:
    """The largest curvature of the luma over scales, [H, W]; as Frangi et al. 1998 normalise it."""
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    strongest = np.zeros_like(luma)
    for scale in (1.0, 2.0, 3.0):
        smooth = cv2.GaussianBlur(luma, (0, 0), scale)
        xx, yy, xy = (cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=3) / 4 for order in ((2, 0), (0, 2), (1, 1)))
        size = np.abs(xx + yy) / 2 + np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
        strongest = np.maximum(strongest, scale**2 * size)
    return strongest


def counts(found: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Right and all found pixels, found and all damaged ones, all pixels."""
    near_mask, near_found = (cv2.dilate(x.astype(np.uint8), DISC) > 0 for x in (mask, found))
    return np.array([(found & near_mask).sum(), found.sum(), (mask & near_found).sum(), mask.sum(), mask.size], float)


def scores(total: np.ndarray) -> tuple[float, float, float]:
    """Precision, recall and F1 of summed counts."""
    precision, recall = total[0] / max(total[1], 1), total[2] / max(total[3], 1)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


def measure(pictures: list[np.ndarray], finder: Finder, thresholds: list[float]) -> dict[str, dict[str, np.ndarray]]:
    """Summed counts by method and kind."""
    kinds = [MIXED, *KINDS, PHOTO, PRINT]
    totals: dict[str, dict[str, np.ndarray]] = {}

    def add(method, kind, found, mask):
        row = totals.setdefault(method, {})
        row[kind] = row.get(kind, 0) + counts(found, mask)

    for seed, picture in enumerate(track(pictures, "photos", transient=True)):
        for kind in kinds:
            image, mask = old(picture, kind, seed)
            for threshold in thresholds:
                add(f"vaekit {threshold:g}", kind, finder(image, threshold), mask)
            for name, detector in (("hats", hats), ("ridges", ridges)):
                strength = detector(image)
                for level in LEVELS:
                    add(f"{name} {level:.3f}", kind, strength > level, mask)
    for name in ("hats", "ridges"):
        levels = [f"{name} {level:.3f}" for level in LEVELS]
        best = max(levels, key=lambda level: scores(totals[level][MIXED])[2])
        totals = {key: row for key, row in totals.items() if key == best or key not in levels}
    return totals


def report(totals: dict[str, dict[str, np.ndarray]]) -> dict[str, str]:
    """Print the table; the rows of ours are returned too."""
    print(f"{'method':14} {'kind':10} {'precision':>9} {'recall':>7} {'F1':>6} {'damaged':>8}")
    figures = {}
    for method, rows in totals.items():
        for kind, total in rows.items():
            if kind in (PHOTO, PRINT):
                print(f"{method:14} {kind:10} intact {total[1] / total[4]:.3%}")
                text = f"{total[1] / total[4]:.3%} marked"
            else:
                precision, recall, f1 = scores(total)
                print(f"{method:14} {kind:10} {precision:9.3f} {recall:7.3f} {f1:6.3f} {total[3] / total[4]:8.2%}")
                text = f"F1 {f1:.3f} (precision {precision:.3f}, recall {recall:.3f})"
            if method.startswith("vaekit"):
                figures[f"{method}, {kind if kind not in (PHOTO, PRINT) else f'undamaged {kind}'}"] = text
    return figures


def sheet(pictures: list[np.ndarray], finder: Finder, count: int, path: Path) -> None:
    """Draw mixtures: damaged, true mask, found mask, repaired."""
    painter = Painter()
    lines = []
    for seed in range(min(count, len(pictures))):
        image, mask = old(pictures[seed], MIXED, seed)
        found = finder(image)
        cells = [image, *(np.repeat(255 * x[..., None].astype(np.uint8), 3, axis=2) for x in (mask, found))]
        lines.append(np.hstack([fit(cell, 480) for cell in (*cells, painter(image, found))]))
    images.write(path, np.vstack(lines), overwrite=True)


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_source(parser)
    parser.add_argument("--bundle", default="damage")
    parser.add_argument("--thresholds", default=f"{THRESHOLD:g}")
    parser.add_argument("--picture", type=Path, help="write a sheet here")
    parser.add_argument("--rows", type=int, default=8, help="photos on the sheet")
    parser.add_argument("--card", action="store_true", help="write the figures into the bundle's card")
    arguments = parser.parse_args()
    pictures, finder = load(arguments), Finder(arguments.bundle)
    print(f"{described(arguments, len(pictures))}, drawn damage, bundle {arguments.bundle}")
    figures = report(measure(pictures, finder, [float(t) for t in arguments.thresholds.split(",")]))
    if arguments.card:
        title = f"{described(arguments, len(pictures))}, drawn damage, within 2 pixels"
        write_card(arguments.bundle, title, figures)
    if arguments.picture:
        sheet(pictures, finder, arguments.rows, arguments.picture)


if __name__ == "__main__":
    main()
