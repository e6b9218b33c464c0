"""Losses of predicted boxes against their truths, pair by pair."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (the name everybody uses)

from model.box_gradients import overlap_deltas, with_deltas
from model.boxes import Overlap, paired_overlap
from model.config import LossConfig
from model.decode import centre_offsets, decode_boxes, probabilities, size_factors

LOWEST_IOU = 1e-6  # of which -ln is taken
LARGEST_LOG_SIZE = 16.0  # e^16 anchors; beyond, areas overflow
SIGMA_OFFSET = 0.3  # darknet's, in the height of the normal distribution only
SIGMA_FLOOR = 1e-4
LIKELIHOOD_EPS = 1e-9


@dataclass(frozen=True)
class BoxPairs:
    """Raw outputs of slots beside the truths they answer for.

    Attributes
    ----------
    raw : Tensor, shape (P, 4), or (P, 8) of a Gaussian head
    cell_xy, grid_wh : Tensor, shape (P, 2)
        Column and row, and their numbers.
    anchors_wh : Tensor, shape (P, 2), relative to the image
    scale_xy : Tensor, shape (P, 1)
    truth : Tensor, shape (P, 4)
        Centre x, y, width, height relative to the image.
    weight : Tensor, shape (P,)
        Of the loss and of its deltas before they are bounded.
    """

    raw: Tensor
    cell_xy: Tensor
    grid_wh: Tensor
    anchors_wh: Tensor
    scale_xy: Tensor
    truth: Tensor
    weight: Tensor
    new_coords: bool = False
    gaussian: bool = False

    @cached_property
    def means(self) -> Tensor:
        """Outputs tx, ty, tw, th (P, 4), the last two kept from overflowing."""
        means = self.raw[:, 0::2] if self.gaussian else self.raw
        if self.new_coords:
            return means
        twh = means[:, 2:].detach()
        excess = twh - twh.clamp(-LARGEST_LOG_SIZE, LARGEST_LOG_SIZE)
        return torch.cat((means[:, :2], means[:, 2:] - excess), dim=1)

    @cached_property
    def sigmas(self) -> Tensor:
        """Standard deviations (P, 4) of a Gaussian head's coordinates."""
        sigmas = probabilities(self.raw[:, 1::2], new_coords=self.new_coords)
        return sigmas.clamp(min=SIGMA_FLOOR)

    @cached_property
    def errors(self) -> Tensor:
        """Targets less coordinates (P, 4): x, y in cells, ln of w, h in anchors.

        With new_coords w and h are compared as square roots, halved, as the outputs are.
        """
        ratio = self.truth[:, 2:] / self.anchors_wh
        sizes = ratio.sqrt() / 2 if self.new_coords else ratio.log()
        sizes = sizes.clamp(-LARGEST_LOG_SIZE, LARGEST_LOG_SIZE)  # a truth may have no width
        wanted = torch.cat((self.truth[:, :2] * self.grid_wh - self.cell_xy, sizes), dim=1)
        means = self.means
        offsets = centre_offsets(means[:, :2], self.scale_xy, new_coords=self.new_coords)
        return wanted - torch.cat((offsets, means[:, 2:]), dim=1)

    @property
    def emphasis(self) -> Tensor:
        """Factor 2 - w h (P, 1) by which small boxes count more, but for overlaps."""
        return 2 - self.truth[:, 2:3] * self.truth[:, 3:4]

    def boxes(self) -> Tensor:
        """Predicted boxes (P, 4), relative to the image."""
        return decode_boxes(
            self.means, self.cell_xy, self.grid_wh, self.anchors_wh, self.scale_xy,
            new_coords=self.new_coords,
        )  # fmt: skip


def box_loss(pairs: BoxPairs, config: LossConfig) -> Tensor:
    """Weighted loss (P,) of every pair.

    Of a Gaussian head one part moves the means and one the sigmas, the latter always by the
    likelihood; so do the means unless a loss of the IoU family is configured (darknet's
    [Gaussian_yolo]).

    With gradient `darknet` the likelihood's derivatives by mean and sigma are put on the raw
    outputs as they are, without the logistic's; they grow as error^2 / sigma^3 and want the
    small learning rates of its cfg, or max_delta. `autograd` is the true gradient.
    """
    max_delta = config.max_delta if config.gradient == "darknet" else 0.0
    if config.box not in ("mse", "smooth-l1"):
        loss = overlap_loss(pairs, config.box, config.gradient, max_delta)
    elif pairs.gaussian:
        loss = _means_likelihood(pairs, config.gradient, max_delta)
    else:
        loss = point_loss(pairs, config.box)
    if pairs.gaussian:
        loss = loss + _sigmas_likelihood(pairs, config.uc_normalizer, config.gradient, max_delta)
    return loss


