"""The MTCNN face finder (Zhang et al. 2016) on ONNX Runtime, with the weights of the mtcnn package.

Three networks: P-Net judges every place of a pyramid of ever smaller copies of the picture, R-Net what P-Net left over,
and O-Net what R-Net left over; O-Net tells the five points too. The package itself is not imported, because it would
import TensorFlow: its weights are read, and the networks written as ONNX in memory.
"""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from vaekit.errors import UserError
from vaekit.faces import Face, cut, distinct
from vaekit.workers import cores

SMALLEST = 20
"""Side of the smallest face that is looked for, in pixels."""
SHRINK = 0.709
"""A copy in the pyramid is so many times as large as the one before: half its area."""
CELL, STEP = 12, 2
"""P-Net judges squares of CELL pixels, STEP pixels apart."""
SIDES = (24, 48)
"""What R-Net and O-Net see of a face, in pixels."""
SCORES = (0.6, 0.7, 0.8)
"""What P-Net, R-Net and O-Net must score a face at least."""
OVERLAPS = (0.5, 0.7, 0.7)
"""How much two boxes that P-Net, R-Net or O-Net passed may overlap; of more, the better one is kept."""

Weights = list[np.ndarray]
Network = Callable[[np.ndarray], Weights]


class Mtcnn:
    """Faces of SMALLEST pixels and more, upright or slightly tilted.

    Args:
        threads: within one network call; 0 takes all cores.

    Raises:
        UserError: the package is not installed, or damaged.
    """

    sure = 0.98

    def __init__(self, threads: int = 0):
        self._propose, self._refine, self._output = load(threads)

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
            found.append(scored[distinct(boxes, scored[:, 4], OVERLAPS[0])])
        scored = np.concatenate(found)
        return squares(scored[distinct(scored[:, :4], scored[:, 4], OVERLAPS[0]), :4])

    def _refined(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """The same, of those that R-Net takes for faces."""
        offsets, scores = self._refine(patches(image, boxes, SIDES[0]))
        passed = scores[:, 1] > SCORES[1]
        boxes = shifted(boxes, offsets)[passed]
        return squares(boxes[distinct(boxes, scores[passed, 1], OVERLAPS[1])])

    def _settled(self, image: np.ndarray, boxes: np.ndarray) -> list[Face]:
        """The faces among them, with their points."""
        offsets, points, scores = self._output(patches(image, boxes, SIDES[1]))
        points = points.reshape(len(boxes), 2, 5).swapaxes(1, 2)  # five x, then five y
        points = boxes[:, None, :2] + (boxes[:, 2:] - boxes[:, :2])[:, None] * points
        boxes, scores = shifted(boxes, offsets), scores[:, 1]
        passed = np.flatnonzero(scores > SCORES[2])
        kept = passed[distinct(boxes[passed], scores[passed], OVERLAPS[2], of_smaller=True)]
        return [_face(boxes[index], points[index], scores[index]) for index in kept]


def _face(box: np.ndarray, points: np.ndarray, score: np.ndarray) -> Face:
    corner = box[:2] - 0.5  # from edges to middles of pixels
    return Face((points - 0.5).astype(np.float32), (*corner.tolist(), *(box[2:] - box[:2]).tolist()), float(score))


def pyramid(image: np.ndarray) -> Iterator[np.ndarray]:
    """Copies of an image, smaller and smaller, in which faces from SMALLEST pixels up are as large as a cell."""
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
    """The smallest squares about the same middles that contain boxes [N, 4]; a pixel at least."""
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True).clip(min=1.0) / 2
    return np.hstack([middles - halves, middles + halves])


