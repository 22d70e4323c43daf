"""Find the damage of a photo of any size: scratches, dust, creases, stains and what is torn off, tile by tile."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from vaekit import images
from vaekit.bundle import find
from vaekit.runtime import Network, RuntimeName, open_network

TILE = 768
"""Side of what one call of the network answers for, in pixels."""
RIM = 64
"""Pixels round a tile that the network sees too."""
STRIDE = 16
"""The network takes sides that this divides."""
SMALL = 1024
"""Longest side of pictures that are searched as they are; larger ones also at half the size, a quarter, ..."""
THRESHOLD = 0.5
"""How likely a pixel has to be damaged."""


class Editor:
    """A loaded `damage` bundle: editor(image) -> mask.

    Args:
        bundle: name or path.
        runtime: as vaekit.runtime.open_network.
        threads: threads of one network call, 0 for all cores.
    """

    def __init__(self, bundle: str = "damage", runtime: RuntimeName = "onnx", threads: int = 0):
        self.network: Network = open_network(find(bundle, app="damage"), runtime, threads)

    def __call__(
        self,
        image: np.ndarray,
        threshold: float = THRESHOLD,
        *,
        progress: Callable[[float], object] | None = None,
    ) -> np.ndarray:
        """Find what is damaged.

        Args:
            image: [H, W, 3] or [H, W, 4], uint8 or uint16, any size. What is transparent is not searched.
            threshold: how likely a pixel has to be damaged, from 0 to 1.
            progress: called with the share that is done, above 0 and up to 1, after every tile.

        Returns:
            [H, W] bool, True where it is damaged: the mask that `inpaint` takes.

        Raises:
            ValueError: shape, type or threshold do not fit.

        Example:
            mask = vaekit.load("damage")(image)
            repaired = vaekit.load("inpaint")(image, mask)
        """
        images.check(image)
        if not 0 <= threshold <= 1:
            raise ValueError(f"expected a threshold in 0..1, not {threshold}")
        total, done = sum(height * width for height, width in _sizes(*image.shape[:2])), 0

        def tell(pixels: int) -> None:
            nonlocal done
            done += pixels
            if progress:
                progress(done / total)

        mask = self._search(image[..., :3], threshold, tell)
        if image.shape[2] == 4:
            mask &= image[..., 3] > 0
        return mask

    def _search(self, image: np.ndarray, threshold: float, tell: Callable[[int], None]) -> np.ndarray:
        """At the picture's size and at smaller ones: a network knows damage of up to some width."""
        height, width = image.shape[:2]
        most = np.float32(np.iinfo(image.dtype).max)
        mask = np.empty((height, width), bool)
        for y in range(0, height, TILE):
            for x in range(0, width, TILE):
                top, left = max(y - RIM, 0), max(x - RIM, 0)
                seen = image[top : y + TILE + RIM, left : x + TILE + RIM] / most
                likely = self._likely(seen)[y - top :, x - left :][:TILE, :TILE]
                mask[y : y + TILE, x : x + TILE] = likely >= threshold
                tell(likely.size)
        if max(height, width) > SMALL:
            half = cv2.resize(image, (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_AREA)
            wide = self._search(half, threshold, tell).astype(np.uint8)
            mask |= cv2.resize(wide, (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)
        return mask

    def _likely(self, image: np.ndarray) -> np.ndarray:
        """How likely each pixel of [H, W, 3] in 0..1 is damaged, [H, W]."""
        height, width = image.shape[:2]
        padded = np.pad(image, ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0)), mode="symmetric")
        return self.network(image=padded[None])[0, :height, :width, 0]


def _sizes(height: int, width: int) -> Iterator[tuple[int, int]]:
    """The sizes at which a picture is searched, its own first."""
    yield height, width
    if max(height, width) > SMALL:
        yield from _sizes(-(-height // 2), -(-width // 2))
