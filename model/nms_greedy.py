"""The greedy kinds of suppression: which boxes no better box that is kept removes."""

import math

import torch
from torch import Tensor

from model.box_pairs import Blocks, find_pairs, make_blocks
from model.nms_rules import Rule

FIRST_WAVE = 4096  # boxes decided together; doubles from wave to wave
MOST_PAIRS = 1 << 23  # held at once, 16 bytes each; those of a first wave are fewer
ROUNDS = 32  # before the rest of a wave is decided box by box


def rank(scores: Tensor, boxes: Tensor, groups: Tensor) -> Tensor:
    """Order (N,) by falling score, then by x0, y0, x1, y1, group; alike boxes stay in order."""
    scores, order = scores.sort(descending=True, stable=True)
    step = scores[1:] != scores[:-1]
    equal = (~step).nonzero()[:, 0]
    tied = torch.cat((equal, equal + 1)).unique()
    run = torch.zeros_like(order)
    run[order[1:]] = step.cumsum(0)  # which stretch of equal scores each box is in
    mine = order[tied]
    for key in (groups, *boxes.unbind(dim=1)[::-1], run):  # the last key counts most
        mine = mine[key[mine].argsort(stable=True)]
    order[tied] = mine
    return order


def keep_greedily(
    boxes: Tensor, scores: Tensor, groups: Tensor, rule: Rule
) -> tuple[Tensor, Tensor]:
    """Places (D,) and scores (D,) of what is kept, best first."""
    order = rank(scores, boxes, groups)
    if rule.score_floor > -math.inf:  # else a score of -inf is one as well
        order = order[scores[order] > rule.score_floor]
    order = order[_kept_of_ranked(boxes[order], groups[order], rule)]
    return order, scores[order]


def _kept_of_ranked(boxes: Tensor, groups: Tensor, rule: Rule) -> Tensor:
    """Whether each of some boxes (N, 4), best first, is kept.

    The boxes are decided in waves. What earlier waves have kept removes boxes from a wave
    before those that are left are compared with each other.
    """
    kept = torch.zeros_like(groups, dtype=torch.bool)
    start, length, growth = 0, FIRST_WAVE, 2
    while start < len(boxes):
        stop = min(start + length, len(boxes))
        wave = torch.arange(start, stop, device=boxes.device)
        if start:
            wave = _not_removed(boxes, groups, kept.nonzero()[:, 0], wave, rule)
        pairs = _pairs_within(boxes, make_blocks(boxes, groups, wave), rule)
        if pairs is None:  # a crowd; a first wave has fewer pairs than are allowed
            length, growth = max((stop - start) // 4, FIRST_WAVE), 1
            continue
        kept[wave] = True
        kept[start:stop] &= ~_removed(*pairs, start, stop)
        start, length = stop, length * growth
    return kept


def _not_removed(boxes: Tensor, groups: Tensor, kept: Tensor, wave: Tensor, rule: Rule) -> Tensor:
    """Members of `wave` that no kept box removes."""
    gone = torch.zeros_like(groups, dtype=torch.bool)
    ours, theirs = make_blocks(boxes, groups, kept), make_blocks(boxes, groups, wave)
    for better, worse, iou in find_pairs(ours, theirs, rule.iou_threshold):
        gone[worse[_removes(boxes, better, worse, iou, rule)]] = True
    return wave[~gone[wave]]


def _pairs_within(boxes: Tensor, blocks: Blocks, rule: Rule) -> tuple[Tensor, Tensor] | None:
    """Pairs (better, worse) of which the first would remove the second; None if too many."""
    found, total = [(blocks.places[0, :0],) * 2], 0
    for better, worse, iou in find_pairs(blocks, None, rule.iou_threshold):
        right = _removes(boxes, better, worse, iou, rule)
        found.append((better[right], worse[right]))
        total += len(found[-1][0])
        if total > MOST_PAIRS:
            return None
    better, worse = (torch.cat(part) for part in zip(*found, strict=True))
    return better, worse


def _removes(boxes: Tensor, better: Tensor, worse: Tensor, iou: Tensor, rule: Rule) -> Tensor:
    """Whether the overlap of each pair, whose IoU is above the threshold, is above it as well."""
    if rule.kind == "greedy":
        return torch.ones_like(iou, dtype=torch.bool)
    a, b = boxes[better], boxes[worse]
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    apart = ((a[:, :2] + a[:, 2:]) - (b[:, :2] + b[:, 2:])) / 2
    apart, hull = apart.square(), hull.square()
    ratio = (apart[:, 0] + apart[:, 1]) / (hull[:, 0] + hull[:, 1])
    return iou - _power(ratio, rule.beta) > rule.iou_threshold


def _power(ratio: Tensor, beta: float) -> Tensor:
    """The ratio to the power of beta, the same wherever a number stands in the tensor.

    Vector and scalar code may differ in the last bit of a power; rounding from float64 hides it.
    """
    return ratio if beta == 1 else ratio.double().pow(beta).to(ratio.dtype)


def _removed(better: Tensor, worse: Tensor, start: int, stop: int) -> Tensor:
    """Which boxes from `start` to `stop` are removed by a box that is kept, given all pairs.

    A box that no undecided box could remove is kept, in every round all such boxes at once.
    """
    better, worse = better - start, worse - start
    gone = torch.zeros(stop - start, dtype=torch.bool, device=better.device)
    for _ in range(ROUNDS):
        if not len(better):
            return gone
        threatened = torch.zeros_like(gone)
        threatened[worse] = True
        gone[worse[~threatened[better]]] = True
        open_ = ~(gone[better] | gone[worse])
        better, worse = better[open_], worse[open_]
    return gone | _removed_one_by_one(better, worse, gone)


def _removed_one_by_one(better: Tensor, worse: Tensor, like: Tensor) -> Tensor:
    """The same for long chains, where a round would decide next to nothing."""
    better, order = better.cpu().sort()
    sources, counts = better.unique_consecutive(return_counts=True)
    targets = worse.cpu()[order].numpy()
    gone = torch.zeros_like(like, device="cpu").numpy()
    end = 0
    for source, count in zip(sources.tolist(), counts.tolist(), strict=True):
        start, end = end, end + count
        if not gone[source]:
            gone[targets[start:end]] = True
    return torch.from_numpy(gone).to(like.device)