def shifted(boxes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Boxes [N, 4] with their edges moved by offsets [N, 4], shares of their sides."""
    return boxes + offsets * np.tile(boxes[:, 2:] - boxes[:, :2], 2)


# === The networks ===

Pool = tuple[int, str] | None
"""Side of a max-pooling (of stride 2) and ONNX's word for its padding."""
_NETWORKS: dict[str, tuple[Pool, ...]] = {
    "pnet": ((2, "SAME_UPPER"), None, None),
    "rnet": ((3, "SAME_UPPER"), (3, "VALID"), None, None),
    "onet": ((3, "SAME_UPPER"), (3, "VALID"), (2, "SAME_UPPER"), None, None),
}
"""What follows each layer with a PReLU; the layers after those give the answers, a softmax the last of them."""
_MISSING = (
    "to find faces, mtcnn is needed: pip install 'vaekit[faces]'; or name a YuNet file with --face-model, "
    "or say --aligned if the picture is a crop of a face already"
)


def load(threads: int) -> list[Network]:
    """P-Net, R-Net and O-Net: [N, h, w, 3] float32 in -1..1 -> edges' offsets, (points,) and scores of no and yes.

    Raises:
        UserError: the package with their weights is not installed, or damaged.
    """
    import onnxruntime

    try:
        import joblib
        import onnx  # noqa: F401
    except ImportError:
        raise UserError(_MISSING) from None
    spec = importlib.util.find_spec("mtcnn")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(_MISSING)
    folder = Path(spec.submodule_search_locations[0], "assets", "weights")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or cores()
    options.log_severity_level = 3
    # The threads of one network, waiting for work, would take the cores from the next one's.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")

    def network(name: str, pools: tuple[Pool, ...]) -> Network:
        try:
            graph = to_onnx(joblib.load(folder / f"{name}.lz4"), pools)
            session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception:  # unpickling raises whatever bad bytes make it trip over
            raise UserError(f"{folder / name}.lz4: missing or damaged: install mtcnn 1.0 again") from None
        return lambda images: session.run(None, {"images": images})

    return [network(name, pools) for name, pools in _NETWORKS.items()]


def to_onnx(weights: Weights, pools: tuple[Pool, ...]) -> bytes:
    """Write one of the networks as an ONNX model.

    Args:
        weights: a layer's kernel (height, width, in, out; or in, out), bias and, if one follows, PReLU slopes; then
            the next layer's.
        pools: of each layer with a PReLU.
    """
    import onnx
    from onnx import helper, numpy_helper

    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def node(kind: str, *inputs: str, **attributes) -> str:
        name = f"{kind}_{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(values: np.ndarray) -> str:
        name = f"constant_{len(constants)}"
        constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def layer(value: str, kernel: np.ndarray, bias: np.ndarray) -> str:
        if kernel.ndim == 2:
            return node("Gemm", value, constant(kernel), constant(bias))
        return node("Conv", value, constant(kernel.transpose(3, 2, 0, 1)), constant(bias))

    value = node("Transpose", "images", perm=[0, 3, 1, 2])
    hidden, rest = weights[: 3 * len(pools)], weights[3 * len(pools) :]
    for kernel, bias, slopes, pool in zip(hidden[::3], hidden[1::3], hidden[2::3], pools, strict=True):
        if kernel.ndim == 2:  # its rows count channels fastest, then rows, then columns
            value = node("Flatten", node("Transpose", value, perm=[0, 3, 2, 1]))
        value = layer(value, kernel, bias)
        value = node("PRelu", value, constant(slopes.reshape(-1, *[1] * (kernel.ndim - 2))))
        if pool is not None:
            value = node("MaxPool", value, kernel_shape=[pool[0]] * 2, strides=[2, 2], auto_pad=pool[1])
    answers = [layer(value, kernel, bias) for kernel, bias in zip(rest[::2], rest[1::2], strict=True)]
    answers[-1] = node("Softmax", answers[-1], axis=1)

    def described(name: str, shape: list[str | int] | None):
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    inputs, outputs = [described("images", ["N", "h", "w", 3])], [described(name, None) for name in answers]
    graph = helper.make_graph(nodes, "network", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
