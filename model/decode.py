"""From raw maps to boxes and scores, by darknet's formulas."""

from collections.abc import Sequence

import torch
from torch import Tensor

SCALE_XY = (1.2, 1.1, 1.05)  # yolov4.cfg scale_x_y for strides 8, 16, 32


def as_slots(raw: Tensor, per_scale: int = 3) -> Tensor:
    """View a raw map (B, A * (5 + K), H, W) as slots (B, A, H, W, 5 + K), float32."""
    batch, channels, rows, columns = raw.shape
    slots = raw.view(batch, per_scale, channels // per_scale, rows, columns)
    return slots.permute(0, 1, 3, 4, 2).float()


def decode_centres(txy: Tensor, cells_xy: Tensor, grid_wh: Tensor, scale_xy: float) -> Tensor:
    """Box centres relative to the image: (c + s sigmoid(t) - (s - 1)/2) / grid.

    Parameters
    ----------
    txy, cells_xy : Tensor, shape (..., 2)
        Raw outputs, and column and row of the cell.
    grid_wh : Tensor, shape (2,)
        Columns and rows.
    scale_xy : float
        1 is YOLOv3's sigmoid; above it a centre can reach the cell's border ("S").
    """
    return (cells_xy + scale_xy * txy.sigmoid() - (scale_xy - 1) / 2) / grid_wh


def decode_boxes(
    raw: Tensor, cells_xy: Tensor, grid_wh: Tensor, anchors_wh: Tensor, scale_xy: float
) -> Tensor:
    """Boxes (P, 4), centre and size relative to the image, of chosen slots.

    Parameters
    ----------
    raw : Tensor, shape (P, >= 4)
        Of which the first four are tx, ty, tw, th.
    cells_xy, anchors_wh : Tensor, shape (P, 2)
        Column and row, and the anchor, of each slot.
    grid_wh : Tensor, shape (2,)
    """
    centres = decode_centres(raw[:, :2], cells_xy, grid_wh, scale_xy)
    return torch.cat((centres, raw[:, 2:4].exp() * anchors_wh), dim=1)


def decode_scale(slots: Tensor, anchors_wh: Tensor, scale_xy: float) -> tuple[Tensor, Tensor]:
    """Boxes and per-class scores of every slot of one scale.

    Parameters
    ----------
    slots : Tensor, shape (B, A, H, W, 5 + K)
    anchors_wh : Tensor, shape (A, 2), relative to the image

    Returns
    -------
    boxes : Tensor, shape (B, A * H * W, 4)
        Centre x, y, width, height relative to the image.
    scores : Tensor, shape (B, A * H * W, K)
        Objectness times class probability.
    """
    batch, count, rows, columns, _ = slots.shape
    ys, xs = torch.meshgrid(
        torch.arange(rows, device=slots.device),
        torch.arange(columns, device=slots.device),
        indexing="ij",
    )
    cells = torch.stack((xs, ys), dim=-1)  # H, W, 2
    grid_wh = slots.new_tensor((columns, rows))
    centres = decode_centres(slots[..., :2], cells, grid_wh, scale_xy)
    sizes = slots[..., 2:4].exp() * anchors_wh.view(1, count, 1, 1, 2)
    boxes = torch.cat((centres, sizes), dim=-1).view(batch, -1, 4)
    probabilities = slots[..., 4:].sigmoid()
    scores = probabilities[..., :1] * probabilities[..., 1:]
    return boxes, scores.reshape(batch, boxes.shape[1], -1)


def decode(
    maps: Sequence[Tensor], anchors_wh: Tensor, scales_xy: Sequence[float] = SCALE_XY
) -> tuple[Tensor, Tensor]:
    """Boxes (B, N, 4) and scores (B, N, K) of all scales; see `decode_scale`."""
    per_scale = len(anchors_wh) // len(maps)
    parts = [
        decode_scale(as_slots(raw, per_scale), anchors, scale)
        for raw, anchors, scale in zip(maps, anchors_wh.split(per_scale), scales_xy, strict=True)
    ]
    return torch.cat([p[0] for p in parts], dim=1), torch.cat([p[1] for p in parts], dim=1)
