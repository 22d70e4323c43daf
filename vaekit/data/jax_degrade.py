"""What vaekit.data and apps/upscale do to one picture, written in JAX: all sizes but a canvas's may be traced.

A picture of L x L pixels lies at the top left of a canvas [C, C, 3], C at least L, and is mirrored beyond its end, so
that pictures of several sizes are one program. Draws are those of the functions of the same name in distribution, not
in value.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from vaekit.data.degrade import BLUR, NOISE, QUALITY

EXACT = jax.lax.Precision.HIGH
"""Of products: on an accelerator the default rounds pictures to 8 bits of mantissa."""
REACH = 16
"""Pixels beyond a picture's border that a resize or a blur may look at."""
BICUBIC, AREA, LINEAR, CUBIC, LANCZOS = range(5)
"""How pictures are resized: vaekit.resample.bicubic, then OpenCV's INTER_AREA, _LINEAR, _CUBIC and _LANCZOS4."""

# Annex K of the JPEG standard (ITU-T T.81), tables K.1 and K.2, which libjpeg scales by the quality.
_LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)
_CHROMA = np.full((8, 8), 99, np.float32)
_CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
_FREQUENCIES = np.arange(8)[:, None] * np.pi * (2 * np.arange(8) + 1) / 16
_DCT = np.where(np.arange(8)[:, None] == 0, np.sqrt(1 / 8), 0.5) * np.cos(_FREQUENCIES)


def mirrored(places, size):
    """Places beyond 0..size - 1, mirrored into them; the outermost pixel is met twice."""
    places = jnp.mod(places, 2 * size)
    return jnp.where(places >= size, 2 * size - 1 - places, places)


def resizer(size, to, kind, rows: int, columns: int):
    """A matrix [rows, columns] that resizes `size` pixels of a canvas of `columns` to `to` of a canvas of `rows`.

    Args:
        size, to: how many pixels of the canvases are the picture.
        kind: BICUBIC, AREA, LINEAR, CUBIC or LANCZOS.
        rows, columns: of the canvases.
    """
    ratio = size / to
    middles = ((mirrored(jnp.arange(rows), to) + 0.5) * ratio - 0.5)[:, None]

    def weights(places):
        return _kernel(places - middles, kind, jnp.maximum(ratio, 1.0))

    matrix = jnp.where(jnp.arange(columns) < size, weights(jnp.arange(columns)), 0.0)
    for beyond in (jnp.arange(-REACH, 0), size + jnp.arange(REACH)):
        matrix = matrix.at[:, mirrored(beyond, size)].add(weights(beyond))
    same = jnp.eye(rows, columns)[mirrored(jnp.arange(rows), to)]
    return jnp.where(size == to, same, matrix / matrix.sum(1)[:, None])


def _kernel(x, kind, stretch):
    def cubic(a, x):
        x = jnp.abs(x)
        far = jnp.where(x < 2, a * (x**3 - 5 * x**2 + 8 * x - 4), 0.0)
        return jnp.where(x <= 1, (a + 2) * x**3 - (a + 3) * x**2 + 1, far)

    area = jnp.clip(jnp.minimum(x + 0.5, 0.5 * stretch) - jnp.maximum(x - 0.5, -0.5 * stretch), 0.0)
    lanczos = jnp.where(jnp.abs(x) < 4, jnp.sinc(x) * jnp.sinc(x / 4), 0.0)
    kernels = [cubic(-0.5, x / stretch), area, jnp.clip(1 - jnp.abs(x), 0.0), cubic(-0.75, x), lanczos]
    return jnp.select([kind == each for each in range(5)], kernels)


def resized(canvas, matrix):
    """A canvas [C, C, 3] resized along both axes by a resizer [R, C]: [R, R, 3]."""
    canvas = jnp.einsum("ij,jkc->ikc", matrix, canvas, precision=EXACT)
    return jnp.einsum("ij,kjc->kic", matrix, canvas, precision=EXACT)


def blurred(canvas, size, sigmas, angle):
    """The canvas under a Gaussian of two standard deviations in pixels, below REACH / 3, the first along `angle`."""
    side = canvas.shape[0] + 2 * REACH
    places = mirrored(jnp.arange(side) - REACH, size)
    y, x = 2 * jnp.pi * jnp.fft.fftfreq(side)[:, None], 2 * jnp.pi * jnp.fft.rfftfreq(side)
    along, across = jnp.cos(angle) * x + jnp.sin(angle) * y, jnp.cos(angle) * y - jnp.sin(angle) * x
    response = jnp.exp(-0.5 * ((along * sigmas[0]) ** 2 + (across * sigmas[1]) ** 2))
    spectrum = jnp.fft.rfft2(canvas[places][:, places], axes=(0, 1)) * response[..., None]
    return jnp.fft.irfft2(spectrum, (side, side), axes=(0, 1))[REACH:-REACH, REACH:-REACH]


