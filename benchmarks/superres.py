"""Super-resolution against bicubic and Lanczos enlargement, SPAN and Real-ESRGAN: the same small pictures, in one run.

    python benchmarks/superres.py ../shared/data/photos/set5
    python benchmarks/superres.py ../shared/data/photos/more --holdout file:10 --scales 4 --cleans auto,0
    python benchmarks/superres.py ../shared/data/photos/more --holdout file:10 --scales 4 --degraded

Protocol: pictures are cut to a multiple of the scale, shrunk by antialiased bicubic (MATLAB's imresize), rounded to
8 bits and enlarged again; PSNR and SSIM are of the luma (BT.601, 16..235), `scale` pixels of border left out, means
over pictures. With --degraded they are blurred before (Gaussian, .6 to 2 pixels of the large picture), and after it
noisy (Gaussian, 0 to 8 of 255, each channel) and a JPEG file (quality 30 to 90, 4:2:0), drawn by each picture's place.
FD is the Frechet distance of crops of 64 pixels of the enlarged pictures to the same crops of the true ones, in the
features of benchmarks/features.py, which know faces (left out for fewer than 128 crops). "down" is the mean
difference, in 255ths, between the small picture and the enlarged one shrunk again. "specks" are pixels, a megapixel,
that are more than 40 off the median of their 3 x 3 neighbourhood in any channel where the truth's are not. Seconds are
of CPU, of all threads, for a megapixel of output. SPAN and Real-ESRGAN are run where their wheels are installed
(benchmarks/ncnn_peers.py), at the scales that they have.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from common import add_source, described, fit, load, write_card
from features import FEWEST, SIDE, Features
from ncnn_peers import Peer, installed
from rich.progress import track

from vaekit import images
from vaekit.apps.superres.editor import Editor
from vaekit.metrics import frechet_distance, psnr, ssim
from vaekit.resample import bicubic

SPECK = 40
"""How far a speck is off the median of its neighbourhood, of 255."""


def luma(image: np.ndarray) -> np.ndarray:
    """[H, W, 3] in 0..255 -> [H, W, 1] in 0..1; BT.601 as MATLAB's rgb2ycbcr, 16..235 of 255."""
    return (16.0 + image @ np.array([65.481, 128.553, 24.966]) / 255.0)[..., None] / 255.0


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Round and clip to uint8."""
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def methods(bundle: str, details: list[float], cleans: list[str], peers: list[str]) -> dict:
    """Name -> function of (uint8 image, scale) to the enlarged image."""
    editor = Editor(bundle)

    def ours(detail, clean):
        amount = None if clean == "auto" else float(clean)
        return lambda image, scale: editor(image, scale, detail=detail, clean=amount)

    def lanczos(image, scale):
        return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LANCZOS4)

    def cubic(image, scale):
        return to_bytes(bicubic(image, (scale * image.shape[0], scale * image.shape[1])))

    named = {f"vaekit {d:g}{'' if c == 'auto' else f' clean {c}'}": ours(d, c) for c in cleans for d in details}
    return {**named, "bicubic": cubic, "Lanczos": lanczos, **{name: Peer(name) for name in peers}}


def degraded(large: np.ndarray, scale: int, number: int) -> np.ndarray:
    """The small picture of a large one as a camera and a web site would leave it; uint8."""
    rng = np.random.default_rng((28, number))
    blurred = cv2.GaussianBlur(large.astype(np.float32), (0, 0), rng.uniform(0.6, 2.0))
    small = bicubic(blurred, (large.shape[0] // scale, large.shape[1] // scale))
    small += rng.uniform(0.0, 8.0) * rng.standard_normal(small.shape, np.float32)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 91))]
    return cv2.imdecode(cv2.imencode(".jpg", to_bytes(small)[..., ::-1], quality)[1], cv2.IMREAD_COLOR_RGB)


def specks(image: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Which pixels of an image stand out from the pixels round them and do not in the true one, [H, W] bool."""
    found, true = (np.abs(p.astype(np.int16) - cv2.medianBlur(p, 3)).max(axis=2) > SPECK for p in (image, truth))
    return found & ~true


def crops(image: np.ndarray) -> list[np.ndarray]:
    """The squares of SIDE pixels of a grid, in 0..1."""
    return [
        image[y : y + SIDE, x : x + SIDE] / 255.0
        for y in range(0, image.shape[0] - SIDE + 1, SIDE)
        for x in range(0, image.shape[1] - SIDE + 1, SIDE)
    ]


