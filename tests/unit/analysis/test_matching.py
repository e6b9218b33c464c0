from pathlib import Path

import numpy as np
import pytest

from evolve.analysis.image_bootstrap import ap
from evolve.analysis.matching import load_detections, match, truth_of
from evolve.errors import EvolveError
from model.data.coco import ImageRecord
from model.evaluate import ImageDetections, evaluate, save_detections
from tests.unit.analysis.coco import random_coco


def test_pycocotools_prints_nothing(capsys):
    match(*random_coco(0))
    assert capsys.readouterr().out == ""


def test_the_data_are_not_changed():
    truth, detections = random_coco(0)
    match(truth, detections)
    assert (truth, detections) == random_coco(0)


def test_an_id_of_zero_and_a_double_id_are_matched_all_the_same():
    box = {"id": 0, "category_id": 1, "bbox": [0, 0, 10, 10], "area": 100, "iscrowd": 0}
    truth = {
        "images": [{"id": 1}, {"id": 2}],
        "annotations": [{**box, "image_id": 1}, {**box, "image_id": 2}],
        "categories": [{"id": 1}],
    }
    found = [{**box, "image_id": image, "score": 0.5} for image in (1, 2)]
    assert match(truth, found).classes[0].hits.all()


def test_a_find_in_a_crowd_is_ignored_and_the_crowd_needs_no_find():
    box = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]}
    truth = {
        "images": [{"id": 1}],
        "annotations": [{**box, "iscrowd": 1}],
        "categories": [{"id": 1}],
    }
    only = match(truth, [{**box, "score": 0.5}]).classes[0]
    assert only.ignored.all()
    assert not only.hits.any()
    assert only.truths.tolist() == [0]


def test_equal_scores_stay_in_the_order_of_their_images():
    truth, _ = random_coco(0, images=3)
    found = [
        {"image_id": image, "category_id": 1, "bbox": [0, 0, 9, 9], "score": score}
        for image, score in ((12, 0.5), (10, 0.5), (11, 0.7))
    ]
    first = match(truth, found).classes[0]
    assert first.images.tolist() == [1, 0, 2]
    assert first.scores.tolist() == [0.7, 0.5, 0.5]


def test_a_detection_in_an_unknown_image_is_an_error():
    truth, detections = random_coco(0)
    stray = {**detections[0], "image_id": 99}
    with pytest.raises(EvolveError, match=r"1 images that the truth does not know(.|\n)*id 99"):
        match(truth, [*detections, stray])


def _record(image_id):
    boxes = np.array([[10, 10, 30, 40], [50, 50, 80, 70]], np.float32)
    return ImageRecord(
        image_id, "a.png", Path("a.png"), 100, 100, boxes,
        np.array([0, 1]), np.array([False, False]), np.array([600, 600], np.float32),
    )  # fmt: skip


def test_a_split_and_stored_detections_give_the_ap_of_the_evaluation(tmp_path):
    records = [_record(4), _record(7)]
    found = [
        ImageDetections(
            image,
            np.array([[10, 10, 30, 38], [52, 50, 80, 70], [0, 0, 9, 9]], np.float32),
            np.array([0.9, 0.5, 0.75], np.float32),
            np.array([0, 1, 0]),
        )
        for image in (4, 7)
    ]
    save_detections(tmp_path / "d.json.gz", found, {})
    matches = match(truth_of(records, "ab"), load_detections(tmp_path / "d.json.gz"))
    metrics = evaluate(found, records, "ab").metrics
    values = ap(matches, np.ones((1, 2), int))
    assert {k: float(v[0]) for k, v in values.items()} == pytest.approx(
        {k: metrics[k] for k in values}, abs=1e-12
    )


def test_stored_detections_give_the_ap_that_was_measured(tmp_path):
    """Also where scores differ in the seventh digit, and boxes lie on a threshold of IoU."""
    rng = np.random.default_rng(0)
    records = [a_record(image, rng) for image in range(8)]
    found = []
    for record in records:
        boxes = record.boxes_xyxy_px[rng.integers(len(record.labels), size=60)]
        moved = (boxes + rng.normal(0.0, 2.0, boxes.shape)).astype(np.float32)
        scores = (0.01 + 1e-6 * rng.random(60)).astype(np.float32)
        found.append(ImageDetections(record.image_id, moved, scores, rng.integers(0, 2, 60)))
    save_detections(tmp_path / "d.json.gz", found, {})
    matches = match(truth_of(records, "ab"), load_detections(tmp_path / "d.json.gz"))
    values = ap(matches, np.ones((1, len(records)), int))
    metrics = evaluate(found, records, "ab").metrics
    assert float(values["AP"][0]) == pytest.approx(metrics["AP"], abs=1e-12)
    assert metrics["AP"] > 0.05


def a_record(image, rng):
    corners = rng.uniform(0, 60, (6, 2))
    boxes = np.hstack([corners, corners + rng.uniform(8, 30, (6, 2))]).astype(np.float32)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).astype(np.float64)
    labels = rng.integers(0, 2, 6)
    return ImageRecord(
        image, f"{image}.png", None, 96, 96, boxes, labels, np.zeros(6, bool), areas
    )


@pytest.mark.parametrize("content", [b"", b"{}", b"\x1f\x8b\x08\x00"])
def test_a_torn_file_of_detections_is_an_error(tmp_path, content):
    (tmp_path / "d.json.gz").write_bytes(content)
    with pytest.raises(EvolveError, match="the detections cannot be read"):
        load_detections(tmp_path / "d.json.gz")
