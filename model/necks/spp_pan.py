"""SPP and the path aggregation of YOLOv4 (arXiv:2004.10934 fig. 6; darknet cfg/yolov4.cfg)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (the name everybody uses)

from model.blocks.conv import ConvBlock, scaled_depth, scaled_width

Features = tuple[Tensor, Tensor, Tensor]


class SpatialPyramidPooling(nn.Module):
    """Max pools 5, 9, 13 of the same map, concatenated as [13, 9, 5, x] (arXiv:1406.4729)."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, 4C, H, W).

        Pools of stride 1 compose: 9 = 5 after 5, and 13 = 5 after 9, with the same borders,
        so three small pools give darknet's three parallel ones.
        """
        pool5 = F.max_pool2d(x, 5, 1, 2)
        pool9 = F.max_pool2d(pool5, 5, 1, 2)
        pool13 = F.max_pool2d(pool9, 5, 1, 2)
        return torch.cat((pool13, pool9, pool5, x), dim=1)


def alternating(c_in: int, channels: int, pairs: int, activation: str) -> nn.Sequential:
    """1x1 to `channels`, then `pairs` of (3x3 to twice that, 1x1 back)."""
    layers = [ConvBlock(c_in, channels, 1, 1, activation)]
    for _ in range(pairs):
        layers.append(ConvBlock(channels, 2 * channels, 3, 1, activation))
        layers.append(ConvBlock(2 * channels, channels, 1, 1, activation))
    return nn.Sequential(*layers)


class SppPan(nn.Module):
    """SPP on the coarsest map, then top-down and bottom-up paths joined by concatenation.

    Parameters
    ----------
    channels : sequence of three int
        Channels of the backbone's maps at strides 8, 16, 32.
    width, depth : float
        Multipliers; the five-convolution blocks have ``scaled_depth(2, depth)`` pairs.

    Attributes
    ----------
    channels : tuple of int
        Channels of the output maps at strides 8, 16, 32.
    """

    def __init__(
        self,
        channels: Sequence[int],
        width: float = 1.0,
        depth: float = 1.0,
        activation: str = "leaky",
    ) -> None:
        super().__init__()
        c3, c4, c5 = channels
        n3, n4, n5 = (scaled_width(c, width) for c in (128, 256, 512))
        pairs = scaled_depth(2, depth)
        self.channels = (n3, n4, n5)
        self.before_spp = nn.Sequential(
            ConvBlock(c5, n5, 1, 1, activation),
            ConvBlock(n5, 2 * n5, 3, 1, activation),
            ConvBlock(2 * n5, n5, 1, 1, activation),
        )
        self.spp = SpatialPyramidPooling()
        self.after_spp = alternating(4 * n5, n5, 1, activation)
        self.up5 = ConvBlock(n5, n4, 1, 1, activation)
        self.lateral4 = ConvBlock(c4, n4, 1, 1, activation)
        self.top4 = alternating(2 * n4, n4, pairs, activation)
        self.up4 = ConvBlock(n4, n3, 1, 1, activation)
        self.lateral3 = ConvBlock(c3, n3, 1, 1, activation)
        self.top3 = alternating(2 * n3, n3, pairs, activation)
        self.down3 = ConvBlock(n3, n4, 3, 2, activation)
        self.bottom4 = alternating(2 * n4, n4, pairs, activation)
        self.down4 = ConvBlock(n4, n5, 3, 2, activation)
        self.bottom5 = alternating(2 * n5, n5, pairs, activation)

    def forward(self, features: Features) -> Features:
        """Map backbone features at strides 8, 16, 32 to fused ones of the same sizes."""
        c3, c4, c5 = features
        p5 = self.after_spp(self.spp(self.before_spp(c5)))
        p4 = self.top4(torch.cat((self.lateral4(c4), double(self.up5(p5))), dim=1))
        n3 = self.top3(torch.cat((self.lateral3(c3), double(self.up4(p4))), dim=1))
        n4 = self.bottom4(torch.cat((self.down3(n3), p4), dim=1))
        n5 = self.bottom5(torch.cat((self.down4(n4), p5), dim=1))
        return n3, n4, n5


def double(x: Tensor) -> Tensor:
    """Nearest-neighbour up-sampling by 2."""
    return F.interpolate(x, scale_factor=2, mode="nearest")
