"""Which anchor at which cell answers for which truth (darknet's rules)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.boxes import wh_iou


@dataclass(frozen=True)
class Assignment:
    """Positives of one scale; every row is one pair of a truth and a slot.

    A slot is one anchor at one cell of one image. Several truths may share a slot.

    Attributes
    ----------
    image, anchor, row, column : Tensor, shape (P,), int64
        The slot; `anchor` counts within the scale.
    truth : Tensor, shape (P,), int64
        Row of the targets.
    """

    image: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor
    truth: Tensor


def assign_targets(
    targets: Tensor,
    anchors_wh: Tensor,
    grids_hw: Sequence[tuple[int, int]],
    iou_threshold: float,
) -> list[Assignment]:
    """Assign truths to slots of all scales, without a loop over boxes.

    The best of all anchors by wh-IoU is positive at the cell that holds the truth's centre.
    With an `iou_threshold` below 1 so is, at the same cell of its own scale, every other anchor
    with a larger wh-IoU than that (darknet's iou_thresh; "IT" in arXiv:2004.10934 table 4).

    Parameters
    ----------
    targets : Tensor, shape (M, 6)
        Image index, class, centre x, y, width, height; the last four relative to the image.
    anchors_wh : Tensor, shape (S * A, 2)
        Relative to the image, scale-major.
    grids_hw : sequence of (rows, columns), length S
    iou_threshold : float
        1 leaves the best anchor only.

    Returns
    -------
    list of Assignment, length S
    """
    per_scale = len(anchors_wh) // len(grids_hw)
    iou = wh_iou(targets[:, 4:6], anchors_wh)  # M, S*A
    positive = torch.zeros_like(iou, dtype=torch.bool)
    positive[torch.arange(len(targets), device=iou.device), iou.argmax(dim=1)] = True
    if iou_threshold < 1:
        positive |= iou > iou_threshold
    found = []
    for scale, (rows, columns) in enumerate(grids_hw):
        mine = positive[:, scale * per_scale : (scale + 1) * per_scale]
        truth, anchor = mine.nonzero(as_tuple=True)
        chosen = targets[truth]
        column = (chosen[:, 2] * columns).long().clamp_(0, columns - 1)
        row = (chosen[:, 3] * rows).long().clamp_(0, rows - 1)
        found.append(Assignment(chosen[:, 0].long(), anchor, row, column, truth))
    return found
