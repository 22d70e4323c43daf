"""What an app answers: signatures of its own, beside those of the bare network."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vaekit import images
from vaekit.images import Picture
from vaekit.serving.contract import Signature, Spec

IMAGE = Spec("DT_STRING", label="Photo")
PICTURE = {"image_bytes": IMAGE}
"""The output of what edits a picture."""


@dataclass(frozen=True)
class Job:
    """One item of a request.

    Attributes:
        max_pixels: of each of its pictures.
        progress: is told the share that is done, from 0 to 1.
    """

    max_pixels: int
    progress: Callable[[float], object]

    def read(self, data: bytes) -> Picture:
        """Decode a photo.

        Raises:
            ImageError: it is none, or too large.
        """
        return images.decode(data, max_pixels=self.max_pixels)

    def read_mask(self, data: bytes) -> np.ndarray:
        """Decode a mask, [H, W] bool.

        Raises:
            ImageError: it is none, or too large.
        """
        return images.decode_mask(data, max_pixels=self.max_pixels)


@dataclass(frozen=True)
class Call:
    """A signature that is answered item by item.

    Attributes:
        signature: what it takes and gives.
        answer: from a job, and the item's inputs by name, to the bytes of a picture, or to numbers.
    """

    signature: Signature
    answer: Callable[..., bytes | np.ndarray]


def png(pixels: np.ndarray, like: Picture | None = None) -> bytes:
    """An answer in pixels as the bytes of a file, with the profile and EXIF of the photo it was made of."""
    return images.encode(pixels, ".png", like=like)
