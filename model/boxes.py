"""Boxes and the overlaps between them."""

import math
from typing import Literal

import torch
from torch import Tensor

Overlap = Literal["iou", "giou", "diou", "ciou"]

EPS = 1e-9
CIOU_EPS = 1e-6  # darknet's, in the weight of the aspect term


def cxcywh_to_xyxy(boxes: Tensor) -> Tensor:
    """Centre and size (..., 4) to corners (..., 4), same unit."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat((centre - half, centre + half), dim=-1)


def wh_iou(a_wh: Tensor, b_wh: Tensor) -> Tensor:
    """IoU of sizes alone, as if both boxes had the same centre.

    Parameters
    ----------
    a_wh : Tensor, shape (N, 2)
    b_wh : Tensor, shape (M, 2)

    Returns
    -------
    Tensor, shape (N, M), in [0, 1]
    """
    overlap = _area(torch.minimum(a_wh[:, None], b_wh[None]))
    return overlap / (_area(a_wh)[:, None] + _area(b_wh)[None] - overlap + EPS)


def _area(wh: Tensor) -> Tensor:
    """Product of the last axis; `prod` would make a GPU wait in its gradient."""
    return wh[..., 0] * wh[..., 1]


def pairwise_iou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """IoU of every box of one set with every box of another; not for gradients.

    Parameters
    ----------
    a_xyxy : Tensor, shape (..., N, 4)
    b_xyxy : Tensor, shape (..., M, 4)

    Returns
    -------
    Tensor, shape (..., N, M), in [0, 1]
    """
    # contiguous rows of each coordinate are several times faster than columns of boxes
    ax0, ay0, ax1, ay1 = (c.contiguous()[..., :, None] for c in a_xyxy.unbind(dim=-1))
    bx0, by0, bx1, by1 = (c.contiguous()[..., None, :] for c in b_xyxy.unbind(dim=-1))
    width = torch.minimum(ax1, bx1).sub_(torch.maximum(ax0, bx0)).clamp_(min=0)
    height = torch.minimum(ay1, by1).sub_(torch.maximum(ay0, by0)).clamp_(min=0)
    overlap = width.mul_(height)
    both = (ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0)
    return overlap / both.sub_(overlap).add_(EPS)


def paired_overlap(pred: Tensor, target: Tensor, kind: Overlap = "ciou") -> Tensor:
    """IoU, or one of its extensions, of matching boxes of two lists.

    Parameters
    ----------
    pred, target : Tensor, shape (N, 4)
        Centre x, y, width, height, in one unit.
    kind : str
        iou; giou (arXiv:1902.09630) = IoU - (C - U) / C; diou (arXiv:1911.08287 eq. 7)
        = IoU - d^2/c^2; ciou (ibid. eq. 10-11) = DIoU - alpha v, where
        v = 4/pi^2 (atan(w*/h*) - atan(w/h))^2 and alpha = v / (1 - IoU + v) is held constant.

    Returns
    -------
    Tensor, shape (N,)
        At most 1; iou is at least 0, giou and diou at least -1, ciou above -2.
    """
    a, b = cxcywh_to_xyxy(pred), cxcywh_to_xyxy(target)
    overlap = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0)
    intersection = _area(overlap)
    union = _area(pred[:, 2:]) + _area(target[:, 2:]) - intersection
    iou = intersection / (union + EPS)
    if kind == "iou":
        return iou
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    if kind == "giou":
        hull_area = _area(hull)
        return iou - (hull_area - union) / (hull_area + EPS)
    distance = (pred[:, :2] - target[:, :2]).square().sum(dim=1)
    diou = iou - distance / (hull.square().sum(dim=1) + EPS)
    if kind == "diou":
        return diou
    angle = torch.atan2(target[:, 2], target[:, 3]) - torch.atan2(pred[:, 2], pred[:, 3])
    v = (4 / math.pi**2) * angle.square()
    with torch.no_grad():
        alpha = v / (1 - iou + v + CIOU_EPS)
    return diou - alpha * v
