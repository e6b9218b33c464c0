"""Pairs of boxes that overlap, found without looking at every pair.

Boxes are put into small blocks of neighbours of like size. Most pairs of blocks are told apart
by their bounds alone; only the others are looked at box by box, many at once.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

SIDE = 16  # boxes of a block
BITS = 7  # of each of the four measures that order the boxes
TINY = 1e-30  # least union; far below any box, far above what float32 underflows to
SLACK = 1e-4  # of the threshold while blocks are compared; rounding stays far below
CELLS = {"cpu": 1 << 18, "cuda": 1 << 24}  # numbers held at once: a CPU's cache, a GPU's width


@dataclass(frozen=True)
class Blocks:
    """Boxes in M blocks of `SIDE` neighbours; blocks lie in the last axis.

    Attributes
    ----------
    corners : Tensor, shape (4, SIDE, M)
        x0, y0, x1, y1; the last block is filled up with empty boxes.
    places : Tensor, shape (SIDE, M), int64
        Which of the caller's boxes each one is.
    groups : Tensor, shape (SIDE, M), int64
        Rising in a block and from block to block.
    bounds : Tensor, shape (6, 2, M)
        Least and most of start, end and length in each block, along both axes.
    """

    corners: Tensor
    places: Tensor
    groups: Tensor
    bounds: Tensor

    def __len__(self) -> int:
        return self.places.shape[1]


def make_blocks(boxes_xyxy: Tensor, groups: Tensor, places: Tensor) -> Blocks:
    """Blocks of the boxes `places` (P,) of a list (N, 4) that falls into groups (N,)."""
    boxes, groups = boxes_xyxy[places], groups[places]
    order = _near_order(boxes, groups)
    fill = -len(order) % SIDE
    order = torch.cat((order, order[-1:].expand(fill)))
    corners = boxes[order].T.contiguous()  # 4, P
    if fill:
        corners[2:, -fill:] = corners[:2, -fill:]
    corners, places, groups = (
        part.unflatten(-1, (len(order) // SIDE, SIDE)).transpose(-1, -2).contiguous()
        for part in (corners, places[order], groups[order])
    )
    start, end = corners[:2], corners[2:]
    sides = (start, end, end - start)  # each 2, SIDE, M
    bounds = torch.stack([bound for side in sides for bound in (side.amin(1), side.amax(1))])
    return Blocks(corners, places, groups, bounds)


def _near_order(boxes: Tensor, groups: Tensor) -> Tensor:
    """Order (N,) by group, then along a Z-curve through the ranks of centre and size."""
    x0, y0, x1, y1 = boxes.unbind(dim=1)
    spread = _spread_bits(boxes.device)
    code = groups << (4 * BITS)
    for bit, measure in enumerate((x0 + x1, y0 + y1, x1 - x0, y1 - y0)):
        rank = torch.empty_like(groups)
        rank[measure.argsort()] = torch.arange(len(groups), device=groups.device)
        code |= spread[(rank << BITS) // max(len(groups), 1)] << bit
    return code.argsort()


def _spread_bits(device: torch.device) -> Tensor:
    """Each number below 2^BITS with its bits four places apart."""
    numbers = torch.arange(1 << BITS, device=device)
    return sum(((numbers >> bit & 1) << (4 * bit) for bit in range(BITS)), numbers * 0)


def iou_of(a: tuple[Tensor, ...], b: tuple[Tensor, ...]) -> Tensor:
    """IoU of boxes given by x0, y0, x1, y1 that broadcast; empty boxes overlap nothing."""
    wide = torch.minimum(a[2], b[2]).sub_(torch.maximum(a[0], b[0])).clamp_(min=0)
    high = torch.minimum(a[3], b[3]).sub_(torch.maximum(a[1], b[1])).clamp_(min=0)
    common = wide.mul_(high)
    area_a = (a[2] - a[0]) * (a[3] - a[1])
    area_b = (b[2] - b[0]) * (b[3] - b[1])
    # (area_a + area_b) first: the sum is the same whichever box comes first
    union = (area_a + area_b).sub_(common).clamp_(min=TINY)
    return common.div_(union)


def find_pairs(
    a: Blocks, b: Blocks | None, iou_threshold: float
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Pairs of one group whose IoU is above the threshold, in parts.

    Parameters
    ----------
    a, b : Blocks
        One box of a pair from each; without `b` both from `a`, every pair once.

    Yields
    ------
    tuple of Tensor, shape (P,)
        Places of both boxes and their IoU; without `b` the lower place first.
    """
    other = a if b is None else b
    cells = CELLS.get(a.corners.device.type, CELLS["cuda"])
    for rows, columns in _tiles(a, other, within=b is None, cells=cells):
        row, column = _may_overlap(a, other, rows, columns, iou_threshold)
        row, column = row + rows.start, column + columns.start
        if b is None:
            once = row <= column
            row, column = row[once], column[once]
        step = cells // SIDE**2
        for start in range(0, len(row), step):
            part = slice(start, start + step)
            yield _look(a, other, row[part], column[part], iou_threshold, within=b is None)


