"""Every equation against numbers worked by hand."""

import math

import numpy as np
import pytest

from vaekit import losses


def value(tensor):
    return float(np.asarray(tensor))


def test_kl_of_the_prior_is_zero():
    assert value(losses.kl_standard_normal(np.zeros((3, 5)), np.zeros((3, 5)))) == 0.0


def test_kl_sums_dimensions_and_averages_the_batch():
    # First row: mean 1, variance 1 -> 1/2 (1 + 1 - 0 - 1) = 1/2 a dimension, two dimensions -> 1.
    # Second row: mean 0, variance e -> 1/2 (e - 1 - 1) a dimension, two -> e - 2.
    mean = np.array([[1.0, 1.0], [0.0, 0.0]])
    log_variance = np.array([[0.0, 0.0], [1.0, 1.0]])
    assert value(losses.kl_standard_normal(mean, log_variance)) == pytest.approx((1.0 + math.e - 2.0) / 2, rel=1e-6)


def test_kl_agrees_with_numerical_integration():
    z = np.linspace(-12, 12, 200_001)
    log_q = -0.5 * ((z - 0.7) ** 2 / 0.25 + math.log(2 * math.pi * 0.25))
    log_p = -0.5 * (z**2 + math.log(2 * math.pi))
    integral = np.trapezoid(np.exp(log_q) * (log_q - log_p), z)
    got = losses.kl_standard_normal(np.array([[0.7]]), np.array([[math.log(0.25)]]))
    assert value(got) == pytest.approx(integral, rel=1e-5)


def test_half_squared_distance():
    a = np.zeros((2, 2, 1, 1))
    b = np.array([[[[3.0]], [[4.0]]], [[[0.0]], [[1.0]]]])
    assert value(losses.half_squared_distance(a, b)) == pytest.approx((12.5 + 0.5) / 2)
    assert value(losses.half_squared_distance(a, b, np.array([0.1, 1.0]))) == pytest.approx((1.25 + 0.5) / 2)


def test_gaussian_nll_divides_by_the_variance():
    assert value(losses.gaussian_nll(np.ones((1, 4)), np.zeros((1, 4)), sigma=0.5)) == pytest.approx(8.0)


def test_learned_gaussian_nll_is_the_density():
    """Of two pixels 1 and 2 deviations off, s = 1 and e: 1/2 (1 + 4) + log 2 pi + 1, and its smallest where s is it."""
    got = value(losses.learned_gaussian_nll([[1.0, 2 * math.e]], [[0.0, 0.0]], [[0.0, 2.0]]))
    assert got == pytest.approx(2.5 + math.log(2 * math.pi) + 1.0, rel=1e-6)
    at = [value(losses.learned_gaussian_nll([[0.5]], [[0.0]], [[2 * math.log(s)]])) for s in (0.45, 0.5, 0.55)]
    assert at[1] < min(at[0], at[2])


def test_bernoulli_nll():
    # logit log 3 is p = 3/4: a 1 costs log 4/3, a 0 costs log 4; target .5 costs their mean.
    logits = np.full((1, 3), math.log(3.0))
    got = losses.bernoulli_nll(np.array([[1.0, 0.0, 0.5]]), logits)
    assert value(got) == pytest.approx(1.5 * (math.log(4 / 3) + math.log(4)), rel=1e-6)


def test_bernoulli_nll_is_finite_for_huge_logits():
    assert value(losses.bernoulli_nll(np.array([[1.0, 0.0]]), np.array([[1e4, -1e4]]))) == 0.0


def test_attribute_loss_counts_each_attribute_by_its_weight():
    logits = np.full((2, 2), math.log(3.0))  # p = 3/4
    got = losses.attribute_loss(np.array([[1.0, 0.0], [1.0, 1.0]]), logits, np.array([[1.0, 2.0], [0.0, 1.0]]))
    assert value(got) == pytest.approx((math.log(4 / 3) + 2 * math.log(4) + math.log(4 / 3)) / 2, rel=1e-6)


