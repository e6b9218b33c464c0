"""What a backbone and a neck promise to whoever puts them together."""

from torch import Tensor, nn

Features = tuple[Tensor, Tensor, Tensor]


class Backbone(nn.Module):
    """Maps images (B, 3, H, W) to features at strides 8, 16 and 32.

    Attributes
    ----------
    channels : tuple of int
        Of the three maps.
    drops : ModuleList
        What is done to the outputs of its stages; nothing, unless a DropBlock or the like is
        put there.
    """

    channels: tuple[int, int, int]
    drops: nn.ModuleList


class Neck(nn.Module):
    """Maps features at strides 8, 16 and 32 to those that the head reads, finest first.

    Attributes
    ----------
    channels : tuple of int
        Of the output maps; usually three.
    """

    channels: tuple[int, ...]


class Chain(Neck):
    """One neck behind another."""

    def __init__(self, first: Neck, second: Neck) -> None:
        super().__init__()
        self.first = first
        self.second = second
        self.channels = second.channels

    def forward(self, features: Features) -> tuple[Tensor, ...]:
        """Map features through both."""
        fused: tuple[Tensor, ...] = self.second(self.first(features))
        return fused
