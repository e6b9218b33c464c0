import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from evolve.analysis.deltas import estimate, paired_delta
from evolve.analysis.significance import (
    can_flip,
    holm,
    judge_sign,
    same_p,
    sign_flip_p,
    smallest_p,
    t_p,
)

SIX = [0.3, 0.1, 0.4, 0.2, 0.5, 0.1]


def test_sign_flips_of_three_by_hand():
    # of the eight sums 6 0 2 4 and their negatives, 4 and 6 are at least 4 away: four of eight
    assert sign_flip_p([-1.0, 2.0, 3.0]) == 0.5
    assert sign_flip_p([1.0, 2.0, 3.0]) == 0.25 == smallest_p(3)


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=8))
@example([0, 0, 0, 0, 0, 1, 3, -4])  # tenths of these have a sum that is not quite 0
def test_sign_flips_are_scipys(values):
    whole = np.array(values, dtype=np.float64)  # of which scipy's sums are exact
    found = stats.permutation_test(
        (whole,), np.sum, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_p(whole / 10) == pytest.approx(found.pvalue)


def test_many_seeds_are_exact_too():
    p = sign_flip_p(np.linspace(-1, 2, 30))
    assert p == pytest.approx(stats.ttest_1samp(np.linspace(-1, 2, 30), 0).pvalue, rel=0.15)


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [0.1, -0.1]])
def test_no_difference_has_p_1(values):
    assert sign_flip_p(values) == 1


def test_the_t_is_scipys_paired_t():
    baseline, other = [0.30, 0.34, 0.32], [0.33, 0.36, 0.39]
    expected = stats.ttest_rel(other, baseline).pvalue
    assert t_p(paired_delta(baseline, other)) == pytest.approx(expected)


def test_images_raise_the_p_of_the_t():
    drawn = np.tile([0.2, -0.2], 20)
    assert t_p(estimate(SIX, drawn)) > t_p(estimate(SIX)) * 1.5


def test_sign_flips_take_part_where_they_can_reach_the_level():
    assert smallest_p(6) == 1 / 32
    assert (can_flip(6, 0.05), can_flip(5, 0.05), can_flip(6, 0.025)) == (True, False, False)
    delta = estimate(SIX)
    assert judge_sign(delta, 0.05) == judge_sign(delta, 1 / 32)
    assert (judge_sign(delta, 0.05).p, judge_sign(delta, 0.05).test) == (1 / 32, "sign-flip")
    assert judge_sign(delta, 0.01).test == "t"
    assert judge_sign(delta, 0.01).p == pytest.approx(stats.ttest_1samp(SIX, 0).pvalue)


def test_the_larger_p_counts_for_sign_flips_know_no_images():
    drawn = np.tile([0.4, -0.4], 20)
    tested = judge_sign(estimate(SIX, drawn), 0.05)
    assert tested.test == "t"
    assert tested.p == t_p(estimate(SIX, drawn)) > 1 / 32


def test_no_interval_no_p():
    one = judge_sign(estimate([0.3]), 0.05)
    assert math.isnan(one.p)
    assert one.test == ""
    assert math.isnan(same_p(estimate([0.3]), 0.1))


def test_as_good_as_none_is_the_larger_of_two_one_sided_tests():
    values = [0.001, -0.002, 0.003, 0.002]
    up = stats.ttest_1samp(values, 0.004, alternative="less").pvalue
    down = stats.ttest_1samp(values, -0.004, alternative="greater").pvalue
    assert same_p(estimate(values), 0.004) == pytest.approx(max(up, down))
    assert same_p(estimate([0.1, 0.2]), 0.004) > 0.5


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.02, 0.6, 0.5]) == pytest.approx([0.06, 1, 1])


def test_holm_counts_a_test_without_p():
    assert holm([0.01, math.nan]) == pytest.approx([0.02, math.nan], nan_ok=True)
    assert holm([0.01, 0.02], family=4) == pytest.approx([0.04, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_keeps_the_order_and_lowers_nothing(p):
    adjusted = holm(p)
    assert (adjusted >= np.array(p) * (1 - 1e-12)).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()
    assert min(adjusted) == pytest.approx(min(1, len(p) * min(p)))
