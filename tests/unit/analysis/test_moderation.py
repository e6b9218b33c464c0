import math

import numpy as np
import pytest
from scipy import special, stats

from evolve.analysis.deltas import estimate
from evolve.analysis.moderation import independent, moderate, moderated, typical_df

ALIKE = [0.011, 0.019, 0.014]


def against(baseline, *rows):
    return {row: {baseline: -1.0, row: 1.0} for row in rows}


def test_a_row_alone_stays_as_it_is():
    deltas = {"m": estimate(ALIKE)}
    assert moderated(deltas, against("none", "m")) == deltas
    (part,) = moderate([2.0], [3], 1)
    assert part.value == pytest.approx(2, rel=0.01)
    assert part.df == pytest.approx(3, rel=0.01)


def test_rows_that_scatter_alike_know_it_better_together():
    deltas = {"m": estimate(ALIKE), "ls": estimate([0.002, 0.009, 0.005])}
    found = moderated(deltas, against("none", "m", "ls"))
    for row, delta in found.items():
        assert delta.spread.lent > 1
        assert delta.spread.seeds.df == delta.spread.lent + 2
        assert (delta.mean, delta.sd) == (deltas[row].mean, deltas[row].sd)
        assert delta.high - delta.low < 0.8 * (deltas[row].high - deltas[row].low)
        assert delta.p_better > deltas[row].p_better


def test_a_variance_is_drawn_towards_those_of_the_others():
    small, *_, large = moderate([0.2, 1.0, 1.0, 1.0, 1.0, 1.0, 4.0], [2] * 7, 2.8)
    assert 0.2 < small.value < 1 < large.value < 4
    assert small.df > 2
    assert large.df > 2


def test_rows_that_scatter_wholly_unlike_keep_their_own():
    one, other = moderate([1e-8, 1.0], [5, 5], 1.6)
    assert (one.value, other.value) == (pytest.approx(1e-8, rel=0.1), pytest.approx(1, rel=0.1))
    assert (one.df, other.df) == (pytest.approx(5, abs=0.5), pytest.approx(5, abs=0.5))


def test_what_other_rows_tell_counts_by_how_many_they_are_and_their_seeds():
    pairs, many = moderate([1.0] * 2, [2] * 2, 1.6), moderate([1.0] * 16, [2] * 16, 3.4)
    assert many[0].df > pairs[0].df + 2
    few, more = moderate([1.0, 1.0], [2, 2], 1.6), moderate([1.0, 1.0], [2, 9], 1.6)
    assert more[0].df > few[0].df


def test_scale_does_not_matter():
    squares = np.array([0.5, 1.0, 3.0])
    found, scaled = moderate(squares, [2, 2, 3], 2), moderate(1e-6 * squares, [2, 2, 3], 2)
    assert [p.value for p in scaled] == pytest.approx([1e-6 * p.value for p in found])
    assert [p.df for p in scaled] == pytest.approx([p.df for p in found])


def test_seeds_that_agree_exactly_tell_nothing_and_learn_nothing():
    deltas = {"m": estimate(ALIKE), "off": estimate([0.0, 0.0, 0.0]), "ls": estimate([0.01])}
    assert moderated(deltas, against("none", "m", "off", "ls")) == deltas


def test_variances_are_compared_by_the_sizes_of_the_weights():
    halved = {"a": estimate([0.01, 0.03, 0.02]), "b": estimate([0.005, 0.015, 0.010])}
    found = moderated(halved, {"a": {"x": 1.0, "y": -1.0}, "b": {"x": 0.5, "z": -0.5}})
    alike = moderated(
        halved | {"b": estimate([0.01, 0.03, 0.02])},
        {"a": {"x": 1, "y": -1}, "b": {"x": 1, "z": -1}},
    )
    assert found["a"].spread == alike["a"].spread
    assert found["b"].spread.seeds.value == pytest.approx(alike["b"].spread.seeds.value / 4)


@pytest.mark.parametrize(
    ("weights", "count"),
    [
        (against("none", "m"), 1),
        (against("none", "m", "ls", "ca"), 3 / (1 + 2 / 4)),
        (against("none", "m") | against("old", "ls"), 2),
        ({"a": {"x": 1, "y": -1}, "b": {"x": -2, "y": 2}}, 1),
        ({"a": {"x": 1, "y": -1, "z": 1, "w": -1}, "b": {"x": 1, "y": 1, "z": -1, "w": -1}}, 2),
    ],
)
def test_rows_that_share_a_baseline_count_as_fewer(weights, count):
    assert independent(list(weights.values())) == pytest.approx(count)


def test_it_is_the_mean_over_all_that_may_be_usual():
    """By drawing at random: how unlike rows are, what is usual, and the true variances."""
    rng = np.random.default_rng(0)
    squares, df, draws = np.array([0.3, 1.0, 2.5]), 2, 400_000
    sd = 0.5 * np.tan(np.pi / 2 * (rng.integers(16, size=draws) + 0.5) / 16)
    table = np.exp(np.linspace(math.log(1e-3), math.log(1e4), 4000))  # trigamma(x), falling
    d0 = 2 * np.interp(-(sd**2), -special.polygamma(1, table), table)
    usual = rng.uniform(-8, 8, draws)
    weight = np.prod(
        [stats.f.pdf(s / np.exp(usual), df, d0) / np.exp(usual) for s in squares], axis=0
    )
    weight /= weight.sum()
    for square, part in zip(squares, moderate(squares, [df] * 3, 3), strict=True):
        drawn = np.log((d0 * np.exp(usual) + df * square) / rng.chisquare(d0 + df))
        mean = weight @ drawn
        expected = np.log(part.value) + np.log(part.df / 2) - special.polygamma(0, part.df / 2)
        assert mean == pytest.approx(expected, abs=0.02)
        spread = weight @ (drawn - mean) ** 2
        assert spread == pytest.approx(float(special.polygamma(1, part.df / 2)), rel=0.03)


def test_degrees_of_freedom_to_be_expected():
    assert typical_df(1, 3) == 2
    assert 2 < typical_df(2, 3) < typical_df(16, 3) < 8
    assert typical_df(16, 3) < typical_df(16, 5)
    assert typical_df(16, 1) == 0
