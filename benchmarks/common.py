"""What the benchmarks of the apps share: which images, the card, cells of a sheet."""

import argparse
import json
import os
from pathlib import Path

import cv2
import numpy as np

from vaekit.bundle import CARD, find
from vaekit.data import Holdout, open_source


def add_source(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which images."""
    parser.add_argument("folder")
    parser.add_argument("--holdout", help="COLUMN:EVERY, only what is kept for validation")
    parser.add_argument("--side", type=int, help="resize to squares of so many pixels first")
    parser.add_argument("--limit", type=int, help="only the first so many images")


def items(arguments: argparse.Namespace, labels: list[str] | None = None) -> list[dict]:
    """The images' items, with labels where columns are named; of a data set only what is kept for validation."""
    column, _, every = (arguments.holdout or "file:1").partition(":")
    holdout = Holdout(column, int(every))
    source = open_source(arguments.folder, split="validation", holdout=holdout, labels=labels)
    return [source[index] for index in range(min(len(source), arguments.limit or len(source)))]


def load(arguments: argparse.Namespace) -> list[np.ndarray]:
    """The images, [H, W, 3] uint8."""
    loaded = []
    for item in items(arguments):
        image = item["image"]
        if arguments.side:
            image = cv2.resize(image, (arguments.side, arguments.side), interpolation=cv2.INTER_AREA)
        loaded.append(image)
    return loaded


def described(arguments: argparse.Namespace, count: int) -> str:
    """Data, split, count and size, in words."""
    split = f"validation, {arguments.holdout}" if arguments.holdout else "all"
    size = f"{arguments.side} px" if arguments.side else "full size"
    return f"{Path(arguments.folder).name} ({split}), {count} images, {size}"


def write_card(bundle: str, title: str, figures: dict[str, str]) -> None:
    """Put what was measured into the bundle's card, which no checksum covers."""
    path = find(bundle).path / CARD
    card = json.loads(path.read_text("utf-8"))
    card.setdefault("figures", {})[title] = figures
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")
    os.replace(partial, path)


def fit(image: np.ndarray, side: int) -> np.ndarray:
    """A cell of a sheet: the image, shrunk where it is larger, in a square of `side`."""
    factor = min(1.0, side / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    bottom, right = side - small.shape[0], side - small.shape[1]
    return np.pad(small, ((0, bottom), (0, right), (0, 0)))
