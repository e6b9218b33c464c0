"""Several objectives: fronts, crowding, and one number for one ask."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evolve.search.operators.dominance import (
    crowding,
    fronts,
    non_dominated_order,
    scalarised,
)

FIVE = np.array([[3.0, 1.0], [2.0, 2.0], [1.0, 3.0], [1.0, 2.0], [0.0, 0.0]])

tables = st.integers(1, 3).flatmap(
    lambda width: st.lists(
        st.lists(st.integers(0, 4).map(float), min_size=width, max_size=width),
        min_size=1,
        max_size=12,
    ).map(np.array)
)


def dominates(one, other) -> bool:
    return all(a >= b for a, b in zip(one, other, strict=True)) and list(one) != list(other)


@given(tables)
def test_fronts_are_peeled_off_one_by_one(values):
    left, number = set(range(len(values))), 0
    found = fronts(values)
    while left:
        front = {i for i in left if not any(dominates(values[j], values[i]) for j in left)}
        assert {i for i in left if found[i] == number} == front
        left, number = left - front, number + 1


@given(tables)
def test_nobody_stands_before_one_that_dominates_it(values):
    order = non_dominated_order(values).tolist()
    assert sorted(order) == list(range(len(values)))
    for place, index in enumerate(order):
        assert not any(dominates(values[later], values[index]) for later in order[place + 1 :])


def test_the_ends_of_a_front_stand_alone_and_the_crowded_come_last():
    values = np.array([[0.0, 4.0], [1.0, 3.0], [1.5, 2.5], [4.0, 0.0]])
    found = crowding(values)
    np.testing.assert_allclose(found, [np.inf, 1.5 / 4 * 2, 0.75 * 2, np.inf])
    assert non_dominated_order(values).tolist() == [0, 3, 2, 1]
    assert crowding(values[:1]).tolist() == [np.inf]


def test_an_order_by_hand():
    assert fronts(FIVE).tolist() == [0, 0, 0, 1, 2]
    assert non_dominated_order(FIVE).tolist() == [0, 2, 1, 3, 4]


def test_one_objective_is_ordered_by_its_value_and_ties_by_arrival():
    assert non_dominated_order(np.array([[1.0], [3.0], [1.0], [1.0]])).tolist() == [1, 0, 2, 3]


def test_every_weighting_keeps_dominance_and_each_end_wins_under_some():
    winners = set()
    for seed in range(40):
        worth = scalarised(FIVE, np.random.default_rng(seed))
        assert worth[4] == worth.min()
        assert worth[3] < min(worth[1], worth[2])
        winners.add(int(np.argmax(worth)))
    assert winners == {0, 1, 2}


def test_an_objective_that_never_changes_plays_no_part():
    values = np.array([[1.0, 5.0], [2.0, 5.0], [0.0, 5.0]])
    for seed in range(5):
        worth = scalarised(values, np.random.default_rng(seed))
        assert np.argsort(-worth).tolist() == [1, 0, 2]
