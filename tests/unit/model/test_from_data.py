import copy

import numpy as np
import pytest

from model.config import TrainConfig
from model.data.coco import Dataset, load_dataset
from model.errors import ConfigurationError
from model.from_data import auto_image_size, choose_anchors, class_counts, dataset_anchors
from model.train import resolve
from model.zoo import TINY_GEOMETRY, YOLOV3_GEOMETRY, YOLOV4_GEOMETRY
from tests.tiny_data import write_tiny_coco


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return load_dataset(write_tiny_coco(tmp_path_factory.mktemp("tiny") / "set"))


def changed(dataset, records):
    return Dataset(**(vars(dataset) | {"splits": {"train": tuple(records), "val": ()}}))


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(64, 64, 64), (10, 12, 64), (160, 120, 160), (120, 170, 160), (200, 10, 192), (999, 5, 416)],
)
def test_auto_image_size(dataset, width, height, expected):
    record = copy.copy(dataset.splits["train"][0])
    object.__setattr__(record, "width", width)
    object.__setattr__(record, "height", height)
    one = changed(dataset, [record])
    assert auto_image_size(one) == expected
    assert resolve(TrainConfig(image_size="auto"), one).image_size == expected
    assert resolve(TrainConfig(image_size=96), one).image_size == 96


def test_anchors_come_from_the_boxes(dataset):
    anchors = dataset_anchors(dataset, 64)
    assert anchors.shape == (9, 2)
    np.testing.assert_allclose(dataset_anchors(dataset, 128), anchors * 2)
    assert ((anchors >= 16) & (anchors < 32)).all()


def test_no_box_to_find_anchors_from(dataset):
    empty = []
    for record in dataset.splits["train"]:
        bare = copy.copy(record)
        for name in ("boxes_xyxy_px", "labels", "crowd", "areas"):
            object.__setattr__(bare, name, getattr(record, name)[:0])
        empty.append(bare)
    with pytest.raises(ConfigurationError, match="no box to find anchors from"):
        dataset_anchors(changed(dataset, empty), 64)


@pytest.mark.parametrize(
    ("geometry", "anchors", "first"),
    [
        (YOLOV4_GEOMETRY, "auto", (12, 16)),
        (YOLOV4_GEOMETRY, "yolov3", (10, 13)),
        (YOLOV3_GEOMETRY, "auto", (10, 13)),
        (YOLOV3_GEOMETRY, "yolov4", (12, 16)),
        (TINY_GEOMETRY, "auto", (10, 14)),
    ],
)
def test_anchors_of_a_name(dataset, geometry, anchors, first):
    chosen = choose_anchors(TrainConfig(anchors=anchors), geometry, dataset, 64)
    assert tuple(chosen[0]) == first


def test_anchors_from_the_data_are_as_many_as_the_model_has(dataset):
    chosen = choose_anchors(TrainConfig(anchors="optimised"), TINY_GEOMETRY, dataset, 64)
    np.testing.assert_array_equal(chosen, dataset_anchors(dataset, 64, 6))


def test_six_anchors_cannot_be_nine(dataset):
    config = TrainConfig(model="yolov4-tiny", anchors="yolov4")
    with pytest.raises(ConfigurationError, match="has 6 anchors, those of yolov4 are 9"):
        choose_anchors(config, TINY_GEOMETRY, dataset, 64)


def test_class_counts_leave_crowds_out(dataset):
    labels = [label for record in dataset.splits["train"] for label in record.labels]
    assert class_counts(dataset).tolist() == [labels.count(0), labels.count(1)]
    crowd = copy.copy(dataset.splits["train"][0])
    object.__setattr__(crowd, "crowd", np.ones_like(crowd.crowd))
    assert class_counts(changed(dataset, [crowd])).tolist() == [0, 0]
