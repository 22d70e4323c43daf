"""Faces in photos: find them, bring one to a template, paste an edit of it back.

Points are pixels (x, y) from a picture's left and top; whole numbers are the middles of pixels.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from vaekit.errors import UserError
from vaekit.images import ImageError

TEMPLATE_W = np.array([(0.3676, 0.4818), (0.6257, 0.4818), (0.493, 0.625), (0.382, 0.759), (0.611, 0.758)])
"""Where a crop with hair and chin has the five points, as shares of its side: the eye on the picture's left, the other
eye, the tip of the nose, the mouth's corner on the picture's left, the other corner."""
NARROW = (0.21, 0.13, 0.95, 0.87)
"""Top, left, bottom and right of the narrow crop in the wide one."""
TEMPLATE_N = (TEMPLATE_W - (0.13, 0.21)) / 0.74
"""The same five points of the narrow crop."""
SEARCHED = 1024
"""Faces are searched for in a copy of the photo whose longer side has no more pixels than this. MTCNN, which finds
faces from 20 pixels up, so finds those from a fiftieth of the longer side up."""
TURNS = (0, 1, 3, 2)
"""By how many quarters a photo is turned to the left to look for faces, in this order."""
FEATHER = 0.25
"""How far `oval` reaches in from the crop's rim before it is 1, as a share of the way to the middle."""
ROUNDING = 1e-6
"""A scale that is so close to a whole number is that number."""


class FaceError(ImageError):
    """A photo without the face that was asked for."""


@dataclass(frozen=True, eq=False)
class Face:
    """Where a face is in a photo.

    points: [5, 2] float32, in the order of TEMPLATE_W as it is when the face is upright.
    box: left, top, width and height in the same pixels; it may reach beyond the photo.
    score: how sure the finder is, in 0..1.
    """

    points: np.ndarray
    box: tuple[float, float, float, float]
    score: float


class Finder(Protocol):
    """Finds the upright faces in an [H, W, 3] uint8 RGB picture.

    sure: a score that it gives to faces which are upright, and hardly ever to others.
    """

    sure: float

    def __call__(self, image: np.ndarray) -> list[Face]:
        """Find them, in any order."""


# === Finding ===


def open_finder(model: Path | None = None, threads: int = 0) -> Finder:
    """A finder: MTCNN, or YuNet where a file of it is named.

    Args:
        model: a YuNet file for OpenCV's FaceDetectorYN.
        threads: for MTCNN's networks; 0 takes all cores.

    Raises:
        UserError: the file cannot be read or is no such model, or MTCNN is not installed.
    """
    if model is not None:
        return YuNet(model)
    from vaekit.mtcnn import Mtcnn

    return Mtcnn(threads)


def find(image: np.ndarray, finder: Finder) -> list[Face]:
    """Find the faces in a photo, also in one that lies on its side or stands on its head.

    A finder sees turned faces too, but may take the mouth for the eyes. So unless it is sure of a face, the photo is
    turned by 90, 270 and 180 degrees, until it is; if it never is, the first turn in which it found any counts.

    Args:
        image: [H, W, 3] or [H, W, 4], uint8 or uint16, any size.
        finder: from open_finder.

    Returns:
        The faces tilted by less than 45 degrees after that turn, in the pixels of `image`, largest first; an empty
        list if there are none.
    """
    height, width = image.shape[:2]
    picture = _shrunk(image, SEARCHED)[..., :3]
    if picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    chosen: list[Face] = []
    for turns in TURNS:
        faces = [face for face in finder(np.ascontiguousarray(np.rot90(picture, turns))) if _upright(face)]
        sure = any(face.score >= finder.sure for face in faces)
        if sure or not chosen:
            chosen = [_in_photo(face, turns, picture.shape[1::-1], (width, height)) for face in faces]
        if sure:
            break
    return sorted(chosen, key=lambda face: face.box[2] * face.box[3], reverse=True)


def _shrunk(image: np.ndarray, longer: int) -> np.ndarray:
    """Average a picture down until its longer side is no more than that."""
    height, width = image.shape[:2]
    scale = min(longer / max(height, width), 1.0)
    size = max(round(scale * width), 1), max(round(scale * height), 1)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _upright(face: Face) -> bool:
    across, down = face.points[3:].mean(axis=0) - face.points[:2].mean(axis=0)
    return bool(down > abs(across))


