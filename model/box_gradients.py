"""Gradients of box losses that are not those of the losses' values: darknet's *deltas*.

A delta is what darknet adds to a raw output as a step uphill, so a minus-gradient. Where its
deltas differ from the true gradient, training differs by orders of magnitude: iou_normalizer
0.07 of yolov4.cfg belongs to these deltas.
"""

import math
from typing import Any

import torch
from torch import Tensor

from model.boxes import CIOU_EPS, EPS, Overlap, cxcywh_to_xyxy


class _WithDeltas(torch.autograd.Function):
    """A loss that is back-propagated as deltas found beforehand."""

    @staticmethod
    def forward(ctx: Any, raw: Tensor, loss: Tensor, deltas: Tensor) -> Tensor:  # noqa: ARG004
        ctx.save_for_backward(deltas)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (deltas,) = ctx.saved_tensors
        return -gradients[0][:, None] * deltas, None, None


def with_deltas(raw: Tensor, loss: Tensor, deltas: Tensor, max_delta: float = 0.0) -> Tensor:
    """`loss` (P,), whose gradient on `raw` (P, C) is minus `deltas` (P, C).

    Parameters
    ----------
    max_delta : float
        Bound on every single delta (darknet's key); 0: none.
    """
    if max_delta:
        deltas = deltas.clamp(-max_delta, max_delta)
    return _WithDeltas.apply(raw, loss.detach(), deltas.detach())


def overlap_deltas(pred: Tensor, truth: Tensor, kind: Overlap) -> Tensor:
    """Darknet's derivative of an overlap by the predicted box.

    By x and y it is the true one in units of the image, and stays so when put on tx and ty: no
    sigmoid', no scale_x_y, no 1/W. By w and h it is **twice** the true one for IoU and GIoU; the
    terms of DIoU and CIoU are not doubled, and the aspect's lacks its denominator w^2 + h^2.

    Unlike darknet, an intersection is never negative, so that boxes apart have a zero derivative
    of the IoU, and the enclosing diagonal's derivative by x and y has its true sign.

    Parameters
    ----------
    pred, truth : Tensor, shape (P, 4)
        Centre x, y, width, height, relative to the image.
    kind : str
        iou, giou, diou or ciou.

    Returns
    -------
    Tensor, shape (P, 4)

    References
    ----------
    darknet src/box.c (dx_box_iou); arXiv:1902.09630; arXiv:1911.08287.
    """
    edges = _Edges(pred, truth)
    iou_deltas = _quotient(edges.shared, edges.d_shared, edges.union, edges.d_union)
    if kind == "iou":
        return iou_deltas
    if kind == "giou":  # IoU + U / C - 1
        return iou_deltas + _quotient(edges.union, edges.d_union, edges.hull, edges.d_hull)
    away = pred[:, :2] - truth[:, :2]
    squared = away.square().sum(dim=1, keepdim=True)
    d_squared = torch.cat((2 * away, torch.zeros_like(away)), dim=1)
    deltas = iou_deltas - _quotient(squared, d_squared, edges.diagonal, edges.d_diagonal)
    if kind == "diou":
        return deltas
    return deltas + _aspect_deltas(pred, truth, edges.shared / edges.union)


class _Edges:
    """Areas of two boxes and their derivatives by x, y, w, h; those by w and h are doubled.

    Areas have shape (P, 1), derivatives (P, 4).
    """

    def __init__(self, pred: Tensor, truth: Tensor) -> None:
        a, b = cxcywh_to_xyxy(pred), cxcywh_to_xyxy(truth)
        low, high, low_b, high_b = a[:, :2], a[:, 2:], b[:, :2], b[:, 2:]  # x, y
        span = torch.minimum(high, high_b) - torch.maximum(low, low_b)
        meet = (span > 0).all(dim=1, keepdim=True)
        self.shared = _area(span) * meet
        self.d_shared = _by_edges(low > low_b, high < high_b) * _other(span) * meet
        self.union = _area(pred[:, 2:]) + _area(truth[:, 2:]) - self.shared + EPS
        sides = pred[:, 2:]
        d_area = torch.cat((torch.zeros_like(sides), 2 * sides.flip(1)), dim=1)
        self.d_union = d_area - self.d_shared
        enclosing = torch.maximum(high, high_b) - torch.minimum(low, low_b)
        outer = _by_edges(low < low_b, high > high_b)
        self.hull = _area(enclosing) + EPS
        self.d_hull = outer * _other(enclosing)
        self.diagonal = enclosing.square().sum(dim=1, keepdim=True) + EPS  # squared
        # not doubled by w and h: an edge moves by half of what the side grows
        self.d_diagonal = outer * torch.cat((2 * enclosing, enclosing), dim=1)


def _area(sides: Tensor) -> Tensor:
    return sides[:, :1] * sides[:, 1:]


def _other(sides: Tensor) -> Tensor:
    """What an area grows by when its edges move by one, for each of x, y, w, h."""
    return sides.flip(1).repeat(1, 2)


def _by_edges(low_counts: Tensor, high_counts: Tensor) -> Tensor:
    """How far an extent's edges move with x, y, w/2, h/2 when only some are the box's own."""
    low, high = low_counts.int(), high_counts.int()
    return torch.cat((high - low, high + low), dim=1)


def _quotient(over: Tensor, d_over: Tensor, under: Tensor, d_under: Tensor) -> Tensor:
    return (d_over * under - over * d_under) / under.square()


def _aspect_deltas(pred: Tensor, truth: Tensor, iou: Tensor) -> Tensor:
    """Minus alpha dv of CIoU (arXiv:1911.08287 eq. 12) by darknet: its denominator is left out."""
    turn = torch.atan2(truth[:, 2:3], truth[:, 3:4]) - torch.atan2(pred[:, 2:3], pred[:, 3:4])
    v = (4 / math.pi**2) * turn.square()
    step = v / (1 - iou + v + CIOU_EPS) * (8 / math.pi**2) * turn
    nothing = torch.zeros_like(pred[:, :2])
    return torch.cat((nothing, step * pred[:, 3:4], -step * pred[:, 2:3]), dim=1)
