"""Anchors: darknet's, or k-means on the boxes of a data set (paper's OA)."""

import numpy as np
from numpy.typing import NDArray

Sizes = NDArray[np.float64]

# yolov4.cfg, in pixels of the network input, three each for strides 8, 16, 32.
YOLOV4_ANCHORS_WH_PX: tuple[tuple[float, float], ...] = (
    (12, 16), (19, 36), (40, 28),
    (36, 75), (76, 55), (72, 146),
    (142, 110), (192, 243), (459, 401),
)  # fmt: skip

# yolov3.cfg, for the rows of the paper without "OA".
YOLOV3_ANCHORS_WH_PX: tuple[tuple[float, float], ...] = (
    (10, 13), (16, 30), (33, 23),
    (30, 61), (62, 45), (59, 119),
    (116, 90), (156, 198), (373, 326),
)  # fmt: skip

# yolov4-tiny.cfg: strides 16 and 32 have the masks 1,2,3 and 3,4,5.
YOLOV4_TINY_ANCHORS_WH_PX: tuple[tuple[float, float], ...] = (
    (10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319),
)  # fmt: skip

RESTARTS = 10
MAX_ROUNDS = 1000


def _iou(sizes: Sizes, centres: Sizes) -> Sizes:
    overlap = np.minimum(sizes[:, None], centres[None]).prod(axis=2)
    return overlap / (sizes.prod(1)[:, None] + centres.prod(1)[None] - overlap)


def mean_best_iou(sizes: Sizes, anchors: Sizes) -> float:
    """Mean over boxes (N, 2) of the wh-IoU with the best of the anchors (K, 2)."""
    return float(_iou(sizes, anchors).max(axis=1).mean())


def best_possible_recall(sizes: Sizes, anchors: Sizes, iou: float) -> float:
    """Share of boxes (N, 2) whose wh-IoU with the best of the anchors (K, 2) is above `iou`."""
    return float((_iou(sizes, anchors).max(axis=1) > iou).mean())


def _lloyd(sizes: Sizes, centres: Sizes) -> Sizes:
    owner = np.full(len(sizes), -1)
    for _ in range(MAX_ROUNDS):
        nearest = _iou(sizes, centres).argmax(axis=1)
        if (nearest == owner).all():
            break
        owner = nearest
        for k in range(len(centres)):
            if (mine := owner == k).any():
                centres[k] = sizes[mine].mean(axis=0)
    return centres


def _spread_start(distinct: Sizes, count: int, rng: np.random.Generator) -> Sizes:
    """Start of k-means++ (Arthur and Vassilvitskii, SODA 2007) with the distance 1 - IoU."""
    chosen = [int(rng.integers(len(distinct)))]
    distance = np.full(len(distinct), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, 1 - _iou(distinct, distinct[chosen[-1:]])[:, 0])
        distance[chosen] = 0
        chosen.append(int(rng.choice(len(distinct), p=distance**2 / (distance**2).sum())))
    return distinct[chosen]


def _random_start(distinct: Sizes, count: int, rng: np.random.Generator) -> Sizes:
    return distinct[rng.choice(len(distinct), count, False)]


def kmeans_anchors(
    sizes_wh_px: Sizes, count: int = 9, seed: int = 0, *, spread: bool = False
) -> Sizes:
    """Anchors by k-means with the distance 1 - IoU (arXiv:1612.08242 sec. 2; darknet).

    Parameters
    ----------
    sizes_wh_px : array, shape (N, 2)
        Box sizes in pixels of the network input, all positive.
    count : int
        Number of anchors.
    seed : int
        Seed of the ten random starts, of which the best by mean IoU is taken.
    spread : bool
        Start with boxes far from each other (k-means++) instead of any.

    Returns
    -------
    array, shape (count, 2), float64
        Sorted by area. With fewer distinct sizes than `count`, the largest are repeated
        at growing size, so that anchors stay distinct.
    """
    sizes = np.asarray(sizes_wh_px, dtype=np.float64)
    distinct = np.unique(sizes, axis=0)
    if len(distinct) < count:
        grown = [distinct[-1] * 1.25**k for k in range(1, count - len(distinct) + 1)]
        found = np.concatenate([distinct, grown])
    else:
        rng = np.random.default_rng(seed)
        draw = _spread_start if spread else _random_start
        starts = [draw(distinct, count, rng) for _ in range(RESTARTS)]
        runs = [_lloyd(sizes, start.copy()) for start in starts]
        found = max(runs, key=lambda centres: mean_best_iou(sizes, centres))
    return found[np.argsort(found.prod(axis=1), kind="stable")]
