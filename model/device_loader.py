"""Mini-batches painted on the training device, and the rule that decides who paints."""

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.config import TrainConfig
from model.data.batch_plan import MiniBatch
from model.data.recipe import Recipe, Size
from model.device_painter import DevicePainter
from model.device_pictures import DevicePictures, bytes_on_device, fits
from model.errors import ConfigurationError

Backend = Literal["opencv", "device"]

FREE_SHARE = 0.25
"""Share of a GPU's free memory that pictures may take; network and maps need the rest."""


@dataclass(frozen=True, eq=False)
class DeviceBatch:
    """One mini-batch of training, its images on the device.

    Attributes
    ----------
    images : Tensor, shape (B, 3, H, W), uint8, RGB, contiguous
    targets : ndarray, float32
        As the recipe makes them; see `model.data.batch.Batch`.
    step : MiniBatch
    """

    images: Tensor
    targets: NDArray[np.float32]
    step: MiniBatch


class DeviceLoader:
    """Mini-batches of an epoch, painted on the device; used as `RecipeLoader` is.

    A GPU is never waited for: while it still computes the last step, the next mini-batch is
    planned and its painting queued. All pictures are decoded and sent when this is made.

    Parameters
    ----------
    recipe : Recipe
    device : torch.device
    sizes_wh : sequence of (width, height), optional
        Of all pictures, as for `DevicePictures`.

    Attributes
    ----------
    positions : int
        Images of an epoch.
    waited_s : float
        Time that the running epoch, or the last one, spent planning mini-batches; on a CPU also
        painting them.
    """

    def __init__(
        self, recipe: Recipe, device: torch.device, sizes_wh: Sequence[Size] | None = None
    ) -> None:
        self.recipe = recipe
        self.positions = recipe.positions
        self.waited_s = 0.0
        self._pictures = DevicePictures(recipe, device, sizes_wh)
        self._painter = DevicePainter(self._pictures)
        self._running: Generator[DeviceBatch] | None = None

    def __len__(self) -> int:
        """Mini-batches of the first epoch; of every one unless they are dynamic."""
        return len(self.plan(0))

    def plan(self, epoch: int) -> tuple[MiniBatch, ...]:
        """Mini-batches of an epoch, in order."""
        return self.recipe.steps(epoch)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[DeviceBatch]:
        """Mini-batches of an epoch, counted from 0, from `start` on; ends the epoch before."""
        self.close()
        self.waited_s = 0.0
        self._running = self._timed(self._made(epoch, start))
        return self._running

    def use(self, recipe: Recipe) -> None:
        """Take another recipe of the same pictures and plan; ends the running epoch.

        The pictures stay where they are.
        """
        self.close()
        self.recipe = recipe

    def _made(self, epoch: int, start: int) -> Generator[DeviceBatch]:
        for index, step in enumerate(self.plan(epoch)[start:], start):
            planned = self.recipe.planned(epoch, index, self._pictures.size_wh)
            images = self._painter.paint(planned)
            yield DeviceBatch(images, self.recipe.targets(planned), step)

    def _timed(self, batches: Generator[DeviceBatch]) -> Generator[DeviceBatch]:
        with closing(batches):
            while True:
                asked = time.perf_counter()
                batch = next(batches, None)
                self.waited_s += time.perf_counter() - asked
                if batch is None:
                    return
                yield batch

    def close(self) -> None:
        """End the running epoch."""
        if self._running is not None:
            self._running.close()
            self._running = None


def choose_backend(
    config: TrainConfig,
    device: torch.device,
    sizes_wh: Sequence[Size],
    limit_bytes: int | None = None,
) -> Backend:
    """Who paints the training images.

    Left to itself, a GPU that has room for all pictures. A CPU paints 9 to 32 times faster with
    OpenCV (one thread, 160 and 608 px), so its own operations are for whoever asks for them.

    Parameters
    ----------
    config : TrainConfig
        Its `data.backend` and `data.cache_mb`.
    device : torch.device
    sizes_wh : sequence of (width, height)
        Of all training pictures, as they are held; see `held_sizes`.
    limit_bytes : int, optional
        Bound on them all; `room_bytes` if not given.

    Raises
    ------
    ConfigurationError
        If ``data.backend: device`` is asked for and the pictures do not fit.
    """
    wanted = config.data.backend
    if wanted == "opencv" or (wanted == "auto" and device.type != "cuda"):
        return "opencv"
    limit = room_bytes(config, device) if limit_bytes is None else limit_bytes
    if fits(sizes_wh, limit):
        return "device"
    if wanted == "auto":
        return "opencv"
    raise ConfigurationError(
        f"the training pictures take {bytes_on_device(sizes_wh) / 2**20:.1f} MiB decoded, and on "
        f"{device} there is room for {limit / 2**20:.1f} MiB "
        f"(data.cache_mb is {config.data.cache_mb})",
        "data.backend",
        "raise data.cache_mb if the memory is there, or set data.backend: opencv",
    )


def room_bytes(config: TrainConfig, device: torch.device) -> int:
    """Memory that pictures may take on a device: `data.cache_mb`, and a share of what is free."""
    asked = config.data.cache_mb << 20
    if device.type != "cuda":
        return asked
    free, _ = torch.cuda.mem_get_info(device)
    return min(asked, int(FREE_SHARE * free))
