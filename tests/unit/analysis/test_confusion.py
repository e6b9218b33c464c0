"""Confusions counted by hand."""

import numpy as np
import pytest

from evolve.analysis.confusion import confusion, f1, image_f1, most_confused, pair, reduced

CROWD = {"image_id": 1, "category_id": 2, "bbox": [60, 0, 40, 40], "iscrowd": 1}


def box(x, category=1, score=0.9, image=1, width=10):
    return {
        "image_id": image, "category_id": category, "bbox": [x, 0, width, 10], "score": score,
    }  # fmt: skip


def truth(*boxes):
    return {
        "images": [{"id": 1}, {"id": 2}],
        "annotations": list(boxes),
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
    }


def test_hits_confusions_misses_and_false_finds():
    known = truth(box(0), box(20), box(40, 2), box(0, 2, image=2), CROWD)
    found = [
        *(box(0), box(21, 2, 0.8), box(40, 2, 0.7), box(80, 1, 0.6, image=2)),
        *(box(70, 1, 0.5), box(0, 2, 0.1, image=2)),  # in the crowd; below the score
    ]
    assert confusion(known, found, 0.2).tolist() == [[1, 1, 0], [0, 1, 1], [1, 0, 0]]
    assert confusion(known, found, 0.05).tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert confusion(known, [], 0.2).tolist() == [[0, 0, 2], [0, 0, 2], [0, 0, 0]]


def test_the_higher_score_takes_the_truth_whatever_its_class():
    found = [box(0, 1, 0.6), box(1, 2, 0.7)]
    assert confusion(truth(box(0)), found, 0.0).tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]


def test_the_overlap_that_counts_is_met_exactly():
    assert pair([box(0, width=5)], [box(0)], 0.5).hits == [(0, 0)]
    assert pair([box(0, width=5)], [box(0)], 0.51).hits == []
    assert pair([box(2)], [box(0), box(3)]).hits == [(0, 1)]


def test_f1_of_an_image():
    assert image_f1([box(0), box(21, 2), box(70)], [box(0), box(20)]) == pytest.approx(2 / 5)
    assert image_f1([], []) == 1.0
    assert f1(0, 2, 0) == 0.0


def test_of_many_classes_the_most_confused_are_kept_and_sums_stay():
    counts = np.diag([10.0, 20, 30, 40, 0])
    counts[1, 3], counts[3, 1], counts[0, 4], counts[2, 0] = 5, 1, 7, 2
    kept = most_confused(counts, 2)
    assert kept == [1, 3]
    small = reduced(counts, kept)
    assert small.tolist() == [[20, 5, 0, 0], [1, 40, 0, 0], [0, 0, 42, 7], [0, 0, 0, 0]]
    assert small.sum() == counts.sum()
    assert reduced(counts, range(4)) is counts
