"""Exponential moving average of a network."""

import copy
from collections.abc import Iterator
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


class Ema(Generic[Network]):
    """A shadow of a network that follows it slowly.

    Parameters
    ----------
    network : nn.Module
        Copied; the copy is in evaluation mode and has no gradients.
    decay : float
        Upper bound. After n updates the decay is min(decay, (1 + n) / (10 + n)), so that the
        start is soon forgotten (TensorFlow's ExponentialMovingAverage with `num_updates`).
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the shadow towards `network`: floating weights and statistics, others copied."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        pairs = list(zip(_tensors(self.network), _tensors(network), strict=True))
        moving = [(ours, live) for ours, live in pairs if ours.is_floating_point()]
        ours, live = [list(side) for side in zip(*moving, strict=True)]
        torch._foreach_lerp_(ours, live, 1 - decay)
        for counter, value in pairs:
            if not counter.is_floating_point():
                counter.copy_(value)


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    """Parameters and buffers, one module after the other."""
    for module in network.modules():
        for held in (module._parameters, module._buffers):
            yield from (tensor for tensor in held.values() if tensor is not None)
