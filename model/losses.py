"""The YOLOv4 loss: boxes, objectness and classes, summed and divided by the batch.

Sums go over slots and images and are divided by the images of the whole batch, never by
positives or cells: darknet's normalisation, on which learning rates depend.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.assign import Assignment, SharedSlots, assign_targets
from model.box_losses import BoxPairs, box_loss
from model.class_losses import (
    class_losses,
    class_multipliers,
    probability_losses,
    soft_classes,
)
from model.config import LossConfig
from model.decode import anchors_of, as_slots, decode_grid, probabilities
from model.geometry import Geometry
from model.hard_examples import hardest_slots
from model.ignore import PaddedTruths, best_ious

CLASS_NEEDED_TO_IGNORE = 0.25
CLASS_LOGIT_NEEDED_TO_IGNORE = -math.log(1 / CLASS_NEEDED_TO_IGNORE - 1)


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


class YoloLoss:
    """Loss of all raw maps against a batch of truths.

    With `config.class_counters`, darknet's counters_per_class, the multiplier of a class (the
    most frequent class's count over its own, at most max_delta) multiplies the box loss, the
    objectness of positives and the loss of the true class. darknet's cls_normalizer acts only
    then, and only on the true class; here it does so then, and otherwise weighs all of the
    class loss.

    With `config.ohem` only the hardest slots of each image count, see `hard_examples`: slots are
    compared by their losses of objectness and classes, and of a positive that is not chosen the
    box does not count either. What is chosen has to be asked of a GPU.

    Parameters
    ----------
    config : LossConfig
    geometry : Geometry
    anchors_wh : Tensor, shape (anchors of the network, 2)
        Relative to the network's input.
    num_classes : int
    class_counts : Tensor, shape (K,), optional
        Boxes of each class in the training data; needed with `config.class_counters`.
    padded : bool, optional
        Whether to work on tables of fixed size instead of lists, whose length a GPU would have
        to report first. By default everywhere but on the CPU. The result is the same.

    Raises
    ------
    ConfigurationError
        If class counts are needed and are not one for each class.

    References
    ----------
    arXiv:2004.10934; arXiv:1804.02767 for the multi-label class loss; darknet's yolo_layer for
    ignoring, iou_thresh and normalisation.
    """

    def __init__(
        self,
        config: LossConfig,
        geometry: Geometry,
        anchors_wh: Tensor,
        num_classes: int,
        *,
        class_counts: Tensor | None = None,
        padded: bool | None = None,
    ) -> None:
        self.config = config
        self.geometry = geometry
        self.anchors_wh = anchors_wh
        self.num_classes = num_classes
        self.padded = anchors_wh.device.type != "cpu" if padded is None else padded
        self.multipliers = class_multipliers(config, num_classes, class_counts)
        if self.multipliers is not None:
            self.multipliers = self.multipliers.to(anchors_wh.device)
        scales = [[scale] * geometry.per_scale for scale in geometry.scales_xy]
        self._scale_xy = torch.tensor(scales, device=anchors_wh.device).view(-1, 1)

    def __call__(
        self,
        maps: Sequence[Tensor],
        targets: Tensor,
        batch_size: int,
        *,
        longest: int | None = None,
        refined: Tensor | None = None,
    ) -> Loss:
        """Compare raw maps with truths.

        Parameters
        ----------
        maps : sequence of Tensor, shape (B, A (box channels + 1 + K), H_l, W_l)
            Already logistic if the geometry has new_coords.
        targets : Tensor, shape (M, 6)
            Image index, class, centre x, y, width, height relative to the image.
        batch_size : int
            Images of the whole batch, of which `maps` may be one of several mini-batches.
        longest : int, optional
            Most truths of any image, or more; without it a GPU's host has to wait for it.
        refined : Tensor, shape (M, K), optional
            Class targets in [0, 1] of each truth, in place of 1 for its class and 0 else.
        """
        slots = [as_slots(raw, self.geometry.per_scale) for raw in maps]
        grids = [(raw.shape[2], raw.shape[3]) for raw in maps]
        found = assign_targets(
            targets, self.anchors_wh, self.geometry.masks, grids, self.config.iou_threshold,
            padded=self.padded,
        )  # fmt: skip
        labels = targets[found.truth, 1].long()
        shared = SharedSlots.build(found, labels, len(maps[0]), self.num_classes)
        truths = PaddedTruths.build(targets, len(maps[0]), longest)
        raw = _outputs_of_pairs(slots, found, self.geometry.per_scale)
        rarity = None if self.multipliers is None else self.multipliers[labels]
        box = self._box_losses(raw, found, shared, targets, rarity)
        classes = class_losses(
            raw[:, self._objectness + 1 :], shared, self.config, self.multipliers,
            wanted=None if refined is None else soft_classes(shared, refined[found.truth]),
            new_coords=self.geometry.new_coords,
        )  # fmt: skip
        boxes = self._boxes(slots)
        objectness = self._objectness_losses(slots, boxes, shared, truths, rarity)
        if self.config.ohem:
            counts = self._hardest(boxes, shared, objectness, classes)
            objectness = objectness * counts[:-1]
            box, classes = box * counts[shared.slot], classes * counts[shared.slot, None]
        return Loss(
            box.sum() / batch_size, objectness.sum() / batch_size, classes.sum() / batch_size
        )

    @property
    def _objectness(self) -> int:
        """Channel of the objectness; the classes follow."""
        return self.geometry.box_channels

    def _box_losses(
        self,
        raw: Tensor,
        found: Assignment,
        shared: SharedSlots,
        targets: Tensor,
        rarity: Tensor | None,
    ) -> Tensor:
        """Weighted losses (P,) of the pairs; truths that share a slot all pull at its box.

        With iou_thresh darknet divides the deltas of a slot by its number of positive class
        deltas. That is taken here for the number of its classes. The two differ with label
        smoothing, where darknet counts also those other classes that have a small probability.
        """
        weight = torch.full_like(raw[:, 0], self.config.iou_normalizer)
        pairs = BoxPairs(
            raw[:, : self._objectness],
            found.cell_xy,
            found.grid_wh,
            self.anchors_wh[found.anchor],
            self._scale_xy[found.place],
            targets[found.truth, 2:6],
            weight if rarity is None else weight * rarity,
            self.geometry.new_coords,
            self.geometry.gaussian,
        )
        share = found.positive.to(raw.dtype)
        if self.config.iou_threshold < 1:
            share = share / shared.classes_met()
        return box_loss(pairs, self.config) * share

    def _objectness_losses(
        self,
        slots: Sequence[Tensor],
        boxes: Tensor,
        shared: SharedSlots,
        truths: PaddedTruths,
        rarity: Tensor | None,
    ) -> Tensor:
        """Losses (slots,) of all objectness: positives 1, others 0 or left out near a truth.

        With objectness_smooth (darknet's key, on in yolov4-csp) a slot near a truth has their
        IoU for a target instead of being left out. darknet then sets a positive's target to 1
        only if its delta is exactly 0 by then. That is all but never so, and positives are
        treated as other slots are: they learn their IoU, or 0 as long as that is too small.
        """
        raw = torch.cat([s[..., self._objectness].flatten(1) for s in slots], dim=1)
        raw = raw.view(-1).float()
        with torch.no_grad():
            best = self._best_ious(slots, boxes, truths).view(-1)
            near = best > self.config.ignore_threshold
            wanted, weight = shared.marked(), torch.ones_like(raw)
            soft = torch.where(near, best, 0.0)
            if self.config.objectness_smooth:
                wanted &= probabilities(raw, new_coords=self.geometry.new_coords) == soft
            else:
                soft, weight = torch.zeros_like(best), 1 - near.float()
            rare = 1.0 if rarity is None else shared.largest(rarity, 1.0)
            weight = torch.where(wanted, rare, weight) * self.config.obj_normalizer
            target = torch.where(wanted, 1.0, soft)
        return probability_losses(raw, target, weight, new_coords=self.geometry.new_coords)

    @torch.no_grad()
    def _boxes(self, slots: Sequence[Tensor]) -> Tensor:
        """Boxes (B, N, 4) of all slots, centre and size relative to the image."""
        geometry = self.geometry
        kind = {"new_coords": geometry.new_coords, "gaussian": geometry.gaussian}
        scales = zip(slots, geometry.masks, geometry.scales_xy, strict=True)
        boxes = [
            decode_grid(each, anchors_of(self.anchors_wh, mask), scale_xy, **kind)
            for each, mask, scale_xy in scales
        ]
        return torch.cat(boxes, dim=1)

    def _best_ious(self, slots: Sequence[Tensor], boxes: Tensor, truths: PaddedTruths) -> Tensor:
        """Largest IoU (B, N) of every predicted box with a truth.

        As in darknet, it counts only where some class probability exceeds 0.25, and is else 0.
        """
        likeliest = [s[..., self._objectness + 1 :].amax(dim=-1).flatten(1) for s in slots]
        new_coords = self.geometry.new_coords
        least = CLASS_NEEDED_TO_IGNORE if new_coords else CLASS_LOGIT_NEEDED_TO_IGNORE
        return best_ious(
            boxes, torch.cat(likeliest, dim=1) > least, truths, everywhere=self.padded
        )

    @torch.no_grad()
    def _hardest(
        self, boxes: Tensor, shared: SharedSlots, objectness: Tensor, classes: Tensor
    ) -> Tensor:
        """1 for the slots that count and 0 for others, (slots + 1,); the last is no slot."""
        losses = torch.cat((objectness, objectness.new_zeros(1)))
        losses.index_add_(0, shared.slot, classes.sum(dim=1))
        hardest = hardest_slots(
            boxes, losses[:-1].view(boxes.shape[:2]), shared.marked().view(boxes.shape[:2]),
            self.config.ohem, iou_threshold=self.config.ohem_iou, ratio=self.config.ohem_ratio,
        )  # fmt: skip
        return torch.cat((hardest.flatten().to(losses.dtype), losses.new_zeros(1)))


def _outputs_of_pairs(slots: Sequence[Tensor], found: Assignment, per_scale: int) -> Tensor:
    """Raw outputs (P, C) of the pairs' slots, float32."""
    index = torch.stack(
        (found.image, found.place % per_scale, found.cell_xy[:, 1], found.cell_xy[:, 0])
    )
    parts = zip(slots, index.split(found.per_scale, dim=1), strict=True)
    return torch.cat([each[tuple(where)] for each, where in parts]).float()
