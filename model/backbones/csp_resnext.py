"""CSPResNeXt50, the backbone of the paper's ablations (arXiv:1911.11929; arXiv:1611.05431)."""

from torch import nn

from model.backbones.csp_darknet import StagedBackbone, TwoBranchStage
from model.blocks.conv import Concat, ConvBlock, MaxPool, Residual, scaled_depth, scaled_width

CARDINALITY = 32
UNITS = (3, 3, 5, 2)
STAGE_CHANNELS = (256, 512, 1024, 2048)


def bottleneck(c_in: int, channels: int, groups: int, activation: str) -> Residual:
    """1x1, grouped 3x3, linear 1x1, added to the input, then the activation."""
    branch = nn.Sequential(
        ConvBlock(c_in, channels, 1, activation=activation),
        ConvBlock(channels, channels, 3, activation=activation, groups=groups),
        ConvBlock(channels, channels, 1, activation="linear"),
    )
    return Residual(branch, channels, activation)


class CspResNeXtStage(TwoBranchStage):
    """Grouped down-sampling (not in stage 1), two 1x1 branches, bottlenecks on one, fusion.

    In the first stage the main branch is entered with half the channels, which are added to
    the first unit's as darknet does: to its first channels only. In the middle stages both
    entries are linear.
    """

    def __init__(
        self, c_in: int, c_out: int, units: int, groups: int, activation: str, *, index: int
    ) -> None:
        super().__init__()
        branch, first = c_out // 2, index == 0
        enter = branch // 2 if first else branch
        entry = "linear" if index in (1, 2) else activation
        self.down = (
            nn.Identity() if first else ConvBlock(c_in, branch, 3, 2, activation, groups=groups)
        )
        wide = c_in if first else branch
        self.bypass = ConvBlock(wide, branch, 1, 1, entry)
        self.enter = ConvBlock(wide, enter, 1, 1, entry)
        widths = [enter] + [branch] * (units - 1)
        self.residuals = nn.Sequential(
            *(bottleneck(w, branch, groups, activation) for w in widths)
        )
        self.leave = ConvBlock(branch, branch, 1, 1, activation)
        self.join = Concat()
        self.fuse = ConvBlock(2 * branch, c_out, 1, 1, activation)


class CspResNeXt50(StagedBackbone):
    """7x7 stem, pool, and four stages of 3-3-5-2 bottlenecks.

    Parameters
    ----------
    width, depth : float
        Multipliers of channels (and with them of the 32 groups) and of bottlenecks.
    """

    def __init__(self, width: float = 1.0, depth: float = 1.0, activation: str = "leaky") -> None:
        widths = [scaled_width(c // 8, width) * 8 for c in STAGE_CHANNELS]
        stem = scaled_width(64, width)
        groups = max(1, round(CARDINALITY * width))
        stages: list[nn.Module] = []
        c_in = stem
        for index, (c_out, units) in enumerate(zip(widths, UNITS, strict=True)):
            count = scaled_depth(units, depth)
            stages.append(CspResNeXtStage(c_in, c_out, count, groups, activation, index=index))
            c_in = c_out
        start = nn.Sequential(ConvBlock(3, stem, 7, 2, activation), MaxPool(2, 2))
        super().__init__(start, stages, widths)
