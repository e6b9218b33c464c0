"""How a training is fed: who paints its images, in how many processes, from which memory."""

import os
from collections.abc import Callable, Sequence

import torch

from model.config import TrainConfig
from model.data.cache import ImageCache, Pictures
from model.data.coco import ImageRecord
from model.data.loader import RecipeLoader
from model.data.recipe import Recipe, Size
from model.data.shared_cache import SharedCache
from model.device_loader import DeviceLoader, choose_backend
from model.errors import ConfigurationError

MOST_WORKERS = 8
WORKERS_A_CORE = 4


def loader_workers(config: TrainConfig, device: torch.device) -> int:
    """Processes that prepare mini-batches; of itself none, unless a GPU waits for them.

    Raises
    ------
    ConfigurationError
        If there are to be more than `WORKERS_A_CORE` for each core: they would only take memory.
    """
    cores = len(os.sched_getaffinity(0))
    wanted = config.data.workers
    if wanted == "auto":
        return min(MOST_WORKERS, cores) if device.type == "cuda" else 0
    if wanted > WORKERS_A_CORE * cores:
        raise ConfigurationError(
            f"{wanted} loader processes are too many for {cores} cores",
            "data.workers",
            f"take {cores} or fewer",
        )
    return wanted


def build_loader(
    config: TrainConfig,
    device: torch.device,
    make_recipe: Callable[[Pictures], Recipe],
    sizes_wh: Sequence[Size],
    *,
    records: Sequence[ImageRecord],
    max_side: int | None,
    cache: Pictures | None = None,
) -> tuple[RecipeLoader | DeviceLoader, Pictures]:
    """The loader of a training, and the cache behind it.

    Parameters
    ----------
    make_recipe : callable of (cache) -> Recipe
    sizes_wh : sequence of (width, height)
        Of the training pictures, as a cache of `max_side` holds them.
    records : sequence of ImageRecord
        All pictures that will be asked for, in training and evaluation.
    max_side : int, optional
        Of a new cache: larger pictures are shrunk to it.
    cache : Pictures, optional
        One that is there already; it is left alone where worker processes cannot share it.

    Raises
    ------
    ConfigurationError
        If the pictures do not fit into the device's memory that was asked for.
    """
    if choose_backend(config, device, sizes_wh) == "device":
        known = sizes_wh if cache is None else None  # another cache may hold other sizes
        cache = cache or new_cache(config.data.cache_mb, records, max_side, shared=False)
        return DeviceLoader(make_recipe(cache), device, known), cache
    workers = loader_workers(config, device)
    if cache is None or (workers and not isinstance(cache, SharedCache)):
        cache = new_cache(config.data.cache_mb, records, max_side, shared=workers > 0)
    return RecipeLoader(make_recipe(cache), workers), cache


def new_cache(
    limit_mb: int, records: Sequence[ImageRecord], max_side: int | None, *, shared: bool
) -> Pictures:
    """An empty cache of decoded pictures, in memory that worker processes share if they are to.

    Parameters
    ----------
    limit_mb : int
        Bound on all pictures held together, `data.cache_mb`.
    records : sequence of ImageRecord
        All pictures that will be asked for.
    max_side : int, optional
        Larger pictures are shrunk to it.
    """
    limit_bytes = limit_mb << 20
    if shared:
        return SharedCache(records, limit_bytes, max_side)
    return ImageCache(limit_bytes, max_side)
