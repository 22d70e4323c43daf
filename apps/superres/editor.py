"""Enlarge a photo of any size, tile by tile, and clean it of noise, blur and compression."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from vaekit import images
from vaekit.bundle import BundleError, find
from vaekit.grey import keep_grey
from vaekit.resample import bicubic, from_nearest
from vaekit.runtime import LEAST, Network, RuntimeName, open_network

SCALES = (1, 2, 3, 4)
"""What the networks enlarge by; 1 cleans alone."""
LARGER = SCALES[1:]
"""What the one for clean pictures enlarges by."""
SLIGHT = 0.45
"""A picture that is estimated to need no more cleaning than this is left as it is: no clean one of photos/more that was
kept for validation is estimated to need more."""
TILE = 256
"""Side of what a tile adds to the picture, in pixels of the small one."""
SHARE = 0.6
"""How much of the estimate is removed: less loses less detail, and errs less on degraded photos of photos/more."""
SEEN = 1024
"""Side of what is looked at together to estimate how much cleaning a picture needs."""
RIM = 24
"""Pixels round a tile that the network sees too, so that a tile's answer is the whole picture's."""
STRIDE = 8
"""The network takes sides that this divides."""
SPECK = 0.14
"""How far a pixel of an answer with detail may be off the median of the 3 x 3 round it: adversarial detail has isolated
pixels that photos have not."""
COLOUR = 4.0
"""Standard deviation, in pixels of the small picture, of the blur that leaves its colours and not its noise."""
COLOUR_TAPS = 25


class Editor:
    """A loaded `superres` bundle: editor(image, scale) -> image.

    Args:
        bundle: name or path.
        runtime: as vaekit.runtime.open_network.
        threads: threads of one network call, 0 for all cores.
    """

    def __init__(self, bundle: str = "superres", runtime: RuntimeName = "onnx", threads: int = 0):
        found = find(bundle, app="superres")
        if "restores" in found.card:  # version 1, of networks that could not clean
            raise BundleError(f"{found.path}: exported by an earlier version of vaekit: export its run again")
        self.latent_dim: int = found.card["latent_dim"]
        self.network: Network = open_network(found, runtime, threads)

    def __call__(
        self,
        image: np.ndarray,
        scale: float = 4,
        *,
        detail: float = 0.5,
        clean: float | None = None,
        seed: int | None = None,
        progress: Callable[[float], object] | None = None,
    ) -> np.ndarray:
        """Enlarge an image.

        Args:
            image: [H, W, 3] or [H, W, 4], uint8 or uint16, any size.
            scale: 1, 2, 3 or 4; anything else between takes the next larger one and averages down. 1 cleans alone.
            detail: from 0, the least erroneous enlargement, to 1, as sharp as photos are.
            clean: how much of noise, blur and compression is removed, from 0 to 1; None takes what `estimate` says.
            seed: which of the possible details; None for the likeliest.
            progress: called with the share that is done, above 0 and up to 1, after every tile.

        Returns:
            [round(scale * H), round(scale * W), C] of the same type.

        Raises:
            ValueError: shapes, types, scale, detail or clean do not fit.

        Example:
            editor = vaekit.load("superres")
            larger = editor(image, 2)
            cleaned = editor(image, 1, detail=0, clean=0.5)
        """
        _check(image, scale, detail, clean)
        if clean is None:
            clean = self.estimate(image)
        factor = next(s for s in SCALES if s >= scale)
        z = np.zeros(self.latent_dim) if seed is None else np.random.default_rng(seed).normal(size=self.latent_dim)
        height, width, channels = image.shape
        result = np.empty((factor * height, factor * width, channels), image.dtype)
        most = np.float32(np.iinfo(image.dtype).max)
        parts = list(tiles(height, width))
        for done, tile in enumerate(parts, start=1):
            enlarged = self._enlarge(image[tile.seen] / most, factor, detail, clean, z)
            result[tile.target(factor)] = np.rint(most * enlarged[tile.kept(factor)].clip(0.0, 1.0))
            if progress:
                progress(done / len(parts))
        keep_grey(result, image)
        if factor == scale:
            return result
        size = (round(scale * width), round(scale * height))
        return cv2.resize(result, size, interpolation=cv2.INTER_AREA)

    def estimate(self, image: np.ndarray) -> float:
        """How much cleaning an image [H, W, 3 or 4] needs, in 0..1; 0 for what needs next to none.

        A network looks at the whole picture; what is transparent counts too. Less than 16 pixels say nothing.
        """
        images.check(image)
        most = np.float32(np.iinfo(image.dtype).max)
        found, pixels = 0.0, 0
        height, width = image.shape[:2]
        for tile in tiles(height, width, side=SEEN):
            part = image[tile.own][..., :3]
            if min(part.shape[:2]) < LEAST:
                continue
            count = part.shape[0] * part.shape[1]
            found += count * float(self.network("severity", image=part[None] / most)[0])
            pixels += count
        if not pixels:
            return 0.0
        severity = round(found / pixels, 2)
        return round(SHARE * severity, 2) if severity > SLIGHT else 0.0

    def _enlarge(self, image: np.ndarray, factor: int, detail: float, clean: float, z) -> np.ndarray:
        """[h, w, 3 or 4] in 0..1 -> [factor * h, factor * w, 3 or 4]."""
        if image.shape[2] == 3:
            return self._colours(image, factor, detail, clean, z)
        seen = image[..., 3] > 0
        colours = image[..., :3]
        if seen.any():  # what is hidden must not bleed into what is not
            colours = from_nearest(colours, seen)
        alpha = bicubic(image[..., 3:], (factor * image.shape[0], factor * image.shape[1]))
        return np.dstack([self._colours(colours, factor, detail, clean, z), alpha])

    def _colours(self, image: np.ndarray, factor: int, detail: float, clean: float, z) -> np.ndarray:
        height, width = image.shape[:2]
        padded = np.pad(image, ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0)), mode="symmetric")
        answer = self.network(
            signature(factor),
            image=padded[None],
            detail=np.array([detail], np.float32),
            clean=np.array([clean], np.float32),
            z=z.astype(np.float32)[None],
        )[0, : factor * height, : factor * width]
        if detail > 0:
            middle = cv2.medianBlur(np.ascontiguousarray(answer), 3)
            answer = answer.clip(middle - SPECK, middle + SPECK)
        # What the detail has changed of the small picture is taken back (Irani & Peleg 1991): no colour shifts.
        missed = image - bicubic(answer, (height, width))
        if clean > 0:  # but noise that it has removed is not
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

    @property
    def own(self) -> tuple[slice, slice]:
        """What it adds, in the small picture."""
        return self.target(1)

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


def tiles(height: int, width: int, side: int = 0) -> Iterator[Tile]:
    """Parts of `side` (or TILE) pixels that cover a picture without overlap, each with its surroundings."""
    side = side or TILE
    for y in range(0, height, side):
        for x in range(0, width, side):
            top, left = min(y, RIM), min(x, RIM)
            bottom, right = min(y + side, height), min(x + side, width)
            seen = slice(y - top, min(bottom + RIM, height)), slice(x - left, min(right + RIM, width))
            yield Tile((y, bottom), (x, right), top, left, seen)


def _check(image: np.ndarray, scale: float, detail: float, clean: float | None) -> None:
    images.check(image)
    if not SCALES[0] <= scale <= SCALES[-1]:
        raise ValueError(f"expected a scale from {SCALES[0]} to {SCALES[-1]}, not {scale}")
    if not 0 <= detail <= 1:
        raise ValueError(f"expected a detail in 0..1, not {detail}")
    if clean is not None and not 0 <= clean <= 1:
        raise ValueError(f"expected a clean in 0..1 or None, not {clean}")
