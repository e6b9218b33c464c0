"""Which detections of a split hit a truth, by pycocotools: the part of AP that images own.

COCO's AP is a sum over all images only after detections are matched to truths, and matching looks
at one image at a time. So it is done once, and AP of any resample of the images follows from what
is kept here (`evolve.analysis.image_bootstrap`).
"""

import contextlib
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from evolve.errors import EvolveError
from model.data.coco import ImageRecord

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)  # COCO's
LIMIT_BYTES = 1 << 30
"""Of a trial's detections, unpacked: some millions of boxes."""

_UNREADABLE = (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError,
               OverflowError, RecursionError, zlib.error)  # fmt: skip
MAX_DETECTIONS = 100  # of a class in an image, COCO's


@dataclass(frozen=True, eq=False)
class ClassMatches:
    """Detections of one class over all images, in the order in which COCO counts them.

    Attributes
    ----------
    scores : array, shape (D,), float64, descending; equal ones in the order of their images
    images : array, shape (D,), int64, index into `Matches.image_ids`
    hits : array, shape (10, D), bool
        True positives at each IoU threshold.
    ignored : array, shape (10, D), bool
        Neither right nor wrong, such as a find inside a crowd.
    truths : array, shape (N,), int64
        Truths of each image that have to be found.
    """

    scores: NDArray[np.float64]
    images: NDArray[np.int64]
    hits: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    truths: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Matches:
    """One set of detections against the truths of a split; `classes` are by category id."""

    image_ids: tuple[int, ...]
    category_ids: tuple[int, ...]
    classes: tuple[ClassMatches, ...]


def match(truth: Mapping[str, Any], detections: Sequence[Mapping[str, Any]]) -> Matches:
    """Match detections to truths image by image, as pycocotools does for boxes of any size.

    Parameters
    ----------
    truth : mapping
        COCO ground truth: `images`, `annotations` (``bbox`` as x, y, width, height in pixels;
        without ``area`` that of the box, without ``iscrowd`` no crowd) and `categories`.
    detections : sequence of mapping
        COCO results: ``image_id``, ``category_id``, ``bbox`` and ``score``.

    Raises
    ------
    EvolveError
        If a detection lies in an image that the truth does not know.
    """
    return matches_of(judge_boxes(truth, detections))


def matches_of(judge: COCOeval) -> Matches:
    """What `judge_boxes` gives as `match` gives it."""
    image_ids = tuple(int(i) for i in judge.params.imgIds)
    category_ids = tuple(int(i) for i in judge.params.catIds)
    count = len(image_ids)
    each = [judge.evalImgs[k * count : (k + 1) * count] for k in range(len(category_ids))]
    return Matches(image_ids, category_ids, tuple(_of_class(images) for images in each))


def judge_boxes(truth: Mapping[str, Any], detections: Sequence[Mapping[str, Any]]) -> COCOeval:
    """Judge of boxes of any size after pycocotools' matching; arguments as for `match`."""
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        truths = _index(truth["images"], truth["annotations"], truth["categories"])
        _check_images(detections, truths)
        judge = COCOeval(truths, _index([], detections, []), "bbox")
        judge.params.areaRng, judge.params.areaRngLbl = judge.params.areaRng[:1], ["all"]
        judge.params.maxDets = [MAX_DETECTIONS]
        judge.evaluate()
    return judge


def _index(images: Any, annotations: Iterable[Mapping[str, Any]], categories: Any) -> COCO:
    """Index with fresh ids from 1: pycocotools mistakes 0 for no match, and doubles for one."""
    coco = COCO()
    numbered = [_complete(one, number) for number, one in enumerate(annotations, start=1)]
    coco.dataset = {
        "info": {},
        "images": list(images),
        "annotations": numbered,
        "categories": list(categories),
    }
    coco.createIndex()
    return coco


def _complete(annotation: Mapping[str, Any], number: int) -> dict[str, Any]:
    width, height = annotation["bbox"][2:]
    return {"area": width * height, "iscrowd": 0, **annotation, "id": number}


