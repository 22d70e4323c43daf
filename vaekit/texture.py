"""Fill the holes of an image with patches of the image itself, coarse to fine.

The method is that of Wexler et al. 2007 ("Space-time completion of video") with the search of PatchMatch (Barnes et
al. 2009): every patch that overlaps the hole looks for the most similar patch of the known part, and the patches
found vote for the colours of the hole. As in Newson et al. 2014, patches are compared by colour and by how much
texture there is. At last every pixel is copied from the best of its patches, so that the fill is as sharp as the
image, and the seams between copied pieces are blended in the gradient domain.
"""

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
TEXTURE = 10.0
"""Weight of the texture of a patch against its colours. With less, smooth patches take over: they differ least."""
NEIGHBOURHOOD = 9
"""Side of the square over which texture is measured, in pixels of the size at which patches are searched."""
COARSEST = 5.0
"""Depth of the hole at the coarsest level, in pixels."""
SEARCHED = 30_000
"""Pixels of a hole up to which patches are searched at full size; of a larger one at half, a quarter, ..."""
FEWEST = 64
"""Usable patches below which a level is left out."""
ROUNDS = (10, 4, 2)
"""How often patches are searched and vote: at the coarsest level, between, and at the finest."""
RESTRAINT = 1.15
"""A vote counts so many times less for every pixel that it is farther from what is known."""
CENTRAL = 0.05
"""Preference for copying from the middle of a patch: cost of a squared pixel of distance from it."""
BLENDED = 60.0
"""Pixels from a seam to which its blend reaches."""
VARIETY = 3.0
"""With a seed, how many times more the distance of patches in parts of the image counts at most."""

OFFSETS = [(dy, dx) for dy in range(-RADIUS, RADIUS + 1) for dx in range(-RADIUS, RADIUS + 1)]
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
    """0 to 1: how alike the patches are that overlap in the hole, against how alike those of the image are."""


def fill(image: np.ndarray, hole: np.ndarray, usable: np.ndarray, seed: int | None = None) -> Filled:
    """Fill a hole.

    Args:
        image: [H, W, C] uint8 or uint16.
        hole: [H, W] bool, what to fill; not empty.
        usable: [H, W] bool, the known pixels that may be copied; none of the hole.
        seed: which of the possible fills, the same for the same seed; None is the likeliest.

    Raises:
        TooLittleError: fewer than FEWEST whole patches are usable.
    """
    rng = np.random.default_rng(seed or 0)
    box, shape = _box(hole), hole.shape
    factor = 1
    while np.count_nonzero(hole) / factor**2 > SEARCHED:
        factor *= 2
    depth = cv2.distanceTransform(np.pad(hole[box], 1).astype(np.uint8), cv2.DIST_L2, 5).max() / factor
    levels = 0
    while depth / 2**levels > COARSEST and min(shape) / factor / 2 ** (levels + 1) > 4 * PATCH:
        levels += 1
    # Sides that every level divides, so that an offset of one level is a whole one of the next.
    unit = factor * 2**levels
    bottom, right = (-side % unit for side in shape)
    padded = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    hole = np.pad(hole, ((0, bottom), (0, right)), mode="edge")
    usable = np.pad(usable, ((0, bottom), (0, right)))
    small, small_hole, small_usable = _shrink(padded, hole, usable, factor)
    level = _solve(small, small_hole, small_usable, levels, rng, None if seed is None else VARIETY)
    source = level.best_sources()
    filled = _copy_full(padded, box, level, source, factor)
    copied = small.copy()
    copied[level.hole] = small.reshape(-1, small.shape[2])[source]
    correction = blend(copied, level, source)
    if factor > 1:
        correction = cv2.resize(correction, hole.shape[::-1], interpolation=cv2.INTER_LINEAR)
    filled += correction[box].reshape(filled.shape) / _to_bytes(image)
    return Filled(filled, box, level.confidence())


def _to_bytes(image: np.ndarray) -> float:
    """What the image's values are multiplied with to be in 0..255."""
    return 255 / np.iinfo(image.dtype).max


