"""How a training is fed: by how many processes, and from which memory."""

import os
from collections.abc import Sequence

import torch

from model.config import TrainConfig
from model.data.cache import ImageCache, Pictures
from model.data.coco import ImageRecord
from model.data.shared_cache import SharedCache

MOST_WORKERS = 8


def loader_workers(config: TrainConfig, device: torch.device) -> int:
    """Processes that prepare mini-batches; of itself none, unless a GPU waits for them."""
    if config.data.workers != "auto":
        return config.data.workers
    return min(MOST_WORKERS, os.cpu_count() or 1) if device.type == "cuda" else 0


def new_cache(
    config: TrainConfig, records: Sequence[ImageRecord], max_side: int | None, *, shared: bool
) -> Pictures:
    """An empty cache of decoded pictures, in memory that worker processes share if they are to.

    Parameters
    ----------
    records : sequence of ImageRecord
        All pictures that will be asked for.
    max_side : int, optional
        Larger pictures are shrunk to it.
    """
    limit_bytes = config.data.cache_mb << 20
    if shared:
        return SharedCache(records, limit_bytes, max_side)
    return ImageCache(limit_bytes, max_side)
