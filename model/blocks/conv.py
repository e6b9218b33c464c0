"""Convolution blocks of the darknet family (facts: arXiv:2004.10934, darknet's cfg files)."""

import math

from torch import Tensor, nn

from model.blocks.mish import mish
from model.registry import Registry

activations: Registry[type[nn.Module]] = Registry("activation")


@activations.register("mish")
class Mish(nn.Module):
    """x tanh(ln(1 + e^x)) (arXiv:1908.08681).

    Not in place: its gradient needs the input, which in-place execution would have to copy.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor to one of the same shape and type."""
        return mish(x)


@activations.register("leaky")
class Leaky(nn.LeakyReLU):
    """LeakyReLU with darknet's slope 0.1 (PyTorch's default is 0.01)."""

    def __init__(self) -> None:
        super().__init__(0.1, inplace=True)


@activations.register("linear")
class Linear(nn.Identity):
    """No activation."""


class ConvBlock(nn.Sequential):
    """Convolution without bias, batch normalisation, activation.

    Parameters
    ----------
    c_in, c_out : int
        Channels.
    kernel, stride : int
        Padding is ``kernel // 2``.
    activation : str
        A name in `activations`.
    """

    def __init__(
        self, c_in: int, c_out: int, kernel: int, stride: int = 1, activation: str = "mish"
    ) -> None:
        super().__init__(
            nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(c_out, eps=1e-5),
            activations.get(activation)(),
        )


class Residual(nn.Module):
    """x + 3x3(1x1(x)), the residual unit of Darknet53 (arXiv:1804.02767, fig. table 1)."""

    def __init__(self, channels: int, inner: int, activation: str = "mish") -> None:
        super().__init__()
        self.squeeze = ConvBlock(channels, inner, 1, activation=activation)
        self.expand = ConvBlock(inner, channels, 3, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return x + self.expand(self.squeeze(x))


def scaled_width(channels: int, width: float) -> int:
    """`channels` times `width`, to the nearest multiple of 8 and at least 8."""
    return max(8, round(channels * width / 8) * 8)


def scaled_depth(repeats: int, depth: float) -> int:
    """`repeats` times `depth`, rounded, at least 1."""
    return max(1, round(repeats * depth))


def initialise(module: nn.Module) -> None:
    """Darknet's initial weights: uniform in +-sqrt(2 / fan_in), zero bias, unit BN scale.

    Draws from torch's global generator; set it before building.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            fan_in = layer.weight[0].numel()
            bound = math.sqrt(2.0 / fan_in)
            nn.init.uniform_(layer.weight, -bound, bound)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
