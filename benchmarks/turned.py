"""Covered parts of faces that are turned and large: repaired in windows of the photo, and in the aligned face.

    python benchmarks/turned.py ../shared/data/celeb --holdout identity:15 --turn 30 --scale 3

Every face is turned by up to so many degrees, enlarged, and one of its parts is covered by a box: an eye, the nose or
the mouth. "found" is what a user gets (`vaekit inpaint --faces`): the face is found in a first repair, by MTCNN;
"aligned" knows the face's points.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from common import add_source, described, fit, load
from features import FEWEST, Features
from rich.progress import track

from vaekit import faces, images
from vaekit.apps.inpaint.editor import Editor
from vaekit.metrics import frechet_distance, psnr

ROOM = 1.2
"""Side of the photo, times that of the face."""


def photo(face: np.ndarray, turn: float, scale: float, rng: np.random.Generator) -> tuple[np.ndarray, faces.Face]:
    """The face, turned and enlarged, in a photo [H, W, 3], and where it is."""
    middle = (len(face) - 1) / 2
    side = round(ROOM * scale * len(face))
    matrix = cv2.getRotationMatrix2D((middle, middle), rng.uniform(-turn, turn), scale)
    matrix[:, 2] += (side - 1) / 2 - middle
    turned = cv2.warpAffine(face, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    points = cv2.transform(faces.whole(face).points[None], matrix)[0]
    return turned, faces.Face(points.astype(np.float32), (0.0, 0.0, side, side), 1.0)


def box(face: faces.Face, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, tuple[slice, slice]]:
    """A hole [H, W] bool over a part of the face, and its surroundings."""
    part = int(rng.integers(4))
    x, y = face.points[part] if part < 3 else face.points[3:].mean(axis=0)
    distance = np.hypot(*(face.points[1] - face.points[0]))
    half = rng.uniform(0.35, 0.6) * distance * np.array([0.8, 1.0] if part < 3 else [0.9, 1.5])
    rows, columns = (slice(max(round(c - h), 0), round(c + h)) for c, h in zip((y, x), half, strict=True))
    hole = np.zeros(shape[:2], bool)
    hole[rows, columns] = True
    reach = 1.5 * half.max()
    return hole, tuple(slice(max(round(c - reach), 0), round(c + reach)) for c in (y, x))


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_source(parser)
    parser.add_argument("--turn", type=float, default=30.0, help="degrees")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--bundle", default="inpaint")
    parser.add_argument("--picture", type=Path, help="write a sheet of the first faces here")
    arguments = parser.parse_args()
    editor, finder, features = Editor(arguments.bundle), faces.open_finder(), Features()
    pictures = load(arguments)
    gains: dict[str, list[float]] = {"windows": [], "found": [], "aligned": []}
    parts: dict[str, list[np.ndarray]] = {"truth": [], **{name: [] for name in gains}}
    lines, seen = [], 0
    for number, picture in enumerate(track(pictures, transient=True)):
        rng = np.random.default_rng(number)
        truth, face = photo(picture, arguments.turn, arguments.scale, rng)
        hole, around = box(face, truth.shape, rng)
        damaged = np.where(hole[..., None], 255, truth).astype(np.uint8)
        plain = editor(damaged, hole)
        found = [face for face in faces.find(plain, finder) if face.score >= finder.least]
        seen += bool(found)
        repaired = {
            "windows": plain,
            "found": editor(damaged, hole, found=found),
            "aligned": editor(damaged, hole, found=[face]),
        }
        for name, answer in repaired.items():
            gains[name].append(psnr(answer / 255.0, truth / 255.0, hole))
        for name, answer in {"truth": truth, **repaired}.items():
            parts[name].append(answer[around] / 255.0)
        if len(lines) < 8:
            lines.append(np.hstack([fit(cell, 256) for cell in (damaged, *repaired.values(), truth)]))
    print(f"{described(arguments, len(pictures))}, turned by up to {arguments.turn:g} degrees, x{arguments.scale:g}")
    print(f"a face was found in {seen} of them")
    true = features(parts["truth"])
    for name, values in gains.items():
        distance = frechet_distance(true, features(parts[name])) if len(pictures) >= FEWEST else np.nan
        print(f"{name:8} hole PSNR {np.mean(values):6.2f}  FD of the part {distance:6.3f}")
    if arguments.picture:
        images.write(arguments.picture, np.vstack(lines), overwrite=True)


if __name__ == "__main__":
    main()
