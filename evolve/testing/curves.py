"""A stand-in for the detector: learning curves from a formula, no images, no torch.

It keeps every promise of a trainer (one report an epoch, exact continuation, seeded, typed
failures), so engines, schedulers, stores and reports are tested at thousands of trials a minute.
"""

import json
import math
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model.config import TrainConfig
from model.errors import CheckpointError, Diverged
from model.files import write_text_atomically

BEST_LR = 0.02
BEST_MOMENTUM = 0.9
DIVERGING_LR = 0.3


@dataclass(frozen=True)
class CurveReport:
    """One epoch of a curve; see `evolve.engine.trainers.Report`.

    `reached` is its AP without noise, `stream` what the noise on val is drawn from.
    """

    epoch: int
    epochs: int
    metrics: dict[str, float]
    class_ap: dict[str, float] = field(default_factory=dict)
    reached: float = 0.0
    stream: tuple[int, ...] = ()

    def save(self, path: Path) -> None:
        """Write the epoch; a curve needs nothing else to go on."""
        write_text_atomically(path, json.dumps({"epoch": self.epoch}))

    save_weights = save
    save_detections = save

    def measure_on(self, split: str, detections: Path) -> dict[str, float]:
        """The curve's value with other noise, one for each split."""
        self.save(detections)
        return _noisy(self.reached, (*self.stream, zlib.crc32(split.encode())))


def plateau(config: TrainConfig) -> float:
    """AP that a configuration would reach in the end, in [0, 0.6], without noise.

    A bowl in log lr and momentum, with a cliff: the shape of a detector's response.
    """
    lr_miss = math.log10(config.optimizer.lr / BEST_LR)
    momentum_miss = (config.optimizer.momentum - BEST_MOMENTUM) / 0.1
    return 0.6 * math.exp(-0.8 * lr_miss**2 - 0.3 * momentum_miss**2)


def follow_curve(
    config: TrainConfig,
    data: Path,
    *,
    data_seed: int = 0,
    resume: Path | None = None,
    epoch_s: float | None = None,
) -> Iterator[CurveReport]:
    """Yield AP = plateau (1 - e^(-4 progress)) with seeded noise, epoch by epoch.

    Parameters
    ----------
    config : TrainConfig
        `optimizer.lr`, `optimizer.momentum`, `epochs` and `seed` count; lr above 0.3 diverges
        in the second epoch.
    data : Path
        Its name may say how long an epoch lasts: ``curve-0.5`` sleeps half a second.
    data_seed : int
        Shifts the noise.
    resume : Path, optional
        Checkpoint of `CurveReport.save`.
    epoch_s : float, optional
        Overrides the length in the name.

    Raises
    ------
    Diverged, CheckpointError
    """
    wait_s = epoch_seconds(data) if epoch_s is None else epoch_s
    for epoch in range(_finished(resume) + 1, config.epochs + 1):
        if wait_s:
            time.sleep(wait_s)
        if epoch > 1 and config.optimizer.lr > DIVERGING_LR:
            raise Diverged("the loss is not finite", f"epoch {epoch}", "lower optimizer.lr")
        value = plateau(config) * (1 - math.exp(-4 * epoch / config.epochs))
        stream = (config.seed, data_seed, epoch)
        metrics = _noisy(value, stream)
        metrics["loss"] = 10 * (1 - metrics["AP"])
        yield CurveReport(epoch, config.epochs, metrics, reached=value, stream=stream)


def _noisy(value: float, stream: tuple[int, ...]) -> dict[str, float]:
    """Metrics around a value, with the noise of a stream of random numbers."""
    noise = 0.01 * np.random.default_rng(stream).standard_normal()
    ap = min(1.0, max(0.0, value + noise))
    return {"AP": ap, "AP50": min(1.0, 1.5 * ap)}


def epoch_seconds(data: Path) -> float:
    """Seconds that an epoch lasts, as the name of the data says."""
    _, _, seconds = data.name.partition("curve-")
    return float(seconds) if seconds else 0.0


def _finished(resume: Path | None) -> int:
    if resume is None:
        return 0
    try:
        return int(json.loads(resume.read_text(encoding="utf-8"))["epoch"])
    except (ValueError, KeyError, OSError) as error:
        raise CheckpointError("this is not a curve's checkpoint", str(resume)) from error
