"""COCO's twelve numbers, by pycocotools, from detections of a split."""

import contextlib
import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from model.data.coco import ImageRecord
from model.files import write_atomically

METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl",
           "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")  # fmt: skip


@dataclass(frozen=True)
class ImageDetections:
    """Detections of one image in its own pixels.

    Attributes
    ----------
    image_id : int
    boxes_xyxy_px : array, shape (D, 4), float32
    scores : array, shape (D,), float32
    labels : array, shape (D,), int64, contiguous class indices
    """

    image_id: int
    boxes_xyxy_px: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Evaluation:
    """Metrics in [0, 1]; NaN where a metric has no truth to be measured on.

    Attributes
    ----------
    metrics : dict of str -> float
        The keys of `METRICS`.
    class_ap : dict of str -> float
        AP of every class by name.
    """

    metrics: dict[str, float]
    class_ap: dict[str, float]


def _truth(records: Sequence[ImageRecord], classes: Sequence[str]) -> COCO:
    """Ground truth with fresh ids from 1: pycocotools mistakes 0 and doubles for no match."""
    annotations: list[dict[str, Any]] = []
    for record in records:
        for box, label, crowd, area in zip(
            record.boxes_xyxy_px, record.labels, record.crowd, record.areas, strict=True
        ):
            x0, y0, x1, y1 = (float(v) for v in box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": record.image_id,
                    "category_id": int(label) + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": float(area),
                    "iscrowd": int(crowd),
                }
            )
    coco = COCO()
    coco.dataset = {
        "info": {},
        "images": [{"id": r.image_id, "width": r.width, "height": r.height} for r in records],
        "annotations": annotations,
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(classes)],
    }
    coco.createIndex()
    return coco


def _found(detections: Sequence[ImageDetections]) -> COCO:
    """Detections as `COCO.loadRes` makes them, without the polygons it adds to every box."""
    annotations: list[dict[str, Any]] = []
    for d in detections:
        corners = d.boxes_xyxy_px
        boxes = np.hstack((corners[:, :2], corners[:, 2:] - corners[:, :2])).tolist()
        for box, score, label in zip(boxes, d.scores.tolist(), d.labels.tolist(), strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": d.image_id,
                    "category_id": label + 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                    "score": score,
                }
            )
    coco = COCO()
    coco.dataset = {"info": {}, "images": [], "annotations": annotations, "categories": []}
    coco.createIndex()
    return coco


def _or_nan(values: NDArray[np.float64]) -> float:
    measured = values[values > -1]
    return float(measured.mean()) if measured.size else float("nan")


def evaluate(
    detections: Sequence[ImageDetections],
    records: Sequence[ImageRecord],
    classes: Sequence[str],
) -> Evaluation:
    """Score detections against the truths of a split with pycocotools.

    Parameters
    ----------
    detections : sequence of ImageDetections
        Images without detections may be left out.
    records : sequence of ImageRecord
        The whole split; an image without truth counts, its detections are false.
    classes : sequence of str
    """
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        judge = COCOeval(_truth(records, classes), _found(detections), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    metrics = {
        name: float(value) if value > -1 else float("nan")
        for name, value in zip(METRICS, judge.stats, strict=True)
    }
    precision = judge.eval["precision"]  # IoU, recall, class, area, max detections
    per_class = {name: _or_nan(precision[:, :, k, 0, -1]) for k, name in enumerate(classes)}
    return Evaluation(metrics, per_class)


def _shortest(values: NDArray[np.float32]) -> list[Any]:
    """Numbers with as few decimals as single precision needs to come back the same."""
    return list(values.astype(np.float32).astype(np.str_).astype(np.float64).tolist())


def save_detections(
    path: Path, detections: Sequence[ImageDetections], protocol: dict[str, Any]
) -> None:
    """Write detections as gzipped JSON, with the protocol they were made under.

    Numbers keep all of single precision: rounded scores would tie, and rounded boxes miss a
    threshold of IoU, so that the file gave another AP. Equal detections give equal bytes.
    """
    images = [
        {
            "image_id": d.image_id,
            "boxes_xyxy_px": _shortest(d.boxes_xyxy_px),
            "scores": _shortest(d.scores),
            "labels": d.labels.tolist(),
        }
        for d in detections
    ]
    text = json.dumps({"protocol": protocol, "images": images}, separators=(",", ":"))
    packed = gzip.compress(text.encode(), compresslevel=6, mtime=0)
    write_atomically(path, lambda file: file.write(packed))