def as_jpeg(canvas, size, quality, halved):
    """What a JPEG file of a canvas [C, C, 3] in 0..1 gives back; C is a multiple of 16.

    Args:
        canvas: the picture.
        size: how many pixels of it are the picture; what lies beyond is taken for its last one.
        quality: as libjpeg has it.
        halved: whether colours are kept at half the size (4:2:0).
    """
    side = canvas.shape[0]
    places = jnp.minimum(jnp.arange(side), size - 1)
    red, green, blue = jnp.moveaxis(_bytes(canvas)[places][:, places], -1, 0)
    light = jnp.round(0.299 * red + 0.587 * green + 0.114 * blue)
    colours = [
        jnp.round(-0.168736 * red - 0.331264 * green + 0.5 * blue + 128.0),
        jnp.round(0.5 * red - 0.418688 * green - 0.081312 * blue + 128.0),
    ]
    light = _coded(light, _scaled(_LUMA, quality))
    table = _scaled(_CHROMA, quality)
    blue, red = (jnp.where(halved, _halved(c, table), _coded(c, table)) - 128.0 for c in colours)
    picture = [light + 1.402 * red, light - 0.344136 * blue - 0.714136 * red, light + 1.772 * blue]
    return jnp.clip(jnp.round(jnp.stack(picture, axis=-1)), 0, 255) / 255.0


def _scaled(table, quality):
    share = jnp.where(quality < 50, jnp.floor(5000.0 / quality), 200.0 - 2.0 * quality)
    return jnp.clip(jnp.floor((table * share + 50.0) / 100.0), 1, 255)


def _coded(plane, table):
    count = plane.shape[0] // 8
    blocks = plane.reshape(count, 8, count, 8) - 128.0
    values = jnp.einsum("ui,aibj,vj->aubv", _DCT, blocks, _DCT, precision=EXACT)
    values = jnp.round(values / table[:, None, :]) * table[:, None, :]
    blocks = jnp.einsum("ui,aubv,vj->aibj", _DCT, values, _DCT, precision=EXACT) + 128.0
    return jnp.clip(jnp.round(blocks), 0, 255).reshape(plane.shape)


def _halved(plane, table):
    half = plane.shape[0] // 2
    small = jnp.floor(plane.reshape(half, 2, half, 2).mean((1, 3)) + 0.5)
    small = _coded(jnp.pad(small, (0, -half % 8), mode="edge"), table)[:half, :half]
    for axis in (0, 1):  # libjpeg enlarges colours by triangles
        rows = jnp.moveaxis(small, axis, 0)
        before, after = (jnp.concatenate(parts) for parts in ((rows[:1], rows[:-1]), (rows[1:], rows[-1:])))
        rows = jnp.stack([0.75 * rows + 0.25 * before, 0.75 * rows + 0.25 * after], axis=1)
        small = jnp.moveaxis(rows.reshape(-1, rows.shape[-1]), 0, axis)
    return small


class Draws:
    """Numbers of one example, each from a key of its own."""

    def __init__(self, key, most: int = 64):
        self._keys = iter(random.split(key, most))

    def uniform(self, low=0.0, high=1.0, shape=()):
        """Of a range."""
        return random.uniform(next(self._keys), shape, minval=low, maxval=high)

    def below(self, high, low=0):
        """A whole number from `low` to `high` - 1."""
        return random.randint(next(self._keys), (), low, high)

    def chance(self, share):
        """True in a share of the examples."""
        return random.uniform(next(self._keys)) < share

    def normal(self, shape):
        """Of N(0, 1)."""
        return random.normal(next(self._keys), shape)


