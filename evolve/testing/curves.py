"""A stand-in for the detector: learning curves from a formula, no images, no torch.

It keeps every promise of a trainer (one report an epoch, exact continuation, seeded, settings
that change, halts within an epoch, typed failures), so engines, schedulers, stores and reports
are tested at thousands of trials a minute.
"""

import hashlib
import json
import math
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import Any

from model.config import TrainConfig
from model.errors import CheckpointError, Diverged, Halted
from model.files import write_text_atomically
from model.halt import Halt

BEST_LR = 0.02
BEST_MOMENTUM = 0.9
DIVERGING_LR = 0.3
_NOISE = NormalDist(0.0, 0.01)
SLICE_S = 0.1
"""An epoch that may be halted lasts so many seconds at a time; each stands for an update."""


@dataclass(frozen=True)
class CurveReport:
    """One epoch of a curve; see `evolve.engine.trainers.Report`.

    `reached` is its AP without noise, `stream` what the noise on val is drawn from. `config` is
    that of the training.
    """

    epoch: int
    epochs: int
    metrics: dict[str, float]
    class_ap: dict[str, float] = field(default_factory=dict)
    reached: float = 0.0
    stream: tuple[int, ...] = ()
    config: TrainConfig | None = None

    def save(self, path: Path) -> None:
        """Write the epoch and its past; a curve needs nothing else to go on."""
        _write(path, self.config, self.epoch)

    def save_weights(self, path: Path) -> None:
        """Write the epoch, from which nothing goes on."""
        write_text_atomically(path, json.dumps({"epoch": self.epoch}))

    save_detections = save_weights

    def measure_on(self, split: str, detections: Path) -> dict[str, float]:
        """The curve's value with other noise, one for each split."""
        self.save_detections(detections)
        return _noisy(self.reached, (*self.stream, zlib.crc32(split.encode())))


def plateau(config: TrainConfig) -> float:
    """AP that a configuration would reach in the end, in [0, 0.6], without noise.

    A bowl in log lr and momentum, with a cliff: the shape of a detector's response.
    """
    lr_miss = math.log10(config.optimizer.lr / BEST_LR)
    momentum_miss = (config.optimizer.momentum - BEST_MOMENTUM) / 0.1
    return 0.6 * math.exp(-0.8 * lr_miss**2 - 0.3 * momentum_miss**2)


def made_up_costs(config: TrainConfig) -> dict[str, float | int]:
    """Costs that a curve pretends to have: they rise with momentum, in steps of 0.01.

    AP is highest at a momentum of 0.9, so below that the two objectives are at odds.
    """
    latency_ms = 10.0 * 4.0 ** (round(config.optimizer.momentum, 2) / 0.1 - 9.0)
    return {
        "parameters": round(1e5 * latency_ms),
        "bflops": latency_ms / 10.0,
        "latency_ms": latency_ms,
        "latency_p95_ms": 1.1 * latency_ms,
    }


def follow_curve(
    config: TrainConfig,
    data: Path,
    *,
    data_seed: int = 0,
    resume: Path | None = None,
    halt: Halt | None = None,
    epoch_s: float | None = None,
) -> Iterator[CurveReport]:
    """Yield AP = plateau (1 - e^(-4 progress)) with seeded noise, epoch by epoch.

    Parameters
    ----------
    config : TrainConfig
        `optimizer.lr`, `optimizer.momentum`, `epochs` and `seed` count; lr above 0.3 diverges
        from the second epoch on. Each epoch has the plateau of what then holds.
    data : Path
        Its name may say how long an epoch lasts: ``curve-0.5`` sleeps half a second.
    data_seed : int
        Shifts the noise.
    resume : Path, optional
        Checkpoint of `CurveReport.save` or of a halt, of the same history.
    halt : Halt, optional
        Asked before each epoch, and in one that lasts after every tenth of a second.
    epoch_s : float, optional
        Overrides the length in the name.

    Raises
    ------
    Diverged, Halted, CheckpointError
    """
    wait_s = epoch_seconds(data) if epoch_s is None else epoch_s
    finished, slept_s = (0, 0.0) if resume is None else _read(resume, config)
    now = config.at(finished)
    for epoch in range(finished + 1, config.epochs + 1):
        if epoch - 1 in config.changes:
            now = config.at(epoch - 1)
        _pass(wait_s, slept_s, halt, config, epoch - 1)
        slept_s = 0.0
        if epoch > 1 and now.optimizer.lr > DIVERGING_LR:
            raise Diverged("the loss is not finite", f"epoch {epoch}", "lower optimizer.lr")
        value = plateau(now) * (1 - math.exp(-4 * epoch / config.epochs))
        stream = (config.seed, data_seed, epoch)
        metrics = _noisy(value, stream)
        metrics["loss"] = 10 * (1 - metrics["AP"])
        yield CurveReport(
            epoch, config.epochs, metrics, reached=value, stream=stream, config=config
        )


def _pass(
    wait_s: float, slept_s: float, halt: Halt | None, config: TrainConfig, finished: int
) -> None:
    """Sleep through what is left of an epoch, or raise Halted."""
    slice_s = wait_s if halt is None else SLICE_S
    while True:
        if halt is not None and halt.wanted():
            _write(halt.path, config, finished, slept_s)
            steps = max(1, math.ceil(wait_s / SLICE_S))
            raise Halted(str(halt.path), finished, round(slept_s / SLICE_S), steps)
        left_s = wait_s - slept_s
        if left_s <= 0:
            return
        time.sleep(min(slice_s, left_s))
        slept_s = min(wait_s, slept_s + slice_s)


def _noisy(value: float, stream: tuple[int, ...]) -> dict[str, float]:
    """Metrics around a value, with the noise of a stream of random numbers."""
    # a digest, for a fleet of simulated workers asks for one number of each stream: a generator
    # for each would take a tenth of a large simulation
    digest = hashlib.sha256(":".join(map(str, stream)).encode()).digest()
    noise = _NOISE.inv_cdf((int.from_bytes(digest[:6], "big") + 0.5) / 2**48)
    ap = min(1.0, max(0.0, value + noise))
    return {"AP": ap, "AP50": min(1.0, 1.5 * ap)}


def epoch_seconds(data: Path) -> float:
    """Seconds that an epoch lasts, as the name of the data says."""
    _, _, seconds = data.name.partition("curve-")
    return float(seconds) if seconds else 0.0


def _write(path: Path, config: TrainConfig | None, finished: int, slept_s: float = 0.0) -> None:
    """Write a checkpoint, and with it the history that whatever continues it must have."""
    state: dict[str, Any] = {"epoch": finished}
    if slept_s:
        state["slept_s"] = slept_s
    if config is not None:
        state["history"] = config.history(finished + bool(slept_s))
    write_text_atomically(path, json.dumps(state))


def _read(path: Path, config: TrainConfig) -> tuple[int, float]:
    """Finished epochs of a checkpoint, and how many seconds of the next one are over."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        finished, slept_s = int(state["epoch"]), float(state.get("slept_s", 0.0))
        history = state.get("history")
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise CheckpointError("this is not a curve's checkpoint", str(path)) from error
    if history is not None and tuple(history) != config.history(finished + bool(slept_s)):
        raise CheckpointError("this checkpoint belongs to another configuration", str(path))
    return finished, slept_s