def test_cosine_distance_knows_no_lengths():
    a = np.array([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    b = np.array([[5.0, 0.0], [0.0, -1.0], [2.0, 0.0]])
    assert value(losses.cosine_distance(a, b)) == pytest.approx((0 + 2 + 1 - math.sqrt(0.5)) / 3, rel=1e-6)


def test_contrastive_loss_tells_a_row_apart_from_the_others():
    """Cosines at temperature .5: 1, 0, 0 for the first row, 0, 1, 1 for the second, and 1, 0, 0 for the third."""
    queries = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    keys = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    e2 = math.exp(2)
    expected = (math.log((e2 + 2) / e2) + math.log((1 + 2 * e2) / e2) + math.log(e2 + 2)) / 3
    assert value(losses.contrastive_loss(queries, keys, 0.5)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("logit", "p"), [(0.0, 0.5), (math.log(3.0), 0.75)])
def test_log_losses(logit, p):
    logits = np.full((4, 1), logit)
    assert value(losses.real_log_loss(logits)) == pytest.approx(-math.log(p), rel=1e-6)
    assert value(losses.fake_log_loss(logits)) == pytest.approx(-math.log(1 - p), rel=1e-6)


def test_hinge_losses():
    logits = np.array([[-2.0], [0.5], [3.0]])
    assert value(losses.real_hinge_loss(logits)) == pytest.approx((3.0 + 0.5 + 0.0) / 3)
    assert value(losses.fake_hinge_loss(logits)) == pytest.approx((0.0 + 1.5 + 4.0) / 3)


def test_class_loss():
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]))
    assert value(losses.class_loss(np.array([0, 1]), logits)) == pytest.approx(
        -(math.log(0.7) + math.log(0.3)) / 2, rel=1e-5
    )


def test_center_loss_sums_features_and_classes():
    real = np.array([[1.0, 0.0], [0.0, 2.0]])
    assert value(losses.center_loss(real, np.zeros((2, 2)))) == pytest.approx(2.5)


def test_masked_l1_counts_the_hole_alone_and_every_example_alike():
    a, b = np.zeros((2, 2, 2, 3)), np.zeros((2, 2, 2, 3))
    mask = np.zeros((2, 2, 2, 1))
    a[0, 0, 0] = 0.6  # one pixel of a hole of one
    mask[0, 0, 0] = 1
    a[1] = 0.1  # a hole of four, one known pixel's error must not count
    mask[1] = 1
    a[0, 1, 1] = 9.0
    assert value(losses.masked_l1(a, b, mask)) == pytest.approx((0.6 + 0.1) / 2, rel=1e-6)


def test_masked_l1_of_an_empty_mask_is_zero():
    assert value(losses.masked_l1(np.ones((1, 2, 2, 3)), np.zeros((1, 2, 2, 3)), np.zeros((1, 2, 2, 1)))) == 0.0


def test_feature_l1_sums_layers():
    real = [np.ones((1, 2)), np.full((1, 3), 2.0)]
    fake = [np.zeros((1, 2)), np.zeros((1, 3))]
    assert value(losses.feature_l1(real, fake)) == pytest.approx(3.0)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        losses.feature_l1(real, fake[:1])


def test_weighted_mean_counts_examples_alike_and_spreads_the_weight_over_the_last_axis():
    values = np.array([[[1.0, 3.0], [10.0, 20.0]], [[5.0, 5.0], [7.0, 9.0]]])
    weight = np.array([[[3.0], [1.0]], [[0.0], [0.5]]])
    first, second = (3 * 2 + 15) / 4, 0.5 * 8  # the second has less than a weight of 1
    assert value(losses.weighted_mean(values, weight)) == pytest.approx((first + second) / 2)
    assert value(losses.weighted_mean(values)) == pytest.approx(60 / 8)
    assert value(losses.weighted_mean(values, 0 * weight)) == 0.0


def test_hinge_losses_count_only_where_there_is_weight():
    logits, weight = np.array([[[[-2.0]], [[9.0]]]]), np.array([[[[1.0]], [[0.0]]]])
    assert value(losses.real_hinge_loss(logits, weight)) == pytest.approx(3.0)
    assert value(losses.fake_hinge_loss(logits, weight)) == pytest.approx(0.0)


