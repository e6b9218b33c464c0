"""Non-maximum suppression in torch, for a batch of images at once."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from model.boxes import EPS, cxcywh_to_xyxy

NmsKind = Literal["greedy", "diou"]

FIRST_LOOK = 4  # candidates looked at first, times `max_detections`; see `suppress`
GROWTH = 4
ROUNDS_UNCHECKED = 8  # asking whether anything is left waits for a GPU


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
    """Boxes above the score threshold by falling score, padded to one length K over the batch."""

    boxes: Tensor  # B, K, 4
    scores: Tensor  # B, K; -1 where there is none or it is suppressed
    labels: Tensor  # B, K

    def first(self, images: Tensor, length: int) -> "_Candidates":
        """Copy of the best `length` candidates of some images."""
        parts = (self.boxes, self.scores, self.labels)
        return _Candidates(*(part[:, :length][images] for part in parts))

    def more_than(self, images: Tensor, length: int) -> Tensor:
        """Whether each of some images has more than `length` candidates."""
        return (self.scores[:, length : length + 1][images] >= 0).any(dim=1)


def _candidates(boxes_cxcywh: Tensor, scores: Tensor, threshold: float) -> _Candidates:
    batch, _, classes = scores.shape
    flat = scores.flatten(1)
    image, place = (flat > threshold).nonzero(as_tuple=True)
    counts = torch.bincount(image, minlength=batch)
    column = torch.arange(len(image), device=flat.device) - (counts.cumsum(0) - counts)[image]
    longest = int(counts.max()) if len(image) else 0
    alive = flat.new_full((batch, longest), -1.0)
    alive[image, column] = flat[image, place]
    slots = place.new_zeros(batch, longest)
    slots[image, column] = place
    # a stable sort keeps equal scores in slot order: the result cannot depend on the batch
    alive, order = alive.sort(dim=1, descending=True, stable=True)
    slots = slots.gather(1, order)
    index = (slots // classes)[..., None].expand(-1, -1, 4)
    return _Candidates(cxcywh_to_xyxy(boxes_cxcywh.gather(1, index)), alive, slots % classes)


class _Overlaps:
    """Overlap of one box of every image with all its candidates; areas are worked out once."""

    def __init__(self, boxes: Tensor, kind: NmsKind) -> None:
        self.kind = kind
        self.corners = tuple(c.contiguous() for c in boxes.unbind(dim=-1))  # each B, K
        x0, y0, x1, y1 = self.corners
        self.area = (x1 - x0) * (y1 - y0)

    def of(self, place: Tensor) -> Tensor:
        """IoU, or IoU - d^2/c^2 (arXiv:1911.08287 eq. 12), of box `place` (B, 1) with all."""
        x0, y0, x1, y1 = self.corners
        a0, b0, a1, b1 = (c.gather(1, place) for c in self.corners)
        wide = (torch.minimum(a1, x1) - torch.maximum(a0, x0)).clamp_(min=0)
        high = (torch.minimum(b1, y1) - torch.maximum(b0, y0)).clamp_(min=0)
        overlap = wide.mul_(high)
        union = (self.area + self.area.gather(1, place)).sub_(overlap).add_(EPS)
        iou = overlap.div_(union)
        if self.kind == "greedy":
            return iou
        hull_w = torch.maximum(a1, x1) - torch.minimum(a0, x0)
        hull_h = torch.maximum(b1, y1) - torch.minimum(b0, y0)
        shift_x, shift_y = (a0 + a1 - x0 - x1) / 2, (b0 + b1 - y0 - y1) / 2
        distance = shift_x.square() + shift_y.square()
        return iou - distance / (hull_w.square() + hull_h.square() + EPS)


def _take(
    left: _Candidates, iou_threshold: float, rounds: int, kind: NmsKind
) -> tuple[Tensor, Tensor]:
    """Places and scores (B, D) of what suppression keeps; a score of -1 where nothing is left.

    `left.scores` is used up.
    """
    overlaps = _Overlaps(left.boxes, kind)
    places, scores = [left.labels[:, :0]], [left.scores[:, :0]]
    for done in range(min(rounds, left.scores.shape[1])):
        score, place = left.scores.max(dim=1, keepdim=True)
        if done % ROUNDS_UNCHECKED == 0 and bool((score < 0).all()):
            break
        places.append(place)
        scores.append(score)
        gone = overlaps.of(place) > iou_threshold
        gone &= left.labels == left.labels.gather(1, place)
        left.scores.masked_fill_(gone, -1.0).scatter_(1, place, -1.0)
    return torch.cat(places, dim=1), torch.cat(scores, dim=1)


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
    of candidates, and no time limit or cut is needed. As no box removes a better one, an image
    whose best few candidates give `max_detections` needs no look at the others.

    Parameters
    ----------
    boxes_cxcywh : Tensor, shape (B, N, 4)
    scores : Tensor, shape (B, N, K)
        Every class of a box above the threshold is a candidate (multi-label).

    Returns
    -------
    list of Detections, length B
    """
    every = _candidates(boxes_cxcywh, scores, score_threshold)
    found: dict[int, Detections] = {}
    waiting = torch.arange(len(scores), device=scores.device)
    length = FIRST_LOOK * max_detections
    while len(waiting):
        left = every.first(waiting, length)
        places, kept = _take(left, iou_threshold, max_detections, kind)
        full = (kept > 0).sum(dim=1) >= max_detections
        ended = full | ~every.more_than(waiting, length)
        for row in ended.nonzero()[:, 0].tolist():
            ok = kept[row] > 0
            place, image = places[row, ok], int(waiting[row])
            found[image] = Detections(
                left.boxes[row, place], kept[row, ok], left.labels[row, place]
            )
        waiting = waiting[~ended]
        length *= GROWTH
    return [found[image] for image in range(len(scores))]
