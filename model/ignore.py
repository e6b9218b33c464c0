"""How well the predicted boxes overlap the truths of their image, for the ignore rule."""

from dataclasses import dataclass

import torch
from torch import Tensor

from model.boxes import cxcywh_to_xyxy, pairwise_iou

# overlaps held at once: few enough for a processor's cache, many enough to keep a GPU busy
CHUNK = {"cpu": 1 << 16}
LARGE_CHUNK = 1 << 24
LONG_LIST = 0.2  # share of all boxes; measured, gathering costs more beyond


@dataclass(frozen=True)
class PaddedTruths:
    """Truth boxes per image, padded with empty boxes to one length: (B, T, 4) corners."""

    boxes_xyxy: Tensor

    @classmethod
    def build(cls, targets: Tensor, batch: int, longest: int | None = None) -> "PaddedTruths":
        """Gather the rows (image, class, cx, cy, w, h) of `targets` by image.

        Parameters
        ----------
        longest : int, optional
            Most truths of any image, or more. Without it the targets are asked, for which a GPU
            makes its host wait.
        """
        image, order = targets[:, 0].long().sort(stable=True)
        starts = torch.searchsorted(image, torch.arange(batch, device=image.device))
        place = torch.arange(len(image), device=image.device) - starts[image]
        if longest is None:
            longest = int(place.max()) + 1 if len(place) else 0
        boxes = targets.new_zeros(batch, max(1, longest), 4)
        boxes[image, place] = cxcywh_to_xyxy(targets[order, 2:6])
        return cls(boxes)


def best_ious(boxes: Tensor, chosen: Tensor, truths: PaddedTruths, *, everywhere: bool) -> Tensor:
    """Largest IoU with a truth of its image, of each box; 0 for boxes that are not `chosen`.

    Parameters
    ----------
    boxes : Tensor, shape (B, N, 4)
        Centre and size.
    chosen : Tensor, shape (B, N), bool
    everywhere : bool
        Whether to work on all boxes, which needs no list of unknown length. Otherwise that is
        done only where the list would be long.

    Returns
    -------
    Tensor, shape (B, N)
    """
    if not everywhere:
        places = chosen.flatten().nonzero()[:, 0]
        if len(places) < LONG_LIST * chosen.numel():
            return _best_of_some(boxes, places, truths)
    return torch.where(chosen, _best_of_all(boxes, truths), 0.0)


def _best_of_all(boxes: Tensor, truths: PaddedTruths) -> Tensor:
    corners = cxcywh_to_xyxy(boxes).permute(2, 0, 1).contiguous().permute(1, 2, 0)  # once for all
    length = max(1, CHUNK.get(boxes.device.type, LARGE_CHUNK) // boxes.shape[:2].numel())
    parts = [
        pairwise_iou(some, corners).amax(dim=1)  # truths outside: long rows are fast
        for some in truths.boxes_xyxy.split(length, dim=1)
    ]
    return torch.stack(parts).amax(dim=0)


def _best_of_some(boxes: Tensor, places: Tensor, truths: PaddedTruths) -> Tensor:
    best = boxes.new_zeros(boxes.shape[:2])
    corners = cxcywh_to_xyxy(boxes.flatten(0, 1)[places])
    near = truths.boxes_xyxy[places // boxes.shape[1]]
    best.view(-1)[places] = pairwise_iou(corners[:, None], near).amax(dim=(1, 2))
    return best
