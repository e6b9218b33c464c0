import math

import numpy as np
import pytest
from scipy import stats

from evolve.analysis.deltas import paired_delta
from tests.unit.analysis.crossed import coverage

# two pairs on four resamples: variances 4 and 4, covariance 2
CROSSED = np.sqrt([[4.5, 4.5, 1.5, 1.5]] * 2) * [[1, -1, 1, -1], [1, -1, -1, 1]]


def test_seeds_alone_give_the_paired_t_interval():
    baseline, other = [0.30, 0.34, 0.32], [0.33, 0.36, 0.39]
    delta = paired_delta(baseline, other)
    expected = stats.ttest_rel(other, baseline).confidence_interval()
    assert delta.mean == pytest.approx(0.04)
    assert delta.sd == pytest.approx(math.sqrt(0.0007))
    assert (delta.low, delta.high) == pytest.approx((expected.low, expected.high))
    assert delta.p_better == pytest.approx(
        1 - stats.ttest_rel(other, baseline, alternative="greater").pvalue
    )
    assert (delta.pairs, delta.source, delta.df) == (3, "seeds", pytest.approx(2))


def test_swapping_the_rows_mirrors_the_delta():
    one = paired_delta([0.1, 0.2], [0.2, 0.5], CROSSED)
    two = paired_delta([0.2, 0.5], [0.1, 0.2], -CROSSED)
    assert (two.mean, two.low, two.high) == pytest.approx((-one.mean, -one.high, -one.low))
    assert two.p_better == pytest.approx(1 - one.p_better)


def test_the_mean_over_pairs_adds_its_image_variance_to_that_of_the_seeds():
    drawn = [0.1, -0.1, 0.3, -0.3]
    delta = paired_delta([0.0, 0.0], [1.0, 2.0], drawn)
    seeds, images = 0.25, np.var(drawn, ddof=1)
    assert delta.se**2 == pytest.approx(seeds + images)
    assert 1 < delta.df < (seeds + images) ** 2 / seeds**2
    assert delta.source == "seeds and images"


def test_a_finite_number_of_images_widens_the_interval():
    drawn = [0.1, -0.1, 0.3, -0.3]
    base, other = [0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 1.0, 2.0]
    delta = paired_delta(base, other, drawn, images=5)
    seeds, images = np.var(other, ddof=1) / 4, np.var(drawn, ddof=1) * 5 / 4
    assert delta.se**2 == pytest.approx(seeds + images)
    assert delta.high > paired_delta(base, other, drawn).high


def test_what_images_do_to_one_pair_alone_counts_once():
    covariance = np.cov(CROSSED)
    assert covariance == pytest.approx(np.array([[4, 2], [2, 4]]))
    delta = paired_delta([0.0, 0.0], [0.0, 4.0], CROSSED)
    # pairs 8 / 2 = 4; images (4 + 2) / 2 = 3, of which (4 - 2) / 2 = 1 is in the pairs already
    assert delta.se**2 == pytest.approx(4 + 3 - 1)
    assert delta.spread.fixed == pytest.approx(3 - 1)
    assert delta.spread.shrinking == pytest.approx(4)


def test_seeds_that_agree_by_chance_leave_the_image_part():
    delta = paired_delta([0.0, 0.0], [1.0, 1.0], CROSSED, images=7)
    assert delta.se**2 == pytest.approx((3 - 1) * 7 / 6)
    assert delta.df == pytest.approx(6, rel=1e-4)


def test_seeds_that_agree_by_chance_are_not_taken_for_sure():
    alone = CROSSED * [[1], [-1]]  # images and seeds together, and nothing of the images alone
    delta = paired_delta([0.0, 0.0], [1.0, 1.0], alone, images=7)
    assert delta.se**2 == pytest.approx(np.cov(alone).mean() / 4 * 7 / 6)
    assert delta.df == pytest.approx(6, rel=1e-4)


def test_images_that_do_nothing_to_all_pairs_alike_add_nothing():
    opposite = np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]])
    alone = paired_delta([0.0, 0.0], [1.0, 5.0])
    both = paired_delta([0.0, 0.0], [1.0, 5.0], opposite)
    assert (both.low, both.high) == pytest.approx((alone.low, alone.high))


def test_one_pair_has_the_image_part_alone():
    delta = paired_delta([0.3], [0.4], [[0.08, 0.12, 0.10, np.nan]], images=10)
    assert delta.source == "images"
    assert math.isnan(delta.sd)
    assert delta.se == pytest.approx(0.02 * math.sqrt(10 / 9))
    assert delta.df == pytest.approx(9)


def test_one_pair_without_images_and_no_pair_have_no_interval():
    one, none = paired_delta([0.3], [0.4]), paired_delta([], [])
    assert (one.source, none.source) == ("none", "none")
    assert one.mean == pytest.approx(0.1)
    assert math.isnan(none.mean)
    assert math.isnan(one.low)
    assert math.isnan(one.p_better)


def test_equal_differences_are_a_point():
    delta = paired_delta([0.25, 0.5], [0.5, 0.75])
    assert (delta.low, delta.high, delta.p_better) == (0.25, 0.25, 1.0)
    assert paired_delta([0.5, 0.5], [0.5, 0.5]).p_better == 0.5


def test_image_deltas_of_other_pairs_are_refused():
    with pytest.raises(ValueError, match="3 rows of image deltas for 2 pairs"):
        paired_delta([0.0, 0.0], [1.0, 1.0], np.zeros((3, 5)))


def test_a_pair_says_what_the_others_could():
    delta = paired_delta([0.0, 0.0], [1.0, 2.0], CROSSED)
    assert delta.differences == (1.0, 2.0)
    assert delta.high - delta.mean == pytest.approx(stats.t.ppf(0.975, delta.df) * delta.se)


@pytest.mark.parametrize(("pairs", "most"), [(3, 0.98), (5, 0.97), (10, 0.97)])
def test_19_of_20_intervals_hold_the_truth(pairs, most):
    rng = np.random.default_rng(1)
    assert 0.93 <= coverage(pairs, 60, (1.0, 1.0, 0.5), 400, 60, rng) <= most


def test_an_interval_from_seeds_alone_misses_the_images():
    rng = np.random.default_rng(1)
    assert coverage(10, 60, (1.0, 1.0, 0.5), 300, 2, rng, use_images=False) < 0.9