def _in_photo(face: Face, turns: int, size: tuple[int, ...], photo: tuple[int, int]) -> Face:
    """A face found after np.rot90 of a picture, in the pixels of the photo that it was shrunk from.

    Args:
        face: as found.
        turns: np.rot90's.
        size: width and height of the picture before it was turned.
        photo: width and height of the photo.
    """
    left, top, width, height = face.box
    places = np.vstack([face.points, [(left, top), (left + width, top + height)]])
    for turn in reversed(range(turns)):
        across = size[turn % 2]  # the picture's width before that turn
        places = np.stack([across - 1 - places[:, 1], places[:, 0]], axis=-1)
    places = (places + 0.5) * np.divide(photo, size) - 0.5
    corner, end = places[5:].min(axis=0), places[5:].max(axis=0)
    return Face(places[:5].astype(np.float32), (*corner.tolist(), *(end - corner).tolist()), face.score)


def distinct(boxes: np.ndarray, scores: np.ndarray, most: float, *, of_smaller: bool = False) -> np.ndarray:
    """Of boxes that overlap, keep the best (greedy non-maximum suppression).

    Args:
        boxes: [N, 4], left, top, right and bottom edges.
        scores: [N].
        most: the overlap that is let be, as a share of the two boxes' union.
        of_smaller: as a share of the smaller box instead.

    Returns:
        [K] int, indices of the boxes kept, best first.
    """
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    left = np.argsort(-scores, kind="stable")
    kept = []
    while left.size:
        best, left = left[0], left[1:]
        kept.append(best)
        sides = np.minimum(boxes[best, 2:], boxes[left, 2:]) - np.maximum(boxes[best, :2], boxes[left, :2])
        shared = np.prod(sides.clip(min=0), axis=1)
        total = np.minimum(areas[best], areas[left]) if of_smaller else areas[best] + areas[left] - shared
        left = left[shared <= most * total]
    return np.array(kept, int)


class YuNet:
    """OpenCV's FaceDetectorYN (Wu, Peng and Yu 2023) as a finder, for one thread at a time.

    It finds faces of about 10 to 300 pixels: larger ones in a smaller copy of the picture.

    Args:
        model: its ONNX file.

    Raises:
        UserError: the file cannot be read, or is no such model.
    """

    sure = 0.91
    SMALLER = 320
    SCORE = 0.7
    OVERLAP = 0.3
    OUTPUTS = frozenset(f"{what}_{stride}" for what in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32))

    def __init__(self, model: Path):
        data = np.frombuffer(_read_model(model, self.OUTPUTS), np.uint8)
        size = (self.SMALLER, self.SMALLER)
        none = np.empty(0, np.uint8)
        try:
            self._detector = cv2.FaceDetectorYN.create("onnx", data, none, size, self.SCORE, self.OVERLAP)
        except cv2.error:
            raise UserError(f"{model}: not a YuNet face finder") from None

    def __call__(self, image: np.ndarray) -> list[Face]:
        """[H, W, 3] uint8 RGB -> the faces in it."""
        longer = max(image.shape[:2])
        sides = {longer, min(longer, self.SMALLER)}
        rows = np.concatenate([self._search(image, side) for side in sides])
        corners = np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:4]])
        rows = rows[distinct(corners, rows[:, 14], self.OVERLAP)]
        # It counts from the edge of the first pixel.
        return [
            Face(row[4:14].reshape(5, 2) - 0.5, (*(row[:2] - 0.5).tolist(), *row[2:4].tolist()), float(row[14]))
            for row in rows
        ]

    def _search(self, image: np.ndarray, longer: int) -> np.ndarray:
        """Box (left, top, width, height), points and score of every face, [N, 15], from a copy of that size."""
        copy = _shrunk(image, longer)
        self._detector.setInputSize(copy.shape[1::-1])
        rows = self._detector.detect(cv2.cvtColor(copy, cv2.COLOR_RGB2BGR))[1]
        if rows is None:
            return np.empty((0, 15), np.float32)
        rows[:, :14] *= np.tile(np.divide(image.shape[1::-1], copy.shape[1::-1]), 7)
        return rows


