"""CSP-SPP and CSP-PAN, the neck of yolov4-csp and yolov4x-mish (arXiv:2011.08036)."""

from collections.abc import Sequence

from torch import Tensor, nn

from model.blocks.attention import attentions
from model.blocks.conv import Concat, ConvBlock, Upsample, scaled_depth, scaled_width
from model.necks.pan import PathNeck, SpatialPyramidPooling


class CspPooling(nn.Module):
    """Two branches of the whole input; SPP between the convolutions of one.

    Parameters
    ----------
    after : int
        Pairs of 3x3 and 1x1 behind the pools, less the 1x1 that enters them (darknet: 1, and
        2 in yolov4x-mish).
    """

    def __init__(self, c_in: int, channels: int, after: int, activation: str) -> None:
        super().__init__()
        self.bypass = ConvBlock(c_in, channels, 1, 1, activation)
        self.before = nn.Sequential(
            ConvBlock(c_in, channels, 1, 1, activation),
            ConvBlock(channels, channels, 3, 1, activation),
            ConvBlock(channels, channels, 1, 1, activation),
        )
        self.spp = SpatialPyramidPooling()
        self.after = _pairs(4 * channels, channels, after, activation)
        self.join = Concat()
        self.fuse = ConvBlock(2 * channels, channels, 1, 1, activation)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, c_in, H, W) to (B, channels, H, W)."""
        bypass = self.bypass(x)
        return self.fuse(self.join(self.after(self.spp(self.before(x))), bypass))


class CspBlock(nn.Module):
    """1x1, then two branches, one of them with pairs of 1x1 and 3x3; joined, then 1x1."""

    def __init__(
        self, c_in: int, channels: int, pairs: int, activation: str, attention: str = "none"
    ) -> None:
        super().__init__()
        self.enter = ConvBlock(c_in, channels, 1, 1, activation)
        self.bypass = ConvBlock(channels, channels, 1, 1, activation)
        self.main = _pairs(channels, channels, pairs, activation)
        self.join = Concat()
        # after the join: the place of SAM in yolov4-sam-mish-csp-reorg-bfm.cfg
        self.attention = (
            nn.Identity() if attention == "none" else attentions.get(attention)(2 * channels)
        )
        self.fuse = ConvBlock(2 * channels, channels, 1, 1, activation)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, c_in, H, W) to (B, channels, H, W)."""
        x = self.enter(x)
        bypass = self.bypass(x)
        return self.fuse(self.attention(self.join(self.main(x), bypass)))


def _pairs(c_in: int, channels: int, pairs: int, activation: str) -> nn.Sequential:
    layers = []
    for pair in range(pairs):
        layers.append(ConvBlock(channels if pair else c_in, channels, 1, 1, activation))
        layers.append(ConvBlock(channels, channels, 3, 1, activation))
    return nn.Sequential(*layers)


class CspPanNeck(PathNeck):
    """Path aggregation whose blocks have two branches.

    Parameters
    ----------
    channels : sequence of three int
        Channels of the backbone's maps at strides 8, 16, 32.
    outputs : sequence of three int
        Channels of the output maps at full width.
    width, depth : float
        Multipliers.
    pairs, pooled_pairs : int
        Pairs of convolutions in a block, and behind the pools.
    """

    def __init__(
        self,
        channels: Sequence[int],
        outputs: Sequence[int],
        width: float = 1.0,
        depth: float = 1.0,
        activation: str = "mish",
        *,
        pairs: int = 2,
        pooled_pairs: int = 1,
        attention: str = "none",
    ) -> None:
        super().__init__()
        c3, c4, c5 = channels
        n3, n4, n5 = (scaled_width(c, width) for c in outputs)
        self.channels = (n3, n4, n5)
        count = scaled_depth(pairs, depth)
        self.pool = CspPooling(c5, n5, scaled_depth(pooled_pairs, depth), activation)
        self.up5 = nn.Sequential(ConvBlock(n5, n4, 1, 1, activation), Upsample())
        self.lateral4 = ConvBlock(c4, n4, 1, 1, activation)
        self.join4 = Concat()
        self.top4 = CspBlock(2 * n4, n4, count, activation)
        self.up4 = nn.Sequential(ConvBlock(n4, n3, 1, 1, activation), Upsample())
        self.lateral3 = ConvBlock(c3, n3, 1, 1, activation)
        self.join3 = Concat()
        self.top3 = CspBlock(2 * n3, n3, count, activation, attention)
        self.down3 = ConvBlock(n3, n4, 3, 2, activation)
        self.rejoin4 = Concat()
        self.bottom4 = CspBlock(2 * n4, n4, count, activation, attention)
        self.down4 = ConvBlock(n4, n5, 3, 2, activation)
        self.rejoin5 = Concat()
        self.bottom5 = CspBlock(2 * n5, n5, count, activation, attention)