def point_loss(pairs: BoxPairs, kind: str) -> Tensor:
    """Squared errors, halved, or smooth-L1 of the four coordinates, times 2 - w h.

    The gradient is darknet's: by the scaled sigmoid of x and y, but put on tx and ty as they
    are, as if that were a binary cross entropy. max_delta does not bound it there.
    """
    errors = pairs.errors.detach()
    weight = pairs.weight[:, None] * pairs.emphasis
    if kind == "mse":
        loss, deltas = errors.square() / 2, errors
    else:
        loss, deltas = (
            F.huber_loss(errors, torch.zeros_like(errors), reduction="none"),
            (errors.clamp(-1, 1)),
        )
    return with_deltas(pairs.means, (weight * loss).sum(dim=1), weight * deltas)


def overlap_loss(pairs: BoxPairs, kind: str, gradient: str, max_delta: float = 0.0) -> Tensor:
    """One minus an overlap, or -ln(IoU) (UnitBox, arXiv:1608.01471).

    Parameters
    ----------
    kind : str
        iou, iou-log, giou, diou or ciou.
    gradient : str
        `autograd`, the loss's own; or `darknet`, see `box_gradients.overlap_deltas`. The latter
        is the larger by W / (s sigmoid'(tx)) in x and 2 / (anchor width) in w; the last of both
        widths relative to the image.
    """
    metric: Overlap = "iou" if kind == "iou-log" else kind  # type: ignore[assignment]
    pred = pairs.boxes()
    overlap = paired_overlap(pred, pairs.truth, metric)
    floored = overlap.clamp(min=LOWEST_IOU)
    loss = pairs.weight * (-floored.log() if kind == "iou-log" else 1 - overlap)
    if gradient == "autograd":
        return loss
    deltas = overlap_deltas(pred.detach(), pairs.truth, metric) * pairs.weight[:, None]
    if kind == "iou-log":
        deltas = deltas / floored.detach()[:, None]
    if not pairs.new_coords:
        growth = size_factors(pairs.means[:, 2:].detach())
        deltas = torch.cat((deltas[:, :2], deltas[:, 2:] * growth), dim=1)
    return with_deltas(pairs.means, loss, deltas, max_delta)


@dataclass(frozen=True)
class _Likelihood:
    """-ln(p + 1e-9) per coordinate (P, 4), and minus its derivatives by mean and sigma."""

    loss: Tensor
    by_means: Tensor
    by_sigmas: Tensor

    @classmethod
    def of(cls, errors: Tensor, sigmas: Tensor) -> "_Likelihood":
        z = errors / sigmas
        widened = sigmas + SIGMA_OFFSET
        p = (z.square() / -2).exp() / (math.sqrt(2 * math.pi) * widened)
        share = p / (p + LIKELIHOOD_EPS)
        by_sigmas = share * (z.square() / sigmas - 1 / widened)
        return cls(-(p + LIKELIHOOD_EPS).log(), share * z / sigmas, by_sigmas)


def _means_likelihood(pairs: BoxPairs, gradient: str, max_delta: float) -> Tensor:
    """Negative log-likelihood of the truth, moving the means (arXiv:1904.04620 eq. 6)."""
    weight = pairs.weight[:, None] * pairs.emphasis / 2
    errors = pairs.errors if gradient == "autograd" else pairs.errors.detach()
    found = _Likelihood.of(errors, pairs.sigmas.detach())
    loss = (weight * found.loss).sum(dim=1)
    if gradient == "autograd":
        return loss
    return with_deltas(pairs.means, loss, weight * found.by_means, max_delta)


def _sigmas_likelihood(
    pairs: BoxPairs, normalizer: float, gradient: str, max_delta: float
) -> Tensor:
    """The same, moving the sigmas; weighed by uc_normalizer alone."""
    weight = normalizer * pairs.emphasis / 2
    sigmas = pairs.sigmas if gradient == "autograd" else pairs.sigmas.detach()
    found = _Likelihood.of(pairs.errors.detach(), sigmas)
    loss = (weight * found.loss).sum(dim=1)
    if gradient == "autograd":
        return loss
    return with_deltas(pairs.raw[:, 1::2], loss, weight * found.by_sigmas, max_delta)
