"""Two objectives: which points are non-dominated, and how much a front covers.

A point is a pair; the first of it is the better the larger, the second the better the smaller.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]


class Reference(NamedTuple):
    """The corner that a hypervolume is measured from: the worst of both."""

    value: float
    cost: float


def as_points(pairs: Sequence[tuple[float, float]]) -> Points:
    """Pairs as an array, shape (N, 2)."""
    return np.array(pairs, dtype=np.float64).reshape(-1, 2)


def dominates(one: Points, other: Points) -> npt.NDArray[np.bool_]:
    """Whether each of N points dominates each of M others, shape (N, M).

    One that does is at least as good in both, and better in one; equal points never do.
    """
    value, cost = one[:, None, 0], one[:, None, 1]
    as_good = (value >= other[None, :, 0]) & (cost <= other[None, :, 1])
    better = (value > other[None, :, 0]) | (cost < other[None, :, 1])
    return np.asarray(as_good & better)


def non_dominated(points: Points) -> npt.NDArray[np.bool_]:
    """Which of N points no other dominates; what is not finite is never among them."""
    finite = np.asarray(np.isfinite(points).all(axis=1))
    found = finite.copy()
    found[finite] = _on_front(points[finite])
    return found


def _on_front(points: Points) -> npt.NDArray[np.bool_]:
    """By one sweep from the cheapest on: a point stays if it is above all cheaper ones."""
    kept = np.zeros(len(points), dtype=bool)
    highest, last = -np.inf, (np.nan, np.nan)
    for index in np.lexsort((-points[:, 0], points[:, 1])):
        value, cost = points[index]
        if value > highest or (value, cost) == last:
            kept[index] = True
            highest, last = value, (value, cost)
    return kept


def dominators(points: Points) -> list[int | None]:
    """For each point one that dominates it, the best in the first objective; None on the front.

    Of several that are equally good the cheapest.
    """
    front = np.flatnonzero(non_dominated(points))
    order = front[np.lexsort((points[front, 1], -points[front, 0]))]
    beaten = dominates(points[order], points)
    return [int(order[column.argmax()]) if column.any() else None for column in beaten.T]


def hypervolume(points: Points, reference: Reference) -> float:
    """Area that is dominated by some point, between it and the reference.

    Points beyond the reference count for nothing.

    References
    ----------
    Zitzler, Thiele, "Multiobjective optimization using evolutionary algorithms - a comparative
    case study", PPSN V (1998), where it is the size of the dominated space.
    """
    inside = (points[:, 0] > reference.value) & (points[:, 1] < reference.cost)
    front = points[inside & non_dominated(points)]
    front = front[np.argsort(front[:, 1], kind="stable")]
    widths = np.append(front[1:, 1], reference.cost) - front[:, 1]
    return float(widths @ (front[:, 0] - reference.value))


def growth(points: Points, reference: Reference) -> list[float]:
    """Hypervolume after each point, in their order, as a share of the last."""
    total = hypervolume(points, reference)
    if total <= 0:
        return [0.0] * len(points)
    found, front = [], points[:0]
    for point in points:
        front = np.vstack([front, point])
        front = front[non_dominated(front)]
        found.append(hypervolume(front, reference) / total)
    return found


def reference_of(points: Points) -> Reference:
    """A corner from which all points count: no value, at a tenth more than the dearest costs."""
    finite = points[np.isfinite(points).all(axis=1)]
    dearest = float(finite[:, 1].max()) if len(finite) else 1.0
    return Reference(0.0, 1.1 * dearest)


def spread(points: Points, count: int, reference: Reference) -> list[int]:
    """Some points of the front that cover most of it.

    The best in the first objective, then one by one that which adds most to the hypervolume; the
    first of equals.

    References
    ----------
    Guerreiro, Fonseca, Paquete, "Greedy hypervolume subset selection in low dimensions",
    Evolutionary Computation 24 (2016), but for the first choice.
    """
    left = np.flatnonzero(non_dominated(points)).tolist()
    if not left or count < 1:
        return []
    chosen = [max(left, key=lambda index: (points[index, 0], -points[index, 1], -index))]
    left.remove(chosen[0])
    while left and len(chosen) < count:
        best = max(left, key=lambda one: (hypervolume(points[[*chosen, one]], reference), -one))
        chosen.append(best)
        left.remove(best)
    return chosen
