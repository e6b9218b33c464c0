"""Training a backbone as a classifier, as a generator: one report an epoch, as `model.train`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.build import Classifier
from model.checkpoint import load_checkpoint, save_checkpoint
from model.class_targets import (
    cross_entropy,
    mixed,
    save_predictions,
    score,
    smoothed,
)
from model.classifier import EVAL_BATCH, classifier_from_config, load_class_teacher, logits_of
from model.config import TrainConfig
from model.data.batch import Batch
from model.data.cache import ImageCache, Pictures
from model.data.class_recipe import ClassEvalLoader, ClassRecipe
from model.data.classes import ClassDataset, ClassSample
from model.device_loader import DeviceBatch
from model.feeding import build_loader
from model.halt import Halt
from model.losses import Loss
from model.predict import as_input
from model.tasks import check_task
from model.trained import check_measurable
from model.training import BaseTraining
from model.transfer import settled_files

AUTO_SIZE_PX = (64, 256)


@dataclass(frozen=True)
class ClassReport:
    """What one epoch gave. `save` works until the generator is advanced.

    Attributes
    ----------
    epoch, epochs : int
        Finished epochs (from 1) and those planned.
    metrics : dict of str -> float
        top1 and top5 on val in [0, 1]; loss (mean over updates, per image); lr; images_per_s;
        train_time_s, eval_time_s; wait_share, the part of the training time that was spent
        waiting for data.
    class_ap : dict of str -> float
        Not AP but the recall of each class, under the name that reports of detectors have.
    """

    epoch: int
    epochs: int
    metrics: dict[str, float]
    class_ap: dict[str, float]
    _training: "ClassTraining"
    _probabilities: NDArray[np.float32]

    def save(self, path: Path) -> None:
        """Write a checkpoint from which `fit_classifier` continues as if it had not stopped."""
        save_checkpoint(path, self._training.state_dict(self.metrics))

    def save_weights(self, path: Path) -> None:
        """Write what classifying needs: averaged weights, classes, configuration."""
        save_checkpoint(path, self._training.weights_dict(self.metrics))

    def save_detections(self, path: Path) -> None:
        """Write this epoch's predictions on val, gzipped JSON."""
        training = self._training
        samples = training.dataset.splits["val"]
        save_predictions(
            path, samples, self._probabilities, training.classes, training.protocol("val")
        )

    def measure_on(self, split: str, detections: Path) -> dict[str, float]:
        """top1 and top5 of the same weights on another split; its predictions are written.

        Raises
        ------
        DataError
            If there is no such split.
        """
        return self._training.measure_on(split, detections)


def fit_classifier(
    config: TrainConfig,
    dataset: ClassDataset,
    *,
    cache: Pictures | None = None,
    device: str | torch.device | None = None,
    resume: Path | None = None,
    halt: Halt | None = None,
) -> Iterator[ClassReport]:
    """Train a classifier and yield a report after every epoch.

    Promises, parameters and errors are those of `model.train.fit`.

    Parameters
    ----------
    config : TrainConfig
        Of task ``classify``.
    dataset : ClassDataset

    Raises
    ------
    ConfigurationError
        If the configuration asks for what only a detector has.
    """
    training = ClassTraining(config, dataset, cache=cache, device=device, resume=resume)
    yield from training.run(halt)


def class_image_size(samples: Sequence[ClassSample]) -> int:
    """Median shorter side of the pictures or crops to the nearest 32 px, from 64 to 256."""
    side = float(np.median([min(sample.size_wh) for sample in samples]))
    low, high = AUTO_SIZE_PX
    return int(min(high, max(low, round(side / 32) * 32)))


def resolve_classifier(config: TrainConfig, dataset: ClassDataset) -> TrainConfig:
    """`config` with `image_size` settled for `dataset`, and paths and digests of files.

    Raises
    ------
    ConfigurationError
        If the configuration is not for a classifier, or names a file that is not there.
    """
    check_task(config, "classify")
    settled: dict[str, Any] = dict(settled_files(config))
    if config.image_size == "auto":
        settled["image_size"] = class_image_size(dataset.splits["train"])
    return config.with_values(settled) if settled else config


