"""The driver's side of a run: asks the sampler, feeds the scheduler, tells the study the truth.

Both engines call the same four methods in the same order for each trial: `next_task`, then
`record` after every epoch, then `finish` once. Nothing durable is held here: a coordinator built
on the same store goes on where the last one was killed.
"""

import logging
import math
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import optuna
import yaml
from optuna.trial import FrozenTrial, TrialState

from evolve.engine.schedulers import StableScheduler, decisive
from evolve.engine.trial import TrialTask
from evolve.search.genetic import DEFAULT, ORIGIN
from evolve.seeds import trial_seed
from evolve.space import Space
from evolve.store.folder import RunFolder
from evolve.store.study import FAILURE_ATTR, METRICS_ATTR, unfinished
from model.files import write_text_atomically

logger = logging.getLogger(__name__)


class Listener(Protocol):
    """Somebody who watches a run. Calls come from the driver's thread, in order of events."""

    def on_begin(self, manifest: dict[str, Any]) -> None:
        """The run begins or goes on; called once, before any trial."""

    def on_start(self, number: int, params: dict[str, Any], done: int, epochs: int) -> None:
        """A trial begins, with `done` of its `epochs` behind it."""

    def on_epoch(self, number: int, row: dict[str, Any]) -> None:
        """An epoch of a trial ended; `row` as from `run_trial`."""

    def on_end(self, number: int, state: str, value: float | None, reason: str) -> None:
        """A trial ended as COMPLETE, PRUNED or FAIL."""


@dataclass(frozen=True)
class Settings:
    """What a coordinator needs besides study, space and folder.

    Attributes
    ----------
    trials : int
        Trials that the run should hold in the end.
    seed : int
        Seed of the run, from which each trial's is spawned.
    data : Path
        As given to the trainer.
    trainer : str
        Name in `evolve.engine.trainers`.
    threads : int
        Threads per trial.
    """

    trials: int
    seed: int
    data: Path
    trainer: str
    threads: int


