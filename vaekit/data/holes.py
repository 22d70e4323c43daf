"""Random holes: free-form strokes, boxes and scratches. Masks are [H, W] bool, True in the hole."""

import cv2
import numpy as np

Shape = tuple[int, int]
Generator = np.random.Generator


def free_form(rng: Generator, shape: Shape, area: tuple[float, float]) -> np.ndarray:
    """Brush strokes and ellipses that cover a share of the image within `area`.

    Args:
        rng: every draw comes from it.
        shape: (H, W).
        area: (lowest, highest) covered share, 0 <= lowest < highest <= 1.
    """
    lowest, highest = (share * shape[0] * shape[1] for share in area)
    aim = rng.uniform(lowest, highest)
    mask = np.zeros(shape, np.uint8)
    covered = 0
    thickness = 1.0
    while covered < max(aim, lowest, 1) and thickness > 0.01:
        stroke = _stroke(rng, mask, thickness)
        after = cv2.countNonZero(stroke)
        if after <= highest:
            mask, covered = stroke, after
        else:
            thickness *= 0.7  # too much: try thinner
    return mask.astype(bool)


def _stroke(rng: Generator, mask: np.ndarray, thickness: float) -> np.ndarray:
    """`mask` with one more stroke of a brush that wanders, or now and then an ellipse."""
    height, width = mask.shape
    side = min(height, width)
    drawn = mask.copy()
    if rng.random() < 0.15:
        axes = (rng.uniform(0.04, 0.16, 2) * side * thickness).astype(int) + 1
        center = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        cv2.ellipse(drawn, center, axes.tolist(), rng.uniform(0, 180), 0, 360, 1, -1)
        return drawn
    x, y, angle = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0, 2 * np.pi)
    points = [(x, y)]
    for _ in range(rng.integers(2, 8)):
        angle += rng.normal(0, 0.9)
        length = rng.uniform(0.05, 0.25) * side * thickness
        x = float(np.clip(x + length * np.cos(angle), 0, width - 1))
        y = float(np.clip(y + length * np.sin(angle), 0, height - 1))
        points.append((x, y))
    brush = max(1, round(rng.uniform(0.03, 0.14) * side * thickness))
    cv2.polylines(drawn, [np.rint(points).astype(np.int32)], False, 1, brush)
    return drawn


def box(rng: Generator, shape: Shape, area: tuple[float, float]) -> np.ndarray:
    """One rectangle of a share of the image within `area`, up to 2:1 either way.

    It is more often near the middle, where pictures have their subject.
    """
    height, width = shape
    share = rng.uniform(*area) * height * width
    aspect = np.exp(rng.uniform(np.log(0.5), np.log(2.0)))
    h = int(np.clip(round((share * aspect) ** 0.5), 1, height))
    w = int(np.clip(round(share / h), 1, width))
    y, x = (
        round(rng.triangular(0, middle, 2 * middle)) if middle else 0 for middle in ((height - h) / 2, (width - w) / 2)
    )
    mask = np.zeros(shape, bool)
    mask[y : y + h, x : x + w] = True
    return mask


def centred_square(shape: Shape, area: float = 0.25) -> np.ndarray:
    """A square of that share of the image in its middle."""
    side = min(round((area * shape[0] * shape[1]) ** 0.5), *shape)
    y, x = (shape[0] - side) // 2, (shape[1] - side) // 2
    mask = np.zeros(shape, bool)
    mask[y : y + side, x : x + side] = True
    return mask


def scratches(rng: Generator, shape: Shape) -> np.ndarray:
    """A few thin lines, as on an old print."""
    mask = np.zeros(shape, np.uint8)
    for _ in range(rng.integers(1, 8)):
        ends = np.stack([rng.uniform(0, shape[1], 4), rng.uniform(0, shape[0], 4)], axis=-1)
        cv2.polylines(mask, [ends.astype(np.int32)], False, 1, int(rng.integers(1, 4)))
    return mask.astype(bool)


def mixed(rng: Generator, shape: Shape) -> np.ndarray:
    """The training mix: strokes over 1 to 50 %, boxes, several small boxes, scratches."""
    kind = rng.random()
    if kind < 0.45:
        low, high = ((0.01, 0.15), (0.15, 0.3), (0.3, 0.5))[rng.integers(3)]
        return free_form(rng, shape, (low, high))
    if kind < 0.6:
        return box(rng, shape, (0.03, 0.3))
    if kind < 0.95:
        return np.any([box(rng, shape, (0.01, 0.07)) for _ in range(rng.integers(1, 5))], axis=0)
    return scratches(rng, shape)
