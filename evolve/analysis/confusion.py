"""Which classes a detector takes for which: detections against truths across classes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask

IOU = 0.5

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Boxes = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Detections of one image that count, paired with its truths; indices into both.

    Attributes
    ----------
    hits : list of (detection, truth)
        Of any two classes.
    false : list of int
        Detections without a truth.
    missed : list of int
        Truths without a detection.
    """

    hits: list[tuple[int, int]]
    false: list[int]
    missed: list[int]


def pair(found: Boxes, truths: Boxes, iou: float = IOU) -> Pairs:
    """Pair detections with truths of any class, greedily by falling score.

    Each detection takes the free truth that it overlaps most, if by `iou` at least; that is how
    COCO pairs within a class. One that lies in a crowd (`iou` of its own area) counts neither way.

    Parameters
    ----------
    found, truths : sequence of mapping
        Of one image, as for `evolve.analysis.matching.match`: ``bbox``, ``score``, ``iscrowd``.
    """
    crowd = np.array([int(one.get("iscrowd", 0)) for one in truths], np.int64)
    overlaps = _overlaps(found, truths, crowd)
    free = crowd == 0
    hits, false = [], []
    for row in np.argsort([-one["score"] for one in found], kind="stable").tolist():
        own = np.where(free, overlaps[row], -1.0)
        best = int(own.argmax()) if len(own) else -1
        if best >= 0 and own[best] >= iou:
            free[best] = False
            hits.append((row, best))
        elif not (overlaps[row][crowd > 0] >= iou).any():
            false.append(row)
    return Pairs(hits, false, np.flatnonzero(free).tolist())


def _overlaps(found: Boxes, truths: Boxes, crowd: Ints) -> Floats:
    if not found or not truths:
        return np.zeros((len(found), len(truths)))
    boxes = [[list(map(float, one["bbox"])) for one in several] for several in (found, truths)]
    return np.asarray(mask.iou(*boxes, crowd.tolist()))


def confusion(truth: Mapping[str, Any], detections: Boxes, score: float, iou: float = IOU) -> Ints:
    """Counts of truths by their class and by the class that was found there, (K + 1, K + 1).

    The last row is the background: detections where nothing is. The last column are truths that
    were missed. A row of a class sums to its truths.

    Parameters
    ----------
    truth : mapping
    detections : sequence of mapping
        Both as for `evolve.analysis.matching.match`.
    score : float
        Detections below are left out.

    References
    ----------
    The matrix is that of R. Kohavi and F. Provost, "Glossary of terms", Machine Learning 30, 1998,
    with a background for what a detector adds and misses, as D. Hoiem et al., "Diagnosing error in
    object detectors", ECCV 2012, count those; pairs as in COCO's evaluation (`pair`).
    """
    places = {one["id"]: place for place, one in enumerate(truth["categories"])}
    rest = len(places)
    counts = np.zeros((rest + 1, rest + 1), np.int64)
    for found, truths in by_image(truth, detections, score):
        pairs = pair(found, truths, iou)
        for row, column in pairs.hits:
            counts[_class(truths[column], places), _class(found[row], places)] += 1
        for row in pairs.false:
            counts[rest, _class(found[row], places)] += 1
        for column in pairs.missed:
            counts[_class(truths[column], places), rest] += 1
    return counts


def _class(box: Mapping[str, Any], places: Mapping[int, int]) -> int:
    return places[box["category_id"]]


def by_image(
    truth: Mapping[str, Any], detections: Boxes, score: float
) -> Iterator[tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]]:
    """Detections of at least this score, and truths, of each image in the order of the truth."""
    found = _grouped(one for one in detections if one["score"] >= score)
    truths = _grouped(truth["annotations"])
    for image in truth["images"]:
        yield found.get(image["id"], []), truths.get(image["id"], [])


def _grouped(boxes: Iterable[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    groups: dict[int, list[Mapping[str, Any]]] = {}
    for one in boxes:
        groups.setdefault(one["image_id"], []).append(one)
    return groups


def f1(hits: int, false: int, missed: int) -> float:
    """Harmonic mean of precision and recall; 1 where there was nothing and nothing was found."""
    total = 2 * hits + false + missed
    return 2 * hits / total if total else 1.0


def image_f1(found: Boxes, truths: Boxes, iou: float = IOU) -> float:
    """F1 of one image, where a pair of two classes is a false find and a missed truth."""
    pairs = pair(found, truths, iou)
    right = sum(found[d]["category_id"] == truths[t]["category_id"] for d, t in pairs.hits)
    wrong = len(pairs.hits) - right
    return f1(right, len(pairs.false) + wrong, len(pairs.missed) + wrong)


def most_confused(counts: Floats | Ints, most: int) -> list[int]:
    """Classes with most confusions with other classes (background aside), in their order."""
    between = np.asarray(counts, float)[:-1, :-1].copy()
    np.fill_diagonal(between, 0.0)
    sums = between.sum(axis=0) + between.sum(axis=1)
    return sorted(np.argsort(-sums, kind="stable")[:most].tolist())


def reduced(counts: Floats, classes: Sequence[int]) -> Floats:
    """The matrix of some classes, all others as one after them; the background stays last.

    Within the others, what was taken for another of them counts as found.
    """
    kept = list(classes)
    others = [place for place in range(len(counts) - 1) if place not in set(kept)]
    if not others:
        return counts
    groups = [*([place] for place in kept), others, [len(counts) - 1]]
    return np.array([[counts[np.ix_(a, b)].sum() for b in groups] for a in groups])
