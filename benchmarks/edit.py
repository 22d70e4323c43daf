"""Attribute editing, judged by a network that no training of an app has seen (benchmarks/judge.py).

    python benchmarks/edit.py ../shared/data/celeb --holdout identity:15

Of every aligned face and every attribute: absent is made present (value 1), present is made absent (-1). It came out
where the judge then says so. The faces' labels stand in FOLDER.csv, under CelebA's names. The table also says how
often the judge agrees with the labels of unedited faces: more than that cannot be asked of an edit.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from common import add_source, described, fit, items, write_card
from judge import Judge
from rich.progress import track

from vaekit import faces, images
from vaekit.apps.edit.editor import Editor

CELEBA = {
    "smiling": "Smiling", "mouth_open": "Mouth_Slightly_Open", "eyeglasses": "Eyeglasses", "bangs": "Bangs",
    "black_hair": "Black_Hair", "blond_hair": "Blond_Hair", "brown_hair": "Brown_Hair", "grey_hair": "Gray_Hair",
    "beard": "!No_Beard", "mustache": "Mustache", "age": "!Young", "male": "Male", "pale_skin": "Pale_Skin",
}  # fmt: skip
"""CelebA's columns of the bundle's attributes; `!` where an attribute is the column's opposite."""
MARGIN = 0.1
"""Of the canvas round a face, as a share of its side: room to see whether anything outside is touched."""


def load(arguments: argparse.Namespace, names: tuple[str, ...]) -> tuple[list[np.ndarray], np.ndarray]:
    """Faces [H, W, 3] uint8 kept for validation, and their attributes [N, K]."""
    held = items(arguments, [CELEBA[name] for name in names])
    return [item["image"] for item in held], np.stack([item["label"] for item in held])


def on_canvas(face: np.ndarray) -> tuple[np.ndarray, faces.Face]:
    """The face amid its continued border, and where it is."""
    margin = round(MARGIN * len(face))
    canvas = cv2.copyMakeBorder(face, *[margin] * 4, cv2.BORDER_REFLECT_101)
    points = faces.whole(face).points + margin
    return canvas, faces.Face(points, (margin, margin, len(face), len(face)), 1.0)


def edit(editor: Editor, face: np.ndarray, values: dict[str, float]) -> tuple[np.ndarray, int]:
    """An edited face [H, W, 3] uint8, and how many pixels outside of it have changed."""
    canvas, place = on_canvas(face)
    edited = editor(canvas, values, [place])
    margin = round(MARGIN * len(face))
    inside = slice(margin, margin + len(face))
    outside = np.any(edited != canvas, axis=-1)
    outside[inside, inside] = False
    return edited[inside, inside], int(outside.sum())


def measure(
    editor: Editor, pictures: list[np.ndarray], labels: np.ndarray, strength: float, judge: Judge
) -> list[dict]:
    """One row an attribute."""
    columns = [judge.names.index(CELEBA[name].removeprefix("!")) for name in editor.attributes]
    opposite = np.array([CELEBA[name].startswith("!") for name in editor.attributes])

    def seen(faces_):
        attributes, identity = judge([face / 255.0 for face in faces_])
        return (attributes[:, columns] > 0.5) != opposite, identity

    before, who = seen(pictures)
    rows = []
    for k, name in enumerate(editor.attributes):
        present = labels[:, k] > 0.5
        started = time.perf_counter()
        pairs = list(zip(pictures, present, strict=True))
        done = [
            edit(editor, p, {name: -strength if has else strength}) for p, has in track(pairs, name, transient=True)
        ]
        seconds = (time.perf_counter() - started) / len(pictures)
        edited = [face for face, _ in done]
        after, who_then = seen(edited)
        came_out = after[:, k] != present
        rest = [
            j
            for j in range(len(columns))
            if j != k and not any({name, editor.attributes[j]} <= set(g) for g in editor.exclusive)
        ]
        rows.append(
            {
                "attribute": name,
                "added": came_out[~present].mean(),
                "removed": came_out[present].mean() if present.any() else np.nan,
                "agreed": (before[:, k] == present).mean(),
                "identity": (who * who_then).sum(axis=1).mean(),
                "others": (before != after)[:, rest].mean(),
                "outside": sum(count for _, count in done),
                "ms": 1000 * seconds,
                "edited": edited,
            }
        )
    return rows


def report(rows: list[dict], judge: Judge, pictures: list[np.ndarray]) -> dict[str, str]:
    """Print the table; the means are returned too."""
    print(
        f"{'attribute':12} {'added':>7} {'removed':>7} {'agreed':>7} {'identity':>8} {'others':>7} {'outside':>7} "
        f"{'ms':>5}"
    )
    for row in rows:
        print(
            f"{row['attribute']:12} {row['added']:7.1%} {row['removed']:7.1%} {row['agreed']:7.1%} "
            f"{row['identity']:8.3f} {row['others']:7.1%} {row['outside']:7d} {row['ms']:5.0f}"
        )
    success = np.nanmean([[row["added"], row["removed"]] for row in rows])
    _, who = judge([p / 255.0 for p in pictures])
    same = np.mean([row["identity"] for row in rows])
    strangers = (who @ who.T)[~np.eye(len(who), dtype=bool)].mean()
    figures = {
        "success, mean of both ways and all attributes": f"{success:.1%}",
        "identity cosine, mean": f"{same:.3f} (two faces at random: {strangers:.3f})",
        "other attributes flipped, mean": f"{np.mean([row['others'] for row in rows]):.1%}",
        "pixels changed outside the face": f"{sum(row['outside'] for row in rows)}",
    }
    for name, figure in figures.items():
        print(f"{name}: {figure}")
    return figures


def sheet(pictures: list[np.ndarray], rows: list[dict], count: int, path: Path) -> None:
    """Draw the first faces: as they are, and one column an attribute."""
    side = 128
    lines = [
        np.hstack([fit(cell, side) for cell in (pictures[i], *(row["edited"][i] for row in rows))])
        for i in range(min(count, len(pictures)))
    ]
    images.write(path, np.vstack(lines), overwrite=True)


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_source(parser)
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--bundle", default="edit")
    parser.add_argument("--picture", type=Path, help="write a sheet of the first faces here")
    parser.add_argument("--rows", type=int, default=8, help="faces on the sheet")
    parser.add_argument("--card", action="store_true", help="write the figures into the bundle's card")
    arguments = parser.parse_args()
    editor, judge = Editor(arguments.bundle), Judge()
    pictures, labels = load(arguments, editor.attributes)
    print(f"{described(arguments, len(pictures))}, bundle {arguments.bundle}, strength {arguments.strength:g}")
    rows = measure(editor, pictures, labels, arguments.strength, judge)
    figures = report(rows, judge, pictures)
    if arguments.card:
        write_card(arguments.bundle, described(arguments, len(pictures)), figures)
    if arguments.picture:
        sheet(pictures, rows, arguments.rows, arguments.picture)


if __name__ == "__main__":
    main()
