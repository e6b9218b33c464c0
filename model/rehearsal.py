"""A few steps of a training, to see how much time and memory all of it will take."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import torch

from model.config import TrainConfig
from model.data.batch_plan import MiniBatch, plan_epoch
from model.training import BaseTraining, Loader, Planned
from model.watch import LossWatch

Batch = TypeVar("Batch", bound=Planned)

ENOUGH_S = 1.0  # of measured steps, or so
MOST_STEPS = 20
EPOCHS, LATE = 100, 75
"""A training of so many epochs is rehearsed in that one: all that begins late is under way."""

WARM_UP = 2
WARM_UP_CBN = 5
"""Updates before the measured ones; after as many, CBN holds all that it ever does."""

PLANNED_EPOCHS = 16  # whose random sizes are averaged


def rehearsed(config: TrainConfig) -> TrainConfig:
    """The configuration whose first updates are a rehearsal of `config`.

    Its mini-batches are of the same size, all of the largest shape. Updates are of at most two of
    them, so that a few hold all that an update does. It learns next to nothing, and so cannot
    diverge.
    """
    parts = min(2, config.subdivisions)
    values = {
        "epochs": EPOCHS,
        "batch_size": config.batch_size // config.subdivisions * parts,
        "subdivisions": parts,
        "optimizer.lr": 1e-9,
        "schedule.warmup": 0.0,
    }
    if config.shapes.range > 1:
        values["shapes.last"] = 1.0
    return config.with_values(values)


def rehearse(training: BaseTraining[Any, Any, Any], config: TrainConfig) -> float:
    """Seconds of training for one pixel of input, painting and updates included.

    Parameters
    ----------
    training : BaseTraining
        Of the `rehearsed` configuration; its weights change by next to nothing.
    config : TrainConfig
        What is rehearsed.
    """
    if config.sat.kind == "none":
        return _pace(training)
    attacked = config.sat.probability * (1 - config.schedule.warmup)
    whole, own, seconds = training.whole, training.config, 0.0
    for probability, share in ((0.0, 1 - attacked), (1.0, attacked)):
        # both, or the training would settle for what it was given
        training.whole = training.config = own.with_values({"sat.probability": probability})
        seconds += share * _pace(training)
    training.whole, training.config = whole, own
    return seconds


def _pace(training: BaseTraining[Any, Any, Any]) -> float:
    warm_up = WARM_UP_CBN if training.config.norm == "cbn" else WARM_UP
    loader = training.train_loader
    few = FewSteps(loader, warm_up, lambda: wait_for(training.device))
    training.train_loader = few
    training.watch = LossWatch(training.device, first=math.inf)  # no loss is too large
    training.epoch = LATE
    training.train_epoch()
    training.train_loader = loader
    return few.seconds_a_pixel()


def time_measuring(training: BaseTraining[Any, Any, Any]) -> tuple[Any, float]:
    """Report of a training as it is, and seconds of measuring it on val.

    Measured twice unless it takes long, as the first time reads the pictures, too.
    """
    for _ in range(2):
        started = time.perf_counter()
        report = training.measure()({})
        wait_for(training.device)
        seconds = time.perf_counter() - started
        if seconds > ENOUGH_S:
            break
    return report, seconds


def wait_for(device: torch.device) -> None:
    """Return when all that a device was asked to do is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def mean_step(config: TrainConfig, size_px: int, images: int) -> tuple[float, float]:
    """Mini-batches of an epoch, and the pixels of each, on average over a training.

    Parameters
    ----------
    size_px : int
        The network's size.
    images : int
        Pictures to train on.
    """
    count = min(config.epochs, PLANNED_EPOCHS)
    epochs = {round(i * (config.epochs - 1) / max(1, count - 1)) for i in range(count)}
    steps = [step for epoch in epochs for step in plan_epoch(config, size_px, images, epoch)]
    return len(steps) / len(epochs), sum(map(_pixels, steps)) / len(steps)


def _pixels(step: MiniBatch) -> int:
    return step.count * step.size_px**2


class FewSteps(Generic[Batch]):
    """A loader that gives some mini-batches to warm up, then some that are timed.

    Of these as many as take `ENOUGH_S`, judged by the last of those to warm up: from 1 to
    `MOST_STEPS`. A GPU is waited for before and after them, not between.

    Parameters
    ----------
    loader : Loader
        Gives the mini-batches, of as many epochs as it takes.
    warm_up : int
        Updates.
    wait : callable
        Returns when the device has done all it was asked to.
    """

    def __init__(self, loader: Loader[Batch], warm_up: int, wait: Callable[[], None]) -> None:
        self.positions = loader.positions
        self._loader = loader
        self._wait = wait
        self._steps: list[MiniBatch] = []
        self._epochs: list[int] = []
        while len(self._steps) < 2 * warm_up + MOST_STEPS:  # an update has two at most
            self._epochs.append(LATE + len(self._epochs))
            self._steps += loader.plan(self._epochs[-1])
        lasts = [number for number, step in enumerate(self._steps) if step.last]
        self._warm_up = lasts[warm_up - 1] + 1
        self._seconds, self._timed = math.nan, 0

    @property
    def waited_s(self) -> float:
        """As the loader says."""
        return self._loader.waited_s

    def plan(self, epoch: int) -> tuple[MiniBatch, ...]:  # noqa: ARG002
        """All steps that there may be."""
        return tuple(self._steps)

    def use(self, recipe: Any) -> None:
        """Take another recipe."""
        self._loader.use(recipe)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:  # noqa: ARG002
        """Give the mini-batches, and take the time."""
        batches = self._batches()
        for number in range(self._warm_up):
            if number == self._warm_up - 1:
                started = self._now()
            yield next(batches)
        middle = self._now()
        self._timed = min(MOST_STEPS, max(1, int(ENOUGH_S / (middle - started))))
        for _ in range(self._timed):
            yield next(batches)
        self._seconds = self._now() - middle
        batches.close()

    def _batches(self) -> Any:
        for epoch in self._epochs:
            yield from self._loader.epoch(epoch, 0)

    def _now(self) -> float:
        self._wait()
        return time.perf_counter()

    def seconds_a_pixel(self) -> float:
        """Seconds for a pixel of the timed mini-batches."""
        timed = self._steps[self._warm_up : self._warm_up + self._timed]
        return self._seconds / sum(map(_pixels, timed))

    def close(self) -> None:
        """Stop whatever works ahead."""
        self._loader.close()
