"""Repair the holes of a photo of any size: with a network in faces and thin holes, else with the photo's texture."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np

from vaekit import faces, images, texture
from vaekit.bundle import find
from vaekit.grey import keep_grey
from vaekit.resample import from_nearest
from vaekit.runtime import Network, RuntimeName, check_cancelled, open_network

COARSE = 64
"""Side of the coarsest pass, in pixels: what the network was trained at."""
KNOWN = 0.499
"""Share of a shrunk pixel that must be known; just below a half, which sums of floats only come near."""
TILE = 128
"""Side of the tiles of the finer passes."""
STRIDE = 16
"""The network takes sides that this divides."""
OVERLAP = 32
"""Pixels that neighbouring tiles share."""
CONTEXT = 2.0
"""Side of the square round a hole, as a multiple of the hole's."""
REACH = 16
"""Pixels round a hole within which another one is repaired together with it."""
BATCH = 8
SURROUNDINGS = 3.5
"""Side of the rectangle whose patches may fill a hole, as a multiple of the hole's."""
THIN = 12.0
"""Depth of a hole, in pixels, up to which the network fills it: what is known reaches all of it."""

FillName = Literal["auto", "network", "texture"]


class Fill(NamedTuple):
    """How a hole was filled."""

    box: tuple[int, int, int, int]
    """Left, top, width and height of the hole, in pixels."""
    method: Literal["network", "texture"]
    confidence: float
    """0 to 1."""


class Repair(NamedTuple):
    """A repaired image and how its holes were filled."""

    image: np.ndarray
    fills: tuple[Fill, ...]