def _check_images(detections: Sequence[Mapping[str, Any]], truths: COCO) -> None:
    unknown = {one["image_id"] for one in detections} - set(truths.imgs)
    if unknown:
        raise EvolveError(
            f"detections lie in {len(unknown)} images that the truth does not know",
            f"image id {min(unknown)}",
            "give the truth of the split that was detected on",
        )


def _of_class(images: Sequence[dict[str, Any] | None]) -> ClassMatches:
    """Detections of a class in the order of `COCOeval.accumulate`: stable by falling score."""
    found = [(index, one) for index, one in enumerate(images) if one is not None]
    truths = np.zeros(len(images), np.int64)
    for index, one in found:
        truths[index] = np.count_nonzero(np.asarray(one["gtIgnore"]) == 0)
    none = np.zeros((len(IOU_THRESHOLDS), 0), bool)
    scores = np.array([score for _, one in found for score in one["dtScores"]], np.float64)
    where = np.array([index for index, one in found for _ in one["dtScores"]], np.int64)
    matched = np.concatenate([none, *(one["dtMatches"] > 0 for _, one in found)], axis=1)
    ignored = np.concatenate([none, *(one["dtIgnore"] for _, one in found)], axis=1).astype(bool)
    order = np.argsort(-scores, kind="mergesort")
    hits = (matched & ~ignored)[:, order]
    return ClassMatches(scores[order], where[order], hits, ignored[:, order], truths)


def truth_of(records: Sequence[ImageRecord], classes: Sequence[str]) -> dict[str, Any]:
    """Truths of a loaded split as COCO ground truth; category ids are labels counted from 1."""
    return {
        "images": [{"id": r.image_id, "width": r.width, "height": r.height} for r in records],
        "annotations": [annotation for record in records for annotation in _truths(record)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(classes, start=1)],
    }


def _truths(record: ImageRecord) -> list[dict[str, Any]]:
    each = zip(record.boxes_xyxy_px, record.labels, record.crowd, record.areas, strict=True)
    return [
        {
            "image_id": record.image_id,
            "category_id": int(label) + 1,
            "bbox": _xywh(box.tolist()),
            "area": float(area),
            "iscrowd": int(crowd),
        }
        for box, label, crowd, area in each
    ]


def load_detections(path: Path) -> list[dict[str, Any]]:
    """Stored detections of a trial (`detections.json.gz`) as COCO results; labels from 1.

    Raises
    ------
    EvolveError
        If the file cannot be read or is none of ours.
    """
    try:
        with gzip.open(path) as file:
            text = file.read(LIMIT_BYTES + 1)
        if len(text) > LIMIT_BYTES:
            raise ValueError(f"unpacked it is larger than {LIMIT_BYTES:,} bytes")
        images = json.loads(text)["images"]
        return [result for image in images for result in as_results(_checked(image))]
    except _UNREADABLE as error:
        raise EvolveError(
            f"the detections cannot be read: {error}",
            str(path),
            "restore the file; without it images have no part in intervals",
        ) from error


def _checked(image: Mapping[str, Any]) -> Mapping[str, Any]:
    """Detections of one image, if its numbers are of the kinds that are written."""
    if not all(type(number) is int and 0 <= number < 2**53 for number in image["labels"]):
        raise ValueError("a label is no class")
    if not isinstance(image["image_id"], int):
        raise TypeError("an image_id is no whole number")
    return image


def as_results(image: Mapping[str, Any]) -> list[dict[str, Any]]:
    """COCO results of one image, in the single precision that they were measured in.

    Parameters
    ----------
    image : mapping
        image_id, boxes_xyxy_px, scores and labels of its detections, as they are stored.
    """
    corners = np.array(image["boxes_xyxy_px"], np.float32).reshape(-1, 4)
    boxes = np.hstack((corners[:, :2], corners[:, 2:] - corners[:, :2])).tolist()
    scores = np.array(image["scores"], np.float32).tolist()
    return [
        {"image_id": image["image_id"], "category_id": label + 1, "bbox": box, "score": score}
        for box, score, label in zip(boxes, scores, image["labels"], strict=True)
    ]


def _xywh(box_xyxy: Sequence[float]) -> list[float]:
    x0, y0, x1, y1 = box_xyxy
    return [x0, y0, x1 - x0, y1 - y0]
