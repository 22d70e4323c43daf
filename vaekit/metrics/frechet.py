"""How far one set of images is from another, by the statistics of their features."""

import numpy as np


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Frechet distance of two Gaussians (Heusel et al. 2017, eq. 6) fitted to features [N, D].

    |mean1 - mean2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). The trace of the root is the sum of the roots of the
    eigenvalues of C1 C2, taken as those of the symmetric C1^(1/2) C2 C1^(1/2). It is biased upwards for small
    N: compare only distances of the same N.

    Raises:
        ValueError: fewer than 2 rows, or feature counts differ.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise ValueError(f"expected two arrays [N >= 2, D], not {first.shape} and {second.shape}")
    gap = first.mean(axis=0) - second.mean(axis=0)
    c1, c2 = np.atleast_2d(np.cov(first, rowvar=False)), np.atleast_2d(np.cov(second, rowvar=False))
    values, vectors = np.linalg.eigh(c1)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ c2 @ root).clip(min=0)).sum()
    return float(gap @ gap + np.trace(c1) + np.trace(c2) - 2 * shared)
