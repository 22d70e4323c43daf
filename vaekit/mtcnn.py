"""The MTCNN face detector (Zhang et al. 2016) in NumPy, with the weights of the mtcnn package.

Three networks: P-Net scores every place of an image pyramid, R-Net the boxes that P-Net passed, and O-Net those that
R-Net passed; O-Net gives the five points too. The package itself is not imported, because it would import TensorFlow:
its weight files are read, and nothing in them is executed. The networks have half a million weights and eight kinds of
layers, which NumPy runs fast enough that no ONNX model has to be built.
"""

import functools
import importlib.util
import io
import math
import pickletools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from vaekit.errors import UserError
from vaekit.faces import Face, cut, installed, nms

SMALLEST = 20
"""Side of the smallest face that is looked for, in pixels."""
SHRINK = 0.709
"""The ratio of sides of neighbouring levels of the pyramid: half the area."""
CELL, STEP = 12, 2
"""P-Net scores squares of CELL pixels, STEP pixels apart."""
SIDES = (24, 48)
"""Input sizes of R-Net and O-Net, in pixels."""
SCORES = (0.6, 0.7, 0.6)
"""The least scores that P-Net, R-Net and O-Net pass."""
OVERLAPS = (0.5, 0.7, 0.7)
"""The overlap of two boxes above which P-Net, R-Net and O-Net keep only the better one."""

Network = Callable[[np.ndarray], list[np.ndarray]]


