"""CSPDarknet53 and its kin (arXiv:1911.11929; arXiv:2004.10934 sec. 3.4; darknet's cfg files)."""

from dataclasses import dataclass

from torch import Tensor, nn

from model.blocks.conv import Concat, ConvBlock, darknet_residual, scaled_depth, scaled_width
from model.parts import Backbone, Features


@dataclass(frozen=True)
class CspDarknetPlan:
    """Channels and residual units of the five stages.

    Attributes
    ----------
    stem : int
        Channels of the first convolution.
    channels, residuals : tuple of int
        Of each stage.
    first_is_csp : bool
        Whether the first stage has two branches, too; yolov4-csp's is a plain residual one.
    """

    stem: int
    channels: tuple[int, ...]
    residuals: tuple[int, ...]
    first_is_csp: bool


CSP_DARKNET53 = CspDarknetPlan(32, (64, 128, 256, 512, 1024), (1, 2, 8, 8, 4), first_is_csp=True)
CSP_DARKNET53_PLAIN_START = CspDarknetPlan(
    32, (64, 128, 256, 512, 1024), (1, 2, 8, 8, 4), first_is_csp=False
)
CSP_DARKNET_X = CspDarknetPlan(
    32, (80, 160, 320, 640, 1280), (1, 3, 10, 10, 5), first_is_csp=False
)


class TwoBranchStage(nn.Module):
    """What cross stage partial stages share: two branches of the whole input, one of them deep.

    Concatenation is [deep, bypass]; darknet's weights depend on that order.
    """

    down: nn.Module
    bypass: nn.Module
    enter: nn.Module
    residuals: nn.Module
    leave: nn.Module
    join: nn.Module
    fuse: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, c_in, H, W) to (B, c_out, H/2, W/2), or of the same extent without `down`."""
        x = self.down(x)
        bypass = self.bypass(x)
        deep = self.leave(self.residuals(self.enter(x)))
        fused: Tensor = self.fuse(self.join(deep, bypass))
        return fused


class CspStage(TwoBranchStage):
    """Down-sampling, two 1x1 branches of the whole input, residual units on one, fusion.

    The first stage of CSPDarknet53 is the odd one: each branch keeps the full width and the
    residual unit narrows inside; the others halve the width per branch.

    Parameters
    ----------
    c_in, c_out : int
        Channels before and after.
    branch, inner : int
        Channels of each branch, and inside a residual unit.
    repeats : int
        Residual units.
    """

    def __init__(
        self, c_in: int, c_out: int, branch: int, inner: int, repeats: int, activation: str
    ) -> None:
        super().__init__()
        self.down = ConvBlock(c_in, c_out, 3, 2, activation)
        self.bypass = ConvBlock(c_out, branch, 1, 1, activation)
        self.enter = ConvBlock(c_out, branch, 1, 1, activation)
        self.residuals = nn.Sequential(
            *(darknet_residual(branch, inner, activation) for _ in range(repeats))
        )
        self.leave = ConvBlock(branch, branch, 1, 1, activation)
        self.join = Concat()
        self.fuse = ConvBlock(2 * branch, c_out, 1, 1, activation)


class PlainStage(nn.Sequential):
    """Down-sampling and residual units, as in Darknet53 (arXiv:1804.02767)."""

    def __init__(self, c_in: int, c_out: int, repeats: int, activation: str) -> None:
        units = (darknet_residual(c_out, c_out // 2, activation) for _ in range(repeats))
        super().__init__(ConvBlock(c_in, c_out, 3, 2, activation), *units)


class StagedBackbone(Backbone):
    """A stem and stages, the last three of which give the features."""

    def __init__(self, stem: nn.Module, stages: list[nn.Module], widths: list[int]) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.ModuleList(stages)
        self.drops = nn.ModuleList(nn.Identity() for _ in stages)
        self.channels = (widths[-3], widths[-2], widths[-1])

    def forward(self, images: Tensor) -> Features:
        """Map images (B, 3, H, W) to features at strides 8, 16 and 32."""
        x = self.stem(images)
        features = []
        for stage, drop in zip(self.stages, self.drops, strict=True):
            x = drop(stage(x))
            features.append(x)
        return features[-3], features[-2], features[-1]


class CspDarknet(StagedBackbone):
    """Stem and five stages.

    Parameters
    ----------
    plan : CspDarknetPlan
    width, depth : float
        Multipliers of channels and of residual units; 1 gives darknet's network.
    """

    def __init__(
        self,
        plan: CspDarknetPlan = CSP_DARKNET53,
        width: float = 1.0,
        depth: float = 1.0,
        activation: str = "mish",
    ) -> None:
        widths = [scaled_width(c, width) for c in plan.channels]
        stem = scaled_width(plan.stem, width)
        stages: list[nn.Module] = []
        c_in = stem
        for index, (c_out, repeats) in enumerate(zip(widths, plan.residuals, strict=True)):
            units = scaled_depth(repeats, depth)
            branch = scaled_width(plan.channels[index] // 2, width)
            if index:
                stage: nn.Module = CspStage(c_in, c_out, branch, branch, units, activation)
            elif plan.first_is_csp:
                stage = CspStage(c_in, c_out, c_out, branch, units, activation)
            else:
                stage = PlainStage(c_in, c_out, units, activation)
            stages.append(stage)
            c_in = c_out
        super().__init__(ConvBlock(3, stem, 3, 1, activation), stages, widths)


class Darknet53(StagedBackbone):
    """The backbone of YOLOv3: five plain residual stages (arXiv:1804.02767 table 1)."""

    def __init__(self, width: float = 1.0, depth: float = 1.0, activation: str = "leaky") -> None:
        widths = [scaled_width(c, width) for c in (64, 128, 256, 512, 1024)]
        stem = scaled_width(32, width)
        stages: list[nn.Module] = [
            PlainStage(c_in, c_out, scaled_depth(repeats, depth), activation)
            for c_in, c_out, repeats in zip([stem, *widths], widths, (1, 2, 8, 8, 4), strict=False)
        ]
        super().__init__(ConvBlock(3, stem, 3, 1, activation), stages, widths)
