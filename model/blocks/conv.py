"""Convolution and the other layers of darknet's networks, as small modules.

Joins, splits and pools are modules, too, so that a network can be read layer by layer
(`model.graph`) and compared with darknet's cfg files.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (the name everybody uses)

from model.blocks.activations import activations
from model.blocks.norms import norms


class ConvBlock(nn.Module):
    """Convolution without bias, normalisation, activation.

    Parameters
    ----------
    c_in, c_out : int
        Channels.
    kernel, stride : int
        Padding is ``kernel // 2`` times `dilation`.
    activation, norm : str
        Names in `activations` and `norms`.
    groups, dilation : int
        Of the convolution.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        stride: int = 1,
        activation: str = "mish",
        *,
        groups: int = 1,
        dilation: int = 1,
        norm: str = "bn",
    ) -> None:
        super().__init__()
        padding = kernel // 2 * dilation
        self.conv = nn.Conv2d(
            c_in, c_out, kernel, stride, padding, dilation, groups=groups, bias=False
        )
        self.activation = activation
        self.set_norm(norm)
        self.set_activation(activation)

    def set_norm(self, norm: str) -> None:
        """Replace the normalisation by a fresh one."""
        self.norm = norms.get(norm)(self.conv.out_channels)

    def set_activation(self, activation: str) -> None:
        """Replace the activation by a fresh one."""
        self.activation = activation
        self.act = activations.get(activation)(self.conv.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, c_in, H, W) to (B, c_out, H / stride, W / stride)."""
        y = self.conv(x)
        if getattr(self.norm, "needs_weight", False):
            return self.act(self.norm(y, self.conv.weight))
        return self.act(self.norm(y))


class Concat(nn.Module):
    """Channels of several maps behind one another (darknet's `[route]`)."""

    def forward(self, *maps: Tensor) -> Tensor:
        """Map tensors (B, C_i, H, W) to (B, sum C_i, H, W)."""
        return torch.cat(maps, dim=1)


class SecondHalf(nn.Module):
    """The second half of the channels (`[route]` with groups=2, group_id=1)."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 2 C, H, W) to (B, C, H, W)."""
        return x.chunk(2, dim=1)[1]


class Shortcut(nn.Module):
    """Sum of maps (darknet's `[shortcut]`).

    Where channels differ only the first ones that all have are added; the result has as many
    as the first map.
    """

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        """Map (B, C, H, W) and others of the same extent to (B, C, H, W)."""
        for other in others:
            x = x + _fitted(other, x.shape[1])
        return x


def _fitted(x: Tensor, channels: int) -> Tensor:
    """First `channels` channels of a map, filled up with zeros."""
    own = x.shape[1]
    if own == channels:
        return x
    return F.pad(x[:, :channels], (0, 0, 0, 0, 0, max(0, channels - own)))


class Upsample(nn.Module):
    """Nearest-neighbour up-sampling by 2."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, 2 H, 2 W)."""
        return F.interpolate(x, scale_factor=2.0, mode="nearest")


class MaxPool(nn.Module):
    """Max pool of darknet: `size` and `stride` 2 halve, stride 1 keeps the extent."""

    def __init__(self, size: int, stride: int) -> None:
        super().__init__()
        self.size = size
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H / stride, W / stride)."""
        # darknet pads size - 1 in all, the smaller half in front: with an even size none
        return F.max_pool2d(x, self.size, self.stride, (self.size - 1) // 2)


class Residual(nn.Module):
    """A branch added to its input, then an activation.

    `path` is the place of what drops whole branches (stochastic depth), `add` that of learned
    weights (MiWRC).
    """

    def __init__(self, branch: nn.Sequential, channels: int, activation: str = "linear") -> None:
        super().__init__()
        self.channels = channels
        self.activation = activation
        self.branch = branch
        self.path: nn.Module = nn.Identity()
        self.add: nn.Module = Shortcut()
        self.act = activations.get(activation)(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the branch's shape."""
        y: Tensor = self.act(self.add(self.path(self.branch(x)), x))
        return y


def darknet_residual(channels: int, inner: int, activation: str) -> Residual:
    """The unit of Darknet53: a 1x1 and a 3x3 added to their input (arXiv:1804.02767)."""
    branch = nn.Sequential(
        ConvBlock(channels, inner, 1, activation=activation),
        ConvBlock(inner, channels, 3, activation=activation),
    )
    return Residual(branch, channels)


def scaled_width(channels: int, width: float) -> int:
    """`channels` times `width`, to the nearest multiple of 8 and at least 8."""
    return max(8, round(channels * width / 8) * 8)


def scaled_depth(repeats: int, depth: float) -> int:
    """`repeats` times `depth`, rounded, at least 1."""
    return max(1, round(repeats * depth))


def initialise(module: nn.Module) -> None:
    """Darknet's initial weights: uniform in +-sqrt(2 / fan_in), zero bias, unit BN scale.

    Draws from torch's global generator; set it before building.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            fan_in = layer.weight[0].numel()
            bound = math.sqrt(2.0 / fan_in)
            nn.init.uniform_(layer.weight, -bound, bound)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