def test_feature_l1_counts_places_by_the_share_of_them_that_is_masked():
    mask = np.zeros((1, 4, 4, 1), np.float32)
    mask[0, :2, :2] = 1  # the whole of place (0, 0)
    mask[0, 0, 2] = 1  # a quarter of place (0, 1)
    fake = np.zeros((1, 2, 2, 3), np.float32)
    fake[0, 0, 0], fake[0, 0, 1], fake[0, 1, 1] = 1.0, 2.0, 9.0
    expected = (1 * 1.0 + 0.25 * 2.0) / 1.25
    assert value(losses.feature_l1([np.zeros_like(fake)], [fake], mask)) == pytest.approx(expected)
    assert value(losses.pool_mask(mask, fake)[0, 0, 1, 0]) == 0.25


def test_means_over_everything():
    a, b = np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([[1.0, 1.0], [0.0, 3.0]])
    assert value(losses.mean_squared_error(a, b)) == pytest.approx((1 + 0 + 4 + 0) / 4)
    assert value(losses.mean_absolute_error(a, b)) == pytest.approx((1 + 0 + 2 + 0) / 4)


def test_least_squares_losses():
    scores = np.array([[0.5], [-1.0]])
    assert value(losses.real_square_loss(scores)) == pytest.approx((0.25 + 4.0) / 2)
    assert value(losses.fake_square_loss(scores)) == pytest.approx((0.25 + 1.0) / 2)


def test_the_wasserstein_estimate_of_the_best_critic_of_parallel_lines_is_their_distance():
    """Points (0, y) and (t, y): of f(x, y) = -x, whose slope is 1, the estimate is t (WGAN, example 1)."""
    for t in (0.1, 1.0):
        assert value(losses.wasserstein_estimate(np.zeros((4, 1)), np.full((4, 1), -t))) == pytest.approx(t)


def test_the_gradient_penalty_takes_the_length_over_all_of_an_example():
    # Lengths 5 and 0: (4^2 + 1^2) / 2
    gradient = np.array([[[3.0], [4.0]], [[0.0], [0.0]]])
    assert value(losses.gradient_penalty(gradient)) == pytest.approx(8.5, rel=1e-5)


def test_energy_is_an_examples_mean_squared_error():
    a, b = np.zeros((2, 2, 2, 1)), np.zeros((2, 2, 2, 1))
    b[1, 0, 0] = 2.0
    np.testing.assert_allclose(np.asarray(losses.energy(a, b)), [0.0, 1.0])


def test_the_energy_margin_counts_only_what_is_below_it():
    # real: (1 + 3) / 2; fake below 2: (2 - 0.5 + 0) / 2
    loss = losses.energy_margin_loss(np.array([1.0, 3.0]), np.array([0.5, 5.0]), 2.0)
    assert value(loss) == pytest.approx(2.0 + 0.75)


def test_pull_away_is_the_mean_squared_cosine_of_pairs():
    # cosines: 0, 1/sqrt 2, -1/sqrt 2 -> squared 0, 1/2, 1/2
    codes = np.array([[2.0, 0.0], [0.0, 5.0], [-1.0, 1.0]])
    assert value(losses.pull_away(codes)) == pytest.approx(1 / 3)
    assert value(losses.pull_away(np.ones((4, 3)))) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("real", "fake", "plays"),
    [(0.68, 0.68, (1, 1)), (0.1, 0.68, (0, 1)), (0.68, 1.2, (1, 0)), (0.1, 1.2, (1, 1))],
    ids=["balanced", "the discriminator is ahead", "behind", "both would rest"],
)
def test_who_is_far_ahead_rests(real, fake, plays):
    assert tuple(value(v) for v in losses.equilibrium(real, fake)) == plays


def test_label_loss_knows_classes_and_attributes():
    logits = np.array([[1.0, -1.0], [0.0, 2.0]])
    assert value(losses.label_loss(np.array([0, 1]), logits)) == pytest.approx(
        value(losses.class_loss(np.array([0, 1]), logits))
    )
    both = np.array([[1.0, 1.0], [0.0, 1.0]])
    assert value(losses.label_loss(both, logits)) == pytest.approx(value(losses.attribute_loss(both, logits)))


def test_triplet_loss():
    anchor, positive = np.zeros((2, 2)), np.array([[0.3, 0.4], [0.0, 0.0]])
    negative = np.array([[0.0, 0.5], [1.0, 0.0]])
    # .25 - .25 + .2, and 0 - 1 + .2 < 0
    assert value(losses.triplet_loss(anchor, positive, negative, 0.2)) == pytest.approx(0.1)


