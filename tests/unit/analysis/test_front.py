"""Fronts of two objectives: the first raised, the second lowered."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.analysis.front import (
    Reference,
    as_points,
    dominates,
    dominators,
    growth,
    hypervolume,
    non_dominated,
    reference_of,
    spread,
)

# a step of three, one that ties with the second at a higher cost, one inside
POINTS = as_points([(0.2, 1.0), (0.4, 2.0), (0.6, 4.0), (0.4, 3.0), (0.1, 3.5)])
GRID = st.tuples(st.integers(0, 4), st.integers(0, 4))


def test_who_is_on_the_front_and_who_dominates_the_others():
    assert non_dominated(POINTS).tolist() == [True, True, True, False, False]
    assert dominators(POINTS) == [None, None, None, 1, 1]


def test_equal_points_are_on_the_front_together():
    assert non_dominated(as_points([(0.5, 1.0), (0.5, 1.0), (0.5, 1.1)])).tolist() == [
        True, True, False,
    ]  # fmt: skip


def test_what_is_not_finite_is_never_on_the_front():
    points = as_points([(math.nan, 1.0), (0.1, math.nan), (0.2, 5.0), (math.inf, 1.0)])
    assert non_dominated(points).tolist() == [False, False, True, False]
    assert not non_dominated(as_points([])).any()


@given(st.lists(GRID, min_size=1, max_size=12))
def test_the_sweep_finds_what_comparing_all_pairs_finds(pairs):
    points = as_points([(float(value), float(cost)) for value, cost in pairs])
    slow = ~dominates(points, points).any(axis=0)
    assert non_dominated(points).tolist() == slow.tolist()
    above = dominators(points)
    assert [one is None for one in above] == slow.tolist()
    assert all(slow[one] for one in above if one is not None)


def test_hypervolume_is_the_area_of_the_steps():
    # from cost 1, 2 and 4 to 5: 1 * 0.2 + 2 * 0.4 + 1 * 0.6
    assert hypervolume(POINTS, Reference(0.0, 5.0)) == pytest.approx(1.6)
    assert hypervolume(POINTS, Reference(0.0, 4.0)) == pytest.approx(1.0)
    assert hypervolume(POINTS, Reference(0.5, 5.0)) == pytest.approx(0.1)
    assert hypervolume(POINTS[:0], Reference(0.0, 5.0)) == 0.0


@given(st.lists(GRID, min_size=1, max_size=10))
def test_hypervolume_counts_the_cells_that_are_dominated(pairs):
    points = as_points([(float(value), float(cost)) for value, cost in pairs])
    cells = {(v, c) for value, cost in pairs for v in range(value) for c in range(cost, 5)}
    assert hypervolume(points, Reference(0.0, 5.0)) == len(cells)


def test_growth_ends_at_one_and_a_dominated_point_adds_nothing():
    found = growth(POINTS[[0, 4, 1, 2]], Reference(0.0, 5.0))
    assert found == pytest.approx([0.8 / 1.6, 0.8 / 1.6, 1.4 / 1.6, 1.0])
    assert growth(POINTS[:0], Reference(0.0, 5.0)) == []


def test_the_reference_lies_beyond_the_dearest():
    assert reference_of(POINTS) == Reference(0.0, pytest.approx(4.4))
    assert reference_of(as_points([])).value == 0.0


def test_spread_takes_the_best_and_then_what_adds_most():
    reference = Reference(0.0, 5.0)
    assert spread(POINTS, 1, reference) == [2]
    # beside (0.6, 4.0) the second adds 2 * 0.4, the first 3 * 0.2
    assert spread(POINTS, 2, reference) == [2, 1]
    assert spread(POINTS, 9, reference) == [2, 1, 0]
    assert spread(POINTS, 0, reference) == []
    assert spread(POINTS[:0], 3, reference) == []


def test_spread_does_not_depend_on_the_order_of_the_points():
    order = np.array([3, 2, 4, 0, 1])
    found = spread(POINTS[order], 2, Reference(0.0, 5.0))
    assert order[found].tolist() == [2, 1]
