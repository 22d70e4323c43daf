"""Inpainting against cv2.inpaint (Telea, Navier-Stokes): the same holes, in one run.

    python benchmarks/inpaint.py ../shared/data/celeb --holdout identity:15 --side 128 --parts
    python benchmarks/inpaint.py ../shared/data/photos/set14 --holes 5-15
    python benchmarks/inpaint.py ../shared/data/celeb2 --holdout identity:15 --paste ../shared/data/photos/more

With --paste the images are faces of 80 to 125 px, blended into squares of 250 px of the photos whose number is
divisible by 10.
PSNR and L1 are means over images of the hole's pixels, SSIM of whole images, time of one repair. FD is the
Frechet distance of whole repaired images to the true ones in the features of benchmarks/features.py (0 for a
perfect repair; left out for fewer than 128 images). With --parts, boxes of the wide face template (an eye, the
nose, the mouth) are holes too, and FD is that of the box with a margin. The row "all" pools the images of all
classes but the parts. With --references, two repairs that know what no tool can know say what the distances of
small boxes mean: the truth itself, blurred (standard deviation of 1/64 of the side), and the next picture's pixels.
"""

import argparse
import itertools
import time
from pathlib import Path

import cv2
import numpy as np
from common import add_source, described, fit, load, write_card
from features import FEWEST, Features
from rich.progress import track

from vaekit import images
from vaekit.apps.inpaint.editor import Editor
from vaekit.data import Holdout, holes, open_source
from vaekit.metrics import frechet_distance, l1, psnr, ssim

PARTS = {
    "left eye": (0.3676, 0.4818, 0.22, 0.15),
    "right eye": (0.6257, 0.4818, 0.22, 0.15),
    "nose": (0.493, 0.60, 0.20, 0.20),
    "mouth": (0.4965, 0.758, 0.32, 0.15),
}
"""Centre, width and height as shares of the side of a face in the wide template."""
MARGIN = 0.5
"""Of the box's sides, on each side, in the crop whose Frechet distance is taken."""


def hole_classes(names: list[str], parts: bool) -> dict:
    """Name -> function of (generator, shape) to a mask."""
    classes = {}
    for name in names:
        if name == "square":
            classes[name] = lambda rng, shape: holes.centred_square(shape)
        else:
            area = tuple(float(percent) / 100 for percent in name.split("-"))
            classes[f"{name} %"] = lambda rng, shape, area=area: holes.free_form(rng, shape, area)
    if parts:
        classes |= {name: lambda rng, shape, name=name: _box(name, shape) for name in PARTS}
    return classes


