"""Adaptively spatial feature fusion (arXiv:1911.09516)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.blocks.conv import ConvBlock
from model.blocks.weighted import weighted_sum
from model.parts import Neck

Maps = tuple[Tensor, Tensor, Tensor]


class Asff(Neck):
    """Every level becomes a sum of all three, with weights that each cell learns.

    Without the 3x3 convolution to twice the width that follows in the paper's network: here it
    is the head's first one.

    Parameters
    ----------
    channels : sequence of three int
        Of the maps at strides 8, 16, 32.
    inner : sequence of three int
        Of the fused maps; at full width 256, 256, 512.
    activation, norm : str
        Names in `activations` and `norms`.
    compress : int
        Channels that the weights of one map are made from; 8 with a receptive field block.

    Attributes
    ----------
    channels : tuple of int
        Of the fused maps at strides 8, 16, 32.
    """

    def __init__(
        self,
        channels: Sequence[int],
        inner: Sequence[int],
        activation: str,
        norm: str,
        compress: int = 16,
    ) -> None:
        super().__init__()
        self.channels = tuple(inner)
        self.levels = nn.ModuleList(
            _Level(channels, level, width, activation, norm, compress)
            for level, width in enumerate(inner)
        )

    def forward(self, maps: Maps) -> Maps:
        """Fuse maps at strides 8, 16, 32 into others of the same sizes."""
        fine, middle, coarse = (level(maps) for level in self.levels)
        return fine, middle, coarse


class _Level(nn.Module):
    """The three maps at the size and width of one of them, and their weighted sum."""

    def __init__(
        self,
        channels: Sequence[int],
        level: int,
        width: int,
        activation: str,
        norm: str,
        compress: int,
    ) -> None:
        super().__init__()
        self.resize = nn.ModuleList(
            _resize(c_in, width, source - level, activation, norm)
            for source, c_in in enumerate(channels)
        )
        self.compress = nn.ModuleList(
            ConvBlock(width, compress, 1, 1, activation, norm=norm) for _ in channels
        )
        self.weigh = nn.Conv2d(len(channels) * compress, len(channels), 1)

    def forward(self, maps: Maps) -> Tensor:
        """Give one fused map."""
        resized = [resize(x) for resize, x in zip(self.resize, maps, strict=True)]
        shares = self.shares(resized).to(resized[0].dtype).split(1, dim=1)
        return weighted_sum(resized, shares)

    def shares(self, resized: list[Tensor]) -> Tensor:
        """Weights of the maps, (B, 3, H, W), that add up to one in every cell."""
        squeezed = [compress(x) for compress, x in zip(self.compress, resized, strict=True)]
        return self.weigh(torch.cat(squeezed, dim=1)).softmax(dim=1)


def _resize(c_in: int, c_out: int, steps: int, activation: str, norm: str) -> nn.Sequential:
    """Bring a map to another level and width.

    Parameters
    ----------
    steps : int
        Halvings between the levels; positive if the map is the coarser one.
    """
    layers: list[nn.Module] = []
    if steps < -1:
        layers.append(nn.MaxPool2d(3, 2, padding=1))
    if steps < 0:
        layers.append(ConvBlock(c_in, c_out, 3, 2, activation, norm=norm))
    elif c_in != c_out:
        layers.append(ConvBlock(c_in, c_out, 1, 1, activation, norm=norm))
    if steps > 0:
        layers.append(nn.Upsample(scale_factor=2**steps, mode="nearest"))
    return nn.Sequential(*layers)
