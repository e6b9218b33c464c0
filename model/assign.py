"""Which anchor at which cell answers for which truth (darknet's rules).

A slot is one anchor at one cell of one image. The slots of an image are numbered as `decode`
lists its boxes: by scale, anchor, row and column. A *place* is one anchor of one scale: the
position in the masks of all scales laid end to end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from model.boxes import wh_iou

Masks = tuple[tuple[int, ...], ...]
Grids = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class SlotTable:
    """What every place stands for, at one size of the maps.

    Attributes
    ----------
    anchor : Tensor, shape (C,), int64
        Row of the network's anchors.
    grid_wh : Tensor, shape (C, 2), int64
        Columns and rows of the place's map.
    start : Tensor, shape (C,), int64
        Number of its first slot.
    slots : int
        Slots of an image.
    """

    anchor: Tensor
    grid_wh: Tensor
    start: Tensor
    slots: int


@lru_cache(maxsize=64)  # a table is built on the host, and sending it makes a GPU wait
def slot_table(masks: Masks, grids_hw: Grids, device: torch.device) -> SlotTable:
    """Table of a network's places for maps of the given rows and columns."""
    pairs = list(zip(masks, grids_hw, strict=True))
    grids = [(columns, rows) for mask, (rows, columns) in pairs for _ in mask]
    ends = torch.tensor([columns * rows for columns, rows in grids]).cumsum(0)
    starts = [0, *ends.tolist()]
    return SlotTable(
        torch.tensor([anchor for mask in masks for anchor in mask], device=device),
        torch.tensor(grids, device=device),
        torch.tensor(starts[:-1], device=device),
        starts[-1],
    )


@dataclass(frozen=True)
class Assignment:
    """Pairs of a truth and a slot, ordered by scale. Several truths may share a slot.

    Attributes
    ----------
    truth, image : Tensor, shape (P,), int64
        Row of the targets, and the image it lies in.
    place, anchor : Tensor, shape (P,), int64
        See the head of this module, and the row of the network's anchors that it stands for.
    cell_xy, grid_wh : Tensor, shape (P, 2), int64
        Column and row, and their numbers.
    slot : Tensor, shape (P,), int64
        Number of the slot within its image.
    positive : Tensor, shape (P,), bool
        Whether the pair counts; the others fill a table of fixed size.
    per_scale : tuple of int
        Pairs of each scale.
    slots : int
        Slots of an image.
    """

    truth: Tensor
    image: Tensor
    place: Tensor
    anchor: Tensor
    cell_xy: Tensor
    grid_wh: Tensor
    slot: Tensor
    positive: Tensor
    per_scale: tuple[int, ...]
    slots: int


def assign_targets(
    targets: Tensor,
    anchors_wh: Tensor,
    masks: Masks,
    grids_hw: Sequence[tuple[int, int]],
    iou_threshold: float,
    *,
    padded: bool | None = None,
) -> Assignment:
    """Assign truths to slots of all scales, without a loop over boxes.

    The best of all anchors by wh-IoU is positive at the cell that holds the truth's centre, in
    every scale that has this anchor. With an `iou_threshold` below 1 so is, at the same cell of
    its own scale, every other anchor with a larger wh-IoU than that (darknet's iou_thresh; "IT"
    in arXiv:2004.10934 table 4).

    Parameters
    ----------
    targets : Tensor, shape (M, 6)
        Image index, class, centre x, y, width, height; the last four relative to the image.
    anchors_wh : Tensor, shape (anchors of the network, 2)
        Relative to the image.
    masks : tuple of tuple of int, length S
        Which anchors each scale has, equally many in each.
    grids_hw : sequence of (rows, columns), length S
    iou_threshold : float
        1 leaves the best anchor only.
    padded : bool, optional
        Whether to give all M * C pairs, marked, instead of the positive ones alone, whose number
        a GPU would have to report first. By default everywhere but on the CPU.
    """
    table = slot_table(tuple(masks), tuple(grids_hw), targets.device)
    positive = _positive_anchors(wh_iou(targets[:, 4:6], anchors_wh), iou_threshold)
    positive = positive[:, table.anchor].T  # C, M
    if padded is None:
        padded = targets.device.type != "cpu"
    place, truth = _every_pair(positive) if padded else positive.nonzero(as_tuple=True)
    chosen, grid_wh = targets[truth], table.grid_wh[place]
    cell_xy = torch.minimum((chosen[:, 2:4] * grid_wh).long().clamp_(min=0), grid_wh - 1)
    return Assignment(
        truth,
        chosen[:, 0].long(),
        place,
        table.anchor[place],
        cell_xy,
        grid_wh,
        table.start[place] + cell_xy[:, 1] * grid_wh[:, 0] + cell_xy[:, 0],
        positive[place, truth],
        _pairs_per_scale(place, len(targets), masks, padded=padded),
        table.slots,
    )


