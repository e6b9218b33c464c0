"""The YOLOv4 loss: box overlap, objectness and classes, summed and divided by the batch.

Sums go over slots and images and are divided by the images of the whole batch, never by
positives or cells: darknet's normalisation, on which learning rates depend.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (the name everybody uses)

from model.assign import Assignment, assign_targets
from model.boxes import cxcywh_to_xyxy, paired_overlap, pairwise_iou
from model.config import LossConfig
from model.decode import SCALE_XY, as_slots, decode_boxes

CLASS_NEEDED_TO_IGNORE = 0.25


@dataclass(frozen=True)
class Loss:
    """Parts of the loss, each a scalar tensor already weighted; their sum is `total`."""

    box: Tensor
    objectness: Tensor
    classes: Tensor

    @property
    def total(self) -> Tensor:
        """What is back-propagated."""
        return self.box + self.objectness + self.classes


@dataclass(frozen=True)
class PaddedTruths:
    """Truth boxes per image, padded with empty boxes to one length: (B, T, 4) corners."""

    boxes_xyxy: Tensor

    @classmethod
    def build(cls, targets: Tensor, batch: int) -> "PaddedTruths":
        """Gather the rows (image, class, cx, cy, w, h) of `targets` by image."""
        image = targets[:, 0].long()
        counts = torch.bincount(image, minlength=batch)
        longest = max(1, int(counts.max())) if len(targets) else 1
        order = image.argsort(stable=True)
        starts = counts.cumsum(0) - counts
        place = torch.arange(len(targets), device=targets.device) - starts[image[order]]
        boxes = targets.new_zeros(batch, longest, 4)
        boxes[image[order], place] = cxcywh_to_xyxy(targets[order, 2:6])
        return cls(boxes)


class YoloLoss:
    """Loss of the three raw maps against a batch of truths.

    Parameters
    ----------
    config : LossConfig
    anchors_wh : Tensor, shape (9, 2)
        Relative to the image.
    scale_xy : bool
        Whether centres use the scaled sigmoid ("S").

    References
    ----------
    arXiv:2004.10934; arXiv:1804.02767 for the multi-label class loss; darknet's yolo_layer for
    ignoring, iou_thresh and normalisation.
    """

    def __init__(self, config: LossConfig, anchors_wh: Tensor, *, scale_xy: bool = True) -> None:
        self.config = config
        self.anchors_wh = anchors_wh
        self.scales_xy = SCALE_XY if scale_xy else (1.0,) * len(SCALE_XY)

    def __call__(self, maps: Sequence[Tensor], targets: Tensor, batch_size: int) -> Loss:
        """Compare raw maps with truths.

        Parameters
        ----------
        maps : sequence of Tensor, shape (B, 3 (5 + K), H_l, W_l)
        targets : Tensor, shape (M, 6)
            Image index, class, centre x, y, width, height relative to the image.
        batch_size : int
            Images of the whole batch, of which `maps` may be one of several mini-batches.
        """
        per_scale = len(self.anchors_wh) // len(maps)
        slots = [as_slots(raw, per_scale) for raw in maps]
        grids = [(s.shape[2], s.shape[3]) for s in slots]
        found = assign_targets(targets, self.anchors_wh, grids, self.config.iou_threshold)
        truths = PaddedTruths.build(targets, len(maps[0]))
        anchors = self.anchors_wh.split(per_scale)
        parts = [
            self._scale_loss(*each, targets, truths)
            for each in zip(slots, found, anchors, self.scales_xy, strict=True)
        ]
        box, objectness, classes = (torch.stack(part).sum() for part in zip(*parts, strict=True))
        weights = self.config
        return Loss(
            box * (weights.iou_normalizer / batch_size),
            objectness * (weights.obj_normalizer / batch_size),
            classes * (weights.cls_normalizer / batch_size),
        )

    def _scale_loss(
        self,
        slots: Tensor,
        found: Assignment,
        anchors_wh: Tensor,
        scale_xy: float,
        targets: Tensor,
        truths: PaddedTruths,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Unweighted box, objectness and class sums of one scale."""
        shape = slots.shape[:4]
        flat = slots.reshape(-1, slots.shape[-1])
        place = ((found.image * shape[1] + found.anchor) * shape[2] + found.row) * shape[
            3
        ] + found.column
        used, pair_slot = place.unique(return_inverse=True)
        wanted = flat.new_zeros(len(used), flat.shape[1] - 5)
        wanted[pair_slot, targets[found.truth, 1].long()] = 1.0
        chosen = flat[used]
        box = self._box_loss(chosen[pair_slot], found, anchors_wh, scale_xy, targets, shape)
        if self.config.iou_threshold < 1:
            # darknet divides a slot's box delta by its positive class deltas
            box = box / wanted.sum(dim=1)[pair_slot]
        eps = self.config.label_smoothing
        classes = F.binary_cross_entropy_with_logits(
            chosen[:, 5:], wanted * (1 - eps) + eps / 2, reduction="sum"
        )
        objectness = self._objectness_loss(slots, used, anchors_wh, scale_xy, truths)
        return box.sum(), objectness, classes

    def _box_loss(
        self,
        raw: Tensor,
        found: Assignment,
        anchors_wh: Tensor,
        scale_xy: float,
        targets: Tensor,
        shape: torch.Size,
    ) -> Tensor:
        """1 - overlap of every pair (P,), in units of the image."""
        cells = torch.stack((found.column, found.row), dim=1)
        grid_wh = raw.new_tensor((shape[3], shape[2]))
        pred = decode_boxes(raw, cells, grid_wh, anchors_wh[found.anchor], scale_xy)
        return 1 - paired_overlap(pred, targets[found.truth, 2:6], self.config.box)

    def _objectness_loss(
        self,
        slots: Tensor,
        used: Tensor,
        anchors_wh: Tensor,
        scale_xy: float,
        truths: PaddedTruths,
    ) -> Tensor:
        """BCE of objectness: positives 1, others 0 or left out where they overlap a truth."""
        logits = slots[..., 4].reshape(-1)
        weight = torch.ones_like(logits)
        ignored = self._ignored(slots.detach(), anchors_wh, scale_xy, truths)
        weight[ignored] = 0.0
        weight[used] = 1.0
        wanted = torch.zeros_like(logits)
        wanted[used] = 1.0
        return F.binary_cross_entropy_with_logits(logits, wanted, weight, reduction="sum")

    def _ignored(
        self, slots: Tensor, anchors_wh: Tensor, scale_xy: float, truths: PaddedTruths
    ) -> Tensor:
        """Flat places of slots that overlap a truth beyond the ignore threshold.

        As in darknet, a slot counts only if one of its class probabilities exceeds 0.25.
        """
        logit = float(torch.logit(torch.tensor(CLASS_NEEDED_TO_IGNORE)))
        candidate = (slots[..., 5:].amax(dim=-1) > logit).view(-1).nonzero().squeeze(1)
        rows, columns = slots.shape[2:4]
        image, anchor, row, column = torch.unravel_index(candidate, slots.shape[:4])
        raw = slots.reshape(-1, slots.shape[-1])[candidate]
        cells = torch.stack((column, row), dim=1)
        grid_wh = slots.new_tensor((columns, rows))
        pred = decode_boxes(raw, cells, grid_wh, anchors_wh[anchor], scale_xy)
        near = truths.boxes_xyxy[image]
        best = pairwise_iou(cxcywh_to_xyxy(pred)[:, None], near).amax(dim=(1, 2))
        return candidate[best > self.config.ignore_threshold]
