"""CSPDarknet53, the backbone of YOLOv4 (arXiv:2004.10934 sec. 3.4; darknet cfg/yolov4.cfg)."""

import torch
from torch import Tensor, nn

from model.blocks.conv import ConvBlock, Residual, scaled_depth, scaled_width

STAGE_CHANNELS = (64, 128, 256, 512, 1024)
STAGE_RESIDUALS = (1, 2, 8, 8, 4)


class CspStage(nn.Module):
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
            *(Residual(branch, inner, activation) for _ in range(repeats))
        )
        self.leave = ConvBlock(branch, branch, 1, 1, activation)
        self.fuse = ConvBlock(2 * branch, c_out, 1, 1, activation)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, c_in, H, W) to (B, c_out, H/2, W/2)."""
        x = self.down(x)
        bypass = self.bypass(x)
        main = self.leave(self.residuals(self.enter(x)))
        return self.fuse(torch.cat((main, bypass), dim=1))  # order matters for darknet weights


class CspDarknet53(nn.Module):
    """Stem and five CSP stages with 1-2-8-8-4 residual units.

    Parameters
    ----------
    width, depth : float
        Multipliers of channels and of residual units; 1 gives the paper's network.

    Attributes
    ----------
    channels : tuple of int
        Channels of the maps at strides 8, 16 and 32.
    """

    def __init__(self, width: float = 1.0, depth: float = 1.0, activation: str = "mish") -> None:
        super().__init__()
        widths = [scaled_width(c, width) for c in STAGE_CHANNELS]
        stem = scaled_width(32, width)
        self.stem = ConvBlock(3, stem, 3, 1, activation)
        stages = []
        c_in = stem
        for index, (c_out, repeats) in enumerate(zip(widths, STAGE_RESIDUALS, strict=True)):
            first = index == 0
            branch = c_out if first else scaled_width(STAGE_CHANNELS[index] // 2, width)
            inner = stem if first else branch
            repeats_scaled = scaled_depth(repeats, depth)
            stages.append(CspStage(c_in, c_out, branch, inner, repeats_scaled, activation))
            c_in = c_out
        self.stages = nn.ModuleList(stages)
        self.channels = (widths[2], widths[3], widths[4])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map images (B, 3, H, W) to features at strides 8, 16 and 32."""
        x = self.stem(images)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features[2], features[3], features[4]