def test_squared_distances():
    a, b = np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([[3.0, 4.0]])
    np.testing.assert_allclose(np.asarray(losses.squared_distances(a, b)), [[25.0], [13.0]], rtol=1e-6)


def test_maximum_mean_discrepancy_is_the_papers_sum():
    """Two points each, by hand: k summed over scales, without an example's own, minus twice the mean across."""
    a, b = np.array([[0.0], [2.0]]), np.array([[1.0], [1.0]])

    def kernel(squared):
        return sum(2 * s / (2 * s + squared) for s in losses.SCALES)

    expected = kernel(4.0) + kernel(0.0) - 2 * kernel(1.0)
    assert value(losses.maximum_mean_discrepancy(a, b)) == pytest.approx(expected, rel=1e-5)


def test_maximum_mean_discrepancy_of_one_distribution_is_about_zero_and_of_two_is_not():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 500, 3))
    assert abs(value(losses.maximum_mean_discrepancy(a, b))) < 0.05
    assert value(losses.maximum_mean_discrepancy(a, b + 1.0)) > 0.3


def test_pairwise_log_distance_is_zero_where_one_is_the_other_scaled():
    x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    assert value(losses.pairwise_log_distance(x, 7.0 * x)) == pytest.approx(0.0, abs=1e-6)
    # Two examples: d / mean d is 1 whatever d is, so those agree too; three in a line, by hand.
    z = np.array([[0.0], [1.0], [2.0]])
    d_x, d_z = np.array([1.0, 9.0, 10.0]), np.array([1.0, 4.0, 1.0])
    terms = np.log2(1 + d_x / (2 * d_x.sum() / 3)) - np.log2(1 + d_z / (2 * d_z.sum() / 3))
    assert value(losses.pairwise_log_distance(x, z)) == pytest.approx(2 * (terms**2).sum() / 3, rel=1e-4)


def test_soft_dice_loss():
    mask = np.array([[[1.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    probability = np.array([[[1.0, 0.5], [0.5, 0.0]], [[0.5, 0.0], [0.0, 0.0]]])
    # 1 - (2 * 1.5 + 1) / (2 + 1.5 + 1), and where there is nothing 1 - 1 / (.25 + 1)
    assert value(losses.soft_dice_loss(mask, probability)) == pytest.approx((1 - 4 / 4.5 + 1 - 1 / 1.25) / 2)
    assert value(losses.soft_dice_loss(mask, mask, smooth=9.0)) == pytest.approx(0.0, abs=1e-6)


def test_one_code_makes_no_pair_and_tells_nothing_of_a_distribution():
    code, prior = np.array([[1.0, 2.0]]), np.array([[0.0, 0.5]])
    assert value(losses.pull_away(code)) == 0.0
    assert value(losses.maximum_mean_discrepancy(code, prior)) == 0.0


def test_gradient_difference_counts_edges_whichever_way_they_go():
    # Rows 0 1 0 and 0 0 0: steps of 1 and 1 across against none: 2; the columns of one row have no steps. 3 pixels.
    edge = np.array([0.0, 1.0, 0.0]).reshape(1, 1, 3, 1)
    assert value(losses.gradient_difference(edge, 0.0 * edge)) == pytest.approx(2 / 3)
    assert value(losses.gradient_difference(edge, 1.0 - edge)) == 0.0
    # Down, [0, 1] against [0, .5]: | 1 - .5 | over 2 pixels.
    down = np.array([0.0, 1.0]).reshape(1, 2, 1, 1)
    assert value(losses.gradient_difference(down, 0.5 * down)) == pytest.approx(0.25)


def test_pixel_class_loss_is_the_mean_of_the_pixels():
    # Logits log 3 and 0: probabilities 3/4 and 1/4. One pixel of each class: (log 4/3 + log 4) / 2.
    maps = np.eye(2).reshape(1, 1, 2, 2)
    logits = np.full((1, 1, 2, 2), [math.log(3.0), 0.0])
    assert value(losses.pixel_class_loss(maps, logits)) == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)
