"""Faces in photos: find them, bring one to a template, paste an edit of it back.

Points are pixels (x, y) from a picture's left and top; whole numbers are the middles of pixels.
"""

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from vaekit.errors import UserError
from vaekit.images import ImageError

WIDE_TEMPLATE = np.array([(0.3676, 0.4818), (0.6257, 0.4818), (0.493, 0.625), (0.382, 0.759), (0.611, 0.758)])
"""Where a crop with hair and chin has the five points, as shares of its side: the eye on the picture's left, the other
eye, the tip of the nose, the mouth's corner on the picture's left, the other corner."""
NARROW = (0.21, 0.13, 0.95, 0.87)
"""Top, left, bottom and right of the narrow crop in the wide one."""
TIGHT_TEMPLATE = (WIDE_TEMPLATE - (0.13, 0.21)) / 0.74
"""The same five points of the narrow crop."""
SEARCHED = 768
"""Faces are searched for in a copy of the photo whose longer side has no more pixels than this. MTCNN, which finds
faces from 20 pixels up, so finds those from a fortieth of the longer side up."""
GLANCED = 384
"""The same of a photo that is turned, until a face in it is sure."""
TILTS = (0, 90, 270, 180, 45, 315, 135, 225)
"""Degrees by which a photo is turned to the left to look for faces, in this order."""
LOOK = 112
"""Side of the crop, to template W, in which a face is looked for again, in pixels."""
TOLERANCE = 0.15
"""How far points may lie from the template's in the crop, as a share of its side: more is no face."""
OVERLAP = 0.4
"""Two boxes with a larger overlap, as a share of their union, show the same face."""
FEATHER = 0.25
"""How far `oval` reaches in from the crop's rim before it is 1, as a share of the way to the middle."""
ROUNDING = 1e-6
"""A scale that is so close to a whole number is that number."""


class FaceError(ImageError):
    """A photo without the face that was asked for."""


@dataclass(frozen=True, eq=False)
class Face:
    """Where a face is in a photo.

    points: [5, 2] float32, in the order of WIDE_TEMPLATE as it is when the face is upright.
    box: left, top, width and height in the same pixels; it may reach beyond the photo.
    score: how sure the finder is, in 0..1.
    """

    points: np.ndarray
    box: tuple[float, float, float, float]
    score: float


class Finder(Protocol):
    """Finds the upright faces in an [H, W, 3] uint8 RGB picture.

    least: the score from which on a face counts.
    """

    least: float

    def __call__(self, image: np.ndarray) -> list[Face]:
        """Find them, in any order."""


# === Finding ===


def open_finder(model: Path | None = None, least: float | None = None) -> Finder:
    """A finder: MTCNN, or YuNet where a file of it is named.

    Args:
        model: a YuNet file for OpenCV's FaceDetectorYN.
        least: the score from which on a face counts, in 0..1; None is the detector's default.

    Raises:
        UserError: the file cannot be read or is no such model, or MTCNN is not installed.
    """
    if model is not None:
        return YuNet(model) if least is None else YuNet(model, least)
    from vaekit.mtcnn import Mtcnn

    return Mtcnn() if least is None else Mtcnn(least)


def installed() -> bool:
    """Whether MTCNN can be opened: the mtcnn package, and lz4, which its weight files need."""
    return all(importlib.util.find_spec(name) for name in ("mtcnn", "lz4"))


def find(image: np.ndarray, finder: Finder, tilts: Sequence[int] = TILTS) -> list[Face]:
    """Find the faces in a photo, also in one that lies on its side or stands on its head, and tilted ones.

    A detector also answers to what is no face, and sees turned faces with the mouth for the eyes. So each face is
    looked for again in its own crop, turned upright, and in the mirror image of that: its score is the lowest of the
    three, and its points are the means of those in the crops. While no face has the score `finder.least`, the photo
    is turned by `tilts`.

    Args:
        image: [H, W, 3] or [H, W, 4], uint8 or uint16, any size. Pixels of alpha 0 are not looked at.
        finder: from open_finder.
        tilts: degrees by which the photo is turned to the left, in this order; 0 is the photo as it is.

    Returns:
        All faces found, in the pixels of `image`, also those of a score below `finder.least`. The surest is first; of
        those whose scores have the same first two decimals, the largest.
    """
    picture = _searched(image)
    found: list[Face] = []
    for degrees in tilts:
        for side in (GLANCED, SEARCHED) if degrees else (SEARCHED,):
            turned, matrix = _turned(_shrunk(picture, side), degrees, picture.shape)
            back = cv2.invertAffineTransform(matrix)
            seen = (_seen_again(picture, _moved_face(face, back), finder) for face in finder(turned))
            found = _best(found + [face for face in seen if face is not None])
            sure = any(face.score >= finder.least for face in found)
            if not sure:
                break
        if sure:
            break
    factor = np.divide(image.shape[1::-1], picture.shape[1::-1])
    to_photo = np.column_stack([np.diag(factor), 0.5 * factor - 0.5])
    return [_moved_face(face, to_photo) for face in found]


