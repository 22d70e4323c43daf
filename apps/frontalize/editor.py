"""Turn a face to the front, or show it as another one is: align, look at who and how, and draw anew."""

from collections.abc import Sequence

import numpy as np

from vaekit import faces, images
from vaekit.bundle import find
from vaekit.grey import keep_grey
from vaekit.runtime import Network, RuntimeName, open_network


class Editor:
    """A loaded `frontalize` bundle: editor(image, face) -> the face from the front.

    Args:
        bundle: name or path.
        runtime: as vaekit.runtime.open_network.
        threads: threads of one network call, 0 for all cores.

    Attributes:
        side: of the faces it draws, in pixels.
    """

    def __init__(self, bundle: str = "frontalize", runtime: RuntimeName = "onnx", threads: int = 0):
        found = find(bundle, app="frontalize")
        self.side: int = found.card["side"]
        self.network: Network = open_network(found, runtime, threads)

    def __call__(self, image: np.ndarray, face: faces.Face | None = None, turn: float = 1.0) -> np.ndarray:
        """The same face in the same light, from the front.

        Args:
            image: [H, W, 3] or [H, W, 4], uint8 or uint16, any size.
            face: where it is, from vaekit.faces.find; None where the image is an aligned face (template N) itself.
            turn: how far it is turned, 0 not at all, 1 to the front.

        Returns:
            [side, side, 3], of the image's type.
        """
        return self.transfer(image, image, face, face, turn)

    def pasted(self, image: np.ndarray, face: faces.Face | None = None, turn: float = 1.0) -> np.ndarray:
        """The photo with its face turned to the front; shape and type are the image's."""
        crop = self._crop(image, face)
        turned = faces.overlay(image, self._draw(crop, crop, crop, 0.0, turn), self._matrix(image, face))
        return keep_grey(turned, image)

    def transfer(
        self,
        image: np.ndarray,
        shown: np.ndarray,
        face: faces.Face | None = None,
        shown_face: faces.Face | None = None,
        turn: float = 0.0,
    ) -> np.ndarray:
        """The person of one image in the pose, light and expression of another's, which is turned to the front first.

        Returns:
            [side, side, 3], of the first image's type.
        """
        how = self._crop(shown, shown_face)
        drawn = _scaled(self._draw(self._crop(image, face), how, how, 0.0, turn), image.dtype)
        return keep_grey(drawn, image, shown)

    def morph(
        self,
        first: np.ndarray,
        second: np.ndarray,
        shares: Sequence[float],
        first_face: faces.Face | None = None,
        second_face: faces.Face | None = None,
    ) -> list[np.ndarray]:
        """The person of the first image, from how it shows them (share 0) to how the second does (share 1)."""
        start, end = self._crop(first, first_face), self._crop(second, second_face)
        drawn = [_scaled(self._draw(start, start, end, share, 0.0), first.dtype) for share in shares]
        return [keep_grey(picture, first, second) for picture in drawn]

    def _matrix(self, image: np.ndarray, face: faces.Face | None) -> np.ndarray:
        return faces.alignment(face or faces.whole(image, faces.TIGHT_TEMPLATE), self.side, faces.TIGHT_TEMPLATE)

    def _crop(self, image: np.ndarray, face: faces.Face | None) -> np.ndarray:
        images.check(image)
        return faces.align(image, self._matrix(image, face), self.side)[..., :3]

    def _draw(self, image, shown, shown_too, share: float, turn: float) -> np.ndarray:
        return self.network(
            image=image[None],
            shown=shown[None],
            shown_too=shown_too[None],
            share=np.array([share], np.float32),
            turn=np.array([turn], np.float32),
        )[0]


def _scaled(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return np.rint(np.iinfo(dtype).max * image.clip(0.0, 1.0)).astype(dtype)
