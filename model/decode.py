"""From raw maps to boxes and scores, by darknet's formulas.

Nothing here depends on values, only on shapes, so that a network can be exported with it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from model.geometry import Geometry


def as_slots(raw: Tensor, per_scale: int = 3) -> Tensor:
    """View a raw map (B, A * C, H, W) as slots (B, A, H, W, C)."""
    batch, channels, rows, columns = raw.shape
    slots = raw.view(batch, per_scale, channels // per_scale, rows, columns)
    return slots.permute(0, 1, 3, 4, 2)


def anchors_of(anchors_wh: Tensor, mask: Sequence[int]) -> Tensor:
    """Anchors (A, 2) of one scale, without an index that would have to reach a GPU first."""
    return torch.stack([anchors_wh[place] for place in mask])


def probabilities(raw: Tensor, *, new_coords: bool) -> Tensor:
    """Logistic of raw outputs, unless the maps have passed one already (new_coords)."""
    return raw if new_coords else raw.sigmoid()


def centre_offsets(txy: Tensor, scale_xy: float | Tensor, *, new_coords: bool = False) -> Tensor:
    """Centres within their cells, in cells: s sigmoid(t) - (s - 1) / 2.

    `scale_xy` of 1 is YOLOv3's sigmoid; above it a centre can reach the cell's border ("S").
    """
    return scale_xy * probabilities(txy, new_coords=new_coords) - (scale_xy - 1) / 2


def size_factors(twh: Tensor, *, new_coords: bool = False) -> Tensor:
    """Width and height in anchors: exp(t), or (2 v)^2 of a logistic output v (new_coords)."""
    return (2 * twh).square() if new_coords else twh.exp()


def decode_boxes(
    raw: Tensor,
    cells_xy: Tensor,
    grid_wh: Tensor,
    anchors_wh: Tensor,
    scale_xy: float | Tensor,
    *,
    new_coords: bool = False,
) -> Tensor:
    """Boxes (P, 4), centre and size relative to the image, of chosen slots.

    Parameters
    ----------
    raw : Tensor, shape (P, >= 4)
        Of which the first four are tx, ty, tw, th.
    cells_xy, anchors_wh : Tensor, shape (P, 2)
        Column and row, and the anchor, of each slot.
    grid_wh : Tensor, shape (2,) or (P, 2)
        Columns and rows of its map.
    scale_xy : float, or Tensor of shape (P, 1)
    """
    offsets = centre_offsets(raw[:, :2], scale_xy, new_coords=new_coords)
    sizes = size_factors(raw[:, 2:4], new_coords=new_coords) * anchors_wh
    return torch.cat(((cells_xy + offsets) / grid_wh, sizes), dim=1)


def decode_grid(
    slots: Tensor,
    anchors_wh: Tensor,
    scale_xy: float,
    *,
    new_coords: bool = False,
    gaussian: bool = False,
) -> Tensor:
    """Boxes (B, A * H * W, 4), centre and size relative to the image, of a scale; float32.

    Parameters
    ----------
    slots : Tensor, shape (B, A, H, W, C)
    anchors_wh : Tensor, shape (A, 2), relative to the image
    gaussian : bool
        Whether a variance stands behind each coordinate: mu_x, s_x, mu_y, s_y, ...
    """
    means = (slots[..., 0:8:2] if gaussian else slots[..., :4]).float()
    batch, count, rows, columns, _ = slots.shape
    ys = torch.arange(rows, device=slots.device).view(rows, 1)
    xs = torch.arange(columns, device=slots.device)
    offsets = centre_offsets(means[..., :2], scale_xy, new_coords=new_coords)
    sizes = size_factors(means[..., 2:], new_coords=new_coords)
    sizes = sizes * anchors_wh.view(1, count, 1, 1, 2)
    x, y = (xs + offsets[..., 0]) / columns, (ys + offsets[..., 1]) / rows
    return torch.stack((x, y, sizes[..., 0], sizes[..., 1]), dim=-1).view(batch, -1, 4)


def decode_scores(slots: Tensor, *, new_coords: bool = False, gaussian: bool = False) -> Tensor:
    """Scores (B, A * H * W, K) of a whole scale: objectness times class probability.

    A Gaussian head's are multiplied by 1 - mean of the four sigmas (arXiv:1904.04620 eq. 9).
    """
    start = 8 if gaussian else 4
    chances = probabilities(slots[..., start:], new_coords=new_coords)
    objectness = chances[..., :1]
    if gaussian:
        sigmas = probabilities(slots[..., 1:8:2], new_coords=new_coords)
        objectness = objectness * (1 - sigmas.mean(dim=-1, keepdim=True))
    scores = objectness * chances[..., 1:]
    return scores.reshape(slots.shape[0], -1, scores.shape[-1])


def decode(
    maps: Sequence[Tensor], anchors_wh: Tensor, geometry: Geometry
) -> tuple[Tensor, Tensor]:
    """Boxes and per-class scores of every slot: by scale, anchor, row and column.

    Parameters
    ----------
    maps : sequence of Tensor, shape (B, A * C, H_l, W_l), finest first
    anchors_wh : Tensor, shape (anchors of the network, 2), relative to the image

    Returns
    -------
    boxes : Tensor, shape (B, N, 4)
        Centre x, y, width, height relative to the image.
    scores : Tensor, shape (B, N, K)
    """
    kind = {"new_coords": geometry.new_coords, "gaussian": geometry.gaussian}
    boxes, scores = [], []
    for raw, mask, scale_xy in zip(maps, geometry.masks, geometry.scales_xy, strict=True):
        slots = as_slots(raw, geometry.per_scale).float()
        boxes.append(decode_grid(slots, anchors_of(anchors_wh, mask), scale_xy, **kind))
        scores.append(decode_scores(slots, **kind))
    return torch.cat(boxes, dim=1), torch.cat(scores, dim=1)