def find_sure(image: np.ndarray, finder: Finder, tilts: Sequence[int] = TILTS) -> list[Face]:
    """As `find`, without the faces of a score below `finder.least`."""
    return [face for face in find(image, finder, tilts) if face.score >= finder.least]


def _searched(image: np.ndarray) -> np.ndarray:
    """What is searched: [h, w, 3] uint8, at most SEARCHED pixels on its longer side; grey where it is transparent."""
    picture = image[..., :3]
    if image.shape[2] == 4 and not image[..., 3].all():
        picture = np.where(image[..., 3:] > 0, picture, np.iinfo(image.dtype).max // 2).astype(image.dtype)
    picture = _shrunk(picture, SEARCHED)
    return (picture >> 8).astype(np.uint8) if picture.dtype == np.uint16 else picture


def _shrunk(image: np.ndarray, longer: int) -> np.ndarray:
    """Average a picture down until its longer side is no more than that."""
    height, width = image.shape[:2]
    scale = min(longer / max(height, width), 1.0)
    size = max(round(scale * width), 1), max(round(scale * height), 1)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _turned(copy: np.ndarray, degrees: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A copy of a picture turned to the left, whole, and the matrix to it from the picture of that shape.

    Beyond the copy's border is grey.
    """
    height, width = copy.shape[:2]
    factor = np.divide((width, height), shape[1::-1])
    to_copy = np.vstack([np.column_stack([np.diag(factor), 0.5 * factor - 0.5]), (0, 0, 1)])
    if degrees == 0:
        return copy, to_copy[:2]
    middle = (width - 1) / 2, (height - 1) / 2
    matrix = cv2.getRotationMatrix2D(middle, degrees, 1.0)
    sides = np.rint(np.abs(matrix[:, :2]) @ (width, height)).astype(int)
    matrix[:, 2] += (sides - 1) / 2 - middle
    turned = cv2.warpAffine(copy, matrix, sides.tolist(), flags=cv2.INTER_LINEAR, borderValue=(127, 127, 127))
    return turned, matrix @ to_copy


def _seen_again(picture: np.ndarray, face: Face, finder: Finder) -> Face | None:
    """Look for a face again, upright and then mirrored; None where it is not there."""
    looks = []
    for mirrored in (False, True):
        try:
            matrix = alignment(face, LOOK)
        except ValueError:
            return None
        if mirrored:
            matrix[0] = (0, 0, LOOK - 1) - matrix[0]
        crop = np.rint(cut(picture, matrix, LOOK, cv2.BORDER_REPLICATE)).clip(0, 255).astype(np.uint8)
        near = [seen for seen in finder(crop) if _fits(seen)]
        if not near:
            return None
        seen = _moved_face(max(near, key=lambda seen: seen.score), cv2.invertAffineTransform(matrix))
        points = seen.points[[1, 0, 2, 4, 3]] if mirrored else seen.points
        face = Face(points, seen.box, min(face.score, seen.score))
        looks.append(face)
    return Face(np.mean([look.points for look in looks], axis=0), looks[0].box, face.score)


def _fits(face: Face) -> bool:
    """Whether a face found in a crop is the one that the crop was cut to."""
    return bool(np.abs(face.points - (LOOK * WIDE_TEMPLATE - 0.5)).max() <= TOLERANCE * LOOK)


def _moved_face(face: Face, matrix: np.ndarray) -> Face:
    """A face in the pixels of another picture; its box becomes the upright one about it."""
    left, top, width, height = face.box
    corners = [(left + x * width, top + y * height) for x in (0, 1) for y in (0, 1)]
    places = cv2.transform(np.array([[*face.points.tolist(), *corners]]), matrix)[0]
    corner, end = places[5:].min(axis=0), places[5:].max(axis=0)
    return Face(places[:5].astype(np.float32), (*corner.tolist(), *(end - corner).tolist()), face.score)


def _best(found: list[Face]) -> list[Face]:
    """Each face once, in the order of `find`."""
    found = sorted(found, key=lambda face: (-round(face.score, 2), -face.box[2] * face.box[3]))
    boxes = np.array([face.box for face in found]).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return [found[index] for index in sorted(nms(boxes, -np.arange(float(len(found))), OVERLAP))]


def nms(boxes: np.ndarray, scores: np.ndarray, most: float, *, of_smaller: bool = False) -> np.ndarray:
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
        least: the score from which on a face counts.

    Raises:
        UserError: the file cannot be read, or is no such model.
    """

    SMALLER = 320
    SCORE = 0.5
    OVERLAP = 0.3
    OUTPUTS = frozenset(f"{what}_{stride}" for what in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32))

    def __init__(self, model: Path, least: float = 0.9):
        self.least = least
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
        rows = rows[nms(corners, rows[:, 14], self.OVERLAP)]
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


def choose(faces: list[Face], which: str, least: float) -> list[Face]:
    """The faces that a user asks for.

    Args:
        faces: from find.
        which: "all", "surest", "largest", or a number: "1" is the surest, "2" the next.
        least: faces of a lower score do not count.

    Raises:
        UserError: `which` is nothing of this.
        FaceError: there is no such face.
    """
    if which not in ("all", "surest", "largest") and not (which.isdecimal() and int(which) > 0):
        raise UserError(f"no face is called '{which}': 'all', 'surest', 'largest', or a number from 1 (the surest) on")
    sure = [face for face in faces if face.score >= least]
    if not sure:
        unsure = f": the surest has a score of {faces[0].score:.3f}, under {least:g} (--min-score)" if faces else ""
        raise FaceError(f"no face found{unsure}")
    if which == "all":
        return sure
    if which == "largest":
        return [max(sure, key=lambda face: face.box[2] * face.box[3])]
    number = 1 if which == "surest" else int(which)
    if number > len(sure):
        raise FaceError(f"no face {number}: only {len(sure)} found")
    return [sure[number - 1]]


def summary(found: list[Face]) -> str:
    """How many faces were found and how sure they are, for people.

    >>> face = Face(np.zeros((5, 2)), (0.0, 0.0, 1.0, 1.0), 0.999)
    >>> summary([face])
    '1 face (0.999)'
    """
    scores = [face.score for face in found]
    listed = ", ".join(f"{score:.3f}" for score in scores)
    if len(scores) > 4:
        listed = f"{min(scores):.3f} to {max(scores):.3f}"
    return f"{len(scores)} face{'' if len(scores) == 1 else 's'} ({listed})"


def described(found: list[Face], chosen: list[Face]) -> list[dict]:
    """What a report says of faces: score, box (left, top, width, height) and whether each is edited."""
    return [
        {
            "score": round(face.score, 4),
            "box": [round(value, 1) for value in face.box],
            "edited": any(face is other for other in chosen),
        }
        for face in found
    ]


def whole(image: np.ndarray, template: np.ndarray = WIDE_TEMPLATE) -> Face:
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


def alignment(face: Face, side: int, template: np.ndarray = WIDE_TEMPLATE) -> np.ndarray:
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
        A changed copy. Where the weight or alpha is 0 its pixels are the photo's bit for bit, and so is all alpha.
    """
    result = image.copy()
    rows, columns = _seen(matrix, len(weight), image.shape)
    part, hidden = result[rows, columns, :3], result[rows, columns, 3:] == 0
    back, size = cv2.invertAffineTransform(_within(matrix, rows, columns)), part.shape[1::-1]
    change = _moved(difference, back, size, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
    change *= _moved(weight, back, size, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)[..., None]
    change[hidden.any(axis=2)] = 0
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
        A changed copy; beyond the crop's oval, and where alpha is 0, its pixels are the photo's bit for bit, and so
        is all alpha.
    """
    result = image.copy()
    rows, columns = _seen(matrix, len(crop), image.shape)
    part, hidden = result[rows, columns, :3], result[rows, columns, 3:] == 0
    back, size = cv2.invertAffineTransform(_within(matrix, rows, columns)), part.shape[1::-1]
    most = np.iinfo(image.dtype).max
    new = most * _moved(crop, back, size, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE).clip(0.0, 1.0)
    weight = _moved(oval(len(crop)), back, size, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)[..., None]
    weight[hidden.any(axis=2)] = 0
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