def degrade(large, size, scale, key, to: int):
    """vaekit.data.degrade.degrade, of a canvas.

    Args:
        large: a canvas [C, C, 3] in 0..1, C a multiple of 16.
        size: how many pixels of it are the picture, which `scale` divides.
        scale: how many times smaller, 1 for the same size.
        key: every draw comes from it.
        to: side of the answer's canvas, a multiple of 16.

    Returns:
        The small picture, a canvas [to, to, 3], and its severity in 0.1..1.
    """
    draw, canvas, small = Draws(key), large.shape[0], size // scale
    lost = {"blur": jnp.float32(0.0), "noise": jnp.float32(0.0), "jpeg": jnp.float32(0.0)}

    def keep(name, value, applied):
        lost[name] = jnp.where(applied, value, lost[name])

    def blur(image, now, applied):
        sigmas = draw.uniform(*BLUR, (2,))
        sigmas = jnp.where(draw.chance(0.4), sigmas, sigmas[0])
        keep("blur", jnp.hypot(lost["blur"], sigmas.max()), applied)
        return jnp.where(applied, blurred(image, now, sigmas * now / small, draw.uniform(0.0, jnp.pi)), image)

    def noise(image, now, applied):
        sigma = draw.uniform(0.0, NOISE)
        keep("noise", jnp.hypot(lost["noise"], jnp.minimum(1.0, small / now) * sigma), applied)
        normal = draw.normal(image.shape)
        normal = jnp.where(draw.chance(0.5), normal, normal[..., :1])
        normal = normal * jnp.where(draw.chance(0.4), jnp.sqrt(jnp.clip(image, 0.0, 1.0) / 0.5), 1.0)
        return jnp.where(applied, image + sigma / 255.0 * normal, image)

    def jpeg(image, now, applied):
        quality = draw.below(QUALITY[1] + 1, QUALITY[0]).astype("float32")
        keep("jpeg", jnp.maximum(lost["jpeg"], (100.0 - quality) * jnp.minimum(1.0, small / now)), applied)
        return jnp.where(applied, as_jpeg(image, now, quality, draw.chance(0.7)), image)

    def kind():
        return jnp.where(draw.chance(0.4), BICUBIC, draw.below(5, 1))

    image = blur(large, size, draw.chance(0.8))
    shrunk = draw.chance(0.4) & (scale > 1)
    between = jnp.maximum(jnp.round(draw.uniform(1.0 / scale, 1.0) * size), 8).astype("int32")
    between = jnp.where(shrunk, between, size)
    image = resized(image, resizer(size, between, kind(), canvas, canvas))
    for step, often in ((noise, 0.3), (jpeg, 0.4), (blur, 0.2)):
        image = step(image, between, draw.chance(often))
    # The last resize, noise and JPEG, in this order or in any of the six: whether a step comes before the resize, and
    # whether noise is the last of those on its side of it.
    order = jnp.where(draw.chance(0.6), 0, draw.below(6))
    noise_first, jpeg_first, last = (jnp.array(row)[order] for row in _ORDERS)
    noisy, filed = draw.chance(0.5), draw.chance(0.8)

    def noise_and_jpeg(image, now, with_noise, with_jpeg):
        image = noise(image, now, noisy & with_noise & ~last)
        image = jpeg(image, now, filed & with_jpeg)
        return noise(image, now, noisy & with_noise & last)

    image = noise_and_jpeg(image, between, noise_first, jpeg_first)
    image = resized(image, resizer(between, small, kind(), to, canvas))
    image = noise_and_jpeg(image, small, ~noise_first, ~jpeg_first)
    parts = jnp.stack([lost["noise"] / NOISE, lost["jpeg"] / 70.0, lost["blur"] / BLUR[1]])
    return _bytes(image) / 255.0, jnp.clip(jnp.linalg.norm(parts), 0.1, 1.0)


# resize noise jpeg, resize jpeg noise, noise resize jpeg, jpeg resize noise, noise jpeg resize, jpeg noise resize
_ORDERS = (
    (False, False, True, False, True, True),  # noise before the resize
    (False, False, False, True, True, True),  # JPEG before the resize
    (False, True, False, False, False, True),  # noise after JPEG
)