def _box(hole: np.ndarray) -> tuple[slice, slice]:
    left, top, width, height = cv2.boundingRect(hole.astype(np.uint8))
    return slice(top, top + height), slice(left, left + width)


def _shrink(image, hole, usable, factor):
    """Float32 image in 0..255, hole (what has any of it), usable (what is usable altogether)."""
    scale = np.float32(_to_bytes(image))
    if factor == 1:
        return scale * image, hole, usable
    size = (hole.shape[1] // factor, hole.shape[0] // factor)
    small = scale * cv2.resize(image, size, interpolation=cv2.INTER_AREA)

    def share(mask):
        return cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)

    return small.reshape(size[1], size[0], -1), share(hole) > 0, share(usable) == 255


def _solve(image, hole, usable, levels, rng, variety) -> "_Level":
    """The level of `image`'s own size, solved after the coarser ones."""
    # What is neither known nor to be filled now: like its surroundings.
    image = np.where((hole | usable)[..., None], image, from_nearest(image, usable))
    image = np.dstack([image, TEXTURE * texturedness(image, ~usable)])
    estimate = coarser = None
    for step in range(levels, -1, -1):
        level = _Level(*_shrink_features(image, hole, usable, 2**step))
        if len(level.sources) < FEWEST:
            continue
        level.describe_sources(rng)
        if coarser is None:
            estimate = level.onion(rng, variety)
            level.search_all(estimate)
            rounds = ROUNDS[0]
        else:
            level.start_from(coarser, rng)
            up = cv2.resize(estimate, level.hole.shape[::-1], interpolation=cv2.INTER_CUBIC)
            estimate = np.where(level.hole[..., None], up, level.known).astype(np.float32)
            level.search(estimate, rng)
            estimate = level.vote(estimate)
            rounds = ROUNDS[1] if step else ROUNDS[2]
        for turn in range(rounds):
            level.search(estimate, rng)
            if turn < rounds - 1:
                estimate = level.vote(estimate)
        # The mean of many votes is smooth: what is handed on is as sharp as the image.
        estimate = level.copy(estimate) if step else estimate
        coarser = level
    if coarser is None or coarser is not level:
        raise TooLittleError(f"fewer than {FEWEST} patches of {PATCH}x{PATCH} known pixels")
    return coarser