def _box(name: str, shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[_slices(name, shape, 0.0)] = True
    return mask


def _slices(name: str, shape: tuple[int, int], margin: float) -> tuple[slice, slice]:
    x, y, width, height = PARTS[name]
    half_x, half_y = width * (0.5 + margin), height * (0.5 + margin)
    rows = slice(max(round((y - half_y) * shape[0]), 0), round((y + half_y) * shape[0]))
    return rows, slice(max(round((x - half_x) * shape[1]), 0), round((x + half_x) * shape[1]))


def methods(bundle: str, iterations: list[int], fill: str) -> dict:
    """Name -> function of (uint8 image, mask) to the repaired image."""
    editor = Editor(bundle)
    ours = {f"vaekit x{n}": lambda image, mask, n=n: editor(image, mask, iterations=n, fill=fill) for n in iterations}
    classical = {"Telea": cv2.INPAINT_TELEA, "Navier-Stokes": cv2.INPAINT_NS}
    return ours | {
        name: lambda image, mask, kind=kind: cv2.inpaint(image, mask.astype(np.uint8), 3, kind)
        for name, kind in classical.items()
    }


def references(pictures: list[np.ndarray]) -> dict:
    """As `methods`, of the undamaged pictures in their order: repairs that need the truth, or other true pictures."""
    following = itertools.cycle([*pictures[1:], pictures[0]])

    def blurred(image, mask):
        return np.where(mask[..., None], cv2.GaussianBlur(image, (0, 0), max(image.shape) / 64), image)

    def another(image, mask):
        return np.where(mask[..., None], cv2.resize(next(following), image.shape[1::-1]), image)

    return {"blurred truth": blurred, "next picture": another}


def pasted(faces: list[np.ndarray], photos: list[np.ndarray]) -> list[np.ndarray]:
    """Blend each face, 80 to 125 px wide, into a random square of 250 px of a photo; uint8 [250, 250, 3] each."""
    composed = []
    for index, face in enumerate(faces):
        rng = np.random.default_rng(index)
        photo = photos[index % len(photos)]
        factor = max(250 / min(photo.shape[:2]), rng.uniform(0.4, 0.8))
        photo = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        y, x = (int(rng.integers(0, length - 249)) for length in photo.shape[:2])
        square = photo[y : y + 250, x : x + 250].astype(np.float32)
        side = int(rng.integers(80, 126))
        small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
        ellipse = np.zeros((side, side), np.float32)
        half = side // 2
        cv2.ellipse(ellipse, (half, half), (round(0.4 * side), round(0.46 * side)), 0, 0, 360, 1.0, -1)
        weight = cv2.GaussianBlur(ellipse, (0, 0), 0.025 * side)[..., None]
        top, left = (int(n) for n in rng.integers(0, 250 - side + 1, 2))
        area = square[top : top + side, left : left + side]
        area += weight * (small - area)
        composed.append(np.rint(square).astype(np.uint8))
    return composed


def measure(pictures: list[np.ndarray], classes: dict, repairs: dict, features: Features) -> list[dict]:
    """One row a class and method; the repaired pictures are in it too."""
    rows = []
    for place, (hole_class, draw) in enumerate(classes.items()):
        masks = [draw(np.random.default_rng((place, i)), p.shape[:2]) for i, p in enumerate(pictures)]
        part = hole_class if hole_class in PARTS else None

        def seen(image, part=part):
            return image if part is None else image[_slices(part, image.shape[:2], MARGIN)]

        truth = features([seen(p / 255.0) for p in pictures])
        for method, repair in repairs.items():
            started = time.perf_counter()
            pairs = list(zip(pictures, masks, strict=True))
            repaired = [repair(p, m) for p, m in track(pairs, f"{hole_class}, {method}", transient=True)]
            seconds = (time.perf_counter() - started) / len(pictures)
            unit = [(r / 255.0, p / 255.0, m) for r, p, m in zip(repaired, pictures, masks, strict=True)]
            found = features([seen(r) for r, _, _ in unit])
            rows.append(
                {
                    "holes": hole_class,
                    "method": method,
                    "psnr": np.mean([psnr(r, p, m) for r, p, m in unit]),
                    "ssim": np.mean([ssim(r, p) for r, p, _ in unit]),
                    "l1": np.mean([l1(r, p, m) for r, p, m in unit]),
                    "fd": frechet_distance(truth, found) if len(pictures) >= FEWEST else np.nan,
                    "ms": 1000 * seconds,
                    "outside": sum(int((r != p)[~m].sum()) for r, p, m in zip(repaired, pictures, masks, strict=True)),
                    "features": (truth, found),
                    "repaired": repaired,
                    "masks": masks,
                }
            )
    return rows


def report(rows: list[dict]) -> dict[str, str]:
    """Print the table, and ours against the better of the classical methods; the latter is returned too."""
    print(f"{'holes':10} {'method':14} {'PSNR':>6} {'SSIM':>6} {'L1':>6} {'FD':>8} {'ms':>7} {'outside':>7}")
    for row in rows:
        print(
            f"{row['holes']:10} {row['method']:14} {row['psnr']:6.2f} {row['ssim']:6.3f} {row['l1']:6.4f} "
            f"{row['fd']:8.3f} {row['ms']:7.1f} {row['outside']:7d}"
        )
    names = list(dict.fromkeys(row["method"] for row in rows))
    whole = [row for row in rows if row["holes"] not in PARTS]
    ours = [name for name in names if name not in ("Telea", "Navier-Stokes")]
    enough = len(rows[0]["repaired"]) >= FEWEST
    against = {}
    if enough:
        pooled = {
            name: frechet_distance(
                *(np.concatenate(f) for f in zip(*(r["features"] for r in whole if r["method"] == name), strict=True))
            )
            for name in names
        }
        for name, distance in pooled.items():
            print(f"{'all':10} {name:14} {'':6} {'':6} {'':6} {distance:8.3f}")
        best = min(pooled["Telea"], pooled["Navier-Stokes"])
        against = {f"all holes, {name}": f"FD {pooled[name] / best:.2f} x" for name in ours}
    for hole_class in dict.fromkeys(row["holes"] for row in rows):
        of = {row["method"]: row for row in rows if row["holes"] == hole_class}
        psnr_best = max(of["Telea"]["psnr"], of["Navier-Stokes"]["psnr"])
        fd_best = min(of["Telea"]["fd"], of["Navier-Stokes"]["fd"])
        for name in ours:
            gain, share = of[name]["psnr"] - psnr_best, of[name]["fd"] / fd_best
            against[f"{hole_class}, {name}"] = f"hole PSNR {gain:+.2f} dB" + (f", FD {share:.2f} x" if enough else "")
    print("Against the better of Telea and Navier-Stokes:")
    for name, figures in against.items():
        print(f"{name}: {figures}")
    return against


def sheet(pictures: list[np.ndarray], rows: list[dict], count: int, path: Path) -> None:
    """Draw the first pictures of every class: damaged, one column a method, truth."""
    lines = []
    side = min(256, max(max(p.shape[:2]) for p in pictures))
    for hole_class in dict.fromkeys(row["holes"] for row in rows):
        of = [row for row in rows if row["holes"] == hole_class]
        for i in range(min(count, len(pictures))):
            damaged = np.where(of[0]["masks"][i][..., None], 255, pictures[i]).astype(np.uint8)
            cells = [damaged, *(row["repaired"][i] for row in of), pictures[i]]
            lines.append(np.hstack([fit(cell, side) for cell in cells]))
    images.write(path, np.vstack(lines), overwrite=True)


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_source(parser)
    parser.add_argument("--holes", default="5-15,15-30,30-50,square")
    parser.add_argument("--parts", action="store_true", help="also boxes over the parts of a face")
    parser.add_argument("--paste", help="a folder of photos: small faces in squares of them")
    parser.add_argument("--references", action="store_true", help="also repairs that know the truth")
    parser.add_argument("--iterations", default="1,5,10")
    parser.add_argument("--bundle", default="inpaint")
    parser.add_argument("--fill", default="network", choices=["auto", "network", "texture"], help="what fills holes")
    parser.add_argument("--picture", type=Path, help="write a sheet of the first rows here")
    parser.add_argument("--rows", type=int, default=4, help="pictures a class on the sheet")
    parser.add_argument("--card", action="store_true", help="write the comparison into the bundle's card")
    arguments = parser.parse_args()
    pictures = load(arguments)
    if arguments.paste:
        source = open_source(arguments.paste, split="validation", holdout=Holdout("file", 10))
        pictures = pasted(pictures, [source[index]["image"] for index in range(len(source))])
    classes = hole_classes(arguments.holes.split(","), arguments.parts)
    repairs = methods(arguments.bundle, [int(n) for n in arguments.iterations.split(",")], arguments.fill)
    if arguments.references:
        repairs |= references(pictures)
    print(f"{len(pictures)} images of {Path(arguments.folder).name}, bundle {arguments.bundle}")
    rows = measure(pictures, classes, repairs, Features())
    figures = report(rows)
    if arguments.card:
        title = f"{described(arguments, len(pictures))}, against the better of cv2.inpaint's Telea and Navier-Stokes"
        write_card(arguments.bundle, title, figures)
    if arguments.picture:
        sheet(pictures, rows, arguments.rows, arguments.picture)


if __name__ == "__main__":
    main()
