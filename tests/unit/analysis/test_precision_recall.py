"""Curves whose area is AP, against pycocotools and by hand."""

import math

import numpy as np
import pytest

from evolve.analysis.matching import judge_boxes, match, matches_of, truth_of
from evolve.analysis.precision_recall import best_score, precision_recall
from model.data.coco import load_dataset
from model.evaluate import ImageDetections, evaluate
from tests.tiny_data import write_tiny_coco

TRUTH = {
    "images": [{"id": 1, "width": 100, "height": 100}],
    "annotations": [
        {"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]},
        {"image_id": 1, "category_id": 1, "bbox": [50, 0, 10, 10]},
    ],
    "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
}


def found(x, score, category=1):
    return {"image_id": 1, "category_id": category, "bbox": [x, 0, 10, 10], "score": score}


def test_precision_at_each_recall_by_hand():
    curves = precision_recall(judge_boxes(TRUTH, [found(0, 0.9), found(30, 0.8), found(50, 0.7)]))
    first = curves.classes[0, 0]
    assert first[:51] == pytest.approx(1)  # the first truth is found at once
    assert first[51:] == pytest.approx(2 / 3)  # the second after one false detection
    assert np.isnan(curves.classes[:, 1]).all()  # there is no truth of b
    assert curves.mean[0] == pytest.approx(first)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Detections of some quality on made-up data, as the trainer evaluates and stores them."""
    data = load_dataset(
        write_tiny_coco(tmp_path_factory.mktemp("d") / "set", {"train": 2, "val": 20})
    )
    rng = np.random.default_rng(0)
    detections = []
    for record in data.splits["val"]:
        boxes = np.repeat(record.boxes_xyxy_px, 3, axis=0)
        boxes = (boxes + rng.normal(0, 3, boxes.shape)).astype(np.float32)
        scores = rng.random(len(boxes)).astype(np.float32)
        labels = rng.integers(0, 2, len(boxes))
        detections.append(ImageDetections(record.image_id, boxes, scores, labels))
    return data, detections


def as_results(detections):
    return [
        {"image_id": d.image_id, "category_id": int(label) + 1, "score": float(score),
         "bbox": np.hstack((box[:2], box[2:] - box[:2])).tolist()}
        for d in detections
        for box, score, label in zip(d.boxes_xyxy_px, d.scores, d.labels, strict=True)
    ]  # fmt: skip


def test_the_area_below_is_the_ap_of_the_trainer(measured):
    data, detections = measured
    records = data.splits["val"]
    metrics = evaluate(detections, records, data.classes).metrics
    curves = precision_recall(judge_boxes(truth_of(records, data.classes), as_results(detections)))
    assert 0.02 < metrics["AP75"] < metrics["AP50"] < 0.9
    areas = curves.mean.mean(axis=1)
    assert areas == pytest.approx([metrics["AP50"], metrics["AP75"]], abs=1e-9)
    assert curves.classes.mean(axis=(1, 2)) == pytest.approx(areas, abs=1e-9)


def test_the_best_score_is_that_of_all_f1(measured):
    data, detections = measured
    matches = match(truth_of(data.splits["val"], data.classes), as_results(detections))
    score, f1 = best_score([matches])
    values = {}
    truths = sum(int(one.truths.sum()) for one in matches.classes)
    for mark in {float(s) for one in matches.classes for s in one.scores}:
        kept = [one.scores >= mark for one in matches.classes]
        hits = sum(int(one.hits[0][k].sum()) for one, k in zip(matches.classes, kept, strict=True))
        values[mark] = 2 * hits / (sum(int(k.sum()) for k in kept) + truths)
    assert f1 == pytest.approx(max(values.values()))
    assert values[score] == max(values.values())
    assert best_score([matches, matches]) == pytest.approx((score, f1))


def test_equal_scores_count_together():
    matches = matches_of(judge_boxes(TRUTH, [found(0, 0.5), found(30, 0.5), found(50, 0.4)]))
    assert best_score([matches]) == pytest.approx((0.4, 2 * 2 / 5))


def test_nothing_that_hits_has_no_best_score():
    for detections in ([], [found(30, 0.9)]):
        score, f1 = best_score([match(TRUTH, detections)])
        assert math.isnan(score)
        assert f1 == 0
