"""An engine in virtual time: thousands of trials on hundreds of workers, in one process.

Everything of a run is real but its trainings, which are learning curves, and its clock: the
sampler, the scheduler, the study, the journal and the folders of the trials with their metrics.
"""

import gc
import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evolve.engine.director import Director
from evolve.engine.failures import failure
from evolve.engine.schedulers import Decision
from evolve.engine.trial import TrialTask, describe_failure
from evolve.store.folder import TrialFolder, to_line
from evolve.testing.curves import follow_curve
from model.config import TrainConfig
from model.errors import ModelError


class VirtualClock:
    """A clock that is where it was put."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        """As in `evolve.clock.Clock`."""
        return self.time


@dataclass(frozen=True)
class Fleet:
    """Workers that do not exist.

    Attributes
    ----------
    workers : int
    epoch_s : float
        Seconds of an epoch in the mean; trials differ by a factor of about two.
    deaths : float
        Chance that a worker is killed during an epoch.
    seed : int
    """

    workers: int
    epoch_s: float = 60.0
    deaths: float = 0.0
    seed: int = 0


def run_simulated(
    director: Director,
    fleet: Fleet,
    clock: VirtualClock,
    watch: Callable[[], object] = lambda: None,
) -> None:
    """Run all trials of a director on a fleet; results come in order of virtual time.

    Parameters
    ----------
    director : Director
        Its journal must have the clock.
    fleet : Fleet
    clock : VirtualClock
    watch : callable, optional
        Called after every trial that ends.
    """
    gc.freeze()  # modules stay, and need not be looked through while trials come and go
    rng = np.random.default_rng(fleet.seed)
    order = itertools.count()
    busy: list[tuple[float, int, int, Iterator[dict[str, Any]], float]] = []

    def send(number: int, rows: Iterator[dict[str, Any]], pace_s: float) -> None:
        heapq.heappush(busy, (clock.time + pace_s, next(order), number, rows, pace_s))

    while not director.over():
        while len(busy) < fleet.workers and (task := director.next_task()) is not None:
            send(task.number, epochs_of(task), fleet.epoch_s * rng.lognormal(0.0, 0.4))
        if not busy:
            continue
        clock.time, _, number, rows, pace_s = heapq.heappop(busy)
        row = next(rows)
        if rng.random() < fleet.deaths:
            director.finish(number, row, failure("killed", "its process ended unexpectedly"))
        elif director.take(number, row) is Decision.GO and row.get("epoch") != row.get("epochs"):
            send(number, rows, pace_s)
            continue
        else:
            director.finish(number, row)
        watch()


def epochs_of(task: TrialTask) -> Iterator[dict[str, Any]]:
    """Rows of a trial as `evolve.engine.trial.run_trial` gives them, with little on the disk."""
    folder = TrialFolder(Path(task.folder))
    folder.path.mkdir(parents=True, exist_ok=True)
    stored = folder.read_metrics()
    if stored and stored[-1]["epoch"] == task.config["epochs"]:
        yield stored[-1]  # it was killed before its end was told
        return
    reports = follow_curve(
        TrainConfig.model_validate(task.config), Path("curve-0"), data_seed=task.data_seed
    )
    try:
        with folder.metrics.open("a", encoding="utf-8") as file:
            for report in itertools.islice(reports, len(stored), None):
                row = {
                    "number": task.number,
                    "epoch": report.epoch,
                    "epochs": report.epochs,
                    "objective": report.metrics[task.objective],
                    "metrics": dict(report.metrics),
                    "class_ap": {},
                    "time": 0.0,
                }
                file.write(to_line(row))
                file.flush()
                yield row
    except ModelError as error:
        yield {"number": task.number, "failure": describe_failure(error, folder)}
