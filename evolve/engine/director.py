"""Who tells an engine what to train next, and what becomes of every training."""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import optuna
from optuna.trial import TrialState

from evolve.engine.schedulers import StableScheduler, decisive
from evolve.engine.trial import TrialTask
from evolve.store.folder import TrialFolder
from evolve.store.study import FAILURE_ATTR, METRICS_ATTR

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Phase:
    """A part of a run after the search, as a listener is told of it.

    Attributes
    ----------
    title : str
    about : str
        What is compared and how it is judged, in one line.
    trainings : int
    name_of : callable
        What the training of a number is called.
    ended : dict of str -> int
        Trainings that earlier sessions brought to an end, by their state.
    """

    title: str
    about: str
    trainings: int
    name_of: Callable[[int], str]
    ended: dict[str, int]


class Listener(Protocol):
    """Somebody who watches a run. Calls come from the driver's thread, in order of events."""

    def on_begin(self, manifest: dict[str, Any]) -> None:
        """The run begins or goes on; called once, before any trial."""

    def on_phase(self, phase: Phase) -> None:
        """The search is over and something else begins; its numbers are its own."""

    def on_start(self, number: int, params: dict[str, Any], done: int, epochs: int) -> None:
        """A trial begins, with `done` of its `epochs` behind it."""

    def on_epoch(self, number: int, row: dict[str, Any]) -> None:
        """An epoch of a trial ended; `row` as from `run_trial`."""

    def on_end(self, number: int, state: str, value: float | None, reason: str) -> None:
        """A trial ended as COMPLETE, PRUNED or FAIL."""


class Director(ABC):
    """Hands out trainings and tells a study the truth of each.

    Both engines call the same methods in the same order for each training: `next_task`, then
    `record` after every epoch, then `finish` once; `goes_on` is for engines that drive the
    scheduler themselves. Nothing durable is held: a director built on the same store goes on
    where the last one was killed.

    Parameters
    ----------
    study : optuna.Study
    objective : str
        Metric that is stored as the value of a training.
    scheduler : StableScheduler
    listener : Listener
    """

    noun = "trial"

    def __init__(
        self,
        study: optuna.Study,
        objective: str,
        scheduler: StableScheduler,
        listener: Listener,
    ) -> None:
        self.study = study
        self.objective = objective
        self.scheduler = scheduler
        self.listener = listener
        self._ids: dict[int, int] = {}

    @abstractmethod
    def next_task(self) -> TrialTask | None:
        """The next training to run: interrupted ones first; None when all are given out."""

    @abstractmethod
    def nothing_left(self) -> bool:
        """Whether every training has been given out, and none waits to be continued."""

    @abstractmethod
    def files(self, number: int) -> TrialFolder:
        """Folder of a training that was given out."""

    def record(self, number: int, row: dict[str, Any]) -> None:
        """Store an epoch of a training."""
        if "failure" in row:
            return
        self._store_value(number, row)
        self.listener.on_epoch(number, row)

    def goes_on(self, number: int, row: dict[str, Any]) -> bool:
        """Ask the scheduler about an epoch; for engines that drive it themselves."""
        result = decisive(row)
        return not result or self.scheduler.goes_on(number, result)

    def finish(self, number: int, row: dict[str, Any] | None, died: str = "") -> None:
        """Close a training from its last row; `died` says how its process ended, if it did."""
        if died:
            self._tell_failed(number, _failure("killed", died))
        elif row is not None and "failure" in row:
            self._tell_failed(number, row["failure"])
        elif row is None:
            self._tell_failed(number, _failure("error", "the trial ended without a word"))
        elif fault := self.unmeasured(row):
            self._tell_failed(number, _failure("data", fault))
        elif row["epoch"] < row["epochs"]:
            self._tell_pruned(number)
        else:
            self._tell_complete(number, row)

    def unmeasured(self, row: dict[str, Any]) -> str:
        """Why a training that ended with this row has no value; empty if it has one."""
        if math.isnan(row["objective"]):
            return f"{self.objective} cannot be measured: val has no truth for it"
        return ""

    # -- how each ends ---------------------------------------------------------------------

    def _tell_complete(self, number: int, row: dict[str, Any]) -> None:
        self._attr(number, METRICS_ATTR, {k: _plain(v) for k, v in row["metrics"].items()})
        self.study.tell(number, row["objective"])
        self._ended(number, "COMPLETE", row["objective"], "")

    def _tell_pruned(self, number: int) -> None:
        rows = self.files(number).read_metrics()
        if rows:
            metrics = {k: _plain(v) for k, v in rows[-1]["metrics"].items()}
            self._attr(number, METRICS_ATTR, metrics)
        self.study.tell(number, state=TrialState.PRUNED)
        value = rows[-1]["objective"] if rows else None
        self._ended(number, "PRUNED", value, "")

    def _tell_failed(self, number: int, failure: dict[str, Any]) -> None:
        self._attr(number, FAILURE_ATTR, failure)
        self.study.tell(number, state=TrialState.FAIL)
        self._ended(number, "FAIL", None, f"{failure['type']}: {failure['what']}")

    def _ended(self, number: int, state: str, value: float | None, reason: str) -> None:
        shown = "-" if value is None else f"{100 * value:.1f}%"
        logger.info("%s=%d state=%s %s=%s %s", self.noun, number, state, self.objective, shown,
                    reason)  # fmt: skip
        self.listener.on_end(number, state, value, reason)

    # -- helpers ---------------------------------------------------------------------------

    def _store_value(self, number: int, row: dict[str, Any]) -> None:
        storage, trial_id = self.study._storage, self._ids[number]
        if math.isfinite(row["objective"]):
            storage.set_trial_intermediate_value(trial_id, row["epoch"], row["objective"])

    def _attr(self, number: int, key: str, value: Any) -> None:
        self.study._storage.set_trial_user_attr(self._ids[number], key, value)


def _failure(kind: str, what: str) -> dict[str, Any]:
    """A failure that the trial did not tell itself, in the form of `describe_failure`."""
    return {"type": kind, "what": what, "where": "", "mend": "", "log": []}


def _plain(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) if math.isfinite(value) else None
