"""Faces drawn by rule: a source that needs no download and knows the truth about every picture.

A head is an ellipsoid turned by its yaw; eyes, brows, nose and mouth lie on its surface and are projected
in parallel. So the same person can be drawn from the front, which no photo of a profile can tell.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

SCALE = 3
"""Drawn so many times larger, then averaged down: smooth edges."""
TRAITS = 21
"""Numbers that Identity.draw draws."""
PARTS = ("background", "skin", "hair", "eyes", "brows", "nose", "mouth")
"""What `parts` tells apart, by number."""


@dataclass(frozen=True)
class Identity:
    """Who a face is. Lengths are shares of half the picture's side, colours RGB in 0..1."""

    width: float
    height: float
    eye_distance: float
    eye_size: float
    brow_height: float
    brow_width: float
    nose_length: float
    nose_width: float
    mouth_width: float
    lip: float
    hairline: float
    hair_length: float
    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    iris: tuple[float, float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Identity":
        """Draw a person."""
        tone = rng.uniform(0.35, 0.95)
        skin = (tone, tone * rng.uniform(0.72, 0.8), tone * rng.uniform(0.55, 0.66))
        shade = rng.uniform(0.05, 0.75)
        hair = (shade, shade * rng.uniform(0.6, 0.9), shade * rng.uniform(0.2, 0.6))
        iris = tuple(rng.uniform((0.1, 0.15, 0.05), (0.5, 0.5, 0.6)))
        return cls(
            width=rng.uniform(0.52, 0.66),
            height=rng.uniform(0.72, 0.84),
            eye_distance=rng.uniform(0.21, 0.28),
            eye_size=rng.uniform(0.085, 0.12),
            brow_height=rng.uniform(0.13, 0.19),
            brow_width=rng.uniform(0.015, 0.04),
            nose_length=rng.uniform(0.2, 0.32),
            nose_width=rng.uniform(0.07, 0.12),
            mouth_width=rng.uniform(0.17, 0.27),
            lip=rng.uniform(0.02, 0.045),
            hairline=rng.uniform(0.35, 0.55),
            hair_length=rng.uniform(0.1, 1.0),
            skin=skin,
            hair=hair,
            iris=iris,
        )


@dataclass(frozen=True)
class Look:
    """How a face is shown: yaw in degrees (right is positive), smile and light from the side in -1..1."""

    yaw: float = 0.0
    smile: float = 0.0
    light: float = 0.0
    background: tuple[float, float, float] = (0.5, 0.55, 0.6)

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Look":
        """Draw a pose, an expression, a light and a background."""
        yaw, smile, light = rng.uniform((-50, -1, -1), (50, 1, 1))
        return cls(float(yaw), float(smile), float(light), tuple(rng.uniform(0.1, 0.9, 3)))


def render(who: Identity, look: Look, side: int = 64) -> np.ndarray:
    """Draw a face.

    Returns:
        [side, side, 3] uint8, RGB.
    """
    return _Canvas(who, look, side).draw()


def parts(who: Identity, look: Look, side: int = 64) -> np.ndarray:
    """Which of PARTS each pixel of `render`'s picture shows.

    Returns:
        [side, side] uint8.
    """
    canvas = _Canvas(who, look, side)
    canvas.draw()
    return canvas.parts[SCALE // 2 :: SCALE, SCALE // 2 :: SCALE]


class _Canvas:
    def __init__(self, who: Identity, look: Look, side: int):
        self.who, self.look = who, look
        self.size = side * SCALE
        self.half = self.size / 2
        self.picture = np.empty((self.size, self.size, 3), np.float32)
        self.picture[:] = look.background
        self.parts = np.zeros((self.size, self.size), np.uint8)
        self.turn = np.deg2rad(look.yaw)

    def draw(self) -> np.ndarray:
        """Back to front."""
        who = self.who
        drop = -0.1 + who.hair_length * 0.5
        hair = (who.width * 1.18, who.height * (0.95 + drop * 0.5))
        self._ellipse("hair", (0.0, drop * 0.5 - 0.1), hair, who.hair)
        self._ellipse("skin", (0.0, 0.95), (who.width * 0.55, 0.6), np.multiply(who.skin, 0.8))
        self._head()
        for side in (-1, 1):
            self._eye(side)
        self._nose()
        self._mouth()
        small = cv2.resize(self.picture, None, fx=1 / SCALE, fy=1 / SCALE, interpolation=cv2.INTER_AREA)
        return np.round(255 * np.clip(small, 0, 1)).astype(np.uint8)

    def _point(self, x: float, y: float, lift: float = 0.0) -> tuple[float, float]:
        """Where a point of the surface lies in the picture, after the turn; `lift` is above the surface."""
        depth = np.sqrt(max(1 - (x / self.who.width) ** 2 - (y / self.who.height) ** 2, 0.0)) * self.who.width
        return x * np.cos(self.turn) + (depth + lift) * np.sin(self.turn), y

    def _pixels(self, points) -> np.ndarray:
        return np.rint((np.asarray(points) + 1.0) * self.half).astype(np.int32)

    def _ellipse(self, part: str, middle, axes, colour) -> None:
        centre = self._pixels(middle).tolist()
        lengths = np.maximum(np.rint(np.asarray(axes) * self.half), 1).astype(int).tolist()
        for canvas, ink in self._inks(part, colour):
            cv2.ellipse(canvas, centre, lengths, 0, 0, 360, ink, -1)

    def _line(self, part: str, points, thickness: float, colour) -> None:
        width = max(round(thickness * self.half), 1)
        for canvas, ink in self._inks(part, colour):
            cv2.polylines(canvas, [self._pixels(points)], False, ink, width)

    def _inks(self, part: str, colour):
        """The picture with the colour, and the map of parts with the part's number."""
        return (self.picture, [float(c) for c in colour]), (self.parts, [PARTS.index(part)])

    def _head(self) -> None:
        """The lit ellipsoid, and hair above the hairline."""
        who = self.who
        steps = (np.arange(self.size, dtype=np.float32) + 0.5) / self.half - 1.0
        rows, columns = (slice(*np.searchsorted(steps, (-reach, reach))) for reach in (who.height, who.width))
        ys, xs = steps[rows, None], steps[None, columns]
        inside = (xs / who.width) ** 2 + (ys / who.height) ** 2
        head = inside < 1
        shade = 0.62 + 0.38 * np.sqrt(np.maximum(1 - inside, 0)) + (0.3 * self.look.light / who.width) * xs
        # The hairline turns with the head.
        front = xs - 0.3 * who.width * np.sin(self.turn)
        hair = ys + 0.35 * front**2 < -who.hairline
        colour = np.where(hair[..., None], *(np.asarray(tone, np.float32) for tone in (who.hair, who.skin)))
        np.copyto(self.picture[rows, columns], shade[..., None] * colour, where=head[..., None])
        number = np.where(hair, PARTS.index("hair"), PARTS.index("skin")).astype(np.uint8)
        np.copyto(self.parts[rows, columns], number, where=head)

    def _eye(self, side: int) -> None:
        who = self.who
        x, y = self._point(side * who.eye_distance, -0.08)
        squeeze = max(np.cos(self.turn + side * 0.5), 0.15)
        size = who.eye_size
        openness = 0.6 - 0.12 * max(self.look.smile, 0)
        self._ellipse("eyes", (x, y), (size * squeeze, size * openness), (0.95, 0.95, 0.95))
        self._ellipse("eyes", (x, y), (size * 0.5 * squeeze, size * 0.5), who.iris)
        self._ellipse("eyes", (x, y), (size * 0.24 * squeeze, size * 0.24), (0.02, 0.02, 0.02))
        ends = [
            (side * (who.eye_distance + d), -0.08 - who.brow_height + abs(d) * 0.25) for d in (-0.1, -0.03, 0.04, 0.11)
        ]
        self._line("brows", [self._point(*end) for end in ends], who.brow_width, np.multiply(who.hair, 0.7))

    def _nose(self) -> None:
        who = self.who
        tip_y = -0.08 + who.nose_length
        dark = np.multiply(who.skin, 0.72)
        bridge = [self._point(0.0, -0.02, 0.02), self._point(0.0, tip_y - 0.04, 0.12)]
        self._line("nose", bridge, 0.02, np.multiply(who.skin, 0.88))
        for side in (-1, 1):
            nostril = self._point(side * who.nose_width * 0.6, tip_y, 0.06)
            self._ellipse("nose", nostril, (who.nose_width * 0.3, 0.02), dark)

    def _mouth(self) -> None:
        who, smile = self.who, self.look.smile
        y = -0.08 + who.nose_length + 0.2
        across = np.linspace(-1, 1, 9)
        lips = [self._point(u * who.mouth_width, y - 0.09 * smile * u**2) for u in across]
        if smile > 0.3:
            lower = [
                self._point(u * who.mouth_width, y + 0.1 * smile * (1 - u**2) - 0.09 * smile * u**2) for u in across
            ]
            for canvas, ink in self._inks("mouth", (0.92, 0.9, 0.88)):
                cv2.fillPoly(canvas, [self._pixels(lips + lower[::-1])], ink)
            self._line("mouth", lower, who.lip, (0.65 * who.skin[0] + 0.15, 0.3 * who.skin[1], 0.35 * who.skin[2]))
        self._line("mouth", lips, who.lip, (0.65 * who.skin[0] + 0.1, 0.3 * who.skin[1], 0.35 * who.skin[2]))


class RenderedFaces:
    """A source of `count` faces of count / 10 people (at least 2), each drawn with its own look.

    A partner with a label, whichever, is the same face from the front.

    Items hold "image" [side, side, 3] uint8, "label" (the person's number, or with `traits` the person's traits),
    "yaw", "smile", "light", and their "partner".
    """

    def __init__(self, count: int, side: int = 64, seed: int = 0, traits: bool = False):
        self.count, self.side, self.seed, self.traits = count, side, seed, traits
        self.people = max(count // 10, 2)

    def __len__(self):
        return self.count

    def identity(self, person: int) -> Identity:
        """Who a person is."""
        return Identity.draw(self._person(person))

    def trait_vector(self, person: int) -> np.ndarray:
        """The numbers that a person is drawn from, each evenly spread over -1..1: [TRAITS] float32."""
        return self._person(person).uniform(-1.0, 1.0, TRAITS).astype(np.float32)

    def look(self, index: int) -> Look:
        """How an item is shown."""
        return Look.draw(np.random.default_rng((self.seed, 1, index)))

    def _person(self, person: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, 0, person))

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError(index)
        person = index % self.people
        look = self.look(index)
        who = self.identity(person)
        label = self.trait_vector(person) if self.traits else person
        facts = {"label": label, "yaw": look.yaw, "smile": look.smile, "light": look.light}

        def partner(rng: np.random.Generator, label: int | None = None) -> np.ndarray:
            return render(who, Look.draw(rng) if label is None else replace(look, yaw=0.0), self.side)

        return {"image": render(who, look, self.side), "partner": partner, **facts}
