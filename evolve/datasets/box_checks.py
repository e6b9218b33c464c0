"""Boxes that can be trained on and are likely wrong all the same."""

from collections.abc import Iterator

import numpy as np

from evolve.datasets.clean import name_of
from evolve.datasets.findings import Finding
from evolve.datasets.raw import RawBox, RawDataset, RawImage

SMALL_PX = 2.0
"""A box with a side below this is hardly an object."""
SAME_IOU = 0.95
"""Two boxes that overlap by more are taken for one object drawn twice."""
_MOST_COMPARED = 3000  # boxes of an image; more are not compared with each other


def box_findings(raw: RawDataset) -> Iterator[Finding]:
    """Of a data set that `clean` has been over."""
    for split, images in raw.splits.items():
        for image in images:
            yield from _of_image(raw, split, image)


def _of_image(raw: RawDataset, split: str, image: RawImage) -> Iterator[Finding]:
    for box in image.boxes:
        size = _of_size(box, image)
        if size is not None:
            kind, what, mend = size
            item = name_of(box)
            yield Finding(kind, "warning", split, image.file_name, item, what, mend)
    if image.boxes and all(box.is_crowd for box in image.boxes):
        what = "all its boxes are crowds: nothing of it is trained on but the background around"
        mend = "draw single objects, or leave the image out"
        item = name_of(image)
        yield Finding("image-crowd-only", "warning", split, image.file_name, item, what, mend)
    yield from _overlapping(raw, split, image)


def _of_size(box: RawBox, image: RawImage) -> tuple[str, str, str] | None:
    _, _, width, height = box.xywh_px
    if min(width, height) < SMALL_PX:
        what = f"a box of {width:g} x {height:g} pixels is hardly an object"
        return "box-tiny", what, "look whether it was drawn by a slip"
    assert image.size_wh is not None  # cleaned
    wide, high = image.size_wh
    if not box.is_crowd and width > 0.99 * wide and height > 0.99 * high:
        what = f"a box of {width:g} x {height:g} pixels covers the whole image"
        return "box-whole-image", what, "look whether it is one object"
    return None


def _overlapping(raw: RawDataset, split: str, image: RawImage) -> Iterator[Finding]:
    boxes = [box for box in image.boxes if not box.is_crowd]
    if not 2 <= len(boxes) <= _MOST_COMPARED:
        return
    xywh = np.array([box.xywh_px for box in boxes])
    alike = np.triu(pairwise_iou(xywh, xywh) > SAME_IOU, 1)
    for one, other in zip(*np.nonzero(alike), strict=True):
        names = [raw.categories[boxes[index].category] for index in (one, other)]
        item = f"{name_of(boxes[one])} and {name_of(boxes[other])}"
        if names[0] == names[1]:
            kind, what = "box-drawn-twice", f"two boxes of '{names[0]}' are nearly the same"
        else:
            kind = "box-of-two-classes"
            what = f"'{names[0]}' and '{names[1]}' have nearly the same box"
        mend = "look whether they are one object"
        yield Finding(kind, "warning", split, image.file_name, item, what, mend)


def pairwise_iou(first_xywh: np.ndarray, second_xywh: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes, shape (N, M); 0 for those without an area."""
    ends = [(xywh[:, :2], xywh[:, :2] + xywh[:, 2:]) for xywh in (first_xywh, second_xywh)]
    (low, high), (other_low, other_high) = ends
    sides = np.minimum(high[:, None], other_high) - np.maximum(low[:, None], other_low)
    overlap = sides.clip(0).prod(2)
    areas = [xywh[:, 2:].prod(1) for xywh in (first_xywh, second_xywh)]
    union = areas[0][:, None] + areas[1] - overlap
    return np.asarray(overlap / np.maximum(union, 1e-9))
