"""Photos made old: faded, toned, soft and grainy prints, and what a scanner makes of them."""

import cv2
import numpy as np

from vaekit.data.noise import smooth_field

Generator = np.random.Generator

TONES = np.array([(1.0, 0.88, 0.68), (1.0, 0.93, 0.8), (0.97, 0.9, 0.86), (0.85, 0.93, 1.0), (1.0, 0.95, 0.93)])
"""Whites of toned prints: sepia, a weaker one, selenium, cyanotype, an old colour print's pink. RGB in 0..1."""

LETTERS = "ABCDEFGHIKLMNOPRSTUVWabcdefghiklmnoprstuvw 0123456789"
FONTS = (cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX)


def age(image: np.ndarray, rng: Generator) -> np.ndarray:
    """The photo as an old print shows it, undamaged.

    Two of three lose their colours, and half of those are toned. Contrast fades, unevenly; there are blur, grain,
    vignettes and white borders. All that is sharp in it is softened with it, which sets it apart from later damage.

    Args:
        image: [H, W, 3] float32 in 0..1.
        rng: every draw comes from it.

    Returns:
        [H, W, 3] float32 in 0..1.
    """
    if rng.random() < 0.6:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.6))
    image = _faded(_toned(image, rng), rng)
    if rng.random() < 0.8:
        image = image + _grain(image.shape[:2], rng) * (0.4 + image * (1.0 - image) * 2.4)
    if rng.random() < 0.15:
        image = _framed(image, rng)
    return np.clip(image, 0.0, 1.0).astype(np.float32)


def with_thin_things(image: np.ndarray, rng: Generator) -> np.ndarray:
    """The photo with wires or words in it: thin, and no damage. To be aged with the rest of it.

    Args:
        image: [H, W, 3] float32 in 0..1.
        rng: every draw comes from it.

    Returns:
        [H, W, 3] float32 in 0..1.
    """
    height, width = image.shape[:2]
    drawn = np.zeros((2 * height, 2 * width), np.uint8)  # twice as large, and averaged
    if rng.random() < 0.6:
        x = np.linspace(-0.1 * width, 1.1 * width, 40)
        for _ in range(rng.integers(1, 5)):
            ends, sag = rng.uniform(-0.2 * height, 1.2 * height, 2), rng.uniform(0, 0.15) * height
            y = np.interp(x, x[[0, -1]], ends) + sag * (1.0 - (2 * x / width - 1.0) ** 2)
            points = np.stack([x, y] if rng.random() < 0.7 else [y * width / height, x * height / width], axis=-1)
            line = np.rint(2 * points).astype(np.int32)
            cv2.polylines(drawn, [line], False, 255, int(rng.integers(2, 8)), cv2.LINE_AA)
    else:
        for _ in range(rng.integers(1, 4)):
            words = "".join(rng.choice(list(LETTERS), rng.integers(3, 14)))
            place = (int(rng.uniform(-0.1, 0.8) * 2 * width), int(rng.uniform(0.1, 1.0) * 2 * height))
            cv2.putText(
                drawn,
                words,
                place,
                int(rng.choice(FONTS)),
                rng.uniform(0.6, 2.5),
                255,
                int(rng.integers(1, 5)),
                cv2.LINE_AA,
            )
    cover = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255.0
    cover = cv2.GaussianBlur(cover, (0, 0), rng.uniform(0.4, 1.0))[..., None] * np.float32(rng.uniform(0.4, 1.0))
    colour = rng.random() if rng.random() < 0.8 else rng.random(3)
    return (image + cover * (np.float32(colour) - image)).astype(np.float32)


def scan(image: np.ndarray, rng: Generator) -> np.ndarray:
    """The print as a scanner's file shows it: a little blurred or sharpened, noisy, often a JPEG.

    Args:
        image: [H, W, 3] float32 in 0..1.
        rng: every draw comes from it.

    Returns:
        [H, W, 3] float32 in 0..1, of whole 255ths.
    """
    if rng.random() < 0.6:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.8))
    if rng.random() < 0.25:
        image = image + rng.uniform(0.3, 1.2) * (image - cv2.GaussianBlur(image, (0, 0), 1.0))
    if rng.random() < 0.5:
        image = image + rng.uniform(0.002, 0.012) * rng.standard_normal(image.shape, np.float32)
    data = np.rint(255.0 * np.clip(image, 0.0, 1.0)).astype(np.uint8)
    if rng.random() < 0.6:
        quality = int(rng.integers(60, 99))
        _, file = cv2.imencode(".jpg", data[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        data = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR_RGB))
    return data.astype(np.float32) / 255.0


def grey(image: np.ndarray) -> np.ndarray:
    """Luma in all three channels, [H, W, 3] float32."""
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def _toned(image: np.ndarray, rng: Generator) -> np.ndarray:
    if rng.random() < 0.33:
        cast = np.exp(rng.normal(0.0, 0.08, 3)).astype(np.float32)
        share = np.float32(rng.uniform(0.4, 1.0))
        return (share * image + (1.0 - share) * grey(image)) * cast
    image = grey(image)
    if rng.random() < 0.5:
        tone = (TONES[rng.integers(len(TONES))] * np.exp(rng.normal(0.0, 0.03, 3))).astype(np.float32)
        # Of a toned print the shadows are almost neutral, and the paper has the colour.
        image = image * (1.0 - (1.0 - tone) * (0.5 + 0.5 * image))
    return image


def _faded(image: np.ndarray, rng: Generator) -> np.ndarray:
    height, width = image.shape[:2]
    low, high = rng.uniform(0.0, 0.22), rng.uniform(0.75, 1.0)
    gamma = float(np.exp(rng.normal(0.0, 0.25)))
    image = low + (high - low) * np.clip(image, 0.0, 1.0) ** gamma
    period = max(height, width) / rng.uniform(1.5, 5.0)
    image = image * (1.0 + rng.uniform(0.0, 0.06) * smooth_field(rng, (height, width), period)[..., None])
    if rng.random() < 0.4:
        y, x = np.ogrid[-1.0 : 1.0 : height * 1j, -1.0 : 1.0 : width * 1j]
        image = image * (1.0 - rng.uniform(0.05, 0.35) * ((x**2 + y**2) / 2)[..., None]).astype(np.float32)
    return image


def _grain(shape: tuple[int, int], rng: Generator) -> np.ndarray:
    """[H, W, 1], of the same size as the image's, in which it is as strong as in half tones."""
    grains = rng.standard_normal(shape, np.float32)
    size = rng.uniform(0.0, 1.3)
    if size > 0.4:
        grains = np.asarray(cv2.GaussianBlur(grains, (0, 0), size))
        grains /= grains.std() + 1e-6
    return np.float32(rng.uniform(0.005, 0.055)) * grains[..., None]


def _framed(image: np.ndarray, rng: Generator) -> np.ndarray:
    """With a border of paper on some sides."""
    paper = rng.uniform(0.8, 0.98) * (1.0 - rng.uniform(0.0, 0.12) * np.array([0.0, 0.3, 1.0]))
    thickness = max(2, round(rng.uniform(0.01, 0.07) * min(image.shape[:2])))
    texture = 0.01 * rng.standard_normal((*image.shape[:2], 1), np.float32)
    border = (paper + texture).astype(np.float32)
    inner = [slice(*(thickness if there else 0 for there in rng.random(2) < 0.7)) for _ in image.shape[:2]]
    rows, columns = (slice(part.start, length - part.stop) for part, length in zip(inner, image.shape, strict=False))
    border[rows, columns] = image[rows, columns]
    return border
