"""Attention by name: maps that weigh their own channels or cells."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from model.blocks.conv import ConvBlock
from model.registry import Registry

attentions: Registry[Callable[[int], nn.Module]] = Registry("attention")


@attentions.register("sam")
class PointwiseAttention(nn.Module):
    """Modified SAM: x * sigmoid(BN(1x1(x))), a weight for every value (arXiv:2004.10934 fig. 5).

    Parameters
    ----------
    channels : int
    norm : str
        A name in `norms`.
    """

    def __init__(self, channels: int, norm: str = "bn") -> None:
        super().__init__()
        self.gate = ConvBlock(channels, channels, 1, activation="logistic", norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape and type."""
        return x * self.gate(x)


@attentions.register("cbam")
class SpatialAttention(nn.Module):
    """CBAM's spatial part: a weight for every cell (arXiv:1807.06521, sec. 3, eq. 3).

    A 7x7 convolution without bias over the channels' mean and maximum, then a sigmoid.

    Parameters
    ----------
    channels : int
        Has no bearing; all attentions take it.
    """

    def __init__(self, channels: int) -> None:  # noqa: ARG002  (the registry's signature)
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape and type."""
        pooled = torch.cat((x.amax(1, keepdim=True), x.mean(1, keepdim=True)), dim=1)
        return x * self.conv(pooled).sigmoid()


@attentions.register("se")
class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation: a weight for every channel (arXiv:1709.01507, eq. 2-4).

    Parameters
    ----------
    channels : int
    reduction : int
        Channels over the width of the bottleneck, which is at least 1.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        inner = max(1, channels // reduction)
        self.squeeze = nn.Conv2d(channels, inner, 1)
        self.excite = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape and type."""
        pooled = x.mean((2, 3), keepdim=True)
        return x * self.excite(self.squeeze(pooled).relu()).sigmoid()
