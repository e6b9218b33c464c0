"""SPP and the path aggregation neck of YOLOv4, in the paper's variants (arXiv:2004.10934)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (the name everybody uses)

from model.blocks.attention import attentions
from model.blocks.conv import (
    Concat,
    ConvBlock,
    Shortcut,
    Upsample,
    scaled_depth,
    scaled_width,
)
from model.blocks.weighted import WeightedSum
from model.parts import Features, Neck

NECK_CHANNELS = (128, 256, 512)


class SpatialPyramidPooling(nn.Module):
    """Max pools 5, 9, 13 of the same map, concatenated as [13, 9, 5, x] (arXiv:1406.4729)."""

    sizes = (5, 9, 13)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, 4C, H, W).

        Pools of stride 1 compose: 9 = 5 after 5, and 13 = 5 after 9, with the same borders,
        so three small pools give darknet's three parallel ones.
        """
        pool5 = F.max_pool2d(x, 5, 1, 2)
        pool9 = F.max_pool2d(pool5, 5, 1, 2)
        pool13 = F.max_pool2d(pool9, 5, 1, 2)
        return torch.cat((pool13, pool9, pool5, x), dim=1)


def alternating(
    c_in: int, channels: int, pairs: int, activation: str, attention: str = "none"
) -> nn.Sequential:
    """1x1 to `channels`, then `pairs` of (3x3 to twice that, 1x1 back).

    Attention sits on the last wide map, before the closing 1x1: its place in the only public
    cfg with SAM on this neck (yolov4-sam-mish).
    """
    layers: list[nn.Module] = [ConvBlock(c_in, channels, 1, 1, activation)]
    for pair in range(pairs):
        layers.append(ConvBlock(channels, 2 * channels, 3, 1, activation))
        if attention != "none" and pair == pairs - 1:
            layers.append(attentions.get(attention)(2 * channels))
        layers.append(ConvBlock(2 * channels, channels, 1, 1, activation))
    return nn.Sequential(*layers)


class PyramidPooling(nn.Sequential):
    """The block on the coarsest map: three convolutions, SPP, three convolutions.

    Parameters
    ----------
    c_in, channels : int
        Channels before and after.
    spp : bool
        Without it the second half follows the first directly.
    """

    def __init__(
        self, c_in: int, channels: int, activation: str, *, spp: bool, attention: str = "none"
    ) -> None:
        before = alternating(c_in, channels, 1, activation)
        pool = SpatialPyramidPooling() if spp else nn.Identity()
        entered = 4 * channels if spp else channels
        after = alternating(entered, channels, 1, activation, attention)
        super().__init__(before, pool, after)


def build_sum(inputs: int, weights: str) -> nn.Module:
    """A plain sum of maps, or one with learned weights normalised by relu or softmax."""
    if weights == "none":
        return Shortcut()
    return WeightedSum(inputs, weights, None)


class PathNeck(Neck):
    """A path from coarse to fine and one back, over three maps.

    Its kinds build `pool`, and for each step of a path what moves a map (`up`, `down`), what
    brings the backbone's there (`lateral`), what joins the two and what follows (`top`,
    `bottom`).
    """

    pool: nn.Module
    up5: nn.Module
    lateral4: nn.Module
    join4: nn.Module
    top4: nn.Module
    up4: nn.Module
    lateral3: nn.Module
    join3: nn.Module
    top3: nn.Module
    down3: nn.Module
    rejoin4: nn.Module
    bottom4: nn.Module
    down4: nn.Module
    rejoin5: nn.Module
    bottom5: nn.Module
    bottom_up = True

    def forward(self, features: Features) -> Features:
        """Map backbone features at strides 8, 16, 32 to fused ones of the same sizes."""
        c3, c4, c5 = features
        p5 = self.pool(c5)
        up5 = self.up5(p5)
        p4 = self.top4(self.join4(self.lateral4(c4), up5))
        up4 = self.up4(p4)
        n3 = self.top3(self.join3(self.lateral3(c3), up4))
        if not self.bottom_up:
            return n3, p4, p5
        n4 = self.bottom4(self.rejoin4(self.down3(n3), p4))
        n5 = self.bottom5(self.rejoin5(self.down4(n4), p5))
        return n3, n4, n5


class PanNeck(PathNeck):
    """Top-down and bottom-up paths over three maps.

    Parameters
    ----------
    channels : sequence of three int
        Channels of the backbone's maps at strides 8, 16, 32.
    width, depth : float
        Multipliers; the five-convolution blocks have ``scaled_depth(2, depth)`` pairs.
    fusion : str
        pan (YOLOv4's: paths joined by concatenation), pan-add (PANet's sums,
        arXiv:1803.01534), fpn (top-down only, arXiv:1612.03144).
    fusion_weights : str
        none, relu, softmax: of the sums of pan-add.
    spp : bool
    attention : str
        none, or a name in `attentions`: on the blocks that give the outputs.
    """

    def __init__(
        self,
        channels: Sequence[int],
        width: float = 1.0,
        depth: float = 1.0,
        activation: str = "leaky",
        *,
        fusion: str = "pan",
        fusion_weights: str = "none",
        spp: bool = True,
        attention: str = "none",
    ) -> None:
        super().__init__()
        c3, c4, c5 = channels
        n3, n4, n5 = (scaled_width(c, width) for c in NECK_CHANNELS)
        self.channels = (n3, n4, n5)
        self.bottom_up = fusion != "fpn"
        pairs = scaled_depth(2, depth)
        above = "none" if self.bottom_up else attention  # only what reaches the head has it

        def join() -> nn.Module:
            return build_sum(2, fusion_weights) if fusion == "pan-add" else Concat()

        def block(joined: int, kind: str) -> nn.Sequential:
            c_in = joined if fusion == "pan-add" else 2 * joined
            return alternating(c_in, joined, pairs, activation, kind)

        self.pool = PyramidPooling(c5, n5, activation, spp=spp, attention=above)
        self.up5 = nn.Sequential(ConvBlock(n5, n4, 1, 1, activation), Upsample())
        self.lateral4 = ConvBlock(c4, n4, 1, 1, activation)
        self.join4 = join()
        self.top4 = block(n4, above)
        self.up4 = nn.Sequential(ConvBlock(n4, n3, 1, 1, activation), Upsample())
        self.lateral3 = ConvBlock(c3, n3, 1, 1, activation)
        self.join3 = join()
        self.top3 = block(n3, attention)
        if self.bottom_up:
            self.down3 = ConvBlock(n3, n4, 3, 2, activation)
            self.rejoin4 = join()
            self.bottom4 = block(n4, attention)
            self.down4 = ConvBlock(n4, n5, 3, 2, activation)
            self.rejoin5 = join()
            self.bottom5 = block(n5, attention)