class Editor:
    """A loaded `inpaint` bundle: editor(image, mask) -> image.

    Args:
        bundle: name or path.
        runtime: as vaekit.runtime.open_network.
        threads: threads of one network call, 0 for all cores.
    """

    def __init__(self, bundle: str = "inpaint", runtime: RuntimeName = "onnx", threads: int = 0):
        found = find(bundle, app="inpaint")
        self.latent_dim: int = found.card["latent_dim"]
        self.network: Network = open_network(found, runtime, threads)

    def __call__(self, image: np.ndarray, mask: np.ndarray, **controls) -> np.ndarray:
        """Repair an image: `repair` without the report."""
        return self.repair(image, mask, **controls).image

    def repair(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        *,
        fill: FillName = "auto",
        seed: int | None = None,
        iterations: int = 1,
        feather: float = 0.0,
        found: Sequence[faces.Face] = (),
        look: Callable[[np.ndarray], Sequence[faces.Face]] | None = None,
        progress: Callable[[float], object] | None = None,
    ) -> Repair:
        """Repair an image.

        Args:
            image: [H, W, 3] or [H, W, 4], uint8 or uint16, any size.
            mask: [H, W] bool, True in the hole.
            fill: what fills holes: the network, the image's own texture, or whichever suits each hole. The network
                also fills holes round which there is too little texture to copy.
            seed: which of the possible fills; None is the most faithful one.
            iterations: how often the network's finest pass is run on its own answer, blurred, after CVAE-GAN's
                repair.
            feather: pixels into the hole over which the colours of its rim are evened out towards the
                known ones, from all at the seam to nothing.
            found: faces, from vaekit.faces.find; a hole that lies in one is repaired in its aligned crop.
            look: finds the faces of the repaired image, which shows what the holes hid; a hole that lies in one is
                then repaired anew in its aligned crop.
            progress: called with the share that is done, above 0 and up to 1, after every hole.

        Returns:
            An image of the same shape and type, in which every pixel outside the hole is the input's, bit for bit;
            and for each group of holes how it was filled.

        Raises:
            ValueError: shapes or types do not fit, or the hole covers the whole image.
        """
        _check(image, mask)
        result = image.copy()
        z = np.zeros(self.latent_dim) if seed is None else np.random.default_rng(seed).normal(size=self.latent_dim)
        unknown = mask | (image[..., 3] == 0) if image.shape[2] == 4 else mask
        fills: dict[int, Fill] = {}

        def repair(people: Sequence[faces.Face], *, again: bool) -> None:
            crops = [aligned(image, unknown, face) for face in people]
            done, total = 0, int(np.count_nonzero(mask))
            for number, window in enumerate(windows(mask)):
                check_cancelled()
                crop = next((crop for crop in crops if crop.holds(window)), None)
                filled = None
                if again and crop is None:
                    continue
                if fill == "texture" or (fill == "auto" and crop is None and window.depth > THIN):
                    filled = _from_texture(image, unknown, window, seed)
                if filled is None:
                    filled = self._from_network(image, unknown, window, crop, z, iterations)
                _paste(result, image, mask, window, filled.colours, feather)
                fills[number] = filled.report
                if progress and not again:
                    done += int(np.count_nonzero(window.inside))
                    progress(done / total)

        repair(found, again=False)
        if look and fill != "texture" and mask.any():
            repair(look(keep_grey(result, image)), again=True)
        return Repair(keep_grey(result, image), tuple(fills.values()))

    def _from_network(self, image, unknown, window, crop, z, iterations) -> "_Filled":
        patch = image[window.rows, window.columns, :3].astype(np.float32) / np.iinfo(image.dtype).max
        if crop is None:
            fill = self._fill(patch, unknown[window.rows, window.columns], z, iterations)
        else:
            fill = crop.seen_from(window, self._fill(crop.image, crop.hole, z, iterations))
        report = Fill(window.box, "network", float(1 / (1 + window.depth / FOG)))
        left, top, width, height = window.box
        fill = fill[top - window.rows.start :, left - window.columns.start :][:height, :width]
        return _Filled(fill, report)

    def _fill(self, patch: np.ndarray, hole: np.ndarray, z: np.ndarray, iterations: int) -> np.ndarray:
        """Fill a patch [H, W, 3] in 0..1, from the coarsest scale at which it is one tile to its own."""
        guess = None
        for height, width in scales(*hole.shape):
            small, small_hole = downscale_with_hole(patch, hole, (height, width))
            last = (height, width) == hole.shape
            for turn in range(iterations if last else 1):
                if guess is not None and turn:
                    # As coarse as the guesses that the network was trained to refine: what it added would else add up.
                    guess = cv2.resize(guess, (-(-width // 4), -(-height // 4)), interpolation=cv2.INTER_AREA)
                if guess is None:
                    # What holds of a picture holds of its mirror image: the mean of both answers errs less.
                    mirrored = self._pass(small[:, ::-1], small_hole[:, ::-1], None, z)[:, ::-1]
                    guess = (self._pass(small, small_hole, None, z) + mirrored) / 2
                else:
                    hint = cv2.resize(guess, (width, height), interpolation=cv2.INTER_CUBIC)
                    guess = self._pass(small, small_hole, hint, z)
        assert guess is not None
        return guess

    def _pass(self, image: np.ndarray, hole: np.ndarray, hint: np.ndarray | None, z: np.ndarray) -> np.ndarray:
        """One run of the network over overlapping tiles, at one scale."""
        height, width = hole.shape
        tile = (_tile(height), _tile(width))
        pad = ((0, max(tile[0] - height, 0)), (0, max(tile[1] - width, 0)), (0, 0))
        image = np.pad(image, pad, mode="symmetric")
        hole = np.pad(hole, pad[:2], mode="symmetric")
        guess = np.zeros((*hole.shape, 4), np.float32)
        if hint is not None:
            guess[..., :3] = np.pad(hint, pad, mode="symmetric")
            guess[..., 3] = 1.0
        total = np.zeros((*hole.shape, 3), np.float32)
        weights = np.zeros((*hole.shape, 1), np.float32)
        bump = _bump(*tile)
        corners = [
            (y, x)
            for y in starts(hole.shape[0], tile[0])
            for x in starts(hole.shape[1], tile[1])
            if hole[y : y + tile[0], x : x + tile[1]].any()
        ]
        for first in range(0, len(corners), BATCH):
            part = corners[first : first + BATCH]

            def cut(array, part=part):
                return np.stack([array[y : y + tile[0], x : x + tile[1]] for y, x in part]).astype(np.float32)

            answers = self.network(
                image=cut(image),
                mask=cut(hole[..., None]),
                hint=cut(guess),
                z=np.tile(z.astype(np.float32), (len(part), 1)),
            )
            for (y, x), answer in zip(part, answers, strict=True):
                total[y : y + tile[0], x : x + tile[1]] += answer * bump
                weights[y : y + tile[0], x : x + tile[1]] += bump
        filled = np.where(hole[..., None], total / np.maximum(weights, 1e-6), image)
        return filled[:height, :width]


class _Filled(NamedTuple):
    colours: np.ndarray
    """[height, width, 3] in 0..1, of the window's box."""
    report: Fill


FOG = 20.0
"""Depth of a hole, in pixels, at which the network is as likely wrong as right."""


def _from_texture(image: np.ndarray, unknown: np.ndarray, window: "Window", seed: int | None) -> _Filled | None:
    """The fill of patches of the image; None where there are too few."""
    left, top, width, height = window.box
    rows = _span(top + height / 2, max(TILE, round(SURROUNDINGS * height)), image.shape[0])
    columns = _span(left + width / 2, max(TILE, round(SURROUNDINGS * width)), image.shape[1])
    hole = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
    hole[top - rows.start :, left - columns.start :][:height, :width] = window.inside
    try:
        filled = texture.fill(image[rows, columns, :3], hole, ~unknown[rows, columns], seed)
    except texture.TooLittleError:
        return None
    colours = filled.image / np.float32(np.iinfo(image.dtype).max)
    return _Filled(colours, Fill(window.box, "texture", filled.confidence))


def _paste(
    result: np.ndarray, image: np.ndarray, mask: np.ndarray, window: "Window", colours: np.ndarray, feather: float
):
    """Write the colours [height, width, 3] of a window's box into its hole, with the opacity that is round it."""
    left, top, width, height = window.box
    margin = int(3 * feather) + 1
    rows = slice(max(top - margin, 0), top + height + margin)
    columns = slice(max(left - margin, 0), left + width + margin)
    most = np.iinfo(image.dtype).max
    if feather or image.shape[2] == 4:
        patch = image[rows, columns].astype(np.float32) / most
        unknown = mask[rows, columns]
        near = from_nearest(patch, ~unknown)
        hole = np.zeros(unknown.shape, bool)
        box = np.s_[top - rows.start : top - rows.start + height, left - columns.start : left - columns.start + width]
        hole[box] = window.inside
        fill = near.copy()
        fill[..., :3][box] = colours
        if feather:
            fill = even_out(np.where(unknown[..., None], near, patch), fill, hole, feather)
        colours = fill[box]
    inside = window.inside
    scaled = np.rint(np.clip(colours[inside], 0.0, 1.0) * most).astype(image.dtype)
    result[top : top + height, left : left + width][inside] = scaled


def _check(image: np.ndarray, mask: np.ndarray) -> None:
    images.check(image)
    if mask.shape != image.shape[:2] or mask.dtype != bool:
        raise ValueError(f"expected a bool mask of {image.shape[:2]}, not {mask.shape} of {mask.dtype}")
    if mask.all():
        raise ValueError("the mask covers the whole image: nothing is known to repair it from")


def _tile(length: int) -> int:
    return min(TILE, -(-length // STRIDE) * STRIDE)


def _bump(height: int, width: int) -> np.ndarray:
    """Weight of a tile's pixels where tiles overlap: less at its rim, where it sees less."""

    def ramp(length):
        return np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)).clip(max=OVERLAP) / OVERLAP

    return np.outer(ramp(height), ramp(width))[..., None].astype(np.float32)


def starts(length: int, tile: int) -> list[int]:
    """First pixels of the tiles that cover `length` >= `tile` pixels with at least OVERLAP in common.

    >>> starts(300, 128)
    [0, 86, 172]
    """
    if length <= tile:
        return [0]
    count = 1 - (tile - length) // (tile - OVERLAP)
    return [round(i * (length - tile) / max(count - 1, 1)) for i in range(count)]


def scales(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes to work at: from about COARSE, doubling, to the patch's own.

    >>> scales(600, 500)
    [(75, 63), (150, 125), (300, 250), (600, 500)]
    """
    factor = 1
    while max(height, width) / factor > 1.25 * COARSE:
        factor *= 2
    sizes = []
    while factor >= 1:
        sizes.append((-(-height // factor), -(-width // factor)))
        factor //= 2
    return sizes


def downscale_with_hole(image: np.ndarray, hole: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Average the known pixels down to `size`; a pixel of which less than half is known is a hole."""
    if size == hole.shape:
        return image, hole
    known = (~hole).astype(np.float32)
    target = size[::-1]
    share = cv2.resize(known, target, interpolation=cv2.INTER_AREA)
    colours = cv2.resize(image * known[..., None], target, interpolation=cv2.INTER_AREA)
    return colours / np.maximum(share, 1e-3)[..., None], share < KNOWN


def even_out(image: np.ndarray, fill: np.ndarray, hole: np.ndarray, depth: float) -> np.ndarray:
    """Shift the fill's colours near the rim of the hole to those of the known side.

    The shift at a pixel of the hole is the difference of the local means of the two sides of the rim,
    under a Gaussian window of `depth`; it fades linearly to nothing `depth` pixels into the hole.

    Args:
        image: [H, W, C] float32, right outside the hole.
        fill: [H, W, C] float32, right in the hole.
        hole: [H, W] bool.
        depth: pixels, above 0.
    """

    def local_mean(values, where):
        weight = cv2.GaussianBlur(where.astype(np.float32), (0, 0), depth)
        total = cv2.GaussianBlur(np.where(where[..., None], values, 0).astype(np.float32), (0, 0), depth)
        return total / np.maximum(weight, 1e-6)[..., None]

    distance = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5)
    # Equally broad bands of both sides, so that their means are of like places.
    shift = local_mean(image, (outside > 0) & (outside <= depth)) - local_mean(
        fill, (distance > 0) & (distance <= depth)
    )
    fade = np.clip(1.0 - (distance - 1.0) / depth, 0.0, 1.0)[..., None]
    return np.where(hole[..., None], fill + fade * shift, fill)


@dataclass(frozen=True)
class Window:
    """A part of the image that is repaired at once."""

    rows: slice
    columns: slice
    owns: np.ndarray
    """[h, w] bool: the pixels whose repair, where there is a hole, is taken from here."""
    hole: np.ndarray
    """[h, w] bool."""
    box: tuple[int, int, int, int]
    """Left, top, width and height, in the image, of the hole that is owned."""

    @property
    def inside(self) -> np.ndarray:
        """[height, width] bool, what of the box is the hole that is owned."""
        left, top, width, height = self.box
        rows, columns = top - self.rows.start, left - self.columns.start
        part = (slice(rows, rows + height), slice(columns, columns + width))
        return self.owns[part] & self.hole[part]

    @property
    def depth(self) -> float:
        """Largest distance of the hole's pixels from what is known, in pixels."""
        return float(cv2.distanceTransform((self.hole & self.owns).astype(np.uint8), cv2.DIST_L2, 5).max())


def windows(mask: np.ndarray) -> Iterator[Window]:
    """Squares of context, one round each group of holes that lie close together."""
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    if not width:
        return
    # What lies far from all holes is most of a photo.
    part = tuple(slice(max(first - REACH, 0), first + side + REACH) for first, side in ((top, height), (left, width)))
    near = cv2.dilate(mask[part].astype(np.uint8), np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8))
    labels = np.zeros(mask.shape, np.int32)
    count, labels[part], stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    stats[:, :2] += part[1].start, part[0].start
    for index in range(1, count):
        x, y, width, height, _ = stats[index]
        side = max(TILE, round(CONTEXT * max(width, height)))
        rows = _span(y + height / 2, side, mask.shape[0])
        columns = _span(x + width / 2, side, mask.shape[1])
        owns, hole = labels[rows, columns] == index, mask[rows, columns]
        left, top, width, height = cv2.boundingRect((owns & hole).astype(np.uint8))
        yield Window(rows, columns, owns, hole, (left + columns.start, top + rows.start, width, height))


@dataclass(frozen=True)
class Crop:
    """An aligned face, as large as it is in the image."""

    matrix: np.ndarray
    """From the image to the crop."""
    image: np.ndarray
    """[side, side, 3] float32 in 0..1."""
    hole: np.ndarray
    """[side, side] bool: what is not known, or not all of it."""

    def holds(self, window: Window) -> bool:
        """Whether all that is repaired in a window lies in the crop."""
        rows, columns = np.nonzero(window.owns & window.hole)
        places = np.stack([columns + window.columns.start, rows + window.rows.start], axis=-1)
        inside = cv2.transform(places[None].astype(np.float64), self.matrix)[0]
        return bool((inside >= 0).all() and (inside <= len(self.hole) - 1).all())

    def seen_from(self, window: Window, fill: np.ndarray) -> np.ndarray:
        """A fill of the crop, turned back to where the window is; [h, w, 3]."""
        back = cv2.invertAffineTransform(self.matrix)
        back[:, 2] -= window.columns.start, window.rows.start
        size = window.owns.shape[::-1]
        return cv2.warpAffine(fill, back, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def aligned(image: np.ndarray, mask: np.ndarray, face: faces.Face) -> Crop:
    """The crop of a face at the image's own scale."""
    side = max(round(COARSE / faces.scale_of(faces.alignment(face, COARSE))), COARSE)
    matrix = faces.alignment(face, side)
    hole = faces.cut(mask.astype(np.float32), matrix, side, cv2.BORDER_REPLICATE) > SHADE
    return Crop(matrix, faces.align(image, matrix, side)[..., :3], hole)


SHADE = 0.02
"""Share of a turned pixel that may be unknown; of more its colour is not to be gone by."""


def _span(middle: float, side: int, length: int) -> slice:
    """`side` pixels about the middle, moved inside the image; all of it where it is smaller."""
    side = min(side, length)
    first = min(max(round(middle - side / 2), 0), length - side)
    return slice(first, first + side)