def _positive_anchors(iou: Tensor, threshold: float) -> Tensor:
    """Whether each anchor answers for each truth (M, anchors)."""
    best = iou.argmax(dim=1, keepdim=True)
    positive = torch.zeros_like(iou, dtype=torch.bool).scatter_(1, best, value=True)
    return positive | (iou > threshold) if threshold < 1 else positive


def _every_pair(table: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of every entry of a table."""
    rows, columns = (torch.arange(n, device=table.device) for n in table.shape)
    rows, columns = torch.meshgrid(rows, columns, indexing="ij")
    return rows.flatten(), columns.flatten()


def _pairs_per_scale(place: Tensor, truths: int, masks: Masks, *, padded: bool) -> tuple[int, ...]:
    if padded:
        return tuple(len(mask) * truths for mask in masks)
    scale = place // len(masks[0])
    return tuple(torch.bincount(scale, minlength=len(masks)).tolist())


@dataclass(frozen=True)
class SharedSlots:
    """Slots of a whole batch, and which pairs meet in one.

    Attributes
    ----------
    slot : Tensor, shape (P,), int64
        Number of the pair's slot in the batch; `slots` for pairs that are not positive.
    speaker : Tensor, shape (P,), int64
        The one pair that stands for all of the slot.
    speaks : Tensor, shape (P,), bool
        Whether that is the pair itself.
    classes : Tensor, shape (P, K), float32
        1 for the classes of all truths in the slot; given for speakers only.
    slots : int
        Slots of the batch.
    """

    slot: Tensor
    speaker: Tensor
    speaks: Tensor
    classes: Tensor
    slots: int

    @classmethod
    def build(cls, found: Assignment, labels: Tensor, batch: int, classes: int) -> "SharedSlots":
        """Find what meets where; `labels` (P,) are the classes of the pairs' truths."""
        slots = batch * found.slots
        slot = torch.where(found.positive, found.image * found.slots + found.slot, slots)
        order = torch.arange(len(slot), device=slot.device)
        last = slot.new_zeros(slots + 1).scatter_reduce_(0, slot, order, "amax")
        speaker = last[slot]
        wanted = torch.zeros(len(slot) * classes, device=slot.device)
        wanted.index_fill_(0, speaker * classes + labels, 1.0)
        speaks = (speaker == order) & found.positive
        return cls(slot, speaker, speaks, wanted.view(-1, classes), slots)

    def classes_met(self) -> Tensor:
        """Number of classes (P,) in the slot of each pair, at least 1."""
        return self.classes.sum(dim=1)[self.speaker]

    def marked(self) -> Tensor:
        """Whether each slot of the batch (slots,) answers for a truth."""
        empty = torch.zeros(self.slots + 1, dtype=torch.bool, device=self.slot.device)
        return empty.index_fill_(0, self.slot, value=True)[:-1]

    def largest(self, values: Tensor, otherwise: float) -> Tensor:
        """Largest of some values (P,) in each slot (slots,), or `otherwise` where none is."""
        every = values.new_full((self.slots + 1,), otherwise)
        every.scatter_reduce_(0, self.slot, values, "amax", include_self=False)
        return every[:-1]
