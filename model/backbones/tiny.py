"""The backbone of yolov4-tiny: partial residual stages that split channels (darknet's cfg)."""

from torch import Tensor, nn

from model.blocks.conv import Concat, ConvBlock, MaxPool, SecondHalf, scaled_width
from model.parts import Backbone, Features


class TinyStage(nn.Module):
    """3x3; two 3x3 on the second half of its channels; everything joined, then halved."""

    def __init__(self, c_in: int, channels: int, activation: str) -> None:
        super().__init__()
        half = channels // 2
        self.enter = ConvBlock(c_in, channels, 3, 1, activation)
        self.split = SecondHalf()
        self.first = ConvBlock(half, half, 3, 1, activation)
        self.second = ConvBlock(half, half, 3, 1, activation)
        self.join = Concat()
        self.fuse = ConvBlock(channels, channels, 1, 1, activation)
        self.close = Concat()
        self.pool = MaxPool(2, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, c_in, H, W) to the joined (B, 2C, H/2, W/2) and the lateral (B, C, H, W)."""
        entered = self.enter(x)
        first = self.first(self.split(entered))
        lateral = self.fuse(self.join(self.second(first), first))
        return self.pool(self.close(entered, lateral)), lateral


class TinyDarknet(Backbone):
    """Two strided convolutions, three stages and a 3x3.

    It has one depth; the multiplier is there for all backbones to be called alike.
    """

    def __init__(
        self,
        width: float = 1.0,
        depth: float = 1.0,  # noqa: ARG002
        activation: str = "leaky",
    ) -> None:
        super().__init__()
        stem, c1, c2, c3 = (scaled_width(c, width) for c in (32, 64, 128, 256))
        self.stem = nn.Sequential(
            ConvBlock(3, stem, 3, 2, activation), ConvBlock(stem, c1, 3, 2, activation)
        )
        self.stages = nn.ModuleList(
            TinyStage(c_in, c, activation) for c_in, c in ((c1, c1), (2 * c1, c2), (2 * c2, c3))
        )
        self.last = ConvBlock(2 * c3, 2 * c3, 3, 1, activation)
        self.drops = nn.ModuleList(nn.Identity() for _ in range(2))
        self.channels = (c2, c3, 2 * c3)

    def forward(self, images: Tensor) -> Features:
        """Map images (B, 3, H, W) to features at strides 8, 16 and 32."""
        x = self.stem(images)
        laterals = []
        for stage in self.stages:
            x, lateral = stage(x)
            laterals.append(lateral)
        return laterals[1], self.drops[0](laterals[2]), self.drops[1](self.last(x))