def _tiles(a: Blocks, b: Blocks, *, within: bool, cells: int) -> Iterator[tuple[slice, slice]]:
    """Rectangles of the table of blocks of `a` and `b` that hold all pairs with common groups."""
    if not len(a) or not len(b):
        return
    first = torch.searchsorted(b.groups[-1].contiguous(), a.groups[0].contiguous()).tolist()
    ends = torch.searchsorted(b.groups[0].contiguous(), a.groups[-1].contiguous(), right=True)
    last, row = ends.tolist(), 0
    while row < len(a):
        begin = max(first[row], row) if within else first[row]
        rows = min(cells // max(last[row] - begin, 1), math.isqrt(cells))
        stop = min(row + max(rows, 1), len(a))
        yield slice(row, stop), slice(begin, last[stop - 1])
        row = stop


def _may_overlap(
    a: Blocks, b: Blocks, rows: slice, columns: slice, iou_threshold: float
) -> tuple[Tensor, Tensor]:
    """Pairs of blocks (rows, columns) that may hold an IoU above the threshold.

    An IoU is at most the IoU of the sides along either axis, and that is at most the longest
    common part two sides of the blocks can have over their shortest hull.
    """
    starts, starts_to, ends, ends_to, lengths, lengths_to = a.bounds[:, :, rows, None]
    begins, begins_to, stops, stops_to, sizes, sizes_to = b.bounds[:, :, None, columns]
    common = torch.minimum(ends_to, stops_to).sub_(torch.maximum(starts, begins))  # 2, R, C
    common = torch.minimum(common, torch.minimum(lengths_to, sizes_to))
    hull = torch.maximum(ends, stops).sub_(torch.minimum(starts_to, begins_to))
    hull = torch.maximum(hull, torch.maximum(lengths, sizes))
    near = (common > hull.mul_(iou_threshold * (1 - SLACK))).all(dim=0)
    near &= a.groups[0, rows, None] <= b.groups[-1, None, columns]
    near &= b.groups[0, None, columns] <= a.groups[-1, rows, None]
    row, column = near.nonzero(as_tuple=True)
    return row, column


def _look(
    a: Blocks, b: Blocks, row: Tensor, column: Tensor, iou_threshold: float, *, within: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs above the threshold in pairs of blocks (`row`, `column`), each (P,)."""
    iou = iou_of(
        tuple(corner[:, None, row] for corner in a.corners),  # SIDE, 1, P
        tuple(corner[None, :, column] for corner in b.corners),  # 1, SIDE, P
    )
    in_a, in_b, pair = (iou > iou_threshold).nonzero(as_tuple=True)
    row, column = row[pair], column[pair]
    one, two = a.places[in_a, row], b.places[in_b, column]
    right = a.groups[in_a, row] == b.groups[in_b, column]
    if within:
        right &= (row != column) | (one < two)
    iou = iou[in_a, in_b, pair][right]
    one, two = one[right], two[right]
    if within:
        one, two = torch.minimum(one, two), torch.maximum(one, two)
    return one, two, iou
