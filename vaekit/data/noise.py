"""Smooth random functions, which drawn damage and drawn age are uneven by."""

import cv2
import numpy as np


def smooth_line(rng: np.random.Generator, count: int, period: float) -> np.ndarray:
    """Standard normal numbers every `period` samples, joined by lines; [count] float32."""
    knots = rng.standard_normal(int(count / period) + 2)
    return np.interp(np.arange(count) / period, np.arange(len(knots)), knots).astype(np.float32)


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], period: float) -> np.ndarray:
    """Standard normal numbers every `period` pixels, joined by cubic splines; [H, W] float32."""
    knots = rng.standard_normal([int(side / period) + 3 for side in shape], np.float32)
    large = cv2.resize(knots, None, fx=period, fy=period, interpolation=cv2.INTER_CUBIC)
    # A knot and a half are cut off each border, where the enlargement is flat.
    first = int(period)
    return np.ascontiguousarray(large[first : first + shape[0], first : first + shape[1]])
