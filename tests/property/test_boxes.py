"""Overlaps and anchors hold what they promise on any boxes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.anchors import kmeans_anchors
from model.boxes import cxcywh_to_xyxy, paired_overlap, pairwise_iou, wh_iou

LOWEST = {"iou": 0.0, "giou": -1.0, "diou": -1.0, "ciou": -2.0}
KINDS = tuple(LOWEST)
ROUNDING = 1e-5

centre = st.floats(0, 1, width=32)
side = st.floats(0.015625, 1, width=32)
box = st.tuples(centre, centre, side, side)
seeds = st.integers(0, 2**32 - 1)


def boxes(rows):
    return torch.tensor(rows, dtype=torch.float32).view(-1, 4)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=50)
@given(rows=st.lists(st.tuples(box, box), min_size=1, max_size=8))
def test_overlaps_are_symmetric_and_in_bounds(kind, rows):
    a, b = boxes([r[0] for r in rows]), boxes([r[1] for r in rows])
    forth, back = paired_overlap(a, b, kind), paired_overlap(b, a, kind)
    torch.testing.assert_close(forth, back, atol=ROUNDING, rtol=0)
    assert (forth <= 1 + ROUNDING).all()
    assert (forth >= LOWEST[kind] - ROUNDING).all()


@settings(deadline=None, max_examples=50)
@given(rows=st.lists(st.tuples(box, box), min_size=1, max_size=8), scale=st.floats(0.25, 1))
def test_ciou_is_diou_at_equal_aspect(rows, scale):
    a, b = boxes([r[0] for r in rows]), boxes([r[1] for r in rows])
    b[:, 2:] = a[:, 2:] * scale
    ciou, diou = paired_overlap(a, b, "ciou"), paired_overlap(a, b, "diou")
    torch.testing.assert_close(ciou, diou, atol=ROUNDING, rtol=0)


@settings(deadline=None, max_examples=50)
@given(rows=st.lists(box, min_size=1, max_size=8))
def test_every_overlap_with_itself_is_one(rows):
    a = boxes(rows)
    for kind in KINDS:
        assert (paired_overlap(a, a, kind) - 1).abs().max() < 1e-4
    assert (wh_iou(a[:, 2:], a[:, 2:]).diagonal() - 1).abs().max() < 1e-4


@settings(deadline=None, max_examples=50)
@given(first=st.lists(box, min_size=1, max_size=6), second=st.lists(box, min_size=1, max_size=6))
def test_pairwise_agrees_with_paired(first, second):
    a, b = boxes(first), boxes(second)
    table = pairwise_iou(cxcywh_to_xyxy(a), cxcywh_to_xyxy(b))
    one_by_one = paired_overlap(a.repeat_interleave(len(b), 0), b.repeat(len(a), 1), "iou")
    torch.testing.assert_close(table.view(-1), one_by_one, atol=ROUNDING, rtol=0)


@settings(deadline=None, max_examples=25)
@given(seed=seeds, count=st.integers(1, 60))
def test_anchors_are_positive_sorted_and_within_the_boxes_or_grown(seed, count):
    sizes = np.random.default_rng(seed).uniform(2, 300, (count, 2)).round()
    anchors = kmeans_anchors(sizes, 9, seed=3)
    areas = anchors.prod(axis=1)
    assert anchors.shape == (9, 2)
    assert (anchors > 0).all()
    assert (np.diff(areas) >= 0).all()
    np.testing.assert_array_equal(anchors, kmeans_anchors(sizes, 9, seed=3))
