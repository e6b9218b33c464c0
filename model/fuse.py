"""Batch normalisation folded into the convolutions before it, for networks that only detect."""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from model.blocks.conv import ConvBlock
from model.errors import ConfigurationError

Network = TypeVar("Network", bound=nn.Module)


def fold_batch_norm(network: Network) -> Network:
    """Copy of a network in evaluation mode, with fewer layers and the same output.

    In every `ConvBlock` with BN, CmBN or CBN the convolution takes over scale and shift, and
    the normalisation becomes the identity. FRN, which depends on its input, stays.

    Parameters
    ----------
    network : nn.Module
        Left as it is.

    Raises
    ------
    ConfigurationError
        If a part of it is in training mode, where statistics are those of the batch.
    """
    training = [name for name, module in network.named_modules() if module.training]
    if training:
        raise ConfigurationError(
            "a network in training mode normalises by its batches, which cannot be folded",
            training[0],
            "call network.eval() first",
        )
    folded = copy.deepcopy(network)
    for block in folded.modules():
        if isinstance(block, ConvBlock) and isinstance(block.norm, nn.BatchNorm2d):
            _fold(block, block.norm)
    return folded


@torch.no_grad()
def _fold(block: ConvBlock, norm: nn.BatchNorm2d) -> None:
    """Let the convolution of a block do what its normalisation does."""
    conv = block.conv
    scale, shift = _scale_and_shift(norm)
    conv.weight.copy_(conv.weight.double() * scale.view(-1, 1, 1, 1))
    conv.bias = nn.Parameter(shift.to(conv.weight.dtype), conv.weight.requires_grad)
    block.norm = nn.Identity().eval()


def _scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a value is multiplied by and what is then added, (C,) each, in double precision."""
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    scale = norm.weight.double() * (var.double() + norm.eps).rsqrt()
    return scale, norm.bias.double() - mean.double() * scale
