"""Metrics against closed forms and against TensorFlow's."""

import keras
import numpy as np
import pytest

from vaekit.metrics import (
    accuracy,
    frechet_distance,
    inception_score,
    kernel_distance,
    l1,
    precision_recall,
    psnr,
    purity,
    roc_auc,
    ssim,
)  # fmt: skip


def test_psnr_of_a_known_error_is_its_formula():
    image = np.full((4, 5, 3), 0.5)
    assert psnr(image, image + 0.1) == pytest.approx(20.0)  # -10 log10(0.01)


def test_psnr_of_integers_is_refused():
    image = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(ValueError, match="found uint8"):
        psnr(image, image)
    with pytest.raises(ValueError, match="found uint8"):
        psnr(image / 255.0, image)


def test_masked_measures_see_the_mask_alone():
    first, second = np.zeros((4, 4, 3)), np.zeros((4, 4, 3))
    second[0, 0], second[3, 3] = 0.01, 0.5
    mask = np.zeros((4, 4), bool)
    mask[0, 0] = True
    assert psnr(first, second, mask) == pytest.approx(40.0)
    assert l1(first, second, mask) == pytest.approx(0.01)
    assert l1(first, second) == pytest.approx(0.51 / 16)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="compares with tf.image")
def test_ssim_agrees_with_tensorflow():
    import tensorflow as tf

    rng = np.random.default_rng(0)
    first = rng.uniform(size=(24, 31, 3))
    second = np.clip(first + rng.normal(0, 0.1, first.shape), 0, 1)
    theirs = float(tf.image.ssim(tf.constant(first[None]), tf.constant(second[None]), 1.0)[0])
    assert ssim(first, second) == pytest.approx(theirs, abs=1e-5)
    assert ssim(first, first) == pytest.approx(1.0)


def exactly(mean, covariance, count=50):
    """Rows whose sample mean and covariance are exactly those."""
    rows = np.random.default_rng(1).normal(size=(count, len(mean)))
    rows -= rows.mean(axis=0)
    rows = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows, rowvar=False))).T
    return rows @ np.linalg.cholesky(np.asarray(covariance)).T + mean


def test_frechet_distance_of_gaussians_is_the_closed_form():
    # Commuting covariances: |m|^2 + sum (s1 - s2)^2 over standard deviations = 9 + 16 + (1 - 2)^2 + (3 - 1)^2.
    first = exactly([0.0, 0.0], np.diag([1.0, 9.0]))
    second = exactly([3.0, 4.0], np.diag([4.0, 1.0]))
    assert frechet_distance(first, second) == pytest.approx(30.0)
    assert frechet_distance(first, first) == pytest.approx(0.0, abs=1e-9)


def test_frechet_distance_of_covariances_that_do_not_commute():
    # [[2, 1], [1, 2]] and diag(1, 4): tr C1 + tr C2 = 9; C1 C2 has determinant 12 and trace 10, so the
    # trace of its root is sqrt(10 + 2 sqrt(12)).
    first = exactly([0.0, 0.0], [[2.0, 1.0], [1.0, 2.0]])
    second = exactly([0.0, 0.0], np.diag([1.0, 4.0]))
    assert frechet_distance(first, second) == pytest.approx(9 - 2 * np.sqrt(10 + 2 * np.sqrt(12)))


@pytest.mark.parametrize("shapes", [((1, 3), (5, 3)), ((5, 3), (5, 4)), ((5,), (5,))])
def test_frechet_distance_refuses_what_has_no_covariance(shapes):
    with pytest.raises(ValueError, match="N >= 2"):
        frechet_distance(*(np.ones(shape) for shape in shapes))


def test_kernel_distance_by_hand():
    """Points of one dimension: k(a, b) = (ab + 1)^3. {0, 1} and {2, 0}: 1 + 1 - 2 (1 + 1 + 27 + 1) / 4."""
    assert kernel_distance(np.array([[0.0], [1.0]]), np.array([[2.0], [0.0]])) == pytest.approx(2.0 - 2 * 30 / 4)


def test_kernel_distance_of_one_distribution_is_about_zero_whatever_the_counts():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(400, 8)), rng.normal(size=(900, 8))
    assert abs(kernel_distance(first, second)) < 0.02
    assert kernel_distance(first, second + 1.0) > 1.0


def test_inception_score_is_the_number_of_sure_and_equal_classes():
    assert inception_score(np.eye(5)) == pytest.approx(5.0)
    assert inception_score(np.full((7, 5), 0.2)) == pytest.approx(1.0)
    # Always the same answer, however sure
    assert inception_score(np.tile([0.0, 1.0, 0.0], (4, 1))) == pytest.approx(1.0)
    # Two rows (.9, .1) and (.1, .9): ln 2 - H(.1)
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert inception_score([[0.9, 0.1], [0.1, 0.9]]) == pytest.approx(np.exp(np.log(2) - entropy))
    with pytest.raises(ValueError, match="add up to 1"):
        inception_score(np.ones((2, 3)))


def test_precision_is_of_the_generated_and_recall_of_the_real():
    """Real at 0, 1, 2, 3 and 10, 11, 12, 13; all that is generated is between 0 and 3, but for one at 100."""
    real = np.array([[0.0], [1], [2], [3], [10], [11], [12], [13]])
    generated = np.array([[0.5], [1.5], [2.5], [100.0]])
    precision, recall = precision_recall(real, generated, 1)
    assert precision == pytest.approx(3 / 4)
    # 100's nearest is 97.5 away: its ball takes in all from 2.5 on; 0, 1 and 2 lie in balls of 1.
    assert recall == 1.0
    assert precision_recall(real, generated[:3], 1) == (1.0, 0.5)
    with pytest.raises(ValueError, match="3 neighbours need more"):
        precision_recall(real, generated[:3])


def test_accuracy_purity_and_auc_by_hand():
    assert accuracy([0, 1, 1], [[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]]) == pytest.approx(2 / 3)
    assert purity([0, 0, 1, 1, 1, 2], [5, 5, 5, 7, 7, 7]) == pytest.approx(4 / 6)
    assert roc_auc(np.array([0.9, 0.5]), np.array([0.1, 0.5])) == pytest.approx((2 + 1.5) / 4)
