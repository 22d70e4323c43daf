"""Faces in the photos of requests."""

import functools

import numpy as np

from vaekit import faces
from vaekit.serving.calls import IMAGE, Call, Job
from vaekit.serving.contract import RequestError, Signature, Spec

FAR = 100_000.0
"""Pixels from a picture's corner beyond which no face is."""
POINTS = Spec("DT_FLOAT", (-1, 5, 2), low=-FAR, high=FAR, label="Face")
"""Of one face: eyes, nose and corners of the mouth, as vaekit.faces.Face has them."""
FIND = Signature({"image_bytes": IMAGE}, {"points": Spec("DT_FLOAT", (-1, -1, 5, 2))})


@functools.cache
def finder() -> faces.Finder:
    """The one finder of the process.

    Raises:
        UserError: it is not installed.
    """
    return faces.open_finder()


def find(pixels: np.ndarray, tilts: tuple[int, ...] = faces.TILTS) -> list[faces.Face]:
    """The faces of a picture that are sure enough to be edited, the surest first."""
    return faces.find_sure(pixels, finder(), tilts)


def at(points: np.ndarray) -> faces.Face:
    """The face with these points.

    Raises:
        RequestError: they are no face's.
    """
    if np.ptp(points, axis=0).max() < 1.0:
        raise RequestError("points: expected those of a face, and they are all one")
    return faces.Face(points, (*points.min(axis=0).tolist(), *np.ptp(points, axis=0).tolist()), 1.0)


def _points(job: Job, *, image_bytes: bytes) -> np.ndarray:
    found = find(job.read(image_bytes).pixels)
    return np.array([face.points for face in found], np.float32).reshape(-1, 5, 2)


FACES = Call(FIND, _points)
"""From a photo to the points of its faces, [N, 5, 2], the surest first."""
