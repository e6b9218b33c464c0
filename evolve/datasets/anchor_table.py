"""Anchors of a data set beside those of a model, and how well each fit the training boxes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.anchors import (
    YOLOV3_ANCHORS_WH_PX,
    YOLOV4_ANCHORS_WH_PX,
    Sizes,
    best_possible_recall,
    kmeans_anchors,
    mean_best_iou,
)
from model.data.coco import Dataset
from model.from_data import training_box_sizes
from model.zoo import FAMILIES, zoo

RECALL_AT = (0.25, 0.5)


@dataclass(frozen=True)
class AnchorRow:
    """One set of anchors.

    Attributes
    ----------
    name : str
    setting : str
        Value of the training configuration's ``anchors`` that takes them; empty if none does.
    anchors_wh_px : tuple of (float, float)
        In pixels of the network's input, by area.
    mean_iou : float
        Mean over boxes of the wh-IoU with the best anchor: darknet's "avg IoU".
    recall : mapping of float -> float
        Share of boxes whose best anchor has a wh-IoU above it.
    """

    name: str
    setting: str
    anchors_wh_px: tuple[tuple[float, float], ...]
    mean_iou: float
    recall: Mapping[float, float]

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        return {
            "name": self.name,
            "setting": self.setting,
            "anchors_wh_px": [list(pair) for pair in self.anchors_wh_px],
            "mean_iou": self.mean_iou,
            "recall": {str(iou): share for iou, share in self.recall.items()},
        }


def own_anchors(model: str) -> tuple[tuple[float, float], ...]:
    """Anchors that a model of the zoo comes with, in pixels of its input."""
    return FAMILIES[zoo.get(model).family].geometry.anchors_wh_px


def anchor_rows(dataset: Dataset, size_px: int, model: str, count: int) -> list[AnchorRow]:
    """Rows for the model's own anchors and for those found in the data.

    Parameters
    ----------
    dataset : Dataset
    size_px : int
        Side of the network's square input.
    model : str
        Of the zoo.
    count : int
        Anchors to find. A training takes as many as the model has.
    """
    boxes = training_box_sizes(dataset, size_px)
    own = own_anchors(model)
    is_trained = count == len(own)
    found = [(f"{model}'s own", "auto", np.array(own, float))]
    for setting, named in (("yolov3", YOLOV3_ANCHORS_WH_PX), ("yolov4", YOLOV4_ANCHORS_WH_PX)):
        if len(named) == len(own) and named != own:
            found.append((f"{setting}'s", setting, np.array(named, float)))
    plain = kmeans_anchors(boxes, count)
    found.append((f"{count} by k-means", "optimised" if is_trained else "", plain))
    found.append((f"{count} by k-means++", "", kmeans_anchors(boxes, count, spread=True)))
    return [_row(name, setting, boxes, anchors) for name, setting, anchors in found]


def _row(name: str, setting: str, boxes: Sizes, anchors: Sizes) -> AnchorRow:
    return AnchorRow(
        name,
        setting,
        tuple((float(width), float(height)) for width, height in anchors),
        mean_best_iou(boxes, anchors),
        {iou: best_possible_recall(boxes, anchors, iou) for iou in RECALL_AT},
    )
