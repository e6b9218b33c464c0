"""What an engine can train: the detector, or a curve that stands in for it."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from evolve.errors import EvolveError, nearest
from model.config import TrainConfig

if TYPE_CHECKING:
    from model.data.cache import ImageCache
    from model.data.coco import Dataset


class Report(Protocol):
    """One epoch of a training. Its methods work until the training goes on."""

    @property
    def epoch(self) -> int:
        """Finished epochs, from 1."""

    @property
    def epochs(self) -> int:
        """Planned epochs."""

    @property
    def metrics(self) -> dict[str, float]:
        """Numbers of this epoch, the objective among them."""

    @property
    def class_ap(self) -> dict[str, float]:
        """AP by class; may be empty."""

    def save(self, path: Path) -> None:
        """Write a checkpoint to continue from."""

    def save_weights(self, path: Path) -> None:
        """Write what detecting needs."""

    def save_detections(self, path: Path) -> None:
        """Write the detections on val."""


class Trainer(Protocol):
    """Starts or continues one training.

    A call gives a generator that yields after every epoch, may be dropped at any yield, and
    goes on exactly from a checkpoint of `Report.save`. Errors are raised from the generator.
    """

    def __call__(
        self, config: TrainConfig, data: Path, *, data_seed: int, resume: Path | None
    ) -> Iterator[Report]:
        """Train with `config` on the data at `data`."""


@lru_cache(maxsize=1)
def shared_data(data: Path, data_seed: int) -> "Dataset":
    """The data set, read once for all trials of this process."""
    from model.data.coco import load_dataset

    return load_dataset(data, seed=data_seed)


@lru_cache(maxsize=1)
def _shared_cache(digest: str, limit_bytes: int, max_side: int) -> "ImageCache":  # noqa: ARG001
    """Decoded images, shared by the trials of this process; `digest` keeps data sets apart."""
    from model.data.cache import ImageCache

    return ImageCache(limit_bytes, max_side=max_side)


def train_detector(
    config: TrainConfig, data: Path, *, data_seed: int, resume: Path | None
) -> Iterator[Report]:
    """Train a detector of the zoo (`model.train.fit`)."""
    from model.train import fit, resolve

    dataset = shared_data(data, data_seed)
    config = resolve(config, dataset)
    limit = config.data.cache_mb << 20
    cache = _shared_cache(dataset.digest, limit, 2 * int(config.image_size))
    return fit(config, dataset, cache=cache, resume=resume)


def train_curve(
    config: TrainConfig, data: Path, *, data_seed: int, resume: Path | None
) -> Iterator[Report]:
    """Follow a learning curve instead of training (`evolve.testing.curves`)."""
    from evolve.testing.curves import follow_curve

    return follow_curve(config, data, data_seed=data_seed, resume=resume)


TRAINERS: dict[str, Callable[..., Iterator[Any]]] = {
    "detector": train_detector,
    "curve": train_curve,
}


def get_trainer(name: str) -> Trainer:
    """A trainer by name; an EvolveError names the known ones."""
    if name not in TRAINERS:
        raise EvolveError(f"no such trainer: '{name}'", mend=nearest(name, TRAINERS))
    return TRAINERS[name]
