"""Anchors of a data set beside those of a model."""

import numpy as np
import pytest

from evolve.datasets.anchor_table import anchor_rows, own_anchors
from model.anchors import best_possible_recall, kmeans_anchors, mean_best_iou
from model.data.coco import load_dataset
from model.errors import ConfigurationError
from model.from_data import dataset_anchors, training_box_sizes
from tests.tiny_data import write_tiny_coco


@pytest.fixture
def dataset(tmp_path):
    return load_dataset(write_tiny_coco(tmp_path / "set", {"train": 12, "val": 2}))


def test_recall_by_hand():
    boxes = np.array([[10, 10], [10, 5], [40, 40]], float)
    anchors = np.array([[10, 10], [20, 20]], float)  # IoU 1, 0.5, 0.25
    assert best_possible_recall(boxes, anchors, 0.25) == pytest.approx(2 / 3)
    assert best_possible_recall(boxes, anchors, 0.2) == 1
    assert best_possible_recall(boxes, anchors, 0.5) == pytest.approx(1 / 3)


def test_rows_are_what_a_training_takes(dataset):
    rows = {row.setting: row for row in anchor_rows(dataset, 416, "yolov4", 9) if row.setting}
    assert list(rows) == ["auto", "yolov3", "optimised"]
    assert rows["auto"].anchors_wh_px == own_anchors("yolov4")
    found = dataset_anchors(dataset, 416, 9)
    np.testing.assert_allclose(rows["optimised"].anchors_wh_px, found)
    boxes = training_box_sizes(dataset, 416)
    assert rows["optimised"].mean_iou == mean_best_iou(boxes, found)
    assert rows["optimised"].mean_iou > rows["auto"].mean_iou
    assert rows["auto"].recall[0.25] >= rows["auto"].recall[0.5]


def test_another_number_of_anchors_is_no_setting(dataset):
    rows = anchor_rows(dataset, 416, "yolov4-tiny", 4)
    assert [row.setting for row in rows] == ["auto", "", ""]
    assert [len(row.anchors_wh_px) for row in rows] == [6, 4, 4]


def test_unknown_model():
    with pytest.raises(ConfigurationError, match="no such model: 'nope'"):
        own_anchors("nope")


def test_spread_start_finds_clusters_of_very_different_weight():
    rng = np.random.default_rng(0)
    sizes = np.concatenate([rng.uniform(10, 10.1, (500, 2)), [[300, 20]] * 2, [[20, 300]] * 2])
    found = kmeans_anchors(sizes, 3, seed=1, spread=True)
    np.testing.assert_allclose(sorted(found.tolist())[1:], [[20, 300], [300, 20]])
    np.testing.assert_array_equal(found, kmeans_anchors(sizes, 3, seed=1, spread=True))
