"""Batch statistics of convolution outputs, and normalising by statistics from elsewhere."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812  (the name everybody uses)

from model.blocks.batch_aware import BatchAware

EPS = 1e-5
MOMENTUM = 0.01  # weight of the new statistics, as in PyTorch
POSITIONS = (0, 2, 3)  # axes that a channel's statistics are taken over: B, H, W


class StatisticsNorm(BatchAware, nn.BatchNorm2d):
    """Batch normalisation that takes its statistics from more than the mini-batch at hand.

    Evaluation and the entries of `state_dict` are those of `nn.BatchNorm2d`, so that weights
    can be exchanged with it.

    Parameters
    ----------
    channels : int
    """

    # affine, and with rolling statistics: none of these is ever None here
    momentum: float
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPS, momentum=MOMENTUM)

    def _normalise(self, x: Tensor, mean: Tensor, var: Tensor, share: float) -> Tensor:
        """Normalise, scale and shift; see `_Normalise` for `share`."""
        return _Normalise.apply(x, mean, var, self.weight, self.bias, self.eps, share)

    @torch.no_grad()
    def _roll(self, mean: Tensor, var: Tensor) -> None:
        """Move the rolling statistics by `momentum` towards new ones."""
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(var.to(self.running_var.dtype), self.momentum)
        self.num_batches_tracked.add_(1)


def wide(x: Tensor) -> torch.dtype:
    """The type for statistics: float32, or more if the tensor has more."""
    return torch.promote_types(x.dtype, torch.float32)


def moments(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Mean and mean square per channel, in `wide` type, and the number of values of each.

    Parameters
    ----------
    x : Tensor, shape (B, C, H, W)
    """
    values = x.numel() // x.shape[1]
    mean = x.mean(POSITIONS, dtype=wide(x))
    norm = torch.linalg.vector_norm(x, dim=POSITIONS, dtype=wide(x))
    return mean, norm.square() / values, values


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(var + eps) * weight + bias, where x has a `share` in the statistics.

    The gradient takes d mean / dx = share / N and d var / dx = 2 share (x - mean) / N, for N
    values per channel. That is exact for mean = share * mean(x) + other and
    var = share * mean(x^2) + other - mean^2. Share 1 without other is BN.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        mean: Tensor,
        var: Tensor,
        weight: Tensor,
        bias: Tensor,
        eps: float,
        share: float,
    ) -> Tensor:
        ctx.save_for_backward(x, mean, var, weight)
        ctx.eps, ctx.share = eps, share
        return F.batch_norm(x, mean, var, weight, bias, training=False, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Give weight / s (grad - share/N (sum grad + (x - mean) / s^2 sum grad (x - mean)))."""
        x, mean, var, weight = ctx.saved_tensors
        grad_wide, centred = grad.to(mean.dtype), x - _per_channel(mean)
        total = grad_wide.sum(POSITIONS)
        along = (grad_wide * centred).sum(POSITIONS)
        inverse = (var + ctx.eps).rsqrt()
        part = ctx.share * x.shape[1] / x.numel()
        slope = _per_channel(part * along * inverse.square())
        dx = grad_wide - _per_channel(part * total)
        dx = dx.addcmul_(centred, slope, value=-1.0).mul_(_per_channel(weight * inverse))
        return dx.to(x.dtype), None, None, along * inverse, total, None, None


def _per_channel(values: Tensor) -> Tensor:
    """(C,) as (C, 1, 1), to go with (B, C, H, W)."""
    return values.view(-1, 1, 1)
