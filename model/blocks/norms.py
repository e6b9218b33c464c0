"""Normalisations by name; every constructor takes the number of channels.

All follow darknet on GPU: eps 1e-5 inside the root, and rolling statistics that move by 0.01.
A normalisation whose `needs_weight` is true is called with the convolution's weight as well.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from model.blocks.cbn import CrossIterationBatchNorm
from model.blocks.statistics import EPS, MOMENTUM, StatisticsNorm, moments, wide
from model.registry import Registry

norms: Registry[Callable[[int], nn.Module]] = Registry("normalisation")
norms.register("cbn")(CrossIterationBatchNorm)

FRN_EPS = 1e-6


@norms.register("bn")
def batch_norm(channels: int) -> nn.Module:
    """PyTorch's batch normalisation with darknet's constants (arXiv:1502.03167)."""
    return nn.BatchNorm2d(channels, eps=EPS, momentum=MOMENTUM)


@norms.register("cmbn")
class CrossMiniBatchNorm(StatisticsNorm):
    """CmBN: statistics of all mini-batches of one update so far (arXiv:2004.10934, fig. 4).

    With mean mu_t and mean square q_t of mini-batch t = 1, 2, ... since `begin_batch`, the
    running averages M_t = mu_t / t + (1 - 1/t) M_(t-1) and Q_t alike give the mean M_t and the
    variance max(0, Q_t - M_t^2). darknet divides the sum of squares by N - 1 and so do we: one
    mini-batch per update is BN with a variance larger by the mean square over N - 1.

    The gradient is darknet's: BN's own formula, evaluated with M_t and that variance, on the
    data of mini-batch t alone. It therefore takes the statistics as if t made them all, and is
    not the derivative of M_t, which would be a t-th of it.

    `begin_batch` forgets the past. Without that call the averages run over all mini-batches
    ever seen, though their weights differ.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.begin_batch(0.0)

    def begin_batch(self, progress: float) -> None:  # noqa: ARG002  (the protocol's argument)
        """Forget the mini-batches of the last update."""
        self.mini_batches = 0
        self.mean = torch.zeros(0)
        self.square = torch.zeros(0)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape and type."""
        if not self.training:
            return super().forward(x)
        self._gather(x.detach())
        var = (self.square - self.mean.square()).clamp(min=0)
        self._roll(self.mean, var)
        return self._normalise(x, self.mean, var, 1.0)

    @torch.no_grad()
    def _gather(self, x: Tensor) -> None:
        """Take one mini-batch into the averages of the update."""
        mean, square, values = moments(x)
        square = torch.maximum(square * (values / max(values - 1, 1)), mean.square())
        self.mini_batches += 1
        if self.mini_batches == 1:
            self.mean, self.square = mean, square
        else:  # out of place: the backward pass of the mini-batch before still needs its own
            self.mean = self.mean.lerp(mean, 1 / self.mini_batches)
            self.square = self.square.lerp(square, 1 / self.mini_batches)


@norms.register("frn")
class FilterResponseNorm(nn.Module):
    """x over the root mean square of its own channel and image (FRN, arXiv:1911.09737, eq. 1).

    Has no statistics over images. The paper makes eps a parameter for maps of one cell; a
    detector has none, so it is fixed. Its partner is the activation `tlu`.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.eps = FRN_EPS
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape and type."""
        square = x.to(wide(x)).square().mean((2, 3), keepdim=True)
        scale = self.weight.view(-1, 1, 1) * (square + self.eps).rsqrt()
        return torch.addcmul(self.bias.view(-1, 1, 1), x, scale).to(x.dtype)
