"""Online hard example mining: which slots of an image the network is worst at.

arXiv:1604.03540 sec. 4 for regions; arXiv:1708.02002 sec. 5.1 for the slots of a one-stage
detector, with or without a ratio of negatives to positives.
"""

import torch
from torch import Tensor

from model.boxes import cxcywh_to_xyxy
from model.nms import nms
from model.predict import FARTHEST

FIRST_LOOK = 2  # slots looked at first, times the number that is wanted
GROWTH = 4


@torch.no_grad()
def hardest_slots(
    boxes: Tensor,
    losses: Tensor,
    positive: Tensor,
    limit: int,
    *,
    iou_threshold: float,
    ratio: float = 0.0,
) -> Tensor:
    """Whether each slot (B, N) is among the hardest of its image.

    Of slots whose boxes overlap only the one with the largest loss is left, and of these the
    `limit` with the largest losses count. With a ratio all positives left come first, then
    negatives, at most `ratio` for each of those positives. A slot without a loss never counts.

    No slot changes the lot of a harder one, so it is enough to look at the hardest few: if they
    give as many as are wanted, the others could add nothing. Otherwise more are looked at. With
    a ratio all positives are among them from the start, as their number sets that of negatives.

    Parameters
    ----------
    boxes : Tensor, shape (B, N, 4)
        Centre and size, in any unit.
    losses : Tensor, shape (B, N), at least 0
    positive : Tensor, shape (B, N), bool
    limit : int
        Per image, at least 1.
    iou_threshold : float
        Overlap above which the easier of two slots goes; 1: none does.
    ratio : float
        0: any number of negatives, and no precedence.
    """
    corners = cxcywh_to_xyxy(boxes.nan_to_num(0.0).clamp(-FARTHEST, FARTHEST))
    lowest = _lowest_of_positives(losses, positive) if ratio else losses.new_tensor(torch.inf)
    chosen, waiting = torch.zeros_like(positive), torch.ones_like(positive[:, 0])
    look = FIRST_LOOK * limit
    while waiting.any():
        cut = torch.minimum(_cut(losses, look), lowest)
        some = (losses >= cut[:, None]) & (losses > 0) & waiting[:, None]
        image, slot = some.nonzero(as_tuple=True)
        kept = nms(corners[image, slot], losses[image, slot], iou_threshold, groups=image)
        image, slot = image[kept], slot[kept]
        within, enough = _within(image, positive[image, slot], len(losses), limit, ratio)
        chosen[image[within], slot[within]] = True
        waiting &= ~(enough | (cut <= 0))
        look *= GROWTH
    return chosen


def _lowest_of_positives(losses: Tensor, positive: Tensor) -> Tensor:
    """Smallest loss (B,) of the positives that have one; inf where there is none."""
    return losses.where(positive & (losses > 0), torch.inf).amin(dim=1)


def _cut(losses: Tensor, look: int) -> Tensor:
    """Loss (B,) number `look` of each image; 0 where there are fewer."""
    if look >= losses.shape[1]:
        return torch.zeros_like(losses[:, 0])
    return losses.topk(look).values[:, -1]


def _within(
    image: Tensor, positive: Tensor, batch: int, limit: int, ratio: float
) -> tuple[Tensor, Tensor]:
    """Which slots (P,) left, hardest first, are within the quotas; which images (B,) fill them."""
    if ratio:
        group, kinds = 2 * image + (~positive).long(), 2
        counts = torch.bincount(group, minlength=2 * batch).view(batch, 2)
        quotas = counts.clamp(max=limit)
        positives = quotas[:, 0]
        allowed = (positives.double() * ratio).floor().long()
        quotas[:, 1] = torch.minimum(allowed, limit - positives)
    else:
        group, kinds = image, 1
        counts = torch.bincount(group, minlength=batch).view(batch, 1)
        quotas = torch.full_like(counts, limit)
    within = _ranks(group, batch * kinds) < quotas.view(-1)[group]
    return within, counts[:, -1] >= quotas[:, -1]


def _ranks(group: Tensor, groups: int) -> Tensor:
    """Place (P,) of every row among the rows of its group, from 0."""
    order = group.argsort(stable=True)
    counts = torch.bincount(group, minlength=groups)
    starts = counts.cumsum(0) - counts
    ranks = torch.empty_like(group)
    ranks[order] = torch.arange(len(group), device=group.device) - starts[group[order]]
    return ranks
