"""Receptive field block (arXiv:1711.07767) in the form that ASFF puts before its predictions."""

import torch
from torch import Tensor, nn

from model.blocks.conv import ConvBlock
from model.errors import ConfigurationError

# (kernel, dilation) of every convolution of the four branches; fields of 1, 3, 7 and 11 cells
BRANCHES = (
    ((1, 1),),
    ((1, 1), (3, 1)),
    ((1, 1), (3, 1), (3, 2)),
    ((1, 1), (5, 1), (3, 3)),
)


class RfbBlock(nn.Module):
    """Four branches of a quarter of the channels each, concatenated.

    No activation and no residual sum (arXiv:1911.09516, its public code).

    Parameters
    ----------
    channels : int
        In and out, a multiple of 4.
    batch_norm : bool
        Normalise after every convolution ("RFBN"); else convolutions have a bias ("RFB").
    norm : str
        A name in `norms`, for `batch_norm`.
    """

    def __init__(self, channels: int, batch_norm: bool, norm: str = "bn") -> None:
        super().__init__()
        if channels % len(BRANCHES):
            raise ConfigurationError(
                f"a receptive field block cannot split {channels} channels in four",
                mend="take a width that makes them a multiple of 4",
            )
        branch_norm = norm if batch_norm else None
        self.branches = nn.ModuleList(
            _branch(channels, channels // len(BRANCHES), layers, branch_norm)
            for layers in BRANCHES
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def _branch(
    c_in: int, c_out: int, layers: tuple[tuple[int, int], ...], norm: str | None
) -> nn.Sequential:
    """Convolutions one after the other, the first of which changes the channels."""
    widths = (c_in, *[c_out] * len(layers))
    return nn.Sequential(
        *(
            _convolution(before, c_out, kernel, dilation, norm)
            for before, (kernel, dilation) in zip(widths[:-1], layers, strict=True)
        )
    )


def _convolution(c_in: int, c_out: int, kernel: int, dilation: int, norm: str | None) -> nn.Module:
    """Of the same size in and out, with a normalisation or else with a bias."""
    if norm is not None:
        return ConvBlock(c_in, c_out, kernel, activation="linear", dilation=dilation, norm=norm)
    return nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2 * dilation, dilation=dilation)
