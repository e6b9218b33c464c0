"""Non-maximum suppression in torch: exact, for all classes of all images at once.

No candidate is cut and no clock is asked. Boxes of equal score are ordered by their corners, then
by their class, never by their place in the input: neither the order of the boxes nor what else
is in the batch changes what is kept.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from model.boxes import cxcywh_to_xyxy
from model.nms_greedy import keep_greedily, rank
from model.nms_rules import PAPER_BETA, PAPER_SIGMA, Decay, NmsKind, Rule, check_boxes, make_rule
from model.nms_soft import above_floor, lower_rows, rows_of, soften

SOFT_FLOOR = 0.001  # score up to which Soft-NMS drops a box, as its authors do
FIRST_LOOK = 2  # candidates looked at first, times `max_detections`; see `suppress`
GROWTH = 4


@dataclass(frozen=True)
class Detections:
    """What is left of one image.

    Attributes
    ----------
    boxes_xyxy : Tensor, shape (D, 4), relative to the network input
    scores : Tensor, shape (D,), falling
    labels : Tensor, shape (D,), int64
    """

    boxes_xyxy: Tensor
    scores: Tensor
    labels: Tensor


@dataclass(frozen=True)
class _Candidates:
    """C boxes above the score threshold, of all images of a batch.

    Attributes
    ----------
    boxes : Tensor, shape (C, 4), corners
    scores : Tensor, shape (C,)
    images, labels : Tensor, shape (C,), int64
    groups : Tensor, shape (C,), int64
        One number for each label of each image.
    """

    boxes: Tensor
    scores: Tensor
    images: Tensor
    labels: Tensor
    groups: Tensor

    def __getitem__(self, which: Tensor) -> "_Candidates":
        parts = (self.boxes, self.scores, self.images, self.labels, self.groups)
        return _Candidates(*(part[which] for part in parts))


@torch.no_grad()
def nms(
    boxes_xyxy: Tensor,
    scores: Tensor,
    iou_threshold: float,
    kind: NmsKind = "greedy",
    beta: float | None = None,
    *,
    groups: Tensor | None = None,
    sigma: float = PAPER_SIGMA,
    decay: Decay = "gaussian",
    score_threshold: float | None = None,
) -> Tensor:
    """Which boxes are kept, as `torchvision.ops.nms` and `batched_nms` say it.

    Parameters
    ----------
    boxes_xyxy : Tensor, shape (N, 4)
        Corners x0 <= x1 and y0 <= y1, in any unit, up to 1e15.
    scores : Tensor, shape (N,)
    iou_threshold : float, in [0, 1]
        A box goes when its overlap with a better box that is kept is *above* this.
    kind : str
        The overlap: ``greedy`` IoU; ``diou`` IoU - (d^2/c^2)^beta (arXiv:1911.08287 sec. 4.3),
        with d the distance of the centres and c the diagonal of the hull; ``darknet-greedy``
        the same with darknet's fixed 0.6 (its `greedynms`). ``soft`` removes no box but lowers
        scores, see `soft_nms`.
    beta : float, optional
        Of ``diou`` alone, where None is the paper's 1; darknet's `beta_nms` is 0.6.
    groups : Tensor, shape (N,), integer, optional
        Boxes of different groups leave each other alone. For classes of a batch of images:
        ``image * classes + label``.
    sigma, decay : float, str
        Of ``soft`` alone.
    score_threshold : float, optional
        Only scores above this are kept; None is no bound, and 0.001 for ``soft``.

    Returns
    -------
    Tensor, shape (D,), int64
        Places of the kept boxes by falling score, for ``soft`` by falling lowered score; at
        equal scores by x0, y0, x1, y1, group.

    Raises
    ------
    ConfigurationError
        Shapes, numbers or names that make no sense.
    """
    if kind == "soft" and score_threshold is None:
        score_threshold = SOFT_FLOOR
    rule = make_rule(
        kind, iou_threshold, beta=beta, sigma=sigma, decay=decay, score_threshold=score_threshold
    )
    check_boxes(boxes_xyxy, scores, groups)
    decide = soften if kind == "soft" else keep_greedily
    return decide(*_prepared(boxes_xyxy, scores, groups), rule)[0]


@torch.no_grad()
def soft_nms(
    boxes_xyxy: Tensor,
    scores: Tensor,
    iou_threshold: float = 0.3,
    *,
    groups: Tensor | None = None,
    sigma: float = PAPER_SIGMA,
    decay: Decay = "gaussian",
    score_threshold: float = SOFT_FLOOR,
) -> tuple[Tensor, Tensor]:
    """Soft-NMS (arXiv:1704.04503): places of the boxes and their lowered scores, both falling.

    Again and again the best box that is left is taken, and the scores of the others of its group
    are multiplied by exp(-IoU^2 / sigma) (gaussian, eq. 3), or by 1 - IoU where the IoU is above
    the threshold (linear, eq. 2). One round takes one box of every group.

    Parameters
    ----------
    boxes_xyxy, scores, groups : Tensor
        As in `nms`; scores are at least 0.
    iou_threshold : float, in [0, 1]
        Of the linear decay alone.
    score_threshold : float
        Boxes whose lowered score is not above this are dropped.

    Returns
    -------
    tuple of Tensor, shapes (D,) int64 and (D,)
    """
    rule = make_rule(
        "soft", iou_threshold, sigma=sigma, decay=decay, score_threshold=score_threshold
    )
    check_boxes(boxes_xyxy, scores, groups)
    return soften(*_prepared(boxes_xyxy, scores, groups), rule)


def _prepared(
    boxes: Tensor, scores: Tensor, groups: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes and scores in at least float32, groups numbered 0, 1, ..."""
    boxes, scores = (
        part if part.dtype == torch.float64 else part.float() for part in (boxes, scores)
    )
    if groups is None:
        return boxes, scores, torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
    return boxes, scores, groups.unique(return_inverse=True)[1]


