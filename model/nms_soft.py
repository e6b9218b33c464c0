"""Soft-NMS (arXiv:1704.04503): no box is removed, but the scores of its neighbours fall."""

from collections.abc import Iterator

import torch
from torch import Tensor

from model.box_pairs import iou_of
from model.errors import ConfigurationError
from model.nms_greedy import rank
from model.nms_rules import Rule

ROUNDS_UNCHECKED = 8  # asking whether anything is left waits for a GPU


def soften(boxes: Tensor, scores: Tensor, groups: Tensor, rule: Rule) -> tuple[Tensor, Tensor]:
    """Places (D,) and lowered scores (D,), best first."""
    wrong = scores[(scores < 0) | scores.isinf()]
    if len(wrong):
        raise ConfigurationError(
            f"Soft-NMS multiplies scores, but one is {float(wrong[0]):g}",
            "scores",
            "pass probabilities, such as the sigmoid of the logits",
        )
    lowered = torch.full_like(scores, -1.0)
    for rows in rows_of(groups, rank(torch.zeros_like(scores), boxes, groups)):
        lower_rows(boxes, scores, rows, torch.zeros_like(rows), rows.shape[1], rule, lowered)
    return above_floor(lowered, boxes, groups, rule)


def above_floor(
    lowered: Tensor, boxes: Tensor, groups: Tensor, rule: Rule
) -> tuple[Tensor, Tensor]:
    """Places (D,) and lowered scores (D,) of what is not dropped, best first."""
    order = rank(lowered, boxes, groups)
    order = order[lowered[order] > rule.score_floor]
    return order, lowered[order]


def rows_of(groups: Tensor, order: Tensor) -> Iterator[Tensor]:
    """Places of each group as a row (R, n), padded with -1; groups of like length together."""
    order = order[groups[order].argsort(stable=True)]
    count = torch.bincount(groups)
    start = count.cumsum(0) - count
    doublings = (count - 1).clamp_(min=0).double().log2().floor()  # 0..1, 2, 3..4, 5..8, ...
    for doubling in doublings.unique():
        some = (doublings == doubling).nonzero()  # R, 1
        column = torch.arange(int(count[some].max()), device=groups.device)
        inside = column < count[some]
        yield torch.where(inside, order[(start[some] + column) * inside], -1)


def lower_rows(
    boxes: Tensor,
    scores: Tensor,
    rows: Tensor,
    labels: Tensor,
    rounds: int,
    rule: Rule,
    lowered: Tensor,
) -> None:
    """Write into `lowered` the final scores of the best boxes of each row of places."""
    alive = torch.where(rows >= 0, scores[rows], -1.0)
    picks, final = _take(boxes[rows], alive, labels, rounds, rule)
    taken = final >= 0
    lowered[rows.gather(1, picks)[taken]] = final[taken]


def _take(
    boxes: Tensor, scores: Tensor, labels: Tensor, rounds: int, rule: Rule
) -> tuple[Tensor, Tensor]:
    """Places and lowered scores (R, D) of the best box of each row, round after round.

    Rows (R, n) stand in the order that decides between equal scores. A score of -1 is no box,
    in the arguments and where a row has ended. `scores` is used up.
    """
    corners = tuple(corner.contiguous() for corner in boxes.unbind(dim=-1))  # each R, n
    places, final = [labels[:, :0]], [scores[:, :0]]
    for done in range(min(rounds, scores.shape[1])):
        score, place = scores.max(dim=1, keepdim=True)
        if done % ROUNDS_UNCHECKED == 0 and bool((score <= rule.score_floor).all()):
            break
        places.append(place)
        final.append(score.masked_fill(score <= rule.score_floor, -1.0))
        factor = _factor(iou_of(tuple(c.gather(1, place) for c in corners), corners), rule)
        scores = torch.where(labels == labels.gather(1, place), scores * factor, scores)
        scores.scatter_(1, place, -1.0)
    return torch.cat(places, dim=1), torch.cat(final, dim=1)


def _factor(iou: Tensor, rule: Rule) -> Tensor:
    """What a score is multiplied by."""
    if rule.decay == "linear":
        return torch.where(iou > rule.iou_threshold, 1 - iou, 1.0)
    return iou.double().square_().div_(-rule.sigma).exp_().to(iou.dtype)  # see `_power`
