"""The box regression experiment of the DIoU paper (arXiv:1911.08287 sec. 3.1 and algorithm 1).

Anchors of 7 scales and 7 aspect ratios at points around a target are moved onto it by gradient
descent, for 7 shapes of the target: 1,715,000 cases with 5,000 points. What counts is how fast
and how far the L1 distance of (x, y, w, h) falls. NumPy is all this needs.

Where the paper is silent, its authors' published experiment decides: points are uniform over the
disc, a scale multiplies the area, the step is 0.1, then 0.01 after 80 % and 0.001 after 90 % of
the iterations, and the gradient is darknet's. That is not the loss's own: the derivatives of IoU
and GIoU by w and h are doubled, and CIoU's aspect term lacks its denominator w^2 + h^2 (ibid.
eq. 12 and the line below it). With the true gradients GIoU overtakes DIoU.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from model.errors import ConfigurationError, nearest

Loss = Literal["iou", "giou", "diou", "ciou"]
Gradient = Literal["darknet", "autograd"]
Floats = NDArray[np.floating]

LOSSES: tuple[Loss, ...] = get_args(Loss)
RADIUS = 3.0  # of the disc of points, around the target
SCALES = (0.5, 0.67, 0.75, 1.0, 1.33, 1.5, 2.0)  # areas of the anchors; targets have area 1
ASPECTS = (1 / 4, 1 / 3, 1 / 2, 1.0, 2.0, 3.0, 4.0)  # width / height of anchors and targets
CASES_A_POINT = len(SCALES) * len(ASPECTS) ** 2
STEPS = ((0.0, 0.1), (0.8, 0.01), (0.9, 0.001))  # from this share of the iterations on
POINTS_AT_ONCE = 24  # 8,232 cases, whose numbers stay in a core's cache
CIOU_EPS = 1e-6


@dataclass(frozen=True)
class Cases:
    """Boxes around targets, each target's centre being the origin.

    Attributes
    ----------
    centre, size : array, shape (2, N)
        x and y, width and height.
    target : array, shape (2, N)
        Width and height of the targets.
    """

    centre: Floats
    size: Floats
    target: Floats


def make_points(count: int, seed: int) -> NDArray[np.float64]:
    """Points (2, count), uniform over the disc around the origin."""
    rng = np.random.default_rng(seed)
    radius, angle = RADIUS * np.sqrt(rng.random(count)), 2 * math.pi * rng.random(count)
    return np.stack((radius * np.cos(angle), radius * np.sin(angle)))


def make_cases(points: Floats, dtype: type[np.floating] = np.float32) -> Cases:
    """Every anchor at every point (2, P) with every target: P x 343 cases."""
    side = np.sqrt(ASPECTS)
    shapes = np.stack((side, 1 / side))  # 2, 7
    anchors = np.sqrt(SCALES)[:, None] * shapes[:, None]  # 2, 7, 7
    full = (2, points.shape[1], len(SCALES), len(ASPECTS), len(ASPECTS))
    parts = (points[:, :, None, None, None], anchors[:, None, :, :, None],
             shapes[:, None, None, None, :])  # fmt: skip
    return Cases(*(np.broadcast_to(part, full).reshape(2, -1).astype(dtype) for part in parts))


def simulate(
    losses: Sequence[Loss] = LOSSES,
    *,
    points: int = 5000,
    iterations: int = 200,
    seed: int = 0,
    gradient: Gradient = "darknet",
    threads: int = 2,
) -> dict[Loss, NDArray[np.float64]]:
    """Sum over all cases of the L1 error, at the start and after each iteration.

    Parameters
    ----------
    losses : sequence of str
        iou, giou, diou, ciou.
    points : int
        There are 343 cases for each.
    gradient : str
        ``darknet`` as the authors of the paper did it, ``autograd`` the losses' own.
    threads : int
        Of work; the result does not depend on their number.

    Returns
    -------
    dict of array, shape (iterations + 1,)
        For each loss, in the order asked for.

    Raises
    ------
    ConfigurationError
        No loss, an unknown loss or gradient, or a number below 1.
    """
    losses = tuple(dict.fromkeys(losses))
    _check(losses, gradient, {"points": points, "iterations": iterations, "threads": threads})
    every = make_points(points, seed)
    jobs = list(itertools.product(losses, range(0, points, POINTS_AT_ONCE)))

    def work(job: tuple[Loss, int]) -> NDArray[np.float64]:
        loss, start = job
        cases = make_cases(every[:, start : start + POINTS_AT_ONCE])
        return np.array(list(descend(cases, loss, iterations, gradient)))

    total = {loss: np.zeros(iterations + 1) for loss in losses}
    with ThreadPoolExecutor(threads) as pool:
        for (loss, _), errors in zip(jobs, pool.map(work, jobs), strict=True):
            total[loss] += errors
    return total


def _check(losses: Sequence[str], gradient: str, counts: dict[str, int]) -> None:
    if not losses:
        raise ConfigurationError("no loss to simulate", "losses", f"name some of {LOSSES}")
    for what, names, known in (
        ("loss", losses, LOSSES),
        ("gradient", (gradient,), get_args(Gradient)),
    ):
        for name in names:
            if name not in known:
                fault = f"the simulation knows no {what} '{name}'"
                raise ConfigurationError(fault, what, nearest(name, known))
    for name, count in counts.items():
        if count < 1:
            raise ConfigurationError(f"{name} is {count}", name, "pass a number from 1")


def descend(
    cases: Cases, loss: Loss, iterations: int, gradient: Gradient = "darknet"
) -> Iterator[float]:
    """Sum of errors at the start and after each iteration; `cases` is left as it is."""
    centre, size, target = cases.centre.copy(), cases.size.copy(), cases.target
    yield _error(centre, size, target)
    for done in range(iterations):
        step = [step for share, step in STEPS if done >= share * iterations][-1]
        iou, by_centre, by_size = uphill(Cases(centre, size, target), loss, gradient)
        pace = step * (2 - iou)
        centre += pace * by_centre
        size += pace * by_size
        yield _error(centre, size, target)


def _error(centre: Floats, size: Floats, target: Floats) -> float:
    return float(np.abs(centre).sum() + np.abs(size - target).sum())


def uphill(
    cases: Cases, loss: Loss, gradient: Gradient = "darknet"
) -> tuple[Floats, Floats, Floats]:
    """IoU (N,) and the gradient (2, N), (2, N) of the overlap by centre and size.

    The overlap is 1 minus the loss, so this is the way down the loss. Where two edges coincide
    either side is as good; the inner is taken.
    """
    pair = _Pair(cases)
    by_size = pair.iou_by_size
    by_centre = pair.iou_by_centre
    if loss == "giou":
        more_by_centre, more_by_size = _filling(pair)
        by_centre, by_size = by_centre + more_by_centre, by_size + more_by_size
    if gradient == "darknet":
        by_size = 2 * by_size
    if loss in ("diou", "ciou"):
        more_by_centre, more_by_size = _nearness(pair)
        by_centre, by_size = by_centre + more_by_centre, by_size + more_by_size
    if loss == "ciou":
        by_size = by_size + _likeness(pair, gradient)
    return pair.iou, by_centre, by_size


class _Pair:
    """What the gradients share. All have shape (2, N) but `union` and `iou` with (N,)."""

    def __init__(self, cases: Cases) -> None:
        self.centre, self.size, self.target = cases.centre, cases.size, cases.target
        half, reach = self.size / 2, self.target / 2
        low, high = self.centre - half, self.centre + half
        # an edge of the box bounds what both have in common, otherwise it bounds the hull
        low_inside, high_inside = low > -reach, high < reach
        self.shift = high_inside.astype(low.dtype) - low_inside  # d common / d centre
        self.growth = (high_inside.astype(low.dtype) + low_inside) / 2  # d common / d size
        common = np.minimum(high, reach) - np.maximum(low, -reach)
        self.hull = self.size + self.target - common
        shared = np.maximum(common, 0)
        area = shared[0] * shared[1]
        self.union = self.size[0] * self.size[1] + self.target[0] * self.target[1] - area
        self.iou = area / self.union
        across = shared[::-1] * (common > 0)
        self.area_by_centre, self.area_by_size = self.shift * across, self.growth * across
        rise = (1 + self.iou) / self.union
        self.iou_by_centre = self.area_by_centre * rise
        self.iou_by_size = self.area_by_size * rise - self.size[::-1] * (self.iou / self.union)


def _filling(pair: _Pair) -> tuple[Floats, Floats]:
    """Gradient of union / hull area, GIoU's own term (arXiv:1902.09630)."""
    area = pair.hull[0] * pair.hull[1]
    filled = pair.hull[::-1] * (pair.union / area)
    by_centre = pair.shift * filled - pair.area_by_centre
    by_size = pair.size[::-1] - pair.area_by_size - (1 - pair.growth) * filled
    return by_centre / area, by_size / area


def _nearness(pair: _Pair) -> tuple[Floats, Floats]:
    """Gradient of -d^2 / c^2, DIoU's own term (arXiv:1911.08287 eq. 6)."""
    diagonal = pair.hull[0] ** 2 + pair.hull[1] ** 2  # squared
    distance = pair.centre[0] ** 2 + pair.centre[1] ** 2  # squared
    hull = pair.hull * (distance / diagonal)
    by_centre = pair.centre + pair.shift * hull
    by_size = (1 - pair.growth) * hull
    return by_centre * (-2 / diagonal), by_size * (2 / diagonal)


def _likeness(pair: _Pair, gradient: Gradient) -> Floats:
    """Gradient of -alpha v by size with alpha constant, CIoU's own term (ibid. eq. 9, 11, 12)."""
    wide, high = pair.size
    turn = np.arctan2(pair.target[0], pair.target[1]) - np.arctan2(wide, high)
    v = (4 / math.pi**2) * turn**2
    alpha = v / (1 - pair.iou + v + CIOU_EPS)
    push = alpha * (8 / math.pi**2) * turn
    if gradient == "autograd":
        push = push / (wide**2 + high**2)
    return np.stack((push * high, -push * wide))
