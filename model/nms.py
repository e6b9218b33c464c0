"""Non-maximum suppression in torch, for a batch of images at once."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from model.boxes import EPS, cxcywh_to_xyxy

NmsKind = Literal["greedy", "diou"]


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


@dataclass
class _Candidates:
    """Boxes above the score threshold, padded to one length K over the batch."""

    boxes: Tensor  # B, K, 4
    scores: Tensor  # B, K; -1 where there is none or it is suppressed
    labels: Tensor  # B, K


def _candidates(boxes_cxcywh: Tensor, scores: Tensor, threshold: float) -> _Candidates:
    batch, _, classes = scores.shape
    flat = scores.reshape(batch, -1)
    longest = int((flat > threshold).sum(dim=1).max()) if flat.numel() else 0
    # a stable sort keeps equal scores in slot order: the result cannot depend on the batch
    top, place = flat.sort(dim=1, descending=True, stable=True)
    top, place = top[:, :longest], place[:, :longest]
    boxes = cxcywh_to_xyxy(boxes_cxcywh)
    picked = boxes.gather(1, (place // classes)[..., None].expand(-1, -1, 4))
    alive = torch.where(top > threshold, top, torch.full_like(top, -1.0))
    return _Candidates(picked, alive, place % classes)


def _overlap_with(best: Tensor, boxes: Tensor, kind: NmsKind) -> Tensor:
    """IoU, or IoU - d^2/c^2 (arXiv:1911.08287 eq. 12), of one box (B, 1, 4) with (B, K, 4)."""
    low = torch.maximum(best[..., :2], boxes[..., :2])
    high = torch.minimum(best[..., 2:], boxes[..., 2:])
    overlap = (high - low).clamp_(min=0).prod(dim=-1)
    area = (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1)
    area_best = (best[..., 2:] - best[..., :2]).prod(dim=-1)
    iou = overlap / (area + area_best - overlap + EPS)
    if kind == "greedy":
        return iou
    hull = torch.maximum(best[..., 2:], boxes[..., 2:]) - torch.minimum(
        best[..., :2], boxes[..., :2]
    )
    shift = (best[..., :2] + best[..., 2:] - boxes[..., :2] - boxes[..., 2:]) / 2
    return iou - shift.square().sum(dim=-1) / (hull.square().sum(dim=-1) + EPS)


def suppress(
    boxes_cxcywh: Tensor,
    scores: Tensor,
    *,
    iou_threshold: float,
    score_threshold: float,
    max_detections: int,
    kind: NmsKind = "greedy",
) -> list[Detections]:
    """Exact greedy suppression per class, for every image of a batch.

    Each round takes the best remaining box of every image and removes those of its class that
    overlap it too much, so the work is bounded by `max_detections` rounds, whatever the number
    of candidates, and no time limit or cut is needed.

    Parameters
    ----------
    boxes_cxcywh : Tensor, shape (B, N, 4)
    scores : Tensor, shape (B, N, K)
        Every class of a box above the threshold is a candidate (multi-label).

    Returns
    -------
    list of Detections, length B
    """
    left = _candidates(boxes_cxcywh, scores, score_threshold)
    batch, length = left.scores.shape
    rows = torch.arange(batch, device=scores.device)
    taken_place, taken_score = [], []
    for _ in range(min(max_detections, length)):
        best_score, place = left.scores.max(dim=1)
        if bool((best_score < 0).all()):
            break
        taken_place.append(place)
        taken_score.append(best_score)
        best = left.boxes[rows, place][:, None]
        same = left.labels == left.labels[rows, place][:, None]
        gone = same & (_overlap_with(best, left.boxes, kind) > iou_threshold)
        gone[rows, place] = True
        left.scores.masked_fill_(gone, -1.0)
    if not taken_place:
        empty = scores.new_zeros
        return [
            Detections(empty(0, 4), empty(0), empty(0, dtype=torch.int64)) for _ in range(batch)
        ]
    places, kept = torch.stack(taken_place, dim=1), torch.stack(taken_score, dim=1)
    return [
        Detections(left.boxes[i, places[i, ok]], kept[i, ok], left.labels[i, places[i, ok]])
        for i, ok in enumerate(kept > 0)
    ]
