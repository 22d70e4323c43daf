"""How good, and how many-sided, a set of generated images is, by a classifier's answers or its features."""

import numpy as np


def kernel_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Unbiased MMD^2 of features [N, D] and [M, D] with kernel (a b / D + 1)^3 (Binkowski et al. 2018, KID).

    Unlike the Frechet distance it is not biased by the number of images; it can be below 0.

    Raises:
        ValueError: fewer than 2 rows, or feature counts differ.
    """
    first, second = _features(first, second)
    count, other = len(first), len(second)

    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1.0) ** 3

    within, across = kernel(first, first), kernel(first, second)
    within_second = kernel(second, second)
    own = (within.sum() - np.trace(within)) / (count * (count - 1))
    others = (within_second.sum() - np.trace(within_second)) / (other * (other - 1))
    return float(own + others - 2.0 * across.mean())


def inception_score(probabilities: np.ndarray) -> float:
    """exp E KL(p(y | x) || p(y)) of a classifier's answers [N, C] (Salimans et al. 2016, section 4).

    From 1, where all images get one answer, to C, where each is sure and all classes come as often. p(y) is that of all
    images, which is 1 split; means over 10 splits, as many papers have them, come out a little lower.

    Raises:
        ValueError: not rows of probabilities.
    """
    rows = np.asarray(probabilities, np.float64)
    if rows.ndim != 2 or not len(rows) or rows.min() < 0 or not np.allclose(rows.sum(axis=1), 1.0, atol=1e-3):
        raise ValueError(f"expected probabilities [N, C] that add up to 1, not {rows.shape}")
    marginal = rows.mean(axis=0)
    terms = np.where(rows > 0, rows * (np.log(np.maximum(rows, 1e-300)) - np.log(np.maximum(marginal, 1e-300))), 0.0)
    return float(np.exp(terms.sum(axis=1).mean()))


def precision_recall(real: np.ndarray, generated: np.ndarray, neighbours: int = 3) -> tuple[float, float]:
    """Share of generated images among real ones, and of real among generated (Kynkaanniemi et al. 2019, eq. 1 to 3).

    An image lies among others where it is within the ball round one of them that reaches its k-th neighbour.

    Args:
        real: features [N, D].
        generated: features [M, D].
        neighbours: k.

    Raises:
        ValueError: no more rows than neighbours, or feature counts differ.
    """
    real, generated = _features(real, generated)
    if min(len(real), len(generated)) <= neighbours:
        raise ValueError(f"{neighbours} neighbours need more than {min(len(real), len(generated))} images")

    def among(images, others):
        reach = np.partition(_squared(others, others), neighbours, axis=1)[:, neighbours]
        return float((_squared(images, others) <= reach).any(axis=1).mean())

    return among(generated, real), among(real, generated)


def accuracy(labels: np.ndarray, answers: np.ndarray) -> float:
    """Share of the rows of answers [N, C] whose largest is the label [N]."""
    return float((np.argmax(answers, axis=1) == np.asarray(labels)).mean())


def purity(labels: np.ndarray, clusters: np.ndarray) -> float:
    """Share of the items [N] that have the label which is the commonest of their cluster [N]."""
    labels, clusters = np.asarray(labels), np.asarray(clusters)
    commonest = [np.bincount(labels[clusters == cluster]).max() for cluster in np.unique(clusters)]
    return float(np.sum(commonest) / len(labels))


def roc_auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """How often a score of `positive` [N] is above one of `negative` [M]; a tie counts half."""
    ranks = np.searchsorted(np.sort(negative), positive, "left") + np.searchsorted(np.sort(negative), positive, "right")
    return float(ranks.mean() / (2 * len(negative)))


def _features(first, second) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise ValueError(f"expected two arrays [N >= 2, D], not {first.shape} and {second.shape}")
    return first, second


def _squared(a, b):
    return np.maximum((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2.0 * a @ b.T, 0.0)