def _read_model(path: Path, outputs: frozenset[str]) -> bytes:
    """Read an ONNX file that has these outputs: given one without, FaceDetectorYN ends the process."""
    import onnxruntime

    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception:  # its exceptions share no base class
        raise UserError(f"{path}: damaged, or not an ONNX model") from None
    if not outputs <= {output.name for output in session.get_outputs()}:
        raise UserError(f"{path}: not a YuNet face finder")
    return data


# === Which of them ===


def choose(faces: list[Face], which: str) -> list[Face]:
    """The faces that a user asks for.

    Args:
        faces: from find.
        which: "all", "largest", or a number: "1" is the largest, "2" the next.

    Raises:
        UserError: `which` is nothing of this.
        FaceError: there is no such face.
    """
    if which not in ("all", "largest") and not (which.isdecimal() and int(which) > 0):
        raise UserError(f"no face is called '{which}': 'all', 'largest', or a number from 1 (the largest) on")
    if not faces:
        raise FaceError("no face found")
    if which == "all":
        return faces
    number = 1 if which == "largest" else int(which)
    if number > len(faces):
        raise FaceError(f"no face {number}: only {len(faces)} found")
    return [faces[number - 1]]


def whole(image: np.ndarray, template: np.ndarray = TEMPLATE_W) -> Face:
    """The face of a picture that is a crop to the template already; of one that is not square, its middle is."""
    height, width = image.shape[:2]
    side = float(min(height, width))
    corner = (width - side) / 2 - 0.5, (height - side) / 2 - 0.5
    return Face((side * template + corner).astype(np.float32), (*corner, side, side), 1.0)


def narrowed(image: np.ndarray) -> np.ndarray:
    """The part of a crop to template W that template N shows: the face without hair and chin; a view."""
    rows, columns = image.shape[:2]
    top, left, bottom, right = NARROW
    return image[round(top * rows) : round(bottom * rows), round(left * columns) : round(right * columns)]


# === Cutting out and pasting back ===


