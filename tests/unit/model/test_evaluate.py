import contextlib
import gzip
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from model.data.coco import ImageRecord
from model.evaluate import METRICS, ImageDetections, evaluate, save_detections

CLASSES = ("a", "b", "c")


def record(image_id, boxes, labels, crowd=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    crowd = np.array(crowd if crowd is not None else [False] * len(boxes), dtype=bool)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return ImageRecord(
        image_id, f"{image_id}.png", Path(f"{image_id}.png"), 200, 200,
        boxes, np.array(labels, np.int64), crowd, areas,
    )  # fmt: skip


def detections(image_id, boxes, scores, labels):
    return ImageDetections(
        image_id,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(labels, np.int64),
    )


def perfect(records):
    return [
        detections(r.image_id, r.boxes_xyxy_px, np.linspace(1, 0.5, len(r.labels)), r.labels)
        for r in records
    ]


SMALL, LARGE = [0, 0, 20, 20], [20, 20, 180, 180]
RECORDS = [record(0, [SMALL, LARGE], [0, 1]), record(7, [LARGE], [0]), record(9, [], [])]


def test_perfect_detections_are_worth_one():
    found = evaluate(perfect(RECORDS), RECORDS, CLASSES)
    assert found.metrics["AP"] == pytest.approx(1)
    assert found.metrics["APs"] == found.metrics["APl"] == pytest.approx(1)
    assert tuple(found.metrics) == METRICS


def test_what_has_no_truth_is_nan():
    found = evaluate(perfect(RECORDS), RECORDS, CLASSES)
    assert math.isnan(found.metrics["APm"])
    assert math.isnan(found.class_ap["c"])
    assert found.class_ap["a"] == pytest.approx(1)


@pytest.mark.parametrize("nothing", [[], [detections(0, [], [], [])]], ids=["none", "empty"])
def test_no_detections_are_worth_zero_and_nan_stays_nan(nothing):
    found = evaluate(nothing, RECORDS, CLASSES)
    assert found.metrics["AP"] == found.metrics["AR100"] == found.class_ap["b"] == 0
    assert math.isnan(found.metrics["APm"])
    assert math.isnan(found.class_ap["c"])


def test_no_truth_at_all():
    found = evaluate([detections(9, [SMALL], [0.9], [0])], RECORDS[2:], CLASSES)
    assert all(math.isnan(value) for value in found.metrics.values())


def test_average_precision_by_hand():
    # by score: right, wrong, right; two truths. Precision 1 up to recall 1/2, then 2/3 to 1
    records = [record(1, [SMALL, LARGE], [0, 0])]
    found = [detections(1, [SMALL, [100, 0, 120, 20], LARGE], [0.9, 0.8, 0.7], [0, 0, 0])]
    scores = evaluate(found, records, ("a",)).metrics
    assert scores["AP50"] == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    assert scores["AR1"] == pytest.approx(0.5)
    assert scores["AR100"] == pytest.approx(1)


def test_overlap_decides_the_levels():
    # IoU 0.8 passes 0.5 to 0.8: seven of ten levels
    records = [record(1, [[0, 0, 100, 100]], [0])]
    found = [detections(1, [[0, 0, 100, 80.01]], [0.9], [0])]
    scores = evaluate(found, records, ("a",)).metrics
    assert scores["AP"] == pytest.approx(0.7)
    assert scores["AP75"] == pytest.approx(1)


def test_false_detections_on_an_empty_image_count():
    truth = [record(1, [LARGE], [0]), record(2, [], [])]
    found = [detections(2, [LARGE], [0.9], [0]), detections(1, [LARGE], [0.5], [0])]
    assert evaluate(found, truth, ("a",)).metrics["AP"] == pytest.approx(0.5)


def test_a_crowd_excuses_any_number_of_detections_and_is_never_missed():
    truth = [record(1, [LARGE, [0, 0, 100, 20]], [0, 0], [False, True])]
    inside = [[0, 0, 20, 20], [30, 0, 50, 20], [60, 0, 90, 20]]
    found = [detections(1, [*inside, LARGE], [0.9, 0.8, 0.7, 0.6], [0] * 4)]
    assert evaluate(found, truth, ("a",)).metrics["AP"] == pytest.approx(1)
    assert evaluate([], truth, ("a",)).metrics["AR100"] == 0
    alone = [record(1, [LARGE], [0], [True])]
    assert math.isnan(evaluate(found, alone, ("a",)).metrics["AP"])


def test_the_second_detection_of_a_truth_is_false():
    truth = [record(1, [SMALL, LARGE], [0, 0])]
    found = [detections(1, [SMALL, SMALL, LARGE], [0.9, 0.8, 0.7], [0] * 3)]
    assert evaluate(found, truth, ("a",)).metrics["AP"] == pytest.approx((51 + 50 * 2 / 3) / 101)


def random_case(seed, images=10):
    """Truths with crowds and equal boxes; detections near them, with equal scores."""
    rng = np.random.default_rng(seed)
    records, found = [], []
    for image_id in range(images):
        count = int(rng.integers(0, 9))
        corner = rng.random((count, 2)) * 100
        size = rng.choice([6, 20, 60, 110], (count, 1)) * (0.5 + rng.random((count, 2)))
        boxes = np.hstack([corner, corner + size]).astype(np.float32)
        labels = rng.integers(0, 2 + seed % 2, count)
        records.append(record(image_id, boxes, labels, rng.random(count) < 0.15))
        if not count or rng.random() < 0.1:
            continue
        near = rng.integers(0, count, 30)
        moved = boxes[near] + rng.normal(0, (0.5, 3, 10)[seed % 3], (30, 4)).astype(np.float32)
        if seed % 2:
            moved = np.round(moved / 4) * 4
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        scores = rng.random(30).astype(np.float32)
        found.append(detections(image_id, moved, np.round(scores, 1 + seed % 2), labels[near]))
    return records, found


def by_pycocotools(records, found):
    """Straight use of pycocotools, with ids from 1 (it takes id 0 for no match)."""
    ids = iter(range(1, 10**6))
    truth = COCO()
    truth.dataset = {
        "images": [{"id": r.image_id} for r in records],
        "categories": [{"id": k} for k in range(len(CLASSES))],
        "annotations": [
            {
                "id": next(ids), "image_id": r.image_id, "category_id": int(k),
                "bbox": [float(v) for v in (*b[:2], b[2] - b[0], b[3] - b[1])],
                "area": float(a), "iscrowd": int(c),
            }
            for r in records
            for b, k, c, a in zip(r.boxes_xyxy_px, r.labels, r.crowd, r.areas, strict=True)
        ],
    }  # fmt: skip
    rows = [
        {
            "image_id": d.image_id, "category_id": int(k), "score": float(s),
            "bbox": [float(v) for v in (*b[:2], b[2] - b[0], b[3] - b[1])],
        }
        for d in found
        for b, s, k in zip(d.boxes_xyxy_px, d.scores, d.labels, strict=True)
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(rows), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return [value if value > -1 else math.nan for value in judge.stats]


@pytest.mark.parametrize("seed", range(8))
def test_equals_pycocotools_to_the_last_bit(seed):
    # image and category ids start from 0 on both sides
    records, found = random_case(seed)
    ours = list(evaluate(found, records, CLASSES).metrics.values())
    np.testing.assert_array_equal(ours, by_pycocotools(records, found))


def test_order_of_images_does_not_matter():
    records, found = random_case(1)
    forth = evaluate(found, records, CLASSES).metrics
    back = evaluate(found[::-1], records[::-1], CLASSES).metrics
    np.testing.assert_array_equal(list(forth.values()), list(back.values()))


def test_saved_detections_are_equal_bytes_for_equal_detections(tmp_path):
    found = [detections(3, [[1.23456, 2, 30, 40]], [0.12345678], [2])]
    for name in ("one", "two"):
        save_detections(tmp_path / name, found, {"image_size": 64})
    content = (tmp_path / "one").read_bytes()
    assert content == (tmp_path / "two").read_bytes()
    tree = json.loads(gzip.decompress(content))
    assert tree["protocol"] == {"image_size": 64}
    assert tree["images"] == [
        {
            "image_id": 3,
            "boxes_xyxy_px": [[1.23456, 2, 30, 40]],
            "scores": [0.12345678],
            "labels": [2],
        }
    ]
