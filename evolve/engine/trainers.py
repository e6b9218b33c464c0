"""What an engine can train: a network, or a curve that stands in for it."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from evolve.errors import EvolveError, nearest
from model.config import TrainConfig
from model.halt import Halt

if TYPE_CHECKING:
    from model.data.cache import Pictures
    from model.data.classes import ClassDataset
    from model.data.coco import Dataset, ImageRecord


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
        """AP of a detector, recall of a classifier by class; may be empty."""

    def save(self, path: Path) -> None:
        """Write a checkpoint to continue from."""

    def save_weights(self, path: Path) -> None:
        """Write what detecting needs."""

    def save_detections(self, path: Path) -> None:
        """Write the detections on val."""

    def measure_on(self, split: str, detections: Path) -> dict[str, float]:
        """Metrics of the weights that `save_weights` writes on another split than val.

        The detections on it are written to a file.
        """


class Trainer(Protocol):
    """Starts or continues one training.

    A call gives a generator that yields after every epoch, may be dropped at any yield, and
    goes on exactly from a checkpoint of `Report.save`, or from that of a halt within an epoch.
    Errors are raised from the generator, `model.errors.Halted` among them. A checkpoint goes on
    with any configuration that agrees with its own on the epochs that it has begun; changes
    after them may be others (`TrainConfig.changes`).
    """

    def __call__(
        self,
        config: TrainConfig,
        data: Path,
        *,
        data_seed: int,
        resume: Path | None,
        halt: Halt | None = None,
    ) -> Iterator[Report]:
        """Train with `config` on the data at `data`."""


@lru_cache(maxsize=1)
def shared_data(data: Path, data_seed: int) -> "Dataset":
    """The data set of a detector, read once for all trials of this process."""
    from model.data.coco import load_dataset

    return load_dataset(data, seed=data_seed)


@lru_cache(maxsize=1)
def shared_class_data(data: Path, data_seed: int) -> "ClassDataset":
    """The data set of a classifier, read once for all trials of this process."""
    from model.data.classes import load_class_data

    return load_class_data(data, seed=data_seed)


@lru_cache(maxsize=1)
def _shared_cache(
    data: Path, data_seed: int, task: str, limit_mb: int, max_side: int | None, shared: bool
) -> "Pictures":
    """Decoded images, shared by the trials of this process, and by their workers if `shared`."""
    from model.feeding import new_cache

    return new_cache(limit_mb, _records(data, data_seed, task), max_side, shared=shared)


def _records(data: Path, data_seed: int, task: str) -> "list[ImageRecord]":
    """Pictures that a training looks at."""
    if task == "classify":
        samples = shared_class_data(data, data_seed).splits
        return [sample.record for name in ("train", "val") for sample in samples[name]]
    splits = shared_data(data, data_seed).splits
    return [*splits["train"], *splits["val"]]


def train_network(
    config: TrainConfig,
    data: Path,
    *,
    data_seed: int,
    resume: Path | None,
    halt: Halt | None = None,
) -> Iterator[Report]:
    """Train a network of the zoo: a detector, or a classifier if that is its task."""
    train = train_classifier if config.task == "classify" else train_detector
    return train(config, data, data_seed=data_seed, resume=resume, halt=halt)


def train_detector(
    config: TrainConfig,
    data: Path,
    *,
    data_seed: int,
    resume: Path | None,
    halt: Halt | None = None,
) -> Iterator[Report]:
    """Train a detector (`model.train.fit`)."""
    from model.data.batch_plan import largest_size
    from model.train import fit, resolve

    dataset = shared_data(data, data_seed)
    config = resolve(config, dataset)
    max_side = 2 * largest_size(config, int(config.image_size))
    cache = _cache_for(config, data, data_seed, max_side)
    return fit(config, dataset, cache=cache, resume=resume, halt=halt)


def train_classifier(
    config: TrainConfig,
    data: Path,
    *,
    data_seed: int,
    resume: Path | None,
    halt: Halt | None = None,
) -> Iterator[Report]:
    """Train a classifier (`model.classify.fit_classifier`)."""
    from model.classify import fit_classifier, resolve_classifier

    dataset = shared_class_data(data, data_seed)
    config = resolve_classifier(config, dataset)
    max_side = dataset.held_side(int(config.image_size))
    cache = _cache_for(config, data, data_seed, max_side)
    return fit_classifier(config, dataset, cache=cache, resume=resume, halt=halt)


def _cache_for(
    config: TrainConfig, data: Path, data_seed: int, max_side: int | None
) -> "Pictures":
    from model.feeding import loader_workers
    from model.training import pick_device

    shared = loader_workers(config, pick_device()) > 0
    return _shared_cache(data, data_seed, config.task, config.data.cache_mb, max_side, shared)


def train_curve(
    config: TrainConfig,
    data: Path,
    *,
    data_seed: int,
    resume: Path | None,
    halt: Halt | None = None,
) -> Iterator[Report]:
    """Follow a learning curve instead of training (`evolve.testing.curves`)."""
    from evolve.testing.curves import follow_curve

    return follow_curve(config, data, data_seed=data_seed, resume=resume, halt=halt)


TRAINERS: dict[str, Callable[..., Iterator[Any]]] = {
    "detector": train_network,  # what stored runs call it, whatever its task
    "curve": train_curve,
}


def get_trainer(name: str) -> Trainer:
    """A trainer by name; an EvolveError names the known ones."""
    if name not in TRAINERS:
        raise EvolveError(f"no such trainer: '{name}'", mend=nearest(name, TRAINERS))
    return TRAINERS[name]
