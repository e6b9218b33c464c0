"""Exponential moving average of a network."""

import copy

import torch
from torch import Tensor, nn


class Ema:
    """A shadow of a network that follows it slowly.

    Parameters
    ----------
    network : nn.Module
        Copied; the copy is in evaluation mode and has no gradients.
    decay : float
        Upper bound. After n updates the decay is min(decay, (1 + n) / (10 + n)), so that the
        start is soon forgotten (TensorFlow's ExponentialMovingAverage with `num_updates`).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the shadow towards `network`: floating weights and statistics, others copied."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        shadow, live = self.network.state_dict(), network.state_dict()
        moving = [name for name, value in shadow.items() if value.is_floating_point()]
        ours: list[Tensor] = [shadow[name] for name in moving]
        torch._foreach_lerp_(ours, [live[name] for name in moving], 1 - decay)
        for name, value in shadow.items():
            if not value.is_floating_point():
                value.copy_(live[name])
