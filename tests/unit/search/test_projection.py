"""Ends of stopped trials, and the scale on which values are compared."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.search.operators.projection import relate
from evolve.search.operators.scaling import learn_scale

readings = st.floats(-1e3, 1e3).map(lambda value: round(value, 9))


def test_a_straight_relation_is_followed_the_more_the_better_it_is_known():
    early = np.array([0.0, 1.0, 2.0])
    guess, error = relate(5, (2 * early + 1).tolist(), [{5: e} for e in early])(3.0)
    assert guess == pytest.approx(3.0 + 0.5 * 2 * 2)  # the slope counts half with three trials
    assert error > 0
    early = np.linspace(0, 2, 300)
    guess, error = relate(5, (2 * early + 1).tolist(), [{5: e} for e in early])(3.0)
    assert guess == pytest.approx(7.0, rel=0.01)
    assert error < 0.01


def test_the_error_is_the_scatter_and_grows_away_from_what_was_seen():
    rng = np.random.default_rng(0)
    early = rng.random(200)
    finals = (early + 0.1 * rng.standard_normal(200)).tolist()
    curves = [{1: e} for e in early]
    errors = [relate(1, finals, curves)(value)[1] for value in (0.5, 3.0, 10.0)]
    assert errors[0] == pytest.approx(0.1**2, rel=0.2)
    assert errors[0] < errors[1] < errors[2]


def test_below_what_was_let_on_a_trial_is_taken_to_get_the_less_far_the_lower_it_was():
    """Those that went on are alike, and say nothing of one that had learned nothing."""
    curves = [{1: early} for early in (0.06, 0.08, 0.10, 0.12)]
    found = relate(1, [0.34, 0.30, 0.33, 0.31], curves, [0.0, 0.03, 0.09])
    (lowest, half, inside), errors = found(np.array([0.0, 0.03, 0.09]))
    assert lowest == pytest.approx(0.0)
    assert half == pytest.approx(0.16, abs=0.01)
    assert inside == pytest.approx(0.32, abs=0.01)
    assert errors[0] > errors[1] > errors[2]
    assert errors[0] ** 0.5 == pytest.approx(0.16, abs=0.02)


def test_a_lowest_value_that_is_far_away_changes_little():
    curves = [{1: early} for early in (-0.6, -0.5, -0.4)]
    found = relate(1, [-0.3, -0.2, -0.1], curves, [-1000.0, -0.7])
    guess, _ = found(np.array([-0.7]))
    assert guess[0] == pytest.approx(found(np.array([-0.6]))[0][0], abs=0.2)


def test_with_few_complete_trials_the_value_stands_with_the_spread_as_error():
    curves = [{1: 0.1}, {1: 0.2}, {2: 0.3}, {1: float("nan")}]  # two with a value at step 1
    assert relate(1, [0.0, 1.0, 0.0, 1.0], curves)(0.4) == (0.4, 0.25)
    assert relate(1, [], [])(0.4) == (0.4, 0.0)
    assert relate(1, [0.7], [{1: 0.2}])(0.4) == (0.4, 0.0)


def test_equal_early_values_say_only_what_ends_there_are():
    found = relate(1, [0.0, 1.0, 0.5], [{1: 0.3}] * 3)(0.9)
    assert found == (pytest.approx(0.5), pytest.approx(1 / 6))
    rounded = [{1: 0.3}, {1: 0.1 + 0.2}, {1: 0.3}]  # apart by rounding alone
    assert relate(1, [0.0, 1.0, 0.5], rounded)(0.9) == found


def test_a_better_beginning_never_counts_against_a_trial():
    curves = [{1: 0.1}, {1: 0.2}, {1: 0.3}]
    finals = [0.9, 0.5, 0.1]
    assert relate(1, finals, curves).slope == 0.0


@given(readings, st.lists(st.tuples(readings, readings), max_size=8))
def test_a_projection_is_always_a_number(value, pairs):
    curves, finals = [{1: early} for early, _ in pairs], [late for _, late in pairs]
    guess, error = relate(1, finals, curves)(value)
    assert np.isfinite([guess, error]).all()
    assert error >= 0


def test_the_scale_has_the_median_at_zero_and_the_upper_half_at_one():
    scale = learn_scale(np.array([-100.0, 1.0, 2.0, 3.0, 4.0]), -1.5)
    assert (scale.centre, scale.unit) == (2.0, pytest.approx(np.sqrt(5 / 3)))


def test_disasters_do_not_make_the_good_alike():
    good = np.array([0.30, 0.31, 0.32, 0.33])
    plain = learn_scale(good, -1.5)(good)
    lost = np.array([0.0, 0.001])
    scaled = learn_scale(np.r_[lost, good], -1.5)(np.r_[lost, good])
    assert np.ptp(scaled[2:]) > 0.5 * np.ptp(plain)
    assert scaled[:2].min() > -6.0  # not 30 deviations below
    assert scaled[0] < scaled[1] < scaled[2]


@pytest.mark.parametrize("values", [[0.3], [0.3, 0.3, 0.3], [0.0, 0.3, 0.3]])
def test_values_without_a_spread_above_the_median_are_scaled(values):
    values = np.array(values)
    scaled = learn_scale(values, -1.5)(values)
    assert np.isfinite(scaled).all()
    assert scaled[-1] == 0.0
    assert scaled[0] == (0.0 if values[0] == 0.3 else scaled.min())


@given(st.lists(readings, min_size=1, max_size=12).map(np.array))
def test_scaling_keeps_the_order_and_has_an_inverse(values):
    scale = learn_scale(values, -1.5)
    values = np.sort(values)
    scaled = scale(values)
    assert (np.diff(scaled) >= 0).all()
    np.testing.assert_allclose(scale.inverse(scaled), values, rtol=1e-6, atol=1e-6)
