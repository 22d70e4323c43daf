"""Fill the holes of an image with patches of the image itself.

PyPatchMatch completes the image coarse to fine (Wexler et al. 2007, "Space-time completion of video", with the search
of Barnes et al. 2009, "PatchMatch"), on 8 bits and at a moderate size. Every patch that overlaps the hole is then
traced to the most similar patch of the known part. Where the image is larger or deeper, the fill is made anew of those
patches, so that a large photo is searched at a small size and copied at its own.
"""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from vaekit.resample import from_nearest
from vaekit.runtime import check_cancelled

RADIUS = 3
PATCH = 2 * RADIUS + 1
"""Side of a patch, in pixels."""
COMPONENTS = 24
"""Principal components of patches by which they are compared."""
SAMPLED = 2000
"""Patches of which the components are computed."""
SEARCHED = 60_000
"""Pixels of a hole up to which patches are searched at full size; of a larger one at half, a quarter, ..."""
FEWEST = 64
"""Patches of known pixels that an image needs."""
ROUNDS = 3
"""Rounds of the search for the patches that a completed image is made of."""
COHERENCE = 3.0
"""How many times more the vote of a patch counts all of whose neighbours are copied from beside it."""
STEPS = [(dy, dx) for dy in range(-RADIUS, RADIUS + 1) for dx in range(-RADIUS, RADIUS + 1)]
"""Places in a patch, from its middle."""
KERNEL = np.ones((PATCH, PATCH), np.uint8)


class TooLittleError(ValueError):
    """There are too few patches to fill a hole with."""


class Filled(NamedTuple):
    """What `fill` returns."""

    image: np.ndarray
    """[h, w, C] float32: the bounding box of the hole, filled, in the units of the image."""
    box: tuple[slice, slice]
    """Rows and columns of it."""
    confidence: float
    """0 to 1: how alike the fill's patches are to those of the image, against how alike those are to each other."""


def fill(image: np.ndarray, hole: np.ndarray, usable: np.ndarray, seed: int | None = None) -> Filled:
    """Fill a hole.

    Args:
        image: [H, W, 3] uint8 or uint16.
        hole: [H, W] bool, what to fill; not empty.
        usable: [H, W] bool, the known pixels that may be copied; none of the hole.
        seed: which of the possible fills, the same for the same seed; None is that of seed 0.

    Raises:
        TooLittleError: fewer than FEWEST patches are usable.
    """
    box = _box(hole)
    factor = 1
    while np.count_nonzero(hole) / factor**2 > SEARCHED:
        factor *= 2
    # Sides that the factor divides, so that an offset at the small size is a whole one at the full size.
    bottom, right = (-side % factor for side in hole.shape)
    padded = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    small = np.rint(_shrink(padded, factor) * np.float32(255 / np.iinfo(image.dtype).max))
    known = np.pad(usable, ((0, bottom), (0, right)))
    level = _Level(
        small,
        _shrink(255 * np.pad(hole, ((0, bottom), (0, right)), mode="edge").astype(np.uint8), factor) > 0,
        _shrink(255 * known.astype(np.uint8), factor) == 255,
    )
    rng = np.random.default_rng(seed or 0)
    completed = level.completed(seed or 0)
    level.trace(completed, rng)
    if factor > 1:
        found = _enlarge(padded, box, level, completed, factor)
    elif image.dtype == np.uint8:
        found = completed[box]
    else:
        found = _mean(padded, box, level)
    return Filled(found, box, level.confidence(rng))


def _box(hole: np.ndarray) -> tuple[slice, slice]:
    left, top, width, height = cv2.boundingRect(hole.astype(np.uint8))
    return slice(top, top + height), slice(left, left + width)


