"""BiFPN: two-way cross-scale connections with learned weights (arXiv:1911.09070 sec. 3)."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (the name everybody uses)

from model.blocks.activations import activations
from model.blocks.conv import ConvBlock, Upsample, scaled_depth, scaled_width
from model.necks.pan import NECK_CHANNELS, PyramidPooling, build_sum
from model.parts import Features, Neck

WIDTH = 256
LAYERS = 3


class FusionNode(nn.Module):
    """Weighted sum of maps, activation, depth-wise separable 3x3."""

    def __init__(self, inputs: int, channels: int, activation: str, weights: str) -> None:
        super().__init__()
        self.add = build_sum(inputs, weights)
        self.act = activations.get(activation)(channels)
        self.depthwise = nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False)
        self.pointwise = ConvBlock(channels, channels, 1, 1, "linear")

    def forward(self, *maps: Tensor) -> Tensor:
        """Map tensors of one shape (B, C, H, W) to that shape."""
        return self.pointwise(self.depthwise(self.act(self.add(*maps))))


class BiFpnLayer(nn.Module):
    """One top-down and one bottom-up pass over three maps of equal width.

    Only the middle scale has a node in both passes, as nodes with one input are left out; its
    second node sees the layer's input, too (ibid. eq. for P6, fig. 2d).
    """

    def __init__(self, channels: int, activation: str, weights: str) -> None:
        super().__init__()
        self.up = Upsample()
        self.top4 = FusionNode(2, channels, activation, weights)
        self.out3 = FusionNode(2, channels, activation, weights)
        self.out4 = FusionNode(3, channels, activation, weights)
        self.out5 = FusionNode(2, channels, activation, weights)

    def forward(self, features: Features) -> Features:
        """Map three maps (B, C, H_l, W_l) to three of the same shapes."""
        p3, p4, p5 = features
        top4 = self.top4(p4, self.up(p5))
        out3 = self.out3(p3, self.up(top4))
        out4 = self.out4(p4, top4, _halve(out3))
        out5 = self.out5(p5, _halve(out4))
        return out3, out4, out5


class BiFpnNeck(Neck):
    """SPP block, 1x1 laterals to one width, then BiFPN layers.

    Parameters
    ----------
    channels : sequence of three int
        Channels of the backbone's maps at strides 8, 16, 32.
    width, depth : float
        Multipliers of the 256 channels and of the three layers.
    fusion_weights : str
        relu is the paper's fast normalised fusion, softmax its other form, none plain sums.
    """

    def __init__(
        self,
        channels: Sequence[int],
        width: float = 1.0,
        depth: float = 1.0,
        activation: str = "leaky",
        *,
        fusion_weights: str = "relu",
        spp: bool = True,
    ) -> None:
        super().__init__()
        c3, c4, c5 = channels
        wide = scaled_width(WIDTH, width)
        pooled = scaled_width(NECK_CHANNELS[2], width)
        self.channels = (wide, wide, wide)
        self.pool = PyramidPooling(c5, pooled, activation, spp=spp)
        self.laterals = nn.ModuleList(ConvBlock(c, wide, 1, 1, "linear") for c in (c3, c4, pooled))
        self.layers = nn.Sequential(
            *(
                BiFpnLayer(wide, activation, fusion_weights)
                for _ in range(scaled_depth(LAYERS, depth))
            )
        )

    def forward(self, features: Features) -> Features:
        """Map backbone features at strides 8, 16, 32 to fused ones of the same sizes."""
        c3, c4, c5 = features
        maps = (c3, c4, self.pool(c5))
        p3, p4, p5 = (lateral(x) for lateral, x in zip(self.laterals, maps, strict=True))
        fused: Features = self.layers((p3, p4, p5))
        return fused


def _halve(x: Tensor) -> Tensor:
    """Max pool 3/2, the paper's down-sampling."""
    return F.max_pool2d(x, 3, 2, 1)
