"""Labels that look forgotten or doubtful to a detector that was trained before."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from evolve.datasets.box_checks import pairwise_iou
from evolve.datasets.findings import Finding
from evolve.datasets.raw import RawDataset, RawImage
from model.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from model.detect import Found, LoadedDetector

SURE = 0.5
"""Score from which a detection that meets no label is told."""

_FOUND_FROM = 0.1  # score and IoU from which a label counts as found
_FOUND_IOU = 0.5
_MET_IOU = 0.2  # below, a detection meets no label
_LEAST_BOXES, _LOW_RECALL = 4, 0.5
_AT_ONCE = 32
_LISTED = 3

Tell = Callable[[int], object]


def label_findings(
    raw: RawDataset, weights: Path, sure: float = SURE, tell: Tell = lambda _done: None
) -> Iterator[Finding]:
    """Images whose labels and a detector disagree.

    Told are detections of a score from `sure` on that overlap no label of any class, and images
    with four labels or more of which the detector finds less than half, at any sensible score.
    A detector is wrong as well: both are warnings, to be looked at. One trained on these very
    images has learnt their faults; take one from other data, or look at val and test alone.

    Parameters
    ----------
    raw : RawDataset
        Cleaned.
    weights : Path
    sure : float
    tell : callable
        Called with the number of images that are done.

    Raises
    ------
    CheckpointError
        If the weights cannot be read.
    ConfigurationError
        If the detector knows none of the classes.
    """
    from model.detect import load_detector

    detector = load_detector(weights)
    known = set(raw.categories.values()) & set(detector.classes)
    if not known:
        raise ConfigurationError(
            "the detector knows none of the classes of the data",
            str(weights),
            f"it knows {', '.join(detector.classes[:10])}",
        )
    done = 0
    for split, images in raw.splits.items():
        for start in range(0, len(images), _AT_ONCE):
            part = images[start : start + _AT_ONCE]
            for image, found in _detected(detector, part):
                yield from _of_image(raw, split, image, found, known, detector.classes, sure)
            done += len(part)
            tell(done)


def _detected(
    detector: "LoadedDetector", images: Sequence[RawImage]
) -> Iterator[tuple[RawImage, "Found"]]:
    """Images with what is detected in them; those that cannot be decoded are left out."""
    from model.detect import detect_images, images_at_once

    paths = [image.path for image in images if image.path is not None]
    at_once = images_at_once(detector)
    try:
        found = detect_images(detector, paths, _FOUND_FROM, at_once)
    except DataError:  # told by the check of pictures
        if len(images) > 1:
            for image in images:
                yield from _detected(detector, (image,))
        return
    yield from zip(images, found, strict=True)


def _of_image(
    raw: RawDataset,
    split: str,
    image: RawImage,
    found: "Found",
    known: set[str],
    classes: Sequence[str],
    sure: float,
) -> Iterator[Finding]:
    labels = np.array([box.xywh_px for box in image.boxes], dtype=np.float64).reshape(-1, 4)
    detected = found.boxes_xyxy_px.astype(np.float64)
    detected[:, 2:] -= detected[:, :2]
    overlap = pairwise_iou(detected, labels)
    names = [classes[label] for label in found.labels.tolist()]
    lone = overlap.max(axis=1, initial=0.0) < _MET_IOU
    told = [
        f"{name} {score:.2f} at {_place(box)}"
        for name, score, box, is_lone in zip(
            names, found.scores.tolist(), found.boxes_xyxy_px, lone, strict=True
        )
        if is_lone and score >= sure and name in known
    ]
    if told:
        yield Finding(
            "label-forgotten", "warning", split, image.file_name, "",
            f"the detector is sure of {_count(told)} without a label: {_few(told)}",
            "look at the image: is a label missing, or is the detector wrong?",
        )  # fmt: skip
    owed = np.array([not b.is_crowd and raw.categories[b.category] in known for b in image.boxes])
    if owed.sum() < _LEAST_BOXES:
        return
    met = int((overlap[:, owed].max(axis=0, initial=0.0) >= _FOUND_IOU).sum())
    if met < _LOW_RECALL * owed.sum():
        yield Finding(
            "label-doubtful", "warning", split, image.file_name, "",
            f"the detector finds {met} of {owed.sum()} labelled boxes",
            "look at the image: are its labels those of another, or shifted?",
        )  # fmt: skip


def _place(box: npt.NDArray[np.float32]) -> str:
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    return f"x {x1}-{x2}, y {y1}-{y2}"


def _few(told: Sequence[str]) -> str:
    more = f"; and {len(told) - _LISTED} more" if len(told) > _LISTED else ""
    return "; ".join(told[:_LISTED]) + more


def _count(told: Sequence[str]) -> str:
    return f"{len(told)} object{'s' if len(told) > 1 else ''}"
