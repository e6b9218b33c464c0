"""Cross-Iteration Batch Normalization (Yao et al., arXiv:2002.05712)."""

from typing import Any

import torch
from torch import Tensor

from model.blocks.statistics import StatisticsNorm, moments

WINDOW = 4  # iterations; the authors' detectors keep three past ones
BURN_IN = 2 / 3  # of the training; the authors' detectors start CBN after 8 of 12 epochs


class CrossIterationBatchNorm(StatisticsNorm):
    """BN over the last updates too, whose statistics are carried over to today's weights.

    To first order in the change of this layer's own convolution weight theta (the paper drops
    the layers before it), the mean of a past iteration is now mu + dmu/dtheta (theta_now -
    theta_then), and so is its mean square nu. The statistics are averages over the window, of
    mu and of max(nu, mu^2). Gradients flow through the mini-batch at hand, exactly.

    A past iteration is one update: what its mini-batches gave is averaged, `begin_batch` closes
    it. BN alone acts during the burn-in, when weights move too fast for the expansion; the
    window then fills from one update on. Each mini-batch costs two extra weight gradients of
    the convolution, and the window twice its weights per past iteration.

    The past is in `state_dict` as soon as there is one. It is no buffer, because it has nothing
    to do in a moving average of the network.

    Parameters
    ----------
    channels : int
    window : int
        Iterations, with the one at hand. 1 is BN.
    burn_in : float
        Fraction of the training with BN alone.

    Attributes
    ----------
    past : Tensor, shape (n, 2, C, 1 + P)
        For n past iterations, mean and mean square as linear functions of a filter's P
        weights: a constant, then the derivatives.
    """

    needs_weight = True

    def __init__(self, channels: int, window: int = WINDOW, burn_in: float = BURN_IN) -> None:
        super().__init__(channels)
        self.window = window
        self.burn_in = burn_in
        self.past = torch.zeros(0)
        self.begin_batch(0.0)

    def begin_batch(self, progress: float) -> None:
        """Close the last update and drop what left the window."""
        self.active = self.window > 1 and progress >= self.burn_in
        self.mini_batches = 0  # of this update, all in the last entry of `past`
        self.past = self.past[-(self.window - 1) :] if self.active else torch.zeros(0)

    def forward(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """Map (B, C, H, W) to the same shape and type.

        Parameters
        ----------
        x : Tensor
            Output of the convolution, without a bias.
        weight : Tensor, shape (C, C_in / groups, k, k)
            Of the convolution. Without it, or without a gradient to it, nothing is gathered.
        """
        if not (self.training and self.active) or weight is None:
            return super().forward(x)
        earlier = self.past[:-1] if self.mini_batches else self.past
        if weight.requires_grad and x.requires_grad:
            self._gather(x, weight)
        if not len(earlier):
            return super().forward(x)
        return self._over_window(x, evaluate(earlier.to(x.device), weight))

    def _over_window(self, x: Tensor, past: Tensor) -> Tensor:
        """Normalise by the averages over `past`, shape (n, 2, C), and the mini-batch."""
        mean, square, values = moments(x.detach())
        means, squares = torch.cat((past, torch.stack((mean, square))[None])).unbind(1)
        mean, square = means.mean(0), torch.maximum(squares, means.square()).mean(0)
        var = (square - mean.square()).clamp(min=0)
        values *= len(means)
        self._roll(mean, var * (values / (values - 1)))
        return self._normalise(x, mean, var, 1 / len(means))

    def _gather(self, x: Tensor, weight: Tensor) -> None:
        """Take one mini-batch into the last entry of `past`."""
        entry = expand(x, weight)[None]
        self.mini_batches += 1
        if self.mini_batches > 1:
            entry = self.past[-1:].lerp(entry, 1 / self.mini_batches)
        known = self.past if self.mini_batches == 1 else self.past[:-1]
        self.past = torch.cat((known.to(entry), entry)) if len(known) else entry

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if len(self.past):
            destination[f"{prefix}past"] = self.past

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        past = state_dict.pop(f"{prefix}past", torch.zeros(0))
        self.past = past.to(self.running_mean.device, copy=True)
        super()._load_from_state_dict(state_dict, prefix, *args)


def expand(x: Tensor, weight: Tensor) -> Tensor:
    """Mean and mean square of a convolution's output, to first order in its weight.

    A channel's statistics depend on its own filter only, so the derivatives of all channels
    come from one backward pass each, which stops at the weight.

    Parameters
    ----------
    x : Tensor, shape (B, C, H, W), with its graph
    weight : Tensor, shape (C, C_in / groups, k, k)

    Returns
    -------
    Tensor, shape (2, C, 1 + P): constant, then derivatives by the P weights.
    """
    still = x.detach()
    mean, square, values = moments(still)
    slopes = []
    for by_output in (torch.full_like(still, 1 / values), still * (2 / values)):
        (slope,) = torch.autograd.grad(x, weight, by_output, retain_graph=True)
        slopes.append(slope.flatten(1))
    slope = torch.stack(slopes).to(mean.dtype)
    here = torch.stack((mean, square))
    constant = here - (slope * weight.detach().flatten(1)).sum(2)
    return torch.cat((constant[..., None], slope), dim=2)


def evaluate(past: Tensor, weight: Tensor) -> Tensor:
    """Past statistics under other weights.

    Parameters
    ----------
    past : Tensor, shape (n, 2, C, 1 + P)
    weight : Tensor, shape (C, C_in / groups, k, k)

    Returns
    -------
    Tensor, shape (n, 2, C): mean and mean square of every iteration.
    """
    filters = weight.detach().flatten(1).to(past.dtype)
    return past[..., 0] + torch.einsum("nscp,cp->nsc", past[..., 1:], filters)
