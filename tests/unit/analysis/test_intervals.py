import math

import pytest

from evolve.analysis.intervals import Part, combine, t_interval


def test_one_part_keeps_its_degrees_of_freedom():
    assert combine([Part(0.5, 7)]) == pytest.approx((0.5, 7))


def test_degrees_of_freedom_are_satterthwaites():
    variance, df = combine([Part(4.0, 2), Part(3.0, 9), Part(1.0, 18, sign=-1)])
    assert variance == 6
    assert df == pytest.approx(36 / (16 / 2 + 9 / 9 + 1 / 18))


def test_a_part_that_is_exactly_known_costs_none():
    assert combine([Part(2.0, 4), Part(2.0, math.inf)])[1] == pytest.approx(16)


def test_no_variance_is_exactly_known():
    assert combine([Part(0.0, 2)]) == (0, math.inf)


def test_interval_of_two_degrees_of_freedom():
    found = t_interval(1.0, 0.25, 2)
    assert (found.low, found.high) == pytest.approx((1 - 2.1513264, 1 + 2.1513264))
    assert found.p_positive == pytest.approx(0.5 + 1 / math.sqrt(6))  # t(2) at 2


@pytest.mark.parametrize(("estimate", "p"), [(0.0, 0.5), (0.1, 1.0), (-0.1, 0.0)])
def test_without_variance_the_interval_is_a_point(estimate, p):
    found = t_interval(estimate, 0.0, math.inf)
    assert (found.low, found.high, found.p_positive) == (estimate, estimate, p)
