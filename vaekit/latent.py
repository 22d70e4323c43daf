"""Directions in a space of codes, what sets one set of pictures apart from another; and pictures' places in a prior."""

import os
import secrets
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vaekit.errors import UserError

RIDGE = 1e-3
"""Keeps the least squares soluble where two attributes always come together."""
STEPS = 200
"""Of a search for pictures in a prior."""
LARGEST = 64_000_000
"""Bytes of a direction, unpacked."""


class DirectionError(UserError, ValueError):
    """A direction that cannot be fitted, read or used; the message is one line."""


@dataclass(frozen=True)
class Direction:
    """A step in a bundle's space of codes.

    Attributes:
        step: [h, w, C] float32; once this far is once as far as the one set of pictures is from the other.
        bundle: name/version of the bundle that has encoded the pictures.
    """

    step: np.ndarray
    bundle: str


def mean_difference(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """The mean of `positive` [N, ...] minus that of `negative` [M, ...] (VAE/GAN, Larsen et al. 2016, sec. 4.1.1)."""
    return positive.mean(axis=0) - negative.mean(axis=0)


def least_squares(codes: np.ndarray, attributes: np.ndarray) -> np.ndarray:
    """Directions of attributes, each with the others held fast (GAIA, Sainburg et al. 2018).

    The codes are explained as a constant and a sum of the attributes' directions, by least squares with a small
    ridge; so where two attributes come together in the pictures, each answers for its own share.

    Args:
        codes: [N, ...].
        attributes: [N, K], 0 where absent, 1 where present, anything between.

    Returns:
        [K, ...].
    """
    flat = codes.reshape(len(codes), -1).astype(np.float64)
    centred = attributes - attributes.mean(axis=0)
    normal = centred.T @ centred + RIDGE * np.eye(attributes.shape[1])
    return np.linalg.solve(normal, centred.T @ (flat - flat.mean(axis=0))).reshape(-1, *codes.shape[1:])


def save_direction(direction: Direction, path: Path, *, overwrite: bool = False) -> None:
    """Write a direction as .npz, all of it or nothing.

    Raises:
        DirectionError: the file exists, or cannot be written.
    """
    if path.exists() and not overwrite:
        raise DirectionError(f"{path}: already exists (--overwrite replaces it)")
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, step=direction.step.astype(np.float32), bundle=np.array(direction.bundle))
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DirectionError(f"{path}: cannot be written: {error.strerror}") from None


def load_direction(path: Path) -> Direction:
    """Read a direction.

    Raises:
        DirectionError: it cannot be read, or is something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > LARGEST:
                raise ValueError("too large for one")
        with np.load(path, allow_pickle=False) as arrays:
            step, bundle = arrays["step"], str(arrays["bundle"])
        if step.ndim != 3 or step.dtype != np.float32 or not np.isfinite(step).all():
            raise ValueError(f"a step of {step.shape} {step.dtype}")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DirectionError(f"{path}: not a direction: {reason}") from None
    return Direction(step, bundle)


def invert(
    model,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    starts: int = 6,
    steps: int = STEPS,
    rate: float = 0.05,
    seed: int = 0,
    progress: Callable[[float], object] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The noise of which a model's sample comes nearest to each picture: argmin over z of ||x - G(z)||^2, by Adam.

    AEGAN's inversion, with G(z) = Dec(G1(z)); of every model that samples, G(z) is its `from_noise`. It depends on
    where it begins, so it begins at several places, and the best end is kept.

    Args:
        model: a vaekit.models.generative.Generative; its weights stay.
        images: [N, H, W, C] in 0..1.
        labels: as its `sample` takes them.
        starts: how many places, drawn from N(0, I).
        steps: of Adam, at each of them.
        rate: of learning.
        seed: of the places.
        progress: called with the share that is done, above 0 and up to 1, after every step.

    Returns:
        Noise [N, model.drawn_dim], and the squared distance of its sample to each picture [N].
    """
    # Who edits photos has no Keras.
    import keras
    from keras import ops

    from vaekit.backends.gradients import compiled, input_gradient

    count = len(images)
    target = ops.convert_to_tensor(np.repeat(np.asarray(images, np.float32), starts, axis=0))
    told = None if labels is None else np.repeat(labels, starts, axis=0)
    places = np.random.default_rng(seed).standard_normal((count * starts, model.drawn_dim), np.float32)
    noise = keras.Variable(places)

    def distances(z):
        drawn = ops.cast(model.from_noise(z, told), "float32")
        return ops.sum((target - drawn) ** 2, axis=tuple(range(1, len(target.shape))))

    gradient, adam = compiled(lambda z: input_gradient(distances, z)), keras.optimizers.Adam(rate)
    for step in range(steps):
        adam.apply([gradient(ops.convert_to_tensor(noise))], [noise])
        if progress:
            progress((step + 1) / steps)
    found = ops.convert_to_numpy(noise).reshape(count, starts, -1)
    reached = ops.convert_to_numpy(distances(noise.value)).reshape(count, starts)
    rows, best = np.arange(count), reached.argmin(axis=1)
    return found[rows, best], reached[rows, best]
