"""What is true of every front."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evolve.analysis.pareto import Reference, hypervolume, on_front

REFERENCE = Reference(50.0, 0.05)
# few different values, so that ties are frequent
POINT = st.tuples(st.integers(1, 60).map(float), st.integers(0, 20).map(lambda n: n / 20))
POINTS = st.lists(POINT, max_size=12)


def columns(points):
    return tuple(np.array([point[axis] for point in points]) for axis in (0, 1))


def front_of(points):
    return [one for one, kept in zip(points, on_front(*columns(points)), strict=True) if kept]


@given(POINTS)
def test_the_front_of_a_front_is_itself(points):
    front = front_of(points)
    assert front_of(front) == front


@given(POINTS, st.randoms(use_true_random=False))
def test_order_does_not_matter(points, random):
    mixed = list(points)
    random.shuffle(mixed)
    assert sorted(front_of(mixed)) == sorted(front_of(points))
    areas = (hypervolume(*columns(each), REFERENCE) for each in (points, mixed))
    np.testing.assert_allclose(*areas, rtol=1e-12, atol=1e-12)


@given(POINTS)
def test_no_point_of_a_front_beats_another_and_every_other_is_beaten_by_one(points):
    front = front_of(points)
    for speed, value in points:
        better = [(s, v) for s, v in front
                  if s <= speed and v >= value and (s, v) != (speed, value)]  # fmt: skip
        assert bool(better) == ((speed, value) not in front)


@given(POINTS, POINT)
def test_another_point_never_takes_area_away(points, more):
    before = hypervolume(*columns(points), REFERENCE)
    assert hypervolume(*columns([*points, more]), REFERENCE) >= before - 1e-12


@given(POINTS.filter(bool), st.data())
def test_a_beaten_point_changes_nothing(points, data):
    speed, value = data.draw(st.sampled_from(points))
    slower, poorer = data.draw(st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(any))
    beaten = (speed + slower, value - poorer / 20)
    assert front_of([*points, beaten]) == front_of(points)
    np.testing.assert_allclose(
        hypervolume(*columns([*points, beaten]), REFERENCE),
        hypervolume(*columns(points), REFERENCE),
        rtol=1e-12,
    )


@given(POINTS)
def test_a_front_has_all_of_the_area(points):
    np.testing.assert_allclose(
        hypervolume(*columns(front_of(points)), REFERENCE),
        hypervolume(*columns(points), REFERENCE),
        rtol=1e-12,
    )


@given(POINTS)
def test_the_area_is_that_of_a_fine_grid(points):
    """Counted cell by cell; all values lie on the edges of cells."""
    speeds = np.arange(0.5, REFERENCE.latency_ms)
    values = np.arange(REFERENCE.ap + 0.025, 1.0, 0.05)
    covered = np.zeros((len(speeds), len(values)), bool)
    for speed, value in points:
        covered |= (speeds[:, None] > speed) & (values < value)
    found = hypervolume(*columns(points), REFERENCE)
    np.testing.assert_allclose(found, covered.sum() * 0.05, atol=1e-9)
