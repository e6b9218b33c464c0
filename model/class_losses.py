"""Losses of probabilities: objectness and classes, each on its own (multi-label)."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (the name everybody uses)

from model.assign import SharedSlots
from model.config import LossConfig
from model.errors import ConfigurationError

FOCAL_ALPHA = 0.5
FOCAL_EPS = 1e-15


def class_multipliers(
    config: LossConfig, num_classes: int, class_counts: Tensor | None
) -> Tensor | None:
    """How much more each class (K,) counts than the most frequent one; None: all the same.

    darknet's counters_per_class: the largest count over the class's own, which is taken for at
    least 1; at most max_delta where that is set (darknet src/parser.c, get_classes_multipliers).
    """
    if not config.class_counters:
        return None
    if class_counts is None or len(class_counts) != num_classes:
        given = "none is given" if class_counts is None else f"there are {len(class_counts)}"
        raise ConfigurationError(
            f"class counters need {num_classes} counts of boxes, and {given}",
            "loss.class_counters",
            "give one count for each class, or turn class_counters off",
        )
    counts = class_counts.float().clamp(min=1)
    multipliers = counts.max() / counts
    return multipliers.clamp(max=config.max_delta) if config.max_delta else multipliers


def probability_losses(
    raw: Tensor, wanted: Tensor, weight: Tensor, *, new_coords: bool = False
) -> Tensor:
    """Weighted binary cross entropies with logits, as of darknet's deltas t - p.

    With new_coords `raw` is p already; darknet puts the same delta on that, in front of the
    logistic, so that the loss is (t - p)^2 / 2.
    """
    if new_coords:
        return weight * (wanted - raw).square() / 2
    return F.binary_cross_entropy_with_logits(raw, wanted, weight, reduction="none")


def soft_classes(shared: SharedSlots, refined: Tensor) -> Tensor:
    """Class targets (P, K) of each slot, given at its speaker, from those of the pairs' truths.

    Of truths that share a slot the largest target of each class is taken, so that targets of 0
    and 1 alone give `shared.classes`.
    """
    rows = shared.speaker[:, None].expand_as(refined)
    return torch.zeros_like(refined).scatter_reduce_(0, rows, refined, "amax")


def class_losses(
    raw: Tensor,
    shared: SharedSlots,
    config: LossConfig,
    multipliers: Tensor | None = None,
    *,
    wanted: Tensor | None = None,
    new_coords: bool = False,
) -> Tensor:
    """Weighted losses (P, K) of all positive slots, each at its speaker, and all classes.

    Parameters
    ----------
    raw : Tensor, shape (P, K)
        Class outputs of the pairs' slots.
    wanted : Tensor, shape (P, K), optional
        Targets in [0, 1] in place of 1 for the true classes, see `soft_classes`; they are
        smoothed as those are. Multipliers and focal loss still go by the true classes.
    multipliers : Tensor, shape (K,), optional
        See `class_multipliers`. With them cls_normalizer weighs the true classes only, as in
        darknet; without them all, where darknet's has no effect. Other than in darknet they act
        also beside the focal loss, and label smoothing does, too.
    """
    weight = shared.speaks[:, None].to(raw.dtype)
    if multipliers is None:
        weight = weight * config.cls_normalizer
    else:
        weight = weight * (1 + shared.classes * (multipliers * config.cls_normalizer - 1))
    if config.focal:
        chances = raw.detach() if new_coords else raw.detach().sigmoid()
        weight = weight * focal_factor(chances, shared.classes)[:, None]
    eps = config.label_smoothing
    wanted = (shared.classes if wanted is None else wanted) * (1 - eps) + eps / 2
    return probability_losses(raw, wanted, weight.expand_as(raw), new_coords=new_coords)


def focal_factor(chances: Tensor, wanted: Tensor) -> Tensor:
    """Factor (P,) of all class deltas of a slot: alpha g, alpha 0.5, gamma 2.

    g = -(1 - p) (2 p ln p + p - 1) with p of the true class; that makes (y - p) g the gradient
    of (1 - p)^2 ln p behind a softmax (arXiv:1708.02002 appendix B; darknet's delta_yolo_class).
    Of several true classes the least probable is taken, darknet's choice depends on their order.
    """
    p = torch.where(wanted > 0, chances, 1.0).amin(dim=1) + FOCAL_EPS
    return -FOCAL_ALPHA * (1 - p) * (2 * p * p.log() + p - 1)
