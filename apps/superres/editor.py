"""Enlarge a photo of any size, tile by tile."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from vaekit import images
from vaekit.bundle import find
from vaekit.grey import keep_grey
from vaekit.resample import bicubic, from_nearest
from vaekit.runtime import Network, RuntimeName, open_network

SCALES = (1, 2, 3, 4)
"""What the network enlarges by."""
TILE = 256
"""Side of what a tile adds to the picture, in pixels of the small one."""
RIM = 24
"""Pixels round a tile that the network sees too, so that a tile's answer is the whole picture's."""
STRIDE = 8
"""The network takes sides that this divides."""
COLOUR = 4.0
"""Standard deviation, in pixels of the small picture, of the blur that leaves its colours and not its noise."""
COLOUR_TAPS = 25


class Editor:
    """A loaded `superres` bundle: editor(image, scale) -> image.

    Args:
        bundle: name or path.
        runtime: "onnx" or "tensorflow".
        threads: threads of one network call, 0 for all cores.
    """

    def __init__(self, bundle: str = "superres", runtime: RuntimeName = "onnx", threads: int = 0):
        found = find(bundle, app="superres")
        self.latent_dim: int = found.card["latent_dim"]
        self.restores: bool = found.card["restores"]
        self.network: Network = open_network(found, runtime, threads)

    def __call__(
        self, image: np.ndarray, scale: float = 4, *, detail: float = 0.5, seed: int | None = None
    ) -> np.ndarray:
        """Enlarge an image.

        Args:
            image: [H, W, 3] or [H, W, 4], uint8 or uint16, any size.
            scale: 2, 3 or 4; anything else above 1 and below 4 takes the next larger one and averages down.
            detail: from 0, the least erroneous enlargement, to 1, as sharp as photos are.
            seed: which of the possible details; None for the likeliest.

        Returns:
            [round(scale * H), round(scale * W), C] of the same type.

        Raises:
            ValueError: shapes, types, scale or detail do not fit.
        """
        _check(image, scale, detail)
        factor = next(s for s in SCALES if s >= scale)
        z = np.zeros(self.latent_dim) if seed is None else np.random.default_rng(seed).normal(size=self.latent_dim)
        height, width, channels = image.shape
        result = np.empty((factor * height, factor * width, channels), image.dtype)
        most = np.float32(np.iinfo(image.dtype).max)
        for tile in tiles(height, width):
            enlarged = self._enlarge(image[tile.seen] / most, factor, detail, z)
            result[tile.target(factor)] = np.rint(most * enlarged[tile.kept(factor)].clip(0.0, 1.0))
        keep_grey(result, image)
        if factor == scale:
            return result
        size = (round(scale * width), round(scale * height))
        return cv2.resize(result, size, interpolation=cv2.INTER_AREA)

    def _enlarge(self, image: np.ndarray, factor: int, detail: float, z: np.ndarray) -> np.ndarray:
        """[h, w, 3 or 4] in 0..1 -> [factor * h, factor * w, 3 or 4]."""
        if image.shape[2] == 3:
            return self._colours(image, factor, detail, z)
        seen = image[..., 3] > 0
        colours = image[..., :3]
        if seen.any():  # what is hidden must not bleed into what is not
            colours = from_nearest(colours, seen)
        alpha = bicubic(image[..., 3:], (factor * image.shape[0], factor * image.shape[1]))
        return np.dstack([self._colours(colours, factor, detail, z), alpha])

    def _colours(self, image: np.ndarray, factor: int, detail: float, z: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        padded = np.pad(image, ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0)), mode="symmetric")
        answer = self.network(
            signature(factor),
            image=padded[None],
            detail=np.array([detail], np.float32),
            z=z.astype(np.float32)[None],
        )[0, : factor * height, : factor * width]
        # What the detail has changed of the small picture is taken back (Irani & Peleg 1991): no colour shifts.
        missed = image - bicubic(answer, (height, width))
        if self.restores:  # but noise that it has removed is not
            missed = cv2.GaussianBlur(missed, (COLOUR_TAPS,) * 2, COLOUR, borderType=cv2.BORDER_REFLECT)
        return answer + bicubic(missed, answer.shape[:2])


def signature(factor: int) -> str:
    """What of a bundle enlarges by a factor."""
    return "tensor" if factor == SCALES[-1] else f"tensor_x{factor}"


@dataclass(frozen=True)
class Tile:
    """A part of the small picture."""

    rows: tuple[int, int]
    """First row and the one after the last that its answer is kept of."""
    columns: tuple[int, int]
    top: int
    """Rows above that the network sees too."""
    left: int
    seen: tuple[slice, slice]
    """What the network sees."""

    def target(self, factor: int) -> tuple[slice, slice]:
        """Where its answer goes in the enlarged picture."""
        return _slices(self.rows, self.columns, factor)

    def kept(self, factor: int) -> tuple[slice, slice]:
        """Which part of the network's answer that is."""
        rows, columns = (
            (before, before + end - first)
            for before, (first, end) in ((self.top, self.rows), (self.left, self.columns))
        )
        return _slices(rows, columns, factor)


def _slices(rows, columns, factor):
    return slice(factor * rows[0], factor * rows[1]), slice(factor * columns[0], factor * columns[1])


def tiles(height: int, width: int) -> Iterator[Tile]:
    """Parts of TILE pixels that cover a picture without overlap, each with its surroundings."""
    for y in range(0, height, TILE):
        for x in range(0, width, TILE):
            top, left = min(y, RIM), min(x, RIM)
            bottom, right = min(y + TILE, height), min(x + TILE, width)
            seen = slice(y - top, min(bottom + RIM, height)), slice(x - left, min(right + RIM, width))
            yield Tile((y, bottom), (x, right), top, left, seen)


def _check(image: np.ndarray, scale: float, detail: float) -> None:
    images.check(image)
    if not 1 < scale <= SCALES[-1]:
        raise ValueError(f"expected a scale above 1 and up to {SCALES[-1]}, not {scale}")
    if not 0 <= detail <= 1:
        raise ValueError(f"expected a detail in 0..1, not {detail}")
