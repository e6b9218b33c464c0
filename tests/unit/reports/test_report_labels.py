"""Labels that cover nothing."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.labels import Box, Label, place_labels

BOUNDS = Box(0, 0, 300, 200)


def marks_of(labels):
    return [Box(x - r, y - r, x + r, y + r)
            for (x, y), r in ((one.anchor, one.radius) for one in labels)]  # fmt: skip


@pytest.mark.parametrize(
    ("other", "wanted"),
    [((5, 5, 15, 15), True), ((10, 0, 20, 10), False), ((0, 10, 10, 20), False),
     ((2, 2, 3, 3), True), ((-5, -5, 20, 20), True)],
)  # fmt: skip
def test_boxes_overlap_where_they_have_area_in_common(other, wanted):
    box = Box(0, 0, 10, 10)
    assert box.overlaps(Box(*other)) is wanted
    assert Box(*other).overlaps(box) is wanted


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [((-5, 5), (15, 5), True), ((-5, 11), (15, 11), False), ((0, 12), (12, 0), True),
     ((-5, 15), (15, 25), False), ((3, 3), (4, 4), True), ((-5, -5), (-1, -1), False),
     ((5, -5), (5, -1), False), ((0, 0), (10, 0), False)],
)  # fmt: skip
def test_a_line_cuts_a_box_where_it_passes_inside(start, end, wanted):
    assert Box(0, 0, 10, 10).is_cut(start, end) is wanted
    assert Box(0, 0, 10, 10).is_cut(end, start) is wanted


def test_a_label_alone_stands_beside_its_mark_without_a_line():
    (placed,) = place_labels([Label((100, 100), 40, 10)], BOUNDS)
    assert placed.leader is None
    assert placed.box.x0 > 100
    assert placed.box.y0 > 100


def test_a_label_at_the_edge_stays_inside():
    for corner in ((1, 1), (299, 1), (1, 199), (299, 199)):
        (placed,) = place_labels([Label(corner, 40, 10)], BOUNDS)
        assert BOUNDS.holds(placed.box)


def test_a_crowded_label_gets_a_line_and_one_without_a_place_gets_none():
    wall = [Box(60, 60, 140, 140)]
    label = Label((100, 100), 40, 10)
    beside = [Box(104.5, 80, 130, 120), Box(70, 80, 95.5, 120), Box(80, 104.5, 120, 118)]
    (placed,) = place_labels([label], BOUNDS, [*beside, Box(95.5, 80, 99, 95.5)])
    assert placed.leader is not None
    assert not any(box.is_cut(*placed.leader) for box in beside)
    assert place_labels([Label((100, 100), 40, 10, reach=0)], BOUNDS, wall) == [None]


def test_lines_are_kept_off_where_there_is_another_place():
    label = Label((100, 100), 40, 10)
    slope = [((60.0, 60.0), (140.0, 140.0))]
    (placed,) = place_labels([label], BOUNDS, lines=slope)
    assert not placed.box.is_cut(*slope[0])


@given(
    st.lists(
        st.tuples(st.integers(5, 295), st.integers(5, 195), st.integers(8, 80)),
        min_size=1, max_size=25, unique_by=lambda one: one[:2],
    )
)  # fmt: skip
def test_labels_never_collide(points):
    labels = [Label((float(x), float(y)), float(width), 9.0) for x, y, width in points]
    placed = place_labels(labels, BOUNDS)
    assert placed == place_labels(labels, BOUNDS)
    kept = [(label, one) for label, one in zip(labels, placed, strict=True) if one is not None]
    for (_, first), (_, second) in itertools.combinations(kept, 2):
        assert not first.box.overlaps(second.box)
        for one, other in ((first, second), (second, first)):
            assert one.leader is None or not other.box.is_cut(*one.leader)
    for _, one in kept:
        assert BOUNDS.holds(one.box)
        assert not any(one.box.overlaps(mark) for mark in marks_of(labels))


def test_three_labels_always_find_a_place():
    rng = np.random.default_rng(0)
    for _ in range(50):
        at = rng.uniform((40, 30), (260, 170), (3, 2)).tolist()
        labels = [Label((x, y), 50.0, 9.0) for x, y in at]
        assert None not in place_labels(labels, BOUNDS)