class Mtcnn:
    """Finds faces of SMALLEST pixels and more, upright or slightly tilted.

    Args:
        least: the score from which on a face counts.

    Raises:
        UserError: the package is not installed, or damaged.
    """

    def __init__(self, least: float = 0.9):
        self.least = least
        self._propose, self._refine, self._output = load()

    def __call__(self, image: np.ndarray) -> list[Face]:
        """[H, W, 3] uint8 RGB -> the faces in it."""
        image = (image.astype(np.float32) - 127.5) / 128.0
        return self._settled(image, self._refined(image, self._proposals(image)))

    def _proposals(self, image: np.ndarray) -> np.ndarray:
        """[N, 4], square: left, top, right and bottom edges."""
        found = [np.empty((0, 5))]
        for copy in pyramid(image):
            offsets, scores = self._propose(copy[None])
            rows, columns = np.nonzero(scores[0, 1] > SCORES[0])
            corners = STEP * np.stack([columns, rows], axis=-1)
            boxes = shifted(np.hstack([corners, corners + CELL]), offsets[0][:, rows, columns].T)
            boxes *= np.tile(np.divide(image.shape[1::-1], copy.shape[1::-1]), 2)
            scored = np.column_stack([boxes, scores[0, 1, rows, columns]])
            found.append(scored[nms(boxes, scored[:, 4], OVERLAPS[0])])
        scored = np.concatenate(found)
        return squares(scored[nms(scored[:, :4], scored[:, 4], OVERLAPS[0]), :4])

    def _refined(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """The boxes that R-Net takes for faces, [K, 4], square."""
        offsets, scores = self._refine(patches(image, boxes, SIDES[0]))
        passed = scores[:, 1] > SCORES[1]
        boxes = shifted(boxes, offsets)[passed]
        return squares(boxes[nms(boxes, scores[passed, 1], OVERLAPS[1])])

    def _settled(self, image: np.ndarray, boxes: np.ndarray) -> list[Face]:
        """The boxes that O-Net takes for faces, with their points."""
        offsets, points, scores = self._output(patches(image, boxes, SIDES[1]))
        points = points.reshape(len(boxes), 2, 5).swapaxes(1, 2)  # five x, then five y
        points = boxes[:, None, :2] + (boxes[:, 2:] - boxes[:, :2])[:, None] * points
        boxes, scores = shifted(boxes, offsets), scores[:, 1]
        passed = np.flatnonzero(scores > SCORES[2])
        kept = passed[nms(boxes[passed], scores[passed], OVERLAPS[2], of_smaller=True)]
        return [_face(boxes[index], points[index], scores[index]) for index in kept]


def _face(box: np.ndarray, points: np.ndarray, score: np.ndarray) -> Face:
    corner = box[:2] - 0.5  # from edges to centres of pixels
    return Face((points - 0.5).astype(np.float32), (*corner.tolist(), *(box[2:] - box[:2]).tolist()), float(score))


def pyramid(image: np.ndarray) -> Iterator[np.ndarray]:
    """Smaller and smaller copies of an image, in which faces from SMALLEST pixels up are as large as a cell."""
    scale = CELL / SMALLEST
    while scale * min(image.shape[:2]) >= CELL:
        size = int(scale * image.shape[1]), int(scale * image.shape[0])
        yield cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        scale *= SHRINK


def patches(image: np.ndarray, boxes: np.ndarray, side: int) -> np.ndarray:
    """What square boxes [N, 4] show, [N, side, side, 3]; 0, which is grey, beyond the image."""
    found = np.empty((len(boxes), side, side, 3), np.float32)
    for patch, (left, top, right, _) in zip(found, boxes, strict=True):
        scale = side / (right - left)
        shift = scale * (0.5 - np.array([left, top])) - 0.5
        patch[:] = cut(image, np.column_stack([scale * np.eye(2), shift]), side, cv2.BORDER_CONSTANT)
    return found


def squares(boxes: np.ndarray) -> np.ndarray:
    """The smallest squares about the same centres that contain boxes [N, 4]; a pixel at least."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True).clip(min=1.0) / 2
    return np.hstack([centres - halves, centres + halves])


def shifted(boxes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Boxes [N, 4] with their edges moved by offsets [N, 4], shares of their sides."""
    return boxes + offsets * np.tile(boxes[:, 2:] - boxes[:, :2], 2)


# === The networks ===

Pool = tuple[int, bool] | None
"""Size of a max-pooling of stride 2, and whether it pads (Keras's "same")."""
_HIDDEN: dict[str, Sequence[tuple[tuple[int, ...], Pool]]] = {
    "pnet": [((3, 3, 3, 10), (2, True)), ((3, 3, 10, 16), None), ((3, 3, 16, 32), None)],
    "rnet": [((3, 3, 3, 28), (3, True)), ((3, 3, 28, 48), (3, False)), ((2, 2, 48, 64), None), ((576, 128), None)],
    "onet": [
        ((3, 3, 3, 32), (3, True)),
        ((3, 3, 32, 64), (3, False)),
        ((3, 3, 64, 64), (2, True)),
        ((2, 2, 64, 128), None),
        ((1152, 256), None),
    ],
}
"""Kernel and pooling of the layers that a PReLU follows."""
_HEADS = {"pnet": ((1, 1, 32), (4, 2)), "rnet": ((128,), (4, 2)), "onet": ((256,), (4, 10, 2))}
"""Input shape and output channels of the last layers; the last of them is a softmax."""
_MISSING = (
    "to find faces, mtcnn is needed: pip install mtcnn; or name a YuNet file with --face-model, "
    "or say --aligned if the picture is a crop of a face already"
)


def load() -> list[Network]:
    """P-Net, R-Net and O-Net: [N, h, w, 3] float32 in -1..1 -> offsets of edges, (points,) and scores of no and yes.

    Raises:
        UserError: the package with their weights is not installed, or damaged.
    """
    spec = importlib.util.find_spec("mtcnn")
    if not installed() or spec is None or not spec.submodule_search_locations:
        raise UserError(_MISSING)
    folder = Path(spec.submodule_search_locations[0], "assets", "weights")
    return [_network(folder / f"{name}.lz4", name) for name in _HIDDEN]


def _network(path: Path, name: str) -> Network:
    shapes: list[tuple[int, ...]] = []
    for kernel, _ in _HIDDEN[name]:
        slopes = (1,) * (len(kernel) - 2) + kernel[-1:]
        shapes += [kernel, kernel[-1:], slopes[-3:]]
    before, channels = _HEADS[name]
    for count in channels:
        shapes += [(*before, count), (count,)]
    try:
        weights = read_weights(path, shapes)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: missing or damaged ({error}): install mtcnn 1.0 again") from None
    pools = [pool for _, pool in _HIDDEN[name]]
    return functools.partial(run, weights, pools)


def read_weights(path: Path, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """Read the arrays of a file that joblib.dump wrote, without executing what it says.

    In such a file the bytes of each array follow the pickled description of it. pickletools names the operations
    of the pickle one by one and performs none; so the place where each array begins is found.

    Args:
        path: an LZ4 file with a pickled list of little-endian float32 arrays.
        shapes: the shapes of all of them.

    Raises:
        OSError, ValueError, RuntimeError: the file is missing, damaged, or holds something else.
    """
    import lz4.frame

    stream = io.BytesIO(lz4.frame.decompress(path.read_bytes()))
    arrays: list[np.ndarray] = []
    before = ""
    for operation, _, _ in pickletools.genops(stream):
        if operation.name == "BUILD" and before == "SETITEMS":  # the description is complete
            if len(arrays) == len(shapes):
                raise ValueError("too many arrays")
            stream.seek(stream.read(1)[0], io.SEEK_CUR)  # padding, after its length
            shape = shapes[len(arrays)]
            arrays.append(np.frombuffer(stream.read(4 * math.prod(shape)), "<f4").reshape(shape))
        before = operation.name
    if len(arrays) < len(shapes):
        raise ValueError("too few arrays")
    return arrays


def run(weights: list[np.ndarray], pools: Sequence[Pool], images: np.ndarray) -> list[np.ndarray]:
    """Run one of the networks.

    Args:
        weights: kernel, bias and PReLU slopes of each hidden layer; then kernel and bias of each output.
        pools: of each hidden layer.
        images: [N, h, w, 3] float32.

    Returns:
        Of each output, [N, channels, ...] float32.
    """
    value = np.ascontiguousarray(images.transpose(0, 3, 1, 2))  # else every stack keeps the old order in memory
    hidden, rest = weights[: 3 * len(pools)], weights[3 * len(pools) :]
    for kernel, bias, slopes, pool in zip(hidden[::3], hidden[1::3], hidden[2::3], pools, strict=True):
        if kernel.ndim == 2:  # its rows count channels fastest, then rows, then columns
            value = value.transpose(0, 3, 2, 1).reshape(len(value), len(kernel))
        value = _layer(value, kernel, bias)
        value = np.where(value > 0, value, slopes.reshape(-1, *[1] * (kernel.ndim - 2)) * value)
        if pool is not None:
            value = _max_pool(value, *pool)
    *answers, logits = [_layer(value, kernel, bias) for kernel, bias in zip(rest[::2], rest[1::2], strict=True)]
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return [*answers, odds / odds.sum(axis=1, keepdims=True)]


def _layer(value: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A dense layer [N, in], or a convolution [N, in, h, w] without padding."""
    if kernel.ndim == 2:
        return value @ kernel + bias
    rows, columns, channels, outputs = kernel.shape
    height, width = value.shape[2] - rows + 1, value.shape[3] - columns + 1
    seen = [value[:, :, y : y + height, x : x + width] for y in range(rows) for x in range(columns)]
    taps = np.stack(seen, axis=1).reshape(len(value), rows * columns * channels, height * width)
    result = kernel.reshape(-1, outputs).T @ taps
    result += bias[:, None]
    return result.reshape(len(value), outputs, height, width)


def _max_pool(value: np.ndarray, size: int, same: bool) -> np.ndarray:
    """[N, C, h, w], stride 2."""
    if same:
        missing = [max(2 * (-(-side // 2) - 1) + size - side, 0) for side in value.shape[2:]]
        pads = [(0, 0), (0, 0), *[(count // 2, count - count // 2) for count in missing]]
        value = np.pad(value, pads, constant_values=-np.inf)
    height, width = (side - size + 1 for side in value.shape[2:])
    value = functools.reduce(np.maximum, [value[:, :, first : first + height : 2] for first in range(size)])
    return functools.reduce(np.maximum, [value[..., first : first + width : 2] for first in range(size)])
