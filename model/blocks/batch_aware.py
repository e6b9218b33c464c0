"""Modules that must know when a batch begins and how far the training is."""

from collections.abc import Iterator

from torch import nn


class BatchAware(nn.Module):
    """A module that the trainer tells of every update.

    `begin_batch` is called once before the first mini-batch of each update, on every such
    module, with the fraction of the training that is done.
    """

    def begin_batch(self, progress: float) -> None:
        """Prepare for the mini-batches of one update; `progress` is in [0, 1)."""
        raise NotImplementedError


def batch_aware(network: nn.Module) -> Iterator[BatchAware]:
    """All modules of a network that must be told."""
    return (module for module in network.modules() if isinstance(module, BatchAware))