def _shrink(image: np.ndarray, factor: int) -> np.ndarray:
    if factor == 1:
        return image
    return cv2.resize(image, (image.shape[1] // factor, image.shape[0] // factor), interpolation=cv2.INTER_AREA)


class _Level:
    """An image at the size of the search.

    Args:
        image: [H, W, 3] float32, whole numbers in 0..255.
        hole: [H, W] bool, what to fill.
        usable: [H, W] bool, what may be copied.
    """

    def __init__(self, image: np.ndarray, hole: np.ndarray, usable: np.ndarray):
        self.hole, self.usable = hole, usable
        self.height, self.width = hole.shape
        self.valid = cv2.erode(usable.astype(np.uint8), KERNEL, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
        self.sources = np.flatnonzero(self.valid)
        if len(self.sources) < FEWEST:
            raise TooLittleError(f"fewer than {FEWEST} patches of {PATCH}x{PATCH} known pixels")
        # What is neither known nor to be filled: like its surroundings.
        self.image = np.where((hole | usable)[..., None], image, from_nearest(image, usable))
        targets = cv2.dilate(hole.astype(np.uint8), KERNEL) > 0
        self.ty, self.tx = np.nonzero(targets)
        self.index = np.full(hole.shape, -1, np.int32)
        """Number of the target at each pixel."""
        self.index[targets] = np.arange(len(self.ty))
        self.nearest = np.zeros(len(self.ty), np.int64)
        """The source of each target, as an index into the flat image."""
        self.cost = np.zeros(len(self.ty), np.float32)

    def completed(self, seed: int) -> np.ndarray:
        """The image with the hole filled by PyPatchMatch, [H, W, 3] float32."""
        import patchmatch

        patchmatch.set_random_seed(seed)
        shown = self.image.astype(np.uint8)
        banned = ~self.hole & ~self.usable
        options = {"global_mask": banned} if banned.any() else {}
        return patchmatch.inpaint(shown, self.hole, patch_size=RADIUS, **options).astype(np.float32)

    def trace(self, image: np.ndarray, rng: np.random.Generator) -> None:
        """Find the source of every target of a completed image."""
        self.describe(rng)
        described = (_patches(image, self.ty * self.width + self.tx) - self.mean) @ self.basis
        self.nearest = rng.choice(self.sources, len(self.ty))
        self.cost = self.distance(described, self.nearest)
        for _ in range(ROUNDS):
            self.search(described, rng)

    def describe(self, rng: np.random.Generator) -> None:
        """Compute the components of the sources."""
        few = len(self.sources) <= SAMPLED
        rows = _patches(self.image, self.sources if few else rng.choice(self.sources, SAMPLED, replace=False))
        self.mean = rows.mean(axis=0)
        rows = rows - self.mean
        self.basis = np.ascontiguousarray(np.linalg.eigh(rows.T @ rows)[1][:, ::-1][:, :COMPONENTS])
        self.described = np.zeros((self.hole.size, COMPONENTS), np.float32)
        for first in range(0, len(self.sources), 8192):
            part = self.sources[first : first + 8192]
            self.described[part] = (_patches(self.image, part) - self.mean) @ self.basis

    def distance(self, described: np.ndarray, sources: np.ndarray) -> np.ndarray:
        difference = described - self.described[sources]
        return np.einsum("nd,nd->n", difference, difference)

    def search(self, described: np.ndarray, rng: np.random.Generator) -> None:
        """PatchMatch: what neighbours have found, and random places ever nearer to the best so far."""
        for step in (8, 4, 2, 1):
            for dy, dx in ((0, step), (step, 0), (0, -step), (-step, 0)):
                y, x = self.ty - dy, self.tx - dx
                inside = (y >= 0) & (y < self.height) & (x >= 0) & (x < self.width)
                neighbour = np.where(inside, self.index[y.clip(0, self.height - 1), x.clip(0, self.width - 1)], -1)
                rows = np.flatnonzero(neighbour >= 0)
                y, x = np.divmod(self.nearest[neighbour[rows]], self.width)
                self.consider(described, rows, y + dy, x + dx)
        rows = np.arange(len(described))
        reach = max(self.hole.shape)
        while reach >= 1:
            y, x = np.divmod(self.nearest, self.width)
            away = np.rint(rng.uniform(-reach, reach, (2, len(rows)))).astype(int)
            self.consider(described, rows, y + away[0], x + away[1])
            reach //= 2

    def consider(self, described: np.ndarray, rows: np.ndarray, y: np.ndarray, x: np.ndarray) -> None:
        """Take the patches at (y, x) for the targets `rows` where they are nearer."""
        check_cancelled()
        inside = (y >= 0) & (y < self.height) & (x >= 0) & (x < self.width)
        flat = np.where(inside, y * self.width + x, 0)
        usable = np.flatnonzero(inside & self.valid.ravel()[flat] & (flat != self.nearest[rows]))
        flat, rows = flat[usable], rows[usable]
        cost = self.distance(described[rows], flat)
        nearer = cost < self.cost[rows]
        self.nearest[rows[nearer]], self.cost[rows[nearer]] = flat[nearer], cost[nearer]

    def coherence(self) -> np.ndarray:
        """Share of the eight neighbours of every target that have its offset."""
        offset = np.full((self.height + 2, self.width + 2), self.hole.size, np.int64)
        y, x = self.ty + 1, self.tx + 1
        mine = offset[y, x] = self.nearest - (self.ty * self.width + self.tx)
        same = -np.ones(len(mine), np.float32)
        for dy, dx in np.argwhere(np.ones((3, 3))) - 1:
            same += offset[y + dy, x + dx] == mine
        return same / 8

    def confidence(self, rng: np.random.Generator) -> float:
        """See Filled."""
        rows = self.described[rng.choice(self.sources, min(SAMPLED, len(self.sources)))]
        # Steps of 1 of 255 are no difference.
        spread = rows.var(axis=0).sum() + self.image.shape[2] * PATCH**2
        return float(np.exp(-4 * self.cost.mean() / spread))


def _patches(image: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """The patches round pixels, one a row; beyond the border the image is mirrored."""
    padded = cv2.copyMakeBorder(image, RADIUS, RADIUS, RADIUS, RADIUS, cv2.BORDER_REFLECT_101)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (PATCH, PATCH), axis=(0, 1))
    y, x = np.divmod(flat, image.shape[1])
    return windows[y, x].reshape(len(flat), -1)


def _mean(image: np.ndarray, box: tuple[slice, slice], level: _Level) -> np.ndarray:
    """The hole's bounding box: the mean of what its patches have there, the nearer the more."""
    y, x = np.mgrid[box]
    total, weights = np.zeros((*y.shape, image.shape[2]), np.float32), np.zeros((*y.shape, 1), np.float32)
    for offset_y, offset_x, weight in _votes(level, y, x):
        from_y, from_x = (y + offset_y).clip(0, level.height - 1), (x + offset_x).clip(0, level.width - 1)
        total += weight[..., None] * image[from_y, from_x]
        weights += weight[..., None]
    return total / np.maximum(weights, 1e-12)


def _enlarge(
    image: np.ndarray, box: tuple[slice, slice], level: _Level, completed: np.ndarray, factor: int
) -> np.ndarray:
    """The hole's bounding box at full size: copied from where its nearest patches are, in the colours of the search."""
    coarse = tuple(slice(side.start // factor, -(-side.stop // factor)) for side in box)
    y, x = np.mgrid[coarse]
    best, offset_y, offset_x = -np.ones(y.shape, np.float32), np.zeros(y.shape, np.int64), np.zeros(y.shape, np.int64)
    for along_y, along_x, weight in _votes(level, y, x):
        better = weight > best
        for kept, new in ((best, weight), (offset_y, along_y), (offset_x, along_x)):
            kept[better] = new[better]
    top, left = coarse[0].start * factor, coarse[1].start * factor
    result = np.empty((y.shape[0] * factor, y.shape[1] * factor, image.shape[2]), np.float32)
    for row in range(len(y)):
        strip = np.arange(factor)[:, None] + top + row * factor, np.arange(result.shape[1]) + left
        away = [factor * np.repeat(offset[row], factor) for offset in (offset_y, offset_x)]
        limits = image.shape[:2]
        from_y, from_x = ((s + a).clip(0, limit - 1) for s, a, limit in zip(strip, away, limits, strict=True))
        result[row * factor : (row + 1) * factor] = image[from_y, from_x]
    # The seams of what was copied are gone where it has the colours of the completed small image.
    wanted = completed[coarse] * np.float32(np.iinfo(image.dtype).max / 255)
    result += cv2.resize(wanted - _shrink(result, factor), result.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return result[
        box[0].start - top : box[0].stop - top,
        box[1].start - left : box[1].stop - left,
    ]


def _votes(level: _Level, y: np.ndarray, x: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each of the patches that cover the pixels (y, x): offset to its source along y and x, and its weight."""
    scale = 2 * max(float(np.quantile(level.cost, 0.75)), 1e-3)
    weight = np.maximum(np.exp(-level.cost / scale), 1e-6) * (1 + COHERENCE * level.coherence())
    weight = np.append(weight, 0).astype(np.float32)  # the last is that of no patch
    source_y, source_x = np.divmod(level.nearest, level.width)
    offset_y = np.append(source_y - level.ty, 0)
    offset_x = np.append(source_x - level.tx, 0)
    index = np.pad(level.index, RADIUS, constant_values=-1)
    for dy, dx in STEPS:
        at = index[y - dy + RADIUS, x - dx + RADIUS]
        yield offset_y[at], offset_x[at], weight[at]