def _shrink_features(image, hole, usable, factor):
    if factor == 1:
        return image, hole, usable
    size = (hole.shape[1] // factor, hole.shape[0] // factor)
    known = (~hole).astype(np.float32)
    share = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    colours = cv2.resize(image * known[..., None], size, interpolation=cv2.INTER_AREA)
    whole = cv2.resize(usable.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.999
    return colours / np.maximum(share, 1e-3)[..., None], share < 0.999, whole


def texturedness(image: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Mean absolute differences along x and along y of what is known round each pixel, [H, W, 2]."""
    grey = image.mean(axis=2)
    known = (~cv2.dilate(unknown.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)).astype(np.float32)
    size = (NEIGHBOURHOOD, NEIGHBOURHOOD)
    share = np.maximum(cv2.blur(known, size), 1e-3)
    steps = (np.diff(grey, axis=axis, append=grey.take([-1], axis)) for axis in (1, 0))
    return np.dstack([cv2.blur(np.abs(step) * known, size) / share for step in steps])


class _Level:
    """One scale: what is known, which patches may be copied, which places of the hole need one."""

    def __init__(self, image: np.ndarray, hole: np.ndarray, usable: np.ndarray):
        self.known, self.hole = image, hole
        self.height, self.width = hole.shape
        self.valid = cv2.erode(usable.astype(np.uint8), KERNEL, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
        targets = cv2.dilate(hole.astype(np.uint8), KERNEL) > 0
        self.ty, self.tx = np.nonzero(targets)
        self.index = np.full(hole.shape, -1, np.int32)
        self.index[targets] = np.arange(len(self.ty))
        self.sources = np.flatnonzero(self.valid)
        self.depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)[targets]
        self.nnf = np.zeros(len(self.ty), np.int64)
        self.cost = np.zeros(len(self.ty), np.float32)

    def patches(self, image, flat):
        """What is compared of the patches round pixels: their colours, and the texture in their middle."""
        padded = cv2.copyMakeBorder(np.ascontiguousarray(image[..., :3]), *[RADIUS] * 4, cv2.BORDER_REFLECT_101)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (PATCH, PATCH), axis=(0, 1))
        y, x = np.divmod(flat, self.width)
        return np.hstack([windows[y, x].reshape(len(flat), -1), PATCH * image[y, x, 3:]])

    def describe_sources(self, rng):
        sample = self.sources if len(self.sources) <= 2000 else rng.choice(self.sources, 2000, replace=False)
        rows = self.patches(self.known, sample)
        self.mean = rows.mean(axis=0)
        rows = rows - self.mean
        vectors = np.linalg.eigh(rows.T @ rows)[1]
        self.basis = np.ascontiguousarray(vectors[:, ::-1][:, :COMPONENTS])
        self.descriptors = np.zeros((self.hole.size, self.basis.shape[1]), np.float32)
        for first in range(0, len(self.sources), 8192):
            part = self.sources[first : first + 8192]
            self.descriptors[part] = (self.patches(self.known, part) - self.mean) @ self.basis

    def describe_targets(self, image):
        return (self.patches(image, self.ty * self.width + self.tx) - self.mean) @ self.basis

    def distance(self, described, flat):
        difference = described - self.descriptors[flat]
        return np.einsum("nd,nd->n", difference, difference)

    def onion(self, rng, variety):
        """A first guess, ring by ring, each pixel from the patch that matches best what is known round it.

        With `variety`, parts of the image are favoured at random: distances elsewhere count up to so many times more.
        """
        image, known = self.known.copy(), ~self.hole
        rows = self.patches(image, self.sources)
        rows, squares = np.ascontiguousarray(rows.T), np.ascontiguousarray((rows * rows).T)
        if variety:
            grid = rng.uniform(0, 1, (5, 5)).astype(np.float32)
            favour = 1 + variety * cv2.resize(grid, self.hole.shape[::-1])[self.valid] ** 2
        while not known.all():
            ring = ~known & (cv2.dilate(known.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
            flat = np.flatnonzero(ring)
            # As much texture as its known neighbours have.
            shares = cv2.blur(known.astype(np.float32), (3, 3))[ring]
            for channel in range(3, image.shape[2]):
                image[ring, channel] = cv2.blur(image[..., channel] * known, (3, 3))[ring] / shares
            weights = np.repeat(known[..., None], image.shape[2], 2).astype(np.float32)
            weights[..., 3:] = 1 / PATCH
            weights = self.patches(weights, flat)
            known_part = self.patches(image, flat) * weights
            distance = weights @ squares - 2 * (known_part @ rows)
            if variety:
                distance += np.einsum("nd,nd->n", known_part, known_part)[:, None]
                distance *= favour
            image[ring] = image.reshape(-1, image.shape[2])[self.sources[distance.argmin(axis=1)]]
            known |= ring
        return image

    def start_from(self, coarser, rng):
        """The offsets of the coarser level."""
        at = coarser.index[self.ty // 2, self.tx // 2]
        y, x = np.divmod(coarser.nnf[at], coarser.width)
        self.nnf = (2 * y + self.ty % 2) * self.width + 2 * x + self.tx % 2
        lost = (at < 0) | ~self.valid.ravel()[self.nnf]
        self.nnf[lost] = rng.choice(self.sources, np.count_nonzero(lost))

    def search_all(self, image):
        """The nearest of all patches."""
        described = self.describe_targets(image)
        rows = self.descriptors[self.sources]
        half = 0.5 * np.einsum("nd,nd->n", rows, rows)
        rows = np.ascontiguousarray(rows.T)
        for first in range(0, len(described), 512):
            check_cancelled()
            part = slice(first, first + 512)
            self.nnf[part] = self.sources[(described[part] @ rows - half).argmax(axis=1)]
        self.cost = self.distance(described, self.nnf)

    def search(self, image, rng):
        """PatchMatch: what neighbours have found, and random places ever nearer to the best so far."""
        described = self.describe_targets(image)
        self.cost = self.distance(described, self.nnf)
        for step in (4, 2, 1):
            for dy, dx in ((0, step), (step, 0), (0, -step), (-step, 0)):
                y, x = self.ty - dy, self.tx - dx
                inside = (y >= 0) & (y < self.height) & (x >= 0) & (x < self.width)
                neighbour = np.where(inside, self.index[y.clip(0, self.height - 1), x.clip(0, self.width - 1)], -1)
                rows = np.flatnonzero(neighbour >= 0)
                y, x = np.divmod(self.nnf[neighbour[rows]], self.width)
                self.consider(described, rows, y + dy, x + dx)
        rows = np.arange(len(described))
        reach = max(self.hole.shape)
        while reach >= 1:
            y, x = np.divmod(self.nnf, self.width)
            away = np.rint(rng.uniform(-reach, reach, (2, len(rows)))).astype(int)
            self.consider(described, rows, y + away[0], x + away[1])
            reach //= 2

    def consider(self, described, rows, y, x):
        """Take the patches at (y, x) for the targets `rows` where they are nearer."""
        check_cancelled()
        inside = (y >= 0) & (y < self.height) & (x >= 0) & (x < self.width)
        flat = np.where(inside, y * self.width + x, 0)
        usable = np.flatnonzero(inside & self.valid.ravel()[flat] & (flat != self.nnf[rows]))
        flat, rows = flat[usable], rows[usable]
        cost = self.distance(described[rows], flat)
        nearer = cost < self.cost[rows]
        self.nnf[rows[nearer]], self.cost[rows[nearer]] = flat[nearer], cost[nearer]

    def covering(self):
        """Yields, for every place in a patch: the targets whose patch has the hole's pixels there (-1: none), step."""
        hy, hx = np.nonzero(self.hole)
        padded = np.pad(self.index, RADIUS, constant_values=-1)
        for dy, dx in OFFSETS:
            yield padded[hy - dy + RADIUS, hx - dx + RADIUS], dy * self.width + dx, dy * dy + dx * dx

    def vote(self, image):
        """The mean of what the patches that cover a pixel of the hole have there, the nearer the more."""
        flat = self.known.reshape(-1, image.shape[2])
        scale = 2 * max(np.quantile(self.cost, 0.75), 1e-3)
        weight = np.maximum(np.exp(-self.cost / scale), 1e-6) * RESTRAINT**-self.depth
        weight = np.append(weight, 0).astype(np.float32)  # of -1
        source = np.append(self.nnf, 0)
        total, weights = 0.0, 0.0
        for targets, step, _ in self.covering():
            share = weight[targets, None]
            total += share * flat[np.clip(source[targets] + step, 0, len(flat) - 1)]
            weights += share
        voted = image.copy()
        voted[self.hole] = total / weights
        return voted

    def copy(self, image):
        copied = image.copy()
        copied[self.hole] = self.known.reshape(-1, image.shape[2])[self.best_sources()]
        return copied

    def best_sources(self):
        """For each pixel of the hole the pixel to copy: that of the nearest of the patches that cover it."""
        cost, source = np.append(self.cost, np.inf), np.append(self.nnf, 0)
        lowest = np.full(np.count_nonzero(self.hole), np.inf)
        best = np.zeros(len(lowest), np.int64)
        for targets, step, off_centre in self.covering():
            here = cost[targets] * (1 + CENTRAL * off_centre) + 1e-6 * off_centre
            better = here < lowest
            lowest[better] = here[better]
            best[better] = source[targets[better]] + step
        return best

    def confidence(self):
        inside = self.depth > 0
        rows = self.descriptors[self.sources]
        spread = rows.var(axis=0).sum() + 1e-3
        return float(np.exp(-4 * self.cost[inside].mean() / spread))


def blend(copied, level, source):
    """Blend the seams of what was copied, in the gradient domain.

    Solves the screened Poisson equation for a correction whose gradients undo the jumps at the seams.
    """
    rows, columns = _box(level.hole)
    around = (
        slice(max(rows.start - 1, 0), rows.stop + 1),
        slice(max(columns.start - 1, 0), columns.stop + 1),
    )
    hole, width, last = level.hole[around], level.width, level.hole.size - 1
    channels = copied.shape[2]
    values = level.known[..., :channels].reshape(-1, channels)
    origin = np.arange(level.hole.size).reshape(level.hole.shape)
    origin[level.hole] = source
    origin = origin[around]
    part = copied[around]
    divergence = np.zeros_like(part)
    for axis, step in ((0, width), (1, 1)):
        here, ahead = [slice(None)] * 2, [slice(None)] * 2
        here[axis], ahead[axis] = slice(None, -1), slice(1, None)
        a, b = tuple(here), tuple(ahead)
        seam = np.nonzero((origin[b] - origin[a] != step) & (hole[a] | hole[b]))
        first, second = origin[a][seam], origin[b][seam]
        # The difference that either side's source has there; beside the hole only that of what was copied.
        one = values[np.minimum(first + step, last)] - values[first]
        two = values[second] - values[np.maximum(second - step, 0)]
        share = np.where(hole[a][seam], np.where(hole[b][seam], 0.5, 1.0), 0.0)[:, None].astype(np.float32)
        miss = share * one + (1 - share) * two - (part[b][seam] - part[a][seam])
        divergence[b][seam] -= miss
        divergence[a][seam] += miss
    correction = np.zeros_like(copied)
    correction[around] = _screened_poisson(divergence, hole, BLENDED**-2)
    return correction


def _screened_poisson(divergence, hole, screening):
    """c, 0 outside the hole, with (laplacian - screening) c = divergence there: multigrid, from coarse to fine."""
    levels = [(divergence, hole)]
    while min(levels[-1][1].shape) > 8 and levels[-1][1].any():
        d, h = levels[-1]
        d = np.pad(d, ((0, d.shape[0] % 2), (0, d.shape[1] % 2), (0, 0)))
        h = np.pad(h, ((0, h.shape[0] % 2), (0, h.shape[1] % 2)))
        d = d[::2, ::2] + d[1::2, ::2] + d[::2, 1::2] + d[1::2, 1::2]
        h = h[::2, ::2] & h[1::2, ::2] & h[::2, 1::2] & h[1::2, 1::2]
        levels.append((d, h))
    c = np.zeros_like(levels[-1][0])
    for number in range(len(levels) - 1, -1, -1):
        d, h = levels[number]
        if c.shape != d.shape:
            c = cv2.resize(c, (2 * c.shape[1], 2 * c.shape[0]), interpolation=cv2.INTER_LINEAR)
            c = c.reshape(*c.shape[:2], -1)[: d.shape[0], : d.shape[1]]
        inside = h[..., None]
        c = np.where(inside, c, 0)
        weight = 4 + screening * 4**number
        for _ in range(30):
            p = np.pad(c, ((1, 1), (1, 1), (0, 0)), mode="edge")
            around = p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:]
            c = np.where(inside, c + 0.8 * ((around - d) / weight - c), 0)
    return c


def _copy_full(image, box, level, source, factor):
    """The hole's bounding box at full size, copied from where the coarser pixels were copied."""
    offset = np.zeros((*level.hole.shape, 2), np.int32)
    offset[level.hole] = np.stack(np.divmod(source, level.width), -1) - np.argwhere(level.hole)
    y, x = np.mgrid[box]
    at = offset[y // factor, x // factor]
    return image[y + at[..., 0] * factor, x + at[..., 1] * factor].astype(np.float32)