class Coordinator:
    """Joins study, scheduler and trial folders.

    Parameters
    ----------
    study : optuna.Study
        With the run's sampler.
    space : Space
        Its base configuration must be resolved for the data.
    folder : RunFolder
    scheduler : StableScheduler
        Fresh; stored results are replayed into it here.
    settings : Settings
    listener : Listener
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        folder: RunFolder,
        scheduler: StableScheduler,
        settings: Settings,
        listener: Listener,
    ) -> None:
        self.study = study
        self.space = space
        self.folder = folder
        self.scheduler = scheduler
        self.settings = settings
        self.listener = listener
        self._distributions = space.distributions()
        self._ids: dict[int, int] = {}
        self._waiting: deque[FrozenTrial] = deque()
        self._rebuild()

    # -- restart ---------------------------------------------------------------------------

    def _rebuild(self) -> None:
        """Bring scheduler and study to where the store says the run stood."""
        rows = [
            (trial.number, row)
            for trial in self.study.get_trials(deepcopy=False)
            for row in self.folder.trial(trial.number).read_metrics()
        ]
        rows.sort(key=lambda item: (item[1]["time"], item[0]))
        stopped = self.scheduler.replay(
            (number, result) for number, row in rows if (result := decisive(row))
        )
        if not self.study.get_trials(deepcopy=False):
            self.study.enqueue_trial(self.space.defaults(), user_attrs={ORIGIN: DEFAULT})
        for trial in map(self._with_all_params, unfinished(self.study)):
            self._ids[trial.number] = trial._trial_id
            for number, row in rows:
                if number == trial.number:
                    self._store_value(number, row)
            if trial.number in stopped:
                self._tell_pruned(trial.number)
            else:
                self._waiting.append(trial)

    def _with_all_params(self, trial: FrozenTrial) -> FrozenTrial:
        """The trial itself, or asked for again if the kill came while it was being asked for."""
        if trial.params.keys() != self._distributions.keys():
            again = optuna.trial.Trial(self.study, trial._trial_id)
            for name, distribution in self._distributions.items():
                again._suggest(name, distribution)
        return self.study._storage.get_trial(trial._trial_id)

    # -- the four calls of an engine -------------------------------------------------------

    def next_task(self) -> TrialTask | None:
        """The next trial to run: interrupted ones first; None when all are given out."""
        if self._waiting:
            return self._task(self._waiting.popleft())
        if self.nothing_left():
            return None
        trial = self.study.ask(fixed_distributions=self._distributions)
        self._ids[trial.number] = trial._trial_id
        return self._task(self.study._storage.get_trial(trial._trial_id))

    def nothing_left(self) -> bool:
        """Whether every trial has been run to an end."""
        return not self._waiting and self._given_out() >= self.settings.trials

    def record(self, number: int, row: dict[str, Any]) -> None:
        """Store an epoch of a trial."""
        if "failure" in row:
            return
        self._store_value(number, row)
        self.listener.on_epoch(number, row)

    def goes_on(self, number: int, row: dict[str, Any]) -> bool:
        """Ask the scheduler about an epoch; for engines that drive it themselves."""
        result = decisive(row)
        return not result or self.scheduler.goes_on(number, result)

    def finish(self, number: int, row: dict[str, Any] | None, died: str = "") -> None:
        """Close a trial from its last row; `died` says how its process ended, if it did."""
        if died:
            self._tell_failed(number, _failure("killed", died))
        elif row is not None and "failure" in row:
            self._tell_failed(number, row["failure"])
        elif row is None:
            self._tell_failed(number, _failure("error", "the trial ended without a word"))
        elif math.isnan(row["objective"]):
            what = f"{self.space.objective} cannot be measured: val has no truth for it"
            self._tell_failed(number, _failure("data", what))
        elif row["epoch"] < row["epochs"]:
            self._tell_pruned(number)
        else:
            self._tell_complete(number, row)

    # -- how each ends ---------------------------------------------------------------------

    def _tell_complete(self, number: int, row: dict[str, Any]) -> None:
        self._attr(number, METRICS_ATTR, {k: _plain(v) for k, v in row["metrics"].items()})
        self.study.tell(number, row["objective"])
        self._ended(number, "COMPLETE", row["objective"], "")
        if self.study.best_trial.number == number:
            self._write_best(self.study.best_trial)

    def _tell_pruned(self, number: int) -> None:
        rows = self.folder.trial(number).read_metrics()
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
        logger.info(
            "trial=%d state=%s %s=%s %s", number, state, self.space.objective, shown, reason
        )
        self.listener.on_end(number, state, value, reason)

    # -- helpers ---------------------------------------------------------------------------

    def _given_out(self) -> int:
        trials = self.study.get_trials(deepcopy=False)
        return sum(trial.state != TrialState.WAITING for trial in trials)

    def _task(self, trial: FrozenTrial) -> TrialTask:
        number = trial.number
        config = self.space.to_config(trial.params)
        config = config.with_values({"seed": trial_seed(self.settings.seed, number)})
        folder = self.folder.trial(number)
        self.scheduler.add(number)
        done = len(folder.read_metrics())
        self.listener.on_start(number, dict(trial.params), done, config.epochs)
        return TrialTask(
            number=number,
            folder=str(folder.path.absolute()),
            config=config.to_dict(),
            data=str(self.settings.data),
            objective=self.space.objective,
            trainer=self.settings.trainer,
            data_seed=self.settings.seed,
            threads=self.settings.threads,
        )

    def _store_value(self, number: int, row: dict[str, Any]) -> None:
        storage, trial_id = self.study._storage, self._ids[number]
        if math.isfinite(row["objective"]):
            storage.set_trial_intermediate_value(trial_id, row["epoch"], row["objective"])

    def _attr(self, number: int, key: str, value: Any) -> None:
        self.study._storage.set_trial_user_attr(self._ids[number], key, value)

    def _write_best(self, trial: FrozenTrial) -> None:
        config = self.space.to_config(trial.params)
        config = config.with_values({"seed": trial_seed(self.settings.seed, trial.number)})
        head = f"# trial {trial.number} of {self.folder.path.name}: "
        head += f"{self.space.objective} {100 * (trial.value or 0):.1f}% on val\n"
        text = head + yaml.safe_dump(config.to_dict(), sort_keys=False)
        write_text_atomically(self.folder.best_config, text)


def _failure(kind: str, what: str) -> dict[str, Any]:
    """A failure that the trial did not tell itself, in the form of `describe_failure`."""
    return {"type": kind, "what": what, "where": "", "mend": "", "log": []}


def _plain(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) if math.isfinite(value) else None