@torch.no_grad()
def suppress(
    boxes_cxcywh: Tensor,
    scores: Tensor,
    *,
    iou_threshold: float,
    score_threshold: float,
    max_detections: int,
    kind: NmsKind = "greedy",
    beta: float = PAPER_BETA,
    sigma: float = PAPER_SIGMA,
) -> list[Detections]:
    """Exact suppression per class, for every image of a batch.

    As no box changes the lot of a better one, an image whose best few candidates give
    `max_detections` needs no look at the others.

    Parameters
    ----------
    boxes_cxcywh : Tensor, shape (B, N, 4)
    scores : Tensor, shape (B, N, K), at least 0
        Every class of a box above the threshold is a candidate (multi-label).
    kind, beta, sigma
        As in `nms`, with Gaussian decay; `beta` and `sigma` matter to their own kind alone.

    Returns
    -------
    list of Detections, length B
    """
    rule = make_rule(
        kind,
        iou_threshold,
        beta=beta if kind == "diou" else None,
        sigma=sigma,
        score_threshold=score_threshold,
    )
    every = _candidates(boxes_cxcywh, scores, score_threshold)
    found: dict[int, Detections] = {}
    waiting = torch.ones(len(scores), dtype=torch.bool, device=scores.device)
    look = FIRST_LOOK * max_detections
    while len(found) < len(scores):
        cut = _cut(every, len(scores), look)
        some = every[waiting[every.images] & (every.scores >= cut[every.images])]
        places, final = _decide(some, max_detections, rule)
        for image, mine in _ended(some.images[places], final, cut, max_detections).items():
            if image not in found:
                kept = places[mine]
                found[image] = Detections(some.boxes[kept], final[mine], some.labels[kept])
                waiting[image] = False
        look *= GROWTH
    return [found[image] for image in range(len(scores))]


def _candidates(boxes_cxcywh: Tensor, scores: Tensor, threshold: float) -> _Candidates:
    """Every class of every box whose score is above the threshold."""
    image, slot, label = (scores > threshold).nonzero(as_tuple=True)
    return _Candidates(
        cxcywh_to_xyxy(boxes_cxcywh[image, slot]),
        scores[image, slot, label],
        image,
        label,
        image * scores.shape[2] + label,
    )


def _cut(every: _Candidates, batch: int, look: int) -> Tensor:
    """Score (B,) of the candidate number `look` of each image; -1 where there are fewer."""
    cut = every.scores.new_full((batch,), -1.0)
    counts = torch.bincount(every.images, minlength=batch).tolist()
    for image, mine in enumerate(every.scores.split(counts)):
        if len(mine) > look:
            cut[image] = mine.topk(look).values[-1]
    return cut


def _decide(some: _Candidates, limit: int, rule: Rule) -> tuple[Tensor, Tensor]:
    """Places (D,) and scores (D,) of what is left of some candidates, best first.

    Soft-NMS takes `limit` rounds, in each the best box of every image.
    """
    if rule.kind != "soft":
        return keep_greedily(some.boxes, some.scores, some.groups, rule)
    lowered = torch.full_like(some.scores, -1.0)
    order = rank(torch.zeros_like(some.scores), some.boxes, some.groups)
    for rows in rows_of(some.images, order):
        lower_rows(some.boxes, some.scores, rows, some.labels[rows], limit, rule, lowered)
    return above_floor(lowered, some.boxes, some.groups, rule)


def _ended(images: Tensor, scores: Tensor, cut: Tensor, limit: int) -> dict[int, Tensor]:
    """For each image whose result is final: which (D,) of what is left belongs to it.

    That is an image with nothing below its cut, or with `limit` scores not below it.
    """
    order = images.argsort(stable=True)
    count = torch.bincount(images, minlength=len(cut))
    last = (count.cumsum(0) - count + limit - 1).clamp_(max=max(len(order) - 1, 0))
    full = count >= limit
    if len(order):
        full &= scores[order][last] >= cut
    done = (full | (cut < 0)).tolist()
    parts = order.split(count.tolist())
    return {image: parts[image][:limit] for image in range(len(cut)) if done[image]}
