"""Damage of old prints and negatives, drawn over photos: what a network learns to find.

Sizes are pixels of the picture, whatever its size, and there is as much of everything as its area asks for.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from vaekit.data.noise import smooth_field, smooth_line

Generator = np.random.Generator

FINE = 4
"""Strokes are drawn so many times larger, and averaged."""
SEEN = (0.05, 0.1)
"""Least change of a pixel that counts as damage, of 1: beside a pixel that has changed by more, and by itself."""
HIDES = 0.8
"""What share of its surroundings' standard deviation a change must be larger by."""


def damage(image: np.ndarray, rng: Generator, kinds: Sequence[str] = ()) -> np.ndarray:
    """Damage a picture.

    Args:
        image: [H, W, 3] float32 in 0..1.
        rng: every draw comes from it.
        kinds: of KINDS; one to four of them are drawn where none is named.

    Returns:
        [H, W, 3] float32 in 0..1.

    Example:
        damaged = damage(image, rng, ["scratches", "dust"])
        mask = visible(image, damaged)
    """
    damaged = image.astype(np.float32)
    for kind in kinds or rng.choice(list(KINDS), size=rng.integers(1, 5), replace=False, p=SHARES):
        KINDS[kind](damaged, rng)
    return np.clip(damaged, 0.0, 1.0)


