"""The anchor-based YOLO head (darknet `[yolo]`; arXiv:1804.02767, arXiv:2004.10934)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.blocks.conv import ConvBlock

ANCHORS_PER_SCALE = 3
OBJECT_PRIOR = 0.01


class YoloHead(nn.Module):
    """For each scale a 3x3 convolution and a linear 1x1 with bias.

    Output channels are anchor-major, each anchor's being tx, ty, tw, th, objectness, classes.
    """

    def __init__(
        self, channels: Sequence[int], num_classes: int, activation: str = "leaky"
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        outputs = ANCHORS_PER_SCALE * (5 + num_classes)
        self.scales = nn.ModuleList(
            nn.Sequential(ConvBlock(c, 2 * c, 3, 1, activation), nn.Conv2d(2 * c, outputs, 1))
            for c in channels
        )

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map features (B, C_l, H_l, W_l) to raw maps (B, 3 (5 + classes), H_l, W_l)."""
        return tuple(scale(x) for scale, x in zip(self.scales, features, strict=True))

    def start_from_prior(self) -> None:
        """Set biases so that every score begins near its base rate (arXiv:1708.02002 sec. 4.1).

        Without it the first steps are spent on pushing thousands of empty cells down.
        """
        for scale in self.scales:
            *_, last = scale.children()
            assert isinstance(last, nn.Conv2d)
            assert last.bias is not None
            with torch.no_grad():
                per_anchor = last.bias.view(ANCHORS_PER_SCALE, -1)
                per_anchor[:, 4] = -math.log((1 - OBJECT_PRIOR) / OBJECT_PRIOR)
                per_anchor[:, 5:] = -math.log(max(self.num_classes - 1, 1))