def alignment(face: Face, side: int, template: np.ndarray = TEMPLATE_W) -> np.ndarray:
    """The turn, scale and shift that bring a face's points closest to the template's, in least squares.

    Args:
        face: from find.
        side: the crop's, in pixels.
        template: [5, 2], shares of the side.

    Returns:
        [2, 3] float64, from (x, y, 1) of the photo to (x, y) of the crop; never a reflection.

    Raises:
        ValueError: the points are all one, or fit the template at no scale.
    """
    # As complex numbers: turn and scale are one factor, which has a closed form.
    points, goal = face.points @ (1, 1j), (side * template - 0.5) @ (1, 1j)
    spread = points - points.mean()
    factor = np.vdot(spread, goal) / max(np.vdot(spread, spread).real, np.finfo(float).tiny)
    if not abs(factor) > 0:
        raise ValueError(f"expected the points of a face, not {face.points.tolist()}")
    shift = goal.mean() - factor * points.mean()
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def align(image: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """Cut a crop out of a photo.

    Args:
        image: [H, W, C], uint8 or uint16.
        matrix: from alignment.
        side: the crop's, in pixels.

    Returns:
        [side, side, C] float32 in 0..1. Where the crop is smaller than what it shows, pixels are averaged; beyond the
        photo's border they repeat.
    """
    crop = cut(image, matrix, side, cv2.BORDER_REPLICATE)
    return (crop / np.float32(np.iinfo(image.dtype).max)).clip(0.0, 1.0)


def cut(image: np.ndarray, matrix: np.ndarray, side: int, border: int) -> np.ndarray:
    """As `align`, of any values and unscaled, with one of OpenCV's BORDER_... for what is beyond the image."""
    rows, columns = _seen(matrix, side, image.shape)
    return _moved(image[rows, columns], _within(matrix, rows, columns), (side, side), cv2.INTER_CUBIC, border)


def paste(image: np.ndarray, difference: np.ndarray, matrix: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Add to a photo what has changed in a crop of it.

    Args:
        image: [H, W, 3] or [H, W, 4], uint8 or uint16.
        difference: [s, s, 3] float32, the new crop less the old one, in units of 0..1.
        matrix: from alignment.
        weight: [s, s] float32 in 0..1, how much of the difference counts.

    Returns:
        A changed copy. Where the weight is 0 its pixels are the photo's bit for bit, and so is all alpha.
    """
    result = image.copy()
    rows, columns = _seen(matrix, len(weight), image.shape)
    part = result[rows, columns, :3]
    back, size = cv2.invertAffineTransform(_within(matrix, rows, columns)), part.shape[1::-1]
    change = _moved(difference, back, size, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
    change *= _moved(weight, back, size, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)[..., None]
    most = np.iinfo(image.dtype).max
    part[:] = (part + np.rint(most * change).astype(np.int32)).clip(0, most)
    return result


def overlay(image: np.ndarray, crop: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Put a crop into a photo, in the place of what is there: detail of the old face would show through the new one.

    Args:
        image: [H, W, 3] or [H, W, 4], uint8 or uint16.
        crop: [s, s, 3] float32 in 0..1.
        matrix: from alignment.

    Returns:
        A changed copy; beyond the crop's oval its pixels are the photo's bit for bit, and so is all alpha.
    """
    result = image.copy()
    rows, columns = _seen(matrix, len(crop), image.shape)
    part = result[rows, columns, :3]
    back, size = cv2.invertAffineTransform(_within(matrix, rows, columns)), part.shape[1::-1]
    most = np.iinfo(image.dtype).max
    new = most * _moved(crop, back, size, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE).clip(0.0, 1.0)
    weight = _moved(oval(len(crop)), back, size, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)[..., None]
    part[:] = np.rint(part + weight * (new - part)).clip(0, most)
    return result


def oval(side: int) -> np.ndarray:
    """A weight for `paste`: [side, side] float32, 1 on face and hair, from there smoothly down to 0 at the rim.

    Its contours are superellipses |x|^4 + |y|^4 = r^4, whose corners are round.
    """
    fourth = np.linspace(-1.0, 1.0, side) ** 4
    radius = (fourth[:, None] + fourth) ** 0.25
    share = ((1.0 - radius) / FEATHER).clip(0.0, 1.0)
    return (share**2 * (3.0 - 2.0 * share)).astype(np.float32)


def _seen(matrix: np.ndarray, side: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The rows and columns of an image that a crop shows, and a margin: never none."""
    ends = np.array([[(x, y) for x in (-0.5, side - 0.5) for y in (-0.5, side - 0.5)]])
    corners = cv2.transform(ends, cv2.invertAffineTransform(matrix))[0]
    margin = 3 * max(1 / scale_of(matrix), 1.0)  # what cubic interpolation takes in
    limit = np.array(shape[1::-1])
    first = np.floor(corners.min(axis=0) - margin).clip(0, limit - 1).astype(int)
    end = np.ceil(corners.max(axis=0) + margin).clip(first + 1, limit).astype(int)
    return slice(first[1], end[1]), slice(first[0], end[0])


def _within(matrix: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """A matrix for a part of an image, from that for the whole."""
    part = matrix.copy()
    part[:, 2] += matrix[:, :2] @ (columns.start, rows.start)
    return part


def scale_of(matrix: np.ndarray) -> float:
    """How many times as large a crop is as what it shows."""
    return math.hypot(matrix[0, 0], matrix[1, 0])


def _moved(image: np.ndarray, matrix: np.ndarray, size: tuple[int, ...], interpolation: int, border: int) -> np.ndarray:
    """An image [h, w, ...] under a similarity, as float32 of `size` (width, height), without aliasing."""
    # Averaged down by the whole factor in it, then drawn finer by the rest and averaged again.
    coarser = max(math.floor(1 / scale_of(matrix) + ROUNDING), 1)
    if coarser > 1:
        before = np.array(image.shape[1::-1])
        image = cv2.resize(image, (-(-before // coarser)).tolist(), interpolation=cv2.INTER_AREA)
        factor = before / image.shape[1::-1]
        offset = matrix[:, 2] + matrix[:, :2] @ (0.5 * factor - 0.5)
        matrix = np.column_stack([matrix[:, :2] * factor, offset])
    finer = math.ceil(1 / scale_of(matrix) - ROUNDING)
    matrix = finer * matrix
    matrix[:, 2] += (finer - 1) / 2
    fine = finer * size[0], finer * size[1]
    moved = cv2.warpAffine(image.astype(np.float32), matrix, fine, flags=interpolation, borderMode=border)
    return cv2.resize(moved, size[:2], interpolation=cv2.INTER_AREA)