class ClassTraining(BaseTraining[Classifier, Batch | DeviceBatch, ClassReport]):
    """State of one training of a classifier; `fit_classifier` is the way to use it.

    Parameters
    ----------
    resume : Path, optional
        Checkpoint to continue; weights to start from are not read then.
    """

    def __init__(
        self,
        config: TrainConfig,
        dataset: ClassDataset,
        *,
        cache: Pictures | None = None,
        device: str | torch.device | None = None,
        resume: Path | None = None,
    ) -> None:
        config = resolve_classifier(config, dataset)
        super().__init__(config, dataset.classes, dataset.digest, device)
        self.dataset = dataset
        self.size = int(config.image_size)
        self._build_data(cache)
        self._build_network(fresh=resume is None)
        self.teacher: Classifier | None = None
        if config.distill.teacher:
            self.teacher = load_class_teacher(config.distill, self.classes, self.device)
        if resume is not None:
            self.load_state_dict(load_checkpoint(resume, self.device), str(resume))

    def _build_data(self, cache: Pictures | None) -> None:
        train, val = self.dataset.splits["train"], self.dataset.splits["val"]
        max_side = self.dataset.held_side(self.size)
        self.train_loader, self._cache = build_loader(
            self.config,
            self.device,
            self._recipe,
            [sample.held_wh(max_side) for sample in train],
            records=[sample.record for sample in (*train, *val)],
            max_side=max_side,
            cache=cache,
        )
        self.val_loader = ClassEvalLoader(val, self._cache, (self.size, self.size), EVAL_BATCH)

    def _recipe(self, pictures: Pictures) -> ClassRecipe:
        train, size_wh = self.dataset.splits["train"], (self.size, self.size)
        return ClassRecipe(train, pictures, self.config, size_wh, len(self.classes))

    def _build_network(self, *, fresh: bool) -> None:
        """Network and optimiser."""
        torch.manual_seed(self.config.seed)
        self._start(classifier_from_config(self.config, len(self.classes)), fresh=fresh)

    def _rebuild(self) -> None:
        """As promised; pictures and the teacher stay where they are."""
        self.train_loader.use(self._recipe(self._cache))
        self._build_network(fresh=False)

    def train_epoch(self) -> dict[str, float]:
        """Train one epoch; mean loss over its updates, and the last learning rate."""
        self.settle()
        sums, updates = self._train_epoch()
        return {
            "loss": float(sums.sum() / updates),
            "lr": float(self.optimizer.param_groups[0]["lr"]),
        }

    def _loss_of(self, batch: Batch | DeviceBatch, index: int, progress: float) -> Loss:  # noqa: ARG002
        """As promised; its part is that of the classes."""
        images = as_input(batch.images, self.device)
        wanted = self._wanted(images, torch.from_numpy(batch.targets).to(self.device))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            logits = self.network(images)
        loss = cross_entropy(logits, wanted, batch.step.batch_images)
        nothing = loss.new_zeros(())
        return Loss(nothing, nothing, loss)

    @torch.no_grad()
    def _wanted(self, images: Tensor, shares: Tensor) -> Tensor:
        """Class targets (B, K), as the teacher and smoothing leave them."""
        config = self.config
        if self.teacher is not None:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
                told = self.teacher(images)
            shares = mixed(shares, told, config.distill.weight)
        return smoothed(shares, config.loss.label_smoothing)

    def predict(self, loader: ClassEvalLoader) -> NDArray[np.float32]:
        """Probabilities (N, K) of all samples of a loader."""
        logits = logits_of(self.ema.network, loader, device=self.device, autocast=self.autocast)
        return logits.softmax(dim=1).numpy()

    def protocol(self, split: str) -> dict[str, Any]:
        """How predictions are made: size, precision, data."""
        return {
            "image_size": self.size,
            "precision": "bf16" if self.autocast else "fp32",
            "data": self.dataset.digest,
            "split": split,
        }

    def measure(self) -> Callable[[dict[str, float]], ClassReport]:
        """Top-1 and top-5 on val."""
        probabilities = self.predict(self.val_loader)
        scores = score(probabilities, self.val_loader.labels, self.classes)
        return lambda numbers: ClassReport(
            self.epoch,
            self.config.epochs,
            scores.metrics | numbers,
            scores.class_recall,
            self,
            probabilities,
        )

    def measure_on(self, split: str, path: Path) -> dict[str, float]:
        """top1 and top5 on a split, each picture of which is read once; writes its predictions."""
        check_measurable("classifier", self.classes, self.dataset, split)
        samples, size_wh = self.dataset.splits[split], (self.size, self.size)
        cache = ImageCache(0, self.dataset.held_side(self.size))
        loader = ClassEvalLoader(samples, cache, size_wh, EVAL_BATCH)
        probabilities = self.predict(loader)
        save_predictions(path, samples, probabilities, self.classes, self.protocol(split))
        return score(probabilities, loader.labels, self.classes).metrics