def measure(pictures: list, scales: list[int], enlargers: dict, features: Features, wear: bool) -> list[dict]:
    """One row a scale and method; the enlarged pictures are in it too."""
    rows = []
    for scale in scales:
        truth = [p[: p.shape[0] // scale * scale, : p.shape[1] // scale * scale] for p in pictures]
        if wear:
            small = [degraded(t, scale, number) for number, t in enumerate(truth)]
        else:
            small = [to_bytes(bicubic(t, (t.shape[0] // scale, t.shape[1] // scale))) for t in truth]
        true_crops = [crop for picture in truth for crop in crops(picture)]
        enough = len(true_crops) >= FEWEST
        true_features = features(true_crops) if enough else None
        inner = slice(scale, -scale)
        for method, enlarge in enlargers.items():
            if scale not in getattr(enlarge, "scales", scales):
                continue
            started = time.process_time()
            found = [enlarge(s, scale) for s in track(small, f"x{scale}, {method}", transient=True)]
            seconds = time.process_time() - started
            pairs = [(luma(f)[inner, inner], luma(t)[inner, inner]) for f, t in zip(found, truth, strict=True)]
            distance = np.nan
            if enough:
                distance = frechet_distance(true_features, features([c for picture in found for c in crops(picture)]))
            rows.append(
                {
                    "scale": scale,
                    "method": method,
                    "psnr": np.mean([psnr(*pair) for pair in pairs]),
                    "ssim": np.mean([ssim(*pair) for pair in pairs]),
                    "fd": distance,
                    "down": np.mean(
                        [np.abs(bicubic(f, s.shape[:2]) - s).mean() for f, s in zip(found, small, strict=True)]
                    ),
                    "specks": sum(np.count_nonzero(specks(f, t)) for f, t in zip(found, truth, strict=True))
                    / sum(t.shape[0] * t.shape[1] / 1e6 for t in truth),
                    "seconds": seconds / sum(f.shape[0] * f.shape[1] / 1e6 for f in found),
                    "found": found,
                    "truth": truth,
                }
            )
    return rows


def report(rows: list[dict]) -> dict[str, str]:
    """Print the table, and ours against bicubic; the latter is returned too."""
    titles = f"{'Y-PSNR':>7} {'Y-SSIM':>7} {'FD':>8} {'down':>6} {'specks':>7} {'CPU s':>6}"
    print(f"{'scale':5} {'method':20} {titles}")
    for row in rows:
        print(
            f"x{row['scale']:<4} {row['method']:20} {row['psnr']:7.2f} {row['ssim']:7.4f} {row['fd']:8.3f} "
            f"{row['down']:6.2f} {row['specks']:7.0f} {row['seconds']:6.2f}"
        )
    figures = {}
    for row in rows:
        if row["method"] not in ("bicubic", "Lanczos"):
            base = next(r for r in rows if r["scale"] == row["scale"] and r["method"] == "bicubic")
            distance = "" if np.isnan(row["fd"]) else f", FD {row['fd'] / base['fd']:.2f} x"
            figures[f"x{row['scale']}, {row['method']}"] = (
                f"Y-PSNR {row['psnr']:.2f} dB ({row['psnr'] - base['psnr']:+.2f}), Y-SSIM {row['ssim']:.4f}{distance}"
            )
    print("Against bicubic:")
    for name, text in figures.items():
        print(f"{name}: {text}")
    return figures


def sheet(rows: list[dict], count: int, path: Path) -> None:
    """Draw crops of the first pictures: a column a method, truth last; largest scale."""
    of = [row for row in rows if row["scale"] == rows[-1]["scale"]]
    lines = []
    for i in range(min(count, len(of[0]["truth"]))):
        cells = [*(row["found"][i] for row in of), of[0]["truth"][i]]
        height, width = (min(160, side) for side in cells[0].shape[:2])
        top, left = (cells[0].shape[0] - height) // 2, (cells[0].shape[1] - width) // 2
        lines.append(np.hstack([fit(cell[top : top + height, left : left + width], 160) for cell in cells]))
    images.write(path, np.vstack(lines), overwrite=True)


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_source(parser)
    parser.add_argument("--scales", default="2,3,4")
    parser.add_argument("--details", default="0,0.5,1")
    parser.add_argument("--cleans", default="auto", help="of auto and 0 to 1")
    parser.add_argument("--degraded", action="store_true", help="small pictures as a camera and a web site leave them")
    parser.add_argument("--peers", default=",".join(installed()), help="of the installed: %(default)s; '' for none")
    parser.add_argument("--bundle", default="superres")
    parser.add_argument("--picture", type=Path, help="write a sheet of crops here")
    parser.add_argument("--rows", type=int, default=8, help="pictures on the sheet")
    parser.add_argument("--card", action="store_true", help="write the comparison into the bundle's card")
    arguments = parser.parse_args()
    pictures = load(arguments)
    details, peers = [float(d) for d in arguments.details.split(",")], [p for p in arguments.peers.split(",") if p]
    enlargers = methods(arguments.bundle, details, arguments.cleans.split(","), peers)
    print(f"{len(pictures)} images of {Path(arguments.folder).name}, bundle {arguments.bundle}")
    rows = measure(pictures, [int(s) for s in arguments.scales.split(",")], enlargers, Features(), arguments.degraded)
    figures = report(rows)
    if arguments.card:
        how = "degraded, " if arguments.degraded else ""
        write_card(arguments.bundle, f"{described(arguments, len(pictures))}, {how}against bicubic", figures)
    if arguments.picture:
        sheet(rows, arguments.rows, arguments.picture)


if __name__ == "__main__":
    main()