def shrink(large, size, scale, to: int):
    """A canvas shrunk by antialiased bicubic alone, of whole 255ths: a canvas [to, to, 3]."""
    return _bytes(resized(large, resizer(size, size // scale, BICUBIC, to, large.shape[0]))) / 255.0


class Pictures(NamedTuple):
    """Pictures in the accelerator's memory."""

    pixels: jax.Array
    """uint8 [N, S, S, 3], mirrored beyond their ends."""
    sizes: jax.Array
    """int32 [N, 2]: heights and widths."""
    shares: jax.Array
    """float32 [N]: for draws, the sum of the shares of a picture and of all before it."""
    facts: dict[str, jax.Array]
    """What else is known of each picture: [N, ...] by name."""


def drawn(pictures: Pictures, uniform):
    """Which picture a uniform number of 0..1 draws."""
    return jnp.minimum(jnp.searchsorted(pictures.shares, uniform, side="right"), len(pictures.shares) - 1)


def sharp_crop(pictures: Pictures, size, zoom, key, canvas: int):
    """A crop of `size` pixels, turned and mirrored, of any picture; half of them are shrunk from larger crops.

    Args:
        pictures: what is drawn from.
        size: of the crop.
        zoom: (lowest, highest) size of the larger crop, as a share of the crop's; the highest is 2 at most. Where the
            lowest is above 1 all are shrunk.
        key: every draw comes from it.
        canvas: the answer's side.

    Returns:
        A canvas [canvas, canvas, 3], float32 in 0..1.
    """
    draw, side = Draws(key, 8), pictures.pixels.shape[1]
    which = drawn(pictures, draw.uniform())
    as_it_is = draw.chance(0.5) & (zoom[0] <= 1)
    larger = jnp.where(as_it_is, size, jnp.round(draw.uniform(zoom[0], zoom[1]) * size)).astype("int32")
    starts = [draw.below(jnp.maximum(length - larger, 0) + 1) for length in pictures.sizes[which]]
    seen = min(2 * canvas, side)
    rows, columns = (jnp.minimum(start + jnp.arange(seen), side - 1) for start in starts)
    crop = pictures.pixels[which, rows[:, None], columns[None]] / jnp.float32(255.0)
    crop = resized(crop, resizer(larger, size, AREA, canvas, seen))
    back = mirrored(size - 1 - jnp.arange(canvas), size)
    crop = jnp.where(draw.chance(0.5), jnp.swapaxes(crop, 0, 1), crop)
    crop = jnp.where(draw.chance(0.5), crop[back], crop)
    return jnp.where(draw.chance(0.5), crop[:, back], crop)


def crop_resize(picture, size, shape: tuple[int, int], zoom, rotate: float, jitter, key):
    """vaekit.data.crop_resize, of a picture that is not made smaller than by .6.

    Args:
        picture: uint8 [S, S, 3], of which size = (height, width) is the picture.
        size: height and width.
        shape: (H, W) of the crop.
        zoom, rotate, jitter: as there.
        key: every draw comes from it.

    Returns:
        [H, W, 3] float32 in 0..1, of whole 255ths.
    """
    draw = Draws(key, 6)
    sides, sizes = jnp.array(shape[::-1], "float32"), jnp.stack([size[1], size[0]]).astype("float32")
    share = jnp.exp(jitter * draw.uniform(jnp.log(zoom[0]), jnp.log(zoom[1])))
    factor = 1.0 / (share * jnp.min(sizes / sides))
    spare = jnp.maximum(sizes - sides / factor, 0.08 * sizes)
    centre = (sizes - 1.0) / 2 + jitter * draw.uniform(-0.5, 0.5, (2,)) * spare
    angle = jnp.deg2rad(jitter * rotate * draw.normal(()))
    turn = factor * jnp.array([[jnp.cos(angle), -jnp.sin(angle)], [jnp.sin(angle), jnp.cos(angle)]])
    turn = turn * jnp.where(draw.chance(0.5), jnp.array([-1.0, 1.0]), 1.0)
    return warped(picture, size, turn, (sides - 1.0) / 2 - turn @ centre, shape)


def warped(picture, size, turn, shift, shape: tuple[int, int]):
    """What cv2.warpAffine makes of a picture by turn [2, 2] and shift [2], bilinear, reflected beyond the border.

    Args:
        picture: uint8 [S, S, 3], of which size = (height, width) is the picture.
        size: height and width.
        turn, shift: of (x, y) in the picture to (x, y) in the answer.
        shape: (H, W) of the answer.

    Returns:
        [H, W, 3] float32 in 0..1, of whole 255ths.
    """
    y, x = jnp.meshgrid(*(jnp.arange(length, dtype="float32") for length in shape), indexing="ij")
    back = jnp.linalg.inv(turn)
    from_x, from_y = jnp.moveaxis(jnp.stack([x - shift[0], y - shift[1]], axis=-1) @ back.T, -1, 0)
    total = jnp.zeros((*shape, 3))
    for right in (0, 1):
        for below in (0, 1):
            column, row = jnp.floor(from_x) + right, jnp.floor(from_y) + below
            weight = (1.0 - jnp.abs(from_x - column)) * (1.0 - jnp.abs(from_y - row))
            rows, columns = (_reflected(a.astype("int32"), n) for a, n in ((row, size[0]), (column, size[1])))
            total += weight[..., None] * picture[rows, columns]
    return jnp.clip(jnp.round(total), 0, 255) / 255.0


def _reflected(places, size):
    """Places beyond 0..size - 1, reflected into them; the outermost pixel is met once."""
    places = jnp.mod(places, 2 * size - 2)
    return jnp.where(places >= size, 2 * size - 2 - places, places)


def cut(canvas, at, size: int):
    """[size, size, 3] of a canvas, from (y, x)."""
    return jax.lax.dynamic_slice(canvas, (at[0], at[1], 0), (size, size, 3))


def _bytes(image):
    return jnp.clip(jnp.round(255.0 * image), 0, 255)
