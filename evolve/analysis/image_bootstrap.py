"""AP of resampled images, exactly pycocotools', for many resamples at once.

The bootstrap over images tells how much a value or a difference owes to the pictures that happen
to be in the split. Trainings that are compared are resampled jointly: the same weights for all.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from evolve.analysis.matching import IOU_THRESHOLDS, ClassMatches, Matches

Key = TypeVar("Key", bound=Hashable)
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

RECALLS = np.linspace(0.0, 1.0, 101)  # COCO's
METRICS = {"AP": slice(None), "AP50": slice(0, 1), "AP75": slice(5, 6)}  # IoU thresholds of each

_AT_ONCE = 50_000  # detections times resamples: what fits the processor's cache is twice as fast


def draw_weights(images: int, resamples: int, rng: np.random.Generator) -> Counts:
    """How often each image is drawn, (resamples, images); every row sums to `images`."""
    return rng.multinomial(images, np.full(images, 1 / images), size=resamples)


def ap(matches: Matches, weights: Counts) -> dict[str, Floats]:
    """AP, AP50 and AP75 in [0, 1] of resampled images.

    Parameters
    ----------
    matches : Matches
    weights : array of int, shape (R, N)
        How often each image counts, in the order of `matches.image_ids`. A resample counts as
        pycocotools would count the images repeated under fresh ids next to each other.

    Returns
    -------
    dict of str -> array, shape (R,)
        A class without truth in a resample is left out of its mean; NaN where none is left.
    """
    return mean_ap(class_ap(matches, weights))


def ap_of_each(
    matches: Mapping[Key, Matches], weights: Counts, metric: str = "AP"
) -> dict[Key, Floats]:
    """One metric of several trainings on the same resamples of the same images, (R,) each."""
    return {key: ap(one, weights)[metric] for key, one in matches.items()}


def class_ap(matches: Matches, weights: Counts) -> Floats:
    """AP of every class at every IoU threshold, (R, K, 10); NaN for a class without truth."""
    shape = (len(weights), len(matches.classes), len(IOU_THRESHOLDS))
    result = np.full(shape, np.nan)
    for k, one in enumerate(matches.classes):
        for part in _parts(len(weights), len(one.scores)):
            result[part, k] = _one_class(one, np.ascontiguousarray(weights[part].T)).T
    return result


def mean_ap(per_class: Floats) -> dict[str, Floats]:
    """AP, AP50 and AP75 from `class_ap`, (R,) each; as `ap` gives them."""
    return {name: _mean(per_class[:, :, part]) for name, part in METRICS.items()}


def _mean(values: Floats) -> Floats:
    """Mean over classes and thresholds without the classes that have no truth."""
    counted = ~np.isnan(values)
    sums = np.where(counted, values, 0.0).sum(axis=(1, 2))
    counts = counted.sum(axis=(1, 2))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _parts(resamples: int, detections: int) -> Iterator[slice]:
    size = max(1, min(resamples, _AT_ONCE // max(1, detections)))
    return (slice(start, start + size) for start in range(0, resamples, size))


def _one_class(one: ClassMatches, weights: Counts) -> Floats:
    """AP of one class, (10, R), from weights (N, R).

    Only hits raise the recall and can raise the precision, so the precision that COCO reads at
    its 101 recalls is found at hits alone.
    """
    truths = one.truths @ weights  # R
    order, counts = _counts(one, weights)  # D, R
    seen = np.cumsum(counts, axis=0)
    result = np.empty((len(IOU_THRESHOLDS), weights.shape[1]))
    for t in range(len(result)):
        at = np.flatnonzero(one.hits[t, order])
        wrong_or_right = seen[at] - _ignored_before(one.ignored[t, order], counts, at)
        result[t] = _area(np.cumsum(counts[at], axis=0), wrong_or_right, truths)
    result[:, truths == 0] = np.nan
    return result


def _ignored_before(ignored: NDArray[np.bool_], counts: Counts, at: Counts) -> Counts | int:
    """Sum of the counts of ignored detections up to each hit, (H, R)."""
    places = np.flatnonzero(ignored)
    if not places.size:
        return 0
    none = np.zeros((1, counts.shape[1]), counts.dtype)
    sums = np.concatenate((none, np.cumsum(counts[places], axis=0)))
    return sums[np.searchsorted(places, at)]


def _area(hits: Counts, seen: Counts, truths: Counts) -> Floats:
    """Mean over the 101 recalls of the best precision from there on, (R,).

    Parameters
    ----------
    hits, seen : array of int, shape (H, R)
        Hits, and hits plus false finds, up to and with each hit.
    truths : array of int, shape (R,)
    """
    if not len(hits):
        return np.zeros(len(truths))
    precision = hits / (seen + np.spacing(1))
    best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    reached = _recalls_reached(hits / np.maximum(truths, 1))
    reached[1:] -= reached[:-1].copy()
    sums: Floats = np.einsum("hr,hr->r", best, reached)
    return sums / len(RECALLS)


def _recalls_reached(recall: Floats) -> Floats:
    """How many of the 101 recalls are not above `recall`: compared as pycocotools does."""
    nearest = np.rint(recall * (len(RECALLS) - 1))
    return nearest + (recall >= RECALLS[nearest.astype(np.intp)])


def _counts(one: ClassMatches, weights: Counts) -> tuple[Counts, Counts]:
    """Detections in the order of counting (D,), and how often each counts there (D, R).

    A repeated image repeats its detections as a block. Blocks differ from repeated detections
    only where an image holds a hit and a miss of equal score; there each repeat has its place.
    """
    order, repeat = _repeated(one, weights)
    counts = weights[one.images[order]]
    again = np.flatnonzero(repeat >= 0)
    counts[again] = counts[again] > repeat[again, None]
    return order, counts


def _repeated(one: ClassMatches, weights: Counts) -> tuple[Counts, Counts]:
    """Indices of detections, and for those of mixed ties which repeat it is (else -1)."""
    order: list[Counts] = []
    repeat: list[Counts] = []
    done = 0
    for start, stop in _mixed_ties(one):
        repeats = max(1, int(weights[one.images[start]].max()))
        order += [np.arange(done, start), np.tile(np.arange(start, stop), repeats)]
        repeat += [np.full(start - done, -1), np.repeat(np.arange(repeats), stop - start)]
        done = stop
    count = len(one.scores)
    order.append(np.arange(done, count))
    repeat.append(np.full(count - done, -1))
    return np.concatenate(order), np.concatenate(repeat)


def _mixed_ties(one: ClassMatches) -> Sequence[tuple[int, int]]:
    """Runs [start, stop) of equal score in one image whose members do not all count alike."""
    if len(one.scores) < 2:
        return []
    tied = (np.diff(one.scores) == 0) & (np.diff(one.images) == 0)
    flags = np.concatenate((one.hits, one.ignored))
    unlike = tied & (flags[:, 1:] != flags[:, :-1]).any(axis=0)
    starts = np.flatnonzero(np.concatenate(([True], ~tied)))
    stops = np.append(starts[1:], len(one.scores))
    mixed = np.unique(np.searchsorted(starts, np.flatnonzero(unlike), side="right") - 1)
    return list(zip(starts[mixed].tolist(), stops[mixed].tolist(), strict=True))
