"""The anchor-based YOLO head (darknet `[yolo]`; arXiv:1804.02767, arXiv:2004.10934)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.blocks.conv import ConvBlock
from model.blocks.rfb import RfbBlock
from model.geometry import Geometry

OBJECT_PRIOR = 0.01
LOGISTIC_PRIOR = 0.1  # squared errors behind a logistic: at 0.01 their gradient all but vanishes


class Prediction(nn.Module):
    """1x1 convolution with bias, and a logistic where the net has `new_coords`."""

    def __init__(self, c_in: int, outputs: int, *, logistic: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, outputs, 1)
        self.logistic = logistic

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, c_in, H, W) to a raw map (B, outputs, H, W)."""
        raw = self.conv(x)
        return raw.sigmoid() if self.logistic else raw


class YoloHead(nn.Module):
    """For each scale a 3x3 convolution, perhaps a receptive field block, and a prediction.

    Output channels are anchor-major, each anchor's being tx, ty, tw, th, objectness, classes;
    of a Gaussian head mu and sigma of each coordinate, objectness, classes.

    Parameters
    ----------
    channels : sequence of int
        Of the neck's maps.
    hidden : sequence of int, optional
        Channels of the 3x3 convolutions; None: the neck's maps are predicted from directly.
    rfb : str
        none, rfb, or rfbn: a block before each prediction (arXiv:1711.07767, as in ASFF).
    """

    def __init__(
        self,
        channels: Sequence[int],
        num_classes: int,
        geometry: Geometry,
        activation: str = "leaky",
        *,
        hidden: Sequence[int] | None = None,
        rfb: str = "none",
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.geometry = geometry
        outputs = geometry.outputs(num_classes)
        scales = []
        for index, c_in in enumerate(channels):
            layers: list[nn.Module] = []
            wide = c_in
            if hidden is not None:
                wide = hidden[index]
                layers.append(ConvBlock(c_in, wide, 3, 1, activation))
            if rfb != "none":
                layers.append(RfbBlock(wide, batch_norm=rfb == "rfbn"))
            layers.append(Prediction(wide, outputs, logistic=geometry.new_coords))
            scales.append(nn.Sequential(*layers))
        self.scales = nn.ModuleList(scales)

    @property
    def predictions(self) -> list[Prediction]:
        """Last layer of each scale, whose shape depends on the classes."""
        return [m for m in self.modules() if isinstance(m, Prediction)]

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map features (B, C_l, H_l, W_l) to raw maps (B, 3 (5 + classes), H_l, W_l)."""
        return tuple(scale(x) for scale, x in zip(self.scales, features, strict=True))

    def start_from_prior(self) -> None:
        """Set biases so that every score begins near its base rate (arXiv:1708.02002 sec. 4.1).

        Without it the first steps are spent on pushing thousands of empty cells down.
        """
        box = self.geometry.box_channels
        prior = LOGISTIC_PRIOR if self.geometry.new_coords else OBJECT_PRIOR
        for prediction in self.predictions:
            bias = prediction.conv.bias
            assert bias is not None
            with torch.no_grad():
                per_anchor = bias.view(self.geometry.per_scale, -1)
                per_anchor[:, box] = -math.log((1 - prior) / prior)
                per_anchor[:, box + 1 :] = -math.log(max(self.num_classes - 1, 1))
