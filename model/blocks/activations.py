"""Activations by name; every constructor takes the number of channels.

They work in place where their gradient can be had from the output, as it is behind a
normalisation, which keeps its input only.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from model.blocks.mish import mish
from model.registry import Registry

activations: Registry[Callable[[int], nn.Module]] = Registry("activation")

LEAKY_SLOPE = 0.1  # darknet's; PyTorch's default is 0.01


class Mish(nn.Module):
    """x tanh(ln(1 + e^x)) (arXiv:1908.08681).

    Not in place: its gradient needs the input, which in-place execution would have to copy.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor to one of the same shape and type."""
        return mish(x)


class HardMish(nn.Module):
    """x above 0, x^2 / 2 + x from -2 to 0, else 0: darknet's piecewise Mish."""

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor to one of the same shape and type."""
        return x * (x + 2).clamp(0, 2) / 2


class Logistic(nn.Module):
    """1 / (1 + e^-x), in place."""

    def forward(self, x: Tensor) -> Tensor:
        """Overwrite a tensor and return it."""
        return x.sigmoid_()


@activations.register("tlu")
class ThresholdedLinear(nn.Module):
    """max(x, tau) with a learned tau per channel, at first 0 (TLU, arXiv:1911.09737, eq. 5).

    The partner of filter response normalisation, whose output is not centred on zero.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.tau = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape and type."""
        return torch.maximum(x, self.tau.to(x.dtype).view(-1, 1, 1))


@activations.register("prelu")
def parametric_relu(channels: int) -> nn.Module:
    """LeakyReLU with a learned slope per channel, at first 0.25 (arXiv:1502.01852)."""
    return nn.PReLU(channels, init=0.25)


def _for_any_width(build: Callable[[], nn.Module]) -> Callable[[int], nn.Module]:
    """Let a constructor without arguments take the number of channels."""
    return lambda _channels: build()


_WITHOUT_PARAMETERS: dict[str, Callable[[], nn.Module]] = {
    "linear": nn.Identity,
    "relu": partial(nn.ReLU, inplace=True),
    "leaky": partial(nn.LeakyReLU, LEAKY_SLOPE, inplace=True),
    "relu6": partial(nn.ReLU6, inplace=True),
    "selu": partial(nn.SELU, inplace=True),  # arXiv:1706.02515
    "swish": nn.SiLU,  # arXiv:1710.05941
    "hard-swish": nn.Hardswish,  # arXiv:1905.02244, eq. 3
    "mish": Mish,
    "hard-mish": HardMish,
    "logistic": Logistic,
}
for _name, _build in _WITHOUT_PARAMETERS.items():
    activations.register(_name)(_for_any_width(_build))