def visible(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Where a change can be seen, and one pixel round it.

    It has to be larger the more uneven the picture is there; a smaller one counts where it continues a larger one.
    Gaps of a few pixels, where damage happens to look like the picture, are closed.

    Args:
        before: [H, W, 3] float32 in 0..1.
        after: as `before`.

    Returns:
        [H, W] bool.
    """
    change = np.abs(after - before).max(axis=2)
    level = before.mean(axis=2)
    mean, square = (cv2.blur(values, (7, 7), borderType=cv2.BORDER_REFLECT) for values in (level, level**2))
    change = change - HIDES * np.sqrt(np.maximum(square - mean**2, 0.0))
    _, labels = cv2.connectedComponents((change > SEEN[0]).astype(np.uint8), connectivity=8)
    sure = np.zeros(labels.max() + 1, bool)
    sure[labels[change > SEEN[1]]] = True
    sure[0] = False
    mask = cv2.morphologyEx(sure[labels].astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return cv2.dilate(mask, np.ones((3, 3), np.uint8)).astype(bool)


# === Kinds: each draws into a picture, in place ===


def scratches(image: np.ndarray, rng: Generator) -> None:
    """Single ones, parallel ones from end to end, or a rub of many short fine ones."""
    height, width = image.shape[:2]
    style = rng.choice(3, p=(0.6, 0.22, 0.18))
    light = rng.random() < 0.7
    if style == 0:
        for _ in range(_count(image, rng, 1, 6)):
            length = np.exp(rng.uniform(np.log(12), np.log(1.3 * max(height, width))))
            points = _walk(rng, _place(image, rng), rng.uniform(0, 2 * np.pi), length, rng.normal(0, 0.003), 0.004)
            _scratch(image, rng, points, light if rng.random() < 0.8 else not light)
    elif style == 1:
        angle = np.pi / 2 * rng.integers(2) + rng.normal(0.0, 0.04)
        for _ in range(rng.integers(1, 6)):
            middle = np.array(_place(image, rng))
            ray = np.array([np.cos(angle), np.sin(angle)]) * (height + width)
            steps = np.linspace(-1, 1, int((height + width) / 4))[:, None]
            points = middle + steps * ray + rng.normal(0, 0.5, (1, 2)) * smooth_line(rng, len(steps), 12)[:, None]
            _scratch(image, rng, points, light)
    else:
        slant, middle = rng.uniform(0, np.pi), np.array(_place(image, rng))
        reach = rng.uniform(15, 60)
        for _ in range(rng.integers(8, 30)):
            points = _walk(rng, middle + rng.normal(0, reach, 2), slant + rng.normal(0, 0.2), rng.uniform(8, 60), 0, 0)
            _scratch(image, rng, points, light, finest=0.5)


def dust(image: np.ndarray, rng: Generator) -> None:
    """Specks, some in clusters."""
    height, width = image.shape[:2]
    size = (FINE * height, FINE * width)
    covers = np.zeros((2, *size), np.uint8)
    light, typical = rng.choice((0.05, 0.5, 0.95), p=(0.3, 0.1, 0.6)), rng.uniform(0.7, 2.2)
    places = np.array([_place(image, rng) for _ in range(_count(image, rng, 3, 40))])
    if rng.random() < 0.3:
        places = np.concatenate([places, places[0] + rng.normal(0, 18, (rng.integers(5, 25), 2))])
    for place in places:
        corners = rng.integers(5, 10)
        radius = np.clip(typical * np.exp(rng.normal(0, 0.5)), 0.5, 7.0)
        angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
        stretch = np.exp(rng.normal(0, 0.35))
        shape = np.stack([np.cos(angles) * stretch, np.sin(angles) / stretch], axis=-1)
        outline = place + radius * shape * rng.uniform(0.6, 1.3, (corners, 1))
        points = np.rint(FINE * outline).astype(np.int32)
        cv2.fillPoly(covers[int(rng.random() < light)], [points], int(255 * rng.uniform(0.5, 1.0)))
    for cover, ink in zip(covers, (_dark(rng), _paper(rng)), strict=True):
        if cover.any():
            _ink(image, cv2.resize(cover, (width, height), interpolation=cv2.INTER_AREA) / 255.0, ink)


def hairs(image: np.ndarray, rng: Generator) -> None:
    """Hairs and fibres that lay on the print or in the scanner: thin, curled, of even strength."""
    light = rng.random() < 0.55
    for _ in range(_count(image, rng, 1, 5)):
        length = np.exp(rng.uniform(np.log(12), np.log(110)))
        bend = rng.choice((-1, 1)) * rng.uniform(0.0, 2.8) / length
        points = _walk(rng, _place(image, rng), rng.uniform(0, 2 * np.pi), length, bend, rng.uniform(0.01, 0.06))
        thickness = np.full(len(points), rng.uniform(0.8, 2.4))
        strength = np.full(len(points), rng.uniform(0.45, 1.0))
        strength[[0, -1]] *= 0.6
        part, cover = _stroke(image.shape[:2], points, thickness, strength)
        _ink(image, cover, _paper(rng) if light else _dark(rng), part)


def creases(image: np.ndarray, rng: Generator) -> None:
    """Folds: light or shade beside a line, and along it the emulsion is cracked and flakes off."""
    shape = image.shape[:2]
    for _ in range(rng.choice((1, 2, 3), p=(0.6, 0.3, 0.1))):
        along, across = _axes(shape, rng, wobble=rng.uniform(0.5, 4.0))
        strength = np.clip(1.0 + 0.5 * smooth_field(rng, shape, 60), 0.2, 1.6)
        if rng.random() < 0.45:  # it ends within the picture
            end = rng.uniform(along.min(), along.max())
            strength = strength / (1.0 + np.exp(np.clip((along - end) / rng.uniform(3, 20), -50, 50)))
        for side in (-1, 1):
            reach = np.exp(rng.uniform(np.log(1.5), np.log(9)))
            shading = np.where(side * across > 0, np.exp(-np.abs(across) / reach), 0.0)
            image += (rng.normal(0, 0.09) * strength * shading)[..., None]
        if rng.random() < 0.85:
            rough = smooth_field(rng, shape, rng.uniform(1.5, 4.0))
            width = np.exp(rng.uniform(np.log(0.6), np.log(4.0))) * strength
            flakes = rng.uniform(0, 1.5) * np.maximum(smooth_field(rng, shape, 9) - 1.0, 0)
            cover = np.clip((width * (0.8 + 0.7 * rough) + flakes) / 2 - np.abs(across) + 0.5, 0.0, 1.0) * rng.uniform(
                0.5, 1.0
            )
            _ink(image, cover, _paper(rng) if rng.random() < 0.8 else _dark(rng))


def stains(image: np.ndarray, rng: Generator) -> None:
    """Blots with soft or rimmed edges: water, ink, mould, bleaching; or foxing, many small brown spots."""
    shape = image.shape[:2]
    foxing = rng.random() < 0.4
    count = _count(image, rng, 4, 20) if foxing else _count(image, rng, 1, 3)
    tint = _tint(rng, foxing)
    for _ in range(count):
        radius = np.exp(rng.uniform(*np.log((1.8, 9.0) if foxing else (7.0, 55.0))))
        softness = rng.uniform(0.12, 0.5) if foxing else np.exp(rng.uniform(np.log(0.03), np.log(0.35)))
        strength = rng.uniform(0.5, 1.0)
        part, inside = _blot(shape, rng, radius, rough=0.25)
        cover = strength / (1.0 + np.exp(np.clip(-inside / softness, -50, 50)))
        if not foxing:
            uneven = 0.3 * rng.random() * smooth_field(rng, cover.shape, 0.4 * radius + 2)
            cover = cover * np.clip(1.0 - uneven, 0.2, 1.3)
            if rng.random() < 0.4:  # a tide line
                cover = cover * rng.uniform(0.15, 0.8) + rng.uniform(0.3, 0.8) * np.exp(-((inside / 0.07) ** 2))
        cover = np.clip(cover, 0.0, 1.0)[..., None]
        patch = image[part]
        patch += cover * ((1.0 - patch) * (tint - 1.0) if tint.min() > 1.0 else patch * (tint - 1.0))


def losses(image: np.ndarray, rng: Generator) -> None:
    """What is gone: torn corners, tears, and places where the emulsion has come off."""
    style = rng.choice(3, p=(0.35, 0.3, 0.35))
    (_torn_corner, _tear, _flaked)[style](image, rng)


def _torn_corner(image: np.ndarray, rng: Generator) -> None:
    height, width = image.shape[:2]
    legs = rng.uniform(0.1, 1.0, 2) * min(110, 0.55 * min(height, width))
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x = x if rng.random() < 0.5 else width - 1 - x
    y = y if rng.random() < 0.5 else height - 1 - y
    inside = (1.0 - x / legs[0] - y / legs[1]) * legs.min()  # about pixels, above 0 in the corner
    jag = 1.5 * smooth_field(rng, (height, width), 5) + rng.uniform(0, 5) * smooth_field(rng, (height, width), 22)
    _lose(image, rng, inside + jag, rim=rng.uniform(0.0, 6.0))


def _tear(image: np.ndarray, rng: Generator) -> None:
    """From one border inwards: ragged white fibres, and a shadow on one side."""
    height, width = image.shape[:2]
    start = [(rng.uniform(0, width), 0), (rng.uniform(0, width), height - 1)][rng.integers(2)]
    if rng.random() < 0.5:
        start = [(0, rng.uniform(0, height)), (width - 1, rng.uniform(0, height))][rng.integers(2)]
    middle = np.array([width, height]) / 2 + rng.normal(0, 0.2, 2) * (width, height)
    heading = np.arctan2(middle[1] - start[1], middle[0] - start[0])
    length = rng.uniform(0.05, 0.8) * max(height, width)
    points = _walk(rng, start, heading, length, rng.normal(0, 0.004), 0.05)
    points = points + np.stack([smooth_line(rng, len(points), 2), smooth_line(rng, len(points), 2)], axis=-1)
    thickness = rng.uniform(1.5, 7.0) * np.clip(1 + 0.5 * smooth_line(rng, len(points), 3), 0.3, 2)
    thickness = thickness * np.linspace(1.0, rng.uniform(0.1, 0.8), len(points))
    strength = np.full(len(points), rng.uniform(0.7, 1.0))
    part, cover = _stroke(image.shape[:2], points + rng.normal(0, 1.2, 2), 1.3 * thickness, 0.5 * strength)
    _ink(image, cover, _dark(rng), part)
    part, cover = _stroke(image.shape[:2], points, thickness, strength)
    _ink(image, cover, _paper(rng), part)


def _flaked(image: np.ndarray, rng: Generator) -> None:
    ink = _paper(rng) if rng.random() < 0.75 else _dark(rng)
    for _ in range(_count(image, rng, 1, 5)):
        radius = np.exp(rng.uniform(np.log(3), np.log(35)))
        part, inside = _blot(image.shape[:2], rng, radius, rough=0.5)
        _lose(image[part], rng, inside * radius, rim=rng.uniform(0.0, 2.0), ink=ink)


KINDS: dict[str, Callable[[np.ndarray, Generator], None]] = {
    "scratches": scratches,
    "dust": dust,
    "hairs": hairs,
    "creases": creases,
    "stains": stains,
    "losses": losses,
}
"""What draws each kind of damage into an image [H, W, 3] float32 in 0..1, with a generator."""
SHARES = (0.28, 0.22, 0.14, 0.14, 0.12, 0.1)
"""How often each is drawn."""


# === Parts ===


def _count(image: np.ndarray, rng: Generator, least: int, most: int) -> int:
    """Log-uniform between two counts for 256x256 pixels, as many times more as the picture is larger."""
    area = image.shape[0] * image.shape[1] / 256**2
    return max(1, round(np.exp(rng.uniform(np.log(least), np.log(most))) * area))


def _place(image: np.ndarray, rng: Generator) -> tuple[float, float]:
    return rng.uniform(0, image.shape[1]), rng.uniform(0, image.shape[0])


def _paper(rng: Generator) -> np.ndarray:
    """White, cream or light grey: what shows through."""
    return (rng.uniform(0.75, 1.0) * (1.0 - rng.uniform(0.0, 0.12) * np.array([0.0, 0.3, 1.0]))).astype(np.float32)


def _dark(rng: Generator) -> np.ndarray:
    return (rng.uniform(0.0, 0.22) * (1.0 - rng.uniform(0.0, 0.4) * np.array([0.0, 0.4, 1.0]))).astype(np.float32)


def _tint(rng: Generator, foxing: bool) -> np.ndarray:
    """What light is multiplied by; above 1 for bleaching: darkness is then taken away."""
    kind = 0 if foxing else rng.choice(4, p=(0.5, 0.25, 0.15, 0.1))
    if kind == 0:  # brown, yellow
        tint = 1.0 - rng.uniform(0.25, 0.75) * np.array([0.45, 0.75, 1.0])
    elif kind == 1:  # dirt, water
        tint = np.full(3, rng.uniform(0.3, 0.75))
    elif kind == 2:
        tint = np.full(3, rng.uniform(1.3, 1.9))
    else:  # ink
        tint = rng.uniform(0.15, 0.8, 3)
    return tint.astype(np.float32)


def _walk(rng: Generator, start, heading: float, length: float, bend: float, wander: float) -> np.ndarray:
    """Points, about 2 pixels apart, of a curve that turns by `bend` radians a pixel, give or take `wander`; [N, 2]."""
    count = max(int(length / 2), 2)
    turns = 2 * (bend + wander * smooth_line(rng, count, 10))
    headings = heading + np.cumsum(turns)
    steps = 2 * np.stack([np.cos(headings), np.sin(headings)], axis=-1)
    return np.asarray(start) + np.cumsum(steps, axis=0)


def _scratch(image, rng: Generator, points: np.ndarray, light: bool, finest: float = 0.0) -> None:
    count = len(points)
    width = finest or float(np.clip(np.exp(rng.normal(np.log(1.5), 0.65)), 0.5, 8.0))
    thickness = width * np.clip(1 + 0.35 * smooth_line(rng, count, 8), 0.4, 2.0)
    strength = rng.uniform(0.3, 1.0) * np.clip(1 + 0.3 * smooth_line(rng, count, 15), 0.2, 1.4)
    if rng.random() < 0.5:  # broken
        strength = np.where(smooth_line(rng, count, rng.uniform(4, 25)) > rng.uniform(-1.2, 0.6), strength, 0.0)
    ends = np.minimum(np.arange(1, count + 1), np.arange(count, 0, -1)) / rng.uniform(1, 8)
    strength = np.clip(strength * np.minimum(ends, 1.0), 0.0, 1.0)
    ink, other = (_paper(rng), _dark(rng)) if light else (_dark(rng), _paper(rng))
    if rng.random() < 0.2:  # a raised edge
        part, cover = _stroke(image.shape[:2], points + rng.normal(0, 1.0, 2), thickness, 0.5 * strength)
        _ink(image, cover, other, part)
    part, cover = _stroke(image.shape[:2], points, thickness, strength)
    if width > 1.5 and rng.random() < 0.6 and cover.size:
        cover = cover * np.clip(1.1 + rng.uniform(0.1, 0.5) * smooth_field(rng, cover.shape, 2), 0.0, 1.0)
    _ink(image, np.clip(cover, 0.0, 1.0), ink, part)


def _stroke(shape, points: np.ndarray, thickness: np.ndarray, strength: np.ndarray):
    """A line of changing thickness, in pixels, and strength, in 0..1.

    Returns:
        The part of the picture that it lies in, two slices, and how much of each pixel there it covers.
    """
    margin = int(thickness.max()) + 2
    low = np.maximum(np.floor(points.min(axis=0)) - margin, 0).astype(int)
    high = np.minimum(np.ceil(points.max(axis=0)) + margin, shape[::-1]).astype(int)
    width, height = np.maximum(high - low, 0)
    part = np.s_[low[1] : low[1] + height, low[0] : low[0] + width]
    if not width or not height:
        return part, np.zeros((height, width), np.float32)
    drawn = np.zeros((FINE * height, FINE * width), np.uint8)
    # Places are of pixels' middles, and have four more bits of fractions.
    places = np.rint(16 * (FINE * (points - low + 0.5) - 0.5)).astype(np.int32)
    widths, values = np.maximum(np.rint(FINE * thickness), 1).astype(int), np.rint(255 * strength).astype(int)
    for first, last, wide, value in zip(places[:-1], places[1:], widths.tolist(), values.tolist(), strict=False):
        if value:
            cv2.line(drawn, first, last, value, wide, cv2.LINE_8, 4)
    return part, cv2.resize(drawn, (int(width), int(height)), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0


def _ink(image: np.ndarray, cover: np.ndarray, ink: np.ndarray, part=np.s_[:, :]) -> None:
    """Replace a share `cover` [h, w] of the pixels of a part by a colour."""
    image[part] += cover[..., None].astype(np.float32) * (ink - image[part])


def _axes(shape, rng: Generator, wobble: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along and across a line through the picture that is not quite straight, in pixels; [H, W] each."""
    height, width = shape
    angle = rng.choice((0.0, np.pi / 2)) + rng.normal(0, 0.12) if rng.random() < 0.5 else rng.uniform(0, np.pi)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x - rng.uniform(0.1, 0.9) * width, y - rng.uniform(0.1, 0.9) * height
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    offsets = wobble * smooth_line(rng, 2 * (height + width), 40) + 0.4 * smooth_line(rng, 2 * (height + width), 4)
    return along, across - offsets[np.clip(along + height + width, 0, len(offsets) - 1).astype(int)]


def _blot(shape, rng: Generator, radius: float, rough: float):
    """A random outline: the part of the picture that it lies in, and there 1 - distance / radius of the outline."""
    height, width = shape
    reach = int(2.2 * radius) + 3
    x, y = int(rng.uniform(0, width)), int(rng.uniform(0, height))
    rows, columns = (slice(max(a - reach, 0), min(a + reach, b)) for a, b in ((y, height), (x, width)))
    dy, dx = np.mgrid[rows, columns].astype(np.float32)
    dx, dy = dx - x, dy - y
    stretch = np.exp(rng.normal(0, 0.25))
    distance = np.hypot(dx * stretch, dy / stretch) / radius
    uneven = rough * smooth_field(rng, distance.shape, 0.7 * radius + 1)
    uneven = uneven + 0.4 * rough * smooth_field(rng, distance.shape, 0.2 * radius + 1)
    return (rows, columns), 1.0 - distance + np.clip(uneven, -0.9, 0.9)


def _lose(image: np.ndarray, rng: Generator, inside: np.ndarray, rim: float, ink: np.ndarray | None = None) -> None:
    """Take away what lies inside (above 0, in pixels): flat there, and round it a rim of torn paper."""
    shape = image.shape[:2]
    if rim > 0.3:
        fibres = inside + rim * np.clip(1.0 + 0.6 * smooth_field(rng, shape, 3), 0.0, 2.0)
        _ink(image, np.clip(fibres + 0.5, 0.0, 1.0), _paper(rng))
    if ink is None:
        ink = (_paper(rng), _dark(rng), np.full(3, rng.uniform(0.2, 0.8), np.float32))[rng.choice(3, p=(0.5, 0.3, 0.2))]
    under = ink + np.float32(rng.uniform(0.0, 0.03)) * smooth_field(rng, shape, 2)[..., None]
    image += np.clip(inside + 0.5, 0.0, 1.0).astype(np.float32)[..., None] * (under - image)
