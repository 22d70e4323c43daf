"""Directions in a space of codes: what sets one set of pictures apart from another."""

import os
import secrets
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vaekit.errors import UserError

RIDGE = 1e-3
"""Keeps the least squares soluble where two attributes always come together."""
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
