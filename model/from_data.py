"""What a training takes from its data: image size, anchors, how often a class is seen."""

import numpy as np
import torch
from torch import Tensor

from model.anchors import YOLOV3_ANCHORS_WH_PX, YOLOV4_ANCHORS_WH_PX, kmeans_anchors
from model.config import TrainConfig
from model.data.coco import Dataset
from model.errors import ConfigurationError
from model.geometry import Geometry

ANCHOR_SAMPLE = 20_000
AUTO_SIZE_PX = (64, 416)


def auto_image_size(dataset: Dataset) -> int:
    """Median long side of the training images to the nearest 32 px, from 64 to 416."""
    long_side = float(np.median([max(r.width, r.height) for r in dataset.splits["train"]]))
    low, high = AUTO_SIZE_PX
    return int(min(high, max(low, round(long_side / 32) * 32)))


def dataset_anchors(dataset: Dataset, size_px: int, count: int = 9) -> np.ndarray:
    """Anchors (count, 2) in pixels of a square network input, by k-means on training boxes."""
    return kmeans_anchors(training_box_sizes(dataset, size_px), count)


def training_box_sizes(dataset: Dataset, size_px: int) -> np.ndarray:
    """Width and height (N, 2) of training boxes in pixels of a square network input.

    Of more than `ANCHOR_SAMPLE` so many are drawn.
    """
    sizes = [
        (r.boxes_xyxy_px[:, 2:] - r.boxes_xyxy_px[:, :2])[~r.crowd]
        * (size_px / r.width, size_px / r.height)
        for r in dataset.splits["train"]
    ]
    boxes = np.concatenate(sizes)
    if len(boxes) == 0:
        raise ConfigurationError(
            "the training split has no box to find anchors from", "anchors", "set anchors: auto"
        )
    if len(boxes) > ANCHOR_SAMPLE:
        rng = np.random.default_rng(0)
        boxes = boxes[rng.choice(len(boxes), ANCHOR_SAMPLE, replace=False)]
    return boxes


def class_counts(dataset: Dataset) -> Tensor:
    """Training boxes of each class (K,), int64."""
    labels = [r.labels[~r.crowd] for r in dataset.splits["train"]]
    counted = np.bincount(np.concatenate(labels), minlength=len(dataset.classes))
    return torch.from_numpy(counted)


def choose_anchors(
    config: TrainConfig, geometry: Geometry, dataset: Dataset, size_px: int
) -> np.ndarray:
    """Anchors (A, 2) in pixels of a square network input, as the configuration wants them."""
    own = geometry.anchors_wh_px
    if config.anchors == "optimised":
        return dataset_anchors(dataset, size_px, len(own))
    if config.anchors == "auto":
        return np.array(own, np.float64)
    named = {"yolov3": YOLOV3_ANCHORS_WH_PX, "yolov4": YOLOV4_ANCHORS_WH_PX}[config.anchors]
    if len(named) != len(own):
        raise ConfigurationError(
            f"{config.model} has {len(own)} anchors, those of {config.anchors} are {len(named)}",
            "anchors",
            "set anchors: auto, or optimised",
        )
    return np.array(named, np.float64)
