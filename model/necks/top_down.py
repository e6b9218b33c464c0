"""Necks that go from coarse to fine only: YOLOv3-SPP's and yolov4-tiny's (darknet's cfg files)."""

from collections.abc import Sequence

from torch import Tensor, nn

from model.blocks.conv import Concat, ConvBlock, Upsample, scaled_depth, scaled_width
from model.necks.pan import NECK_CHANNELS, PyramidPooling, alternating
from model.parts import Features, Neck


class Yolov3Neck(Neck):
    """SPP block, then twice: 1x1, up, joined with the backbone's map, five convolutions.

    Unlike YOLOv4's, its laterals have no convolution of their own (arXiv:1804.02767 sec. 2.3).
    """

    def __init__(
        self,
        channels: Sequence[int],
        width: float = 1.0,
        depth: float = 1.0,
        activation: str = "leaky",
        *,
        spp: bool = True,
        attention: str = "none",
    ) -> None:
        super().__init__()
        c3, c4, c5 = channels
        n3, n4, n5 = (scaled_width(c, width) for c in NECK_CHANNELS)
        self.channels = (n3, n4, n5)
        pairs = scaled_depth(2, depth)
        self.pool = PyramidPooling(c5, n5, activation, spp=spp, attention=attention)
        self.up5 = nn.Sequential(ConvBlock(n5, n4, 1, 1, activation), Upsample())
        self.join4 = Concat()
        self.top4 = alternating(n4 + c4, n4, pairs, activation, attention)
        self.up4 = nn.Sequential(ConvBlock(n4, n3, 1, 1, activation), Upsample())
        self.join3 = Concat()
        self.top3 = alternating(n3 + c3, n3, pairs, activation, attention)

    def forward(self, features: Features) -> Features:
        """Map backbone features at strides 8, 16, 32 to fused ones of the same sizes."""
        c3, c4, c5 = features
        p5 = self.pool(c5)
        p4 = self.top4(self.join4(self.up5(p5), c4))
        p3 = self.top3(self.join3(self.up4(p4), c3))
        return p3, p4, p5


class TinyNeck(Neck):
    """A 1x1 on the coarsest map, and a 3x3 for each output; coarse joined to fine.

    Parameters
    ----------
    channels : sequence of three int
        Channels of the backbone's maps at strides 8, 16, 32.
    scales : int
        2 gives maps at strides 16 and 32, 3 one at stride 8, too.
    """

    def __init__(
        self,
        channels: Sequence[int],
        width: float = 1.0,
        depth: float = 1.0,  # noqa: ARG002
        activation: str = "leaky",
        *,
        scales: int = 2,
    ) -> None:
        super().__init__()
        c3, c4, c5 = channels
        n3, n4, n5 = (scaled_width(c, width) for c in NECK_CHANNELS)
        self.channels = (n3, n4, n5)[3 - scales :]
        self.squeeze = ConvBlock(c5, n4, 1, 1, activation)
        self.out5 = ConvBlock(n4, n5, 3, 1, activation)
        self.up5 = nn.Sequential(ConvBlock(n4, n3, 1, 1, activation), Upsample())
        self.join4 = Concat()
        self.out4 = ConvBlock(n3 + c4, n4, 3, 1, activation)
        self.up4 = None
        if scales == 3:
            half = scaled_width(64, width)
            self.up4 = nn.Sequential(ConvBlock(n4, half, 1, 1, activation), Upsample())
            self.join3 = Concat()
            self.out3 = ConvBlock(half + c3, n3, 3, 1, activation)

    def forward(self, features: Features) -> tuple[Tensor, ...]:
        """Map backbone features at strides 8, 16, 32 to those for the head, finest first."""
        c3, c4, c5 = features
        squeezed = self.squeeze(c5)
        out5 = self.out5(squeezed)
        out4 = self.out4(self.join4(self.up5(squeezed), c4))
        if self.up4 is None:
            return out4, out5
        return self.out3(self.join3(self.up4(out4), c3)), out4, out5
