"""Change attributes of the faces in a photo: align, move, decode, and add the difference to the photo."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from vaekit import faces, images
from vaekit.bundle import find
from vaekit.errors import UserError
from vaekit.grey import keep_grey
from vaekit.latent import Direction, DirectionError
from vaekit.runtime import Network, RuntimeName, open_network

STRONGEST = 2.0
"""Values are from -STRONGEST to STRONGEST."""
CELL = 256
"""Largest side of a face in a strip or a sheet, in pixels."""


class Editor:
    """A loaded `edit` bundle: editor(image, {"smiling": 1}, faces) -> image.

    Args:
        bundle: name or path.
        runtime: as vaekit.runtime.open_network.
        threads: threads of one network call, 0 for all cores.

    Attributes:
        attributes: names of what can be changed.
    """

    def __init__(self, bundle: str = "edit", runtime: RuntimeName = "onnx", threads: int = 0):
        found = find(bundle, app="edit")
        self.name = f"{found.name}/{found.version}"
        self.side: int = found.card["side"]
        self.attributes: tuple[str, ...] = tuple(found.card["attributes"])
        self.exclusive: list[list[str]] = found.card["exclusive"]
        self.code: tuple[int, ...] = tuple(found.card["code"])
        self.network: Network = open_network(found, runtime, threads)

    def __call__(
        self,
        image: np.ndarray,
        values: Mapping[str, float],
        found: Sequence[faces.Face] | None = None,
        *,
        directions: Sequence[tuple[Direction, float]] = (),
    ) -> np.ndarray:
        """Change faces.

        Args:
            image: [H, W, 3] or [H, W, 4], uint8 or uint16, any size.
            values: by attribute, from -2 to 2: 1 makes an absent one present, -1 a present one absent, 0 leaves it.
            found: which faces, from vaekit.faces.find; None where the image is itself an aligned face.
            directions: fitted directions and how far to go along each, from -2 to 2.

        Returns:
            An array of the same shape and type; alpha, and every pixel outside the faces, is the input's, bit for
            bit, and so is all of it where every value is 0.

        Raises:
            ValueError: shape or type do not fit.
            UserError: there is no such attribute, or a value is out of range.
            DirectionError: a direction was fitted with another bundle.
        """
        images.check(image)
        wanted, step = self.check(values, directions)
        if not wanted.any() and not step.any():
            return image.copy()
        edited = image
        for face in [faces.whole(image)] if found is None else found:
            matrix = faces.alignment(face, self.side)
            crop = faces.align(edited, matrix, self.side)[..., :3]
            drawn = self.network(image=crop[None], change=self._change(crop, wanted)[None], direction=step[None])[0]
            edited = faces.paste(edited, drawn - crop, matrix, faces.oval(self.side))
        return keep_grey(edited, image)

    def encode(self, image: np.ndarray, face: faces.Face | None = None) -> tuple[np.ndarray, np.ndarray]:
        """A face's code [h, w, C] and how sure the network is of each of its attributes, [K] in 0..1."""
        images.check(image)
        crop = self._crop(image, face or faces.whole(image), self.side)[None]
        return self.network("code", image=crop)[0], self.network("attributes", image=crop)[0]

    def _crop(self, image: np.ndarray, face: faces.Face, side: int) -> np.ndarray:
        return faces.align(image, faces.alignment(face, side), side)[..., :3]

    def check(
        self, values: Mapping[str, float], directions: Sequence[tuple[Direction, float]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """What is asked for: of each attribute, [K], and along the directions in all, [h, w, C]; float32.

        Raises:
            UserError, DirectionError: as __call__.
        """
        wanted = np.zeros(len(self.attributes), np.float32)
        for name, value in values.items():
            if name not in self.attributes:
                raise UserError(f"no attribute {name}; there are {', '.join(self.attributes)}")
            wanted[self.attributes.index(name)] = _in_range(name, value)
        step = np.zeros(self.code, np.float32)
        for direction, strength in directions:
            if direction.bundle != self.name or direction.step.shape != self.code:
                raise DirectionError(f"the direction was fitted with bundle {direction.bundle}, not with {self.name}")
            step += np.float32(_in_range("direction", strength)) * direction.step
        return wanted, step

    def _change(self, crop: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """[K]: where one of an exclusive group is to come, what is there of the others goes.

        Of several that are to come each gets its share, so that together they are as strong as the strongest.
        """
        change = wanted.copy()
        for group in self.exclusive:
            places = [self.attributes.index(name) for name in group]
            coming = change[places].clip(min=0.0)
            if not coming.any():
                continue
            seen = self.network("attributes", image=crop[None])[0, places]
            strongest = coming.max()
            share = strongest * coming / coming.sum()
            # What comes is there in its share; the rest of what was there makes way for it.
            change[places] = np.where(coming > 0, share, np.minimum(change[places], 0.0) - strongest * seen)
        return change.clip(-STRONGEST, STRONGEST)

    def strip(
        self,
        image: np.ndarray,
        face: faces.Face,
        values: Mapping[str, float],
        strengths: Sequence[float],
        *,
        directions: Sequence[tuple[Direction, float]] = (),
    ) -> np.ndarray:
        """A row of one face with the values and directions times each strength; uint8 [side, n * side, 3].

        The side is the face's own, at most CELL.
        """
        side = min(CELL, round(CELL / faces.scale_of(faces.alignment(face, CELL))))
        cells = []
        for strength in strengths:
            times = {name: float(strength * value) for name, value in values.items()}
            along = [(direction, float(strength * far)) for direction, far in directions]
            edited = self(image, times, [face], directions=along)
            cells.append(self._crop(edited, face, side))
        return np.rint(255.0 * np.concatenate(cells, axis=1)).astype(np.uint8)

    def sheet(self, image: np.ndarray, face: faces.Face, strengths: Sequence[float]) -> np.ndarray:
        """A strip for every attribute, its name before it; uint8 [K * side, width, 3]."""
        rows = []
        for name in self.attributes:
            row = self.strip(image, face, {name: 1.0}, strengths)
            label = np.full((row.shape[0], LABEL, 3), 255, np.uint8)
            place = (6, row.shape[0] // 2 + 4)
            cv2.putText(label, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
            rows.append(np.concatenate([label, row], axis=1))
        return np.concatenate(rows)


LABEL = 110
"""Width of a name on a sheet, in pixels."""


def _in_range(name: str, value: float) -> float:
    if not -STRONGEST <= value <= STRONGEST:  # NaN is none either
        raise UserError(f"{name}: {value:g} is not from {-STRONGEST:g} to {STRONGEST:g}")
    return value
