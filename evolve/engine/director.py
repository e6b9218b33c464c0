"""Who tells an engine what to train next, and what becomes of every training."""

import logging
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import optuna
from optuna.trial import FrozenTrial, TrialState

from evolve.engine.allowance import MARGIN, Allowance
from evolve.engine.failures import Remedy, failure, remedy_for
from evolve.engine.interrupt import Interrupt
from evolve.engine.pace import Pace
from evolve.engine.schedulers import OBJECTIVE, TIME, Decision, Scheduler, decisive
from evolve.engine.shrinking import smaller
from evolve.engine.trial import TrialTask
from evolve.errors import MAKE_ROOM, EvolveError, RunError
from evolve.store.folder import TrialFolder
from evolve.store.journal import Journal, Why
from evolve.store.mirror import together
from evolve.store.study import ATTEMPTS_ATTR, CONSTRAINT, FAILURE_ATTR, METRICS_ATTR, tell
from model.config import TrainConfig

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

    def on_pause(self, number: int) -> None:
        """A trial waits, with its checkpoint, to be continued or stopped."""

    def on_retry(self, number: int, reason: str, remedy: str) -> None:
        """A trial failed and is tried again."""

    def on_end(self, number: int, state: str, value: float | None, reason: str) -> None:
        """A trial ended as COMPLETE, PRUNED or FAIL."""


class Director(ABC):
    """Hands out trainings and tells a study the truth of each.

    All engines call the same methods in the same order for each training: `next_task`, then
    `take` after every epoch, then `finish` once it does not go on. A training may be handed out
    again: after a pause, or a failure that is worth another try. Nothing durable is held: a
    director built on the same store goes on where the last one was killed.

    Parameters
    ----------
    study : optuna.Study
    objective : str
        Metric that is stored as the value of a training.
    scheduler : Scheduler
    listener : Listener
    journal : Journal
    allowance : Allowance, optional
        Default: as much time as it takes, one training at a time.
    max_failures : int or None
        The run stops after more trainings than that have failed; divergence does not count.
    interrupt : Interrupt, optional
        What may ask for an end of all.

    Attributes
    ----------
    pace : Pace
        How long trainings take.
    fatal : EvolveError or None
        Why the run must stop, whatever is left to do.
    """

    noun = "trial"

    def __init__(
        self,
        study: optuna.Study,
        objective: str,
        scheduler: Scheduler,
        listener: Listener,
        journal: Journal,
        allowance: Allowance | None = None,
        max_failures: int | None = None,
        interrupt: Interrupt | None = None,
    ) -> None:
        self.study = study
        self.objective = objective
        self.scheduler = scheduler
        self.listener = listener
        self.journal = journal
        self.allowance = allowance or Allowance(None, 1)
        self.pace = Pace()
        self.fatal: EvolveError | None = None
        self.interrupt = interrupt
        self._max_failures = max_failures
        self._failures = 0
        self._ids: dict[int, int] = {}
        self._waiting: deque[int] = deque()
        self._running: dict[int, Decision] = {}
        self._broken: dict[int, dict[str, Any]] = {}
        self._attempts: dict[int, list[dict[str, Any]]] = {}

    # -- what an engine calls --------------------------------------------------------------

    def next_task(self) -> TrialTask | None:
        """The next training to run, interrupted ones first; None if none is to be begun now."""
        if self._ending:
            return None
        number = self._waiting.popleft() if self._waiting else self._chosen()
        if number is None:
            return None
        if not self._ready(number):
            self._waiting.appendleft(number)
            return None
        task = self._task(number)
        self._running[number] = Decision.GO
        self.journal.note("begin", number)
        self.pace.begin(number, self.journal.now())
        return task

    def over(self) -> bool:
        """Whether nothing runs any more, and nothing is left to be run."""
        return not self._running and (self._ending or self._nothing_left())

    @property
    def _ending(self) -> bool:
        """Whether the run stops before everything is done."""
        return bool(self.fatal) or (self.interrupt is not None and self.interrupt.asked)

    def take(self, number: int, row: dict[str, Any]) -> Decision:
        """Store an epoch of a training; what becomes of it."""
        if "failure" in row:
            return Decision.STOP
        if "halted" in row:
            return Decision.PAUSE
        self._store_value(number, row)
        self.pace.epoch(number, self.journal.now())
        decision = self._decide(number, row)
        self._note_epoch(number, row, decision)
        self._running[number] = decision
        self.listener.on_epoch(number, row)
        self._after(number, row["epoch"])
        return decision

    def finish(
        self, number: int, row: dict[str, Any] | None, death: dict[str, Any] | None = None
    ) -> None:
        """A training does not go on.

        Parameters
        ----------
        number : int
        row : dict or None
            Its last one.
        death : dict, optional
            How its process ended, if it did; as of `failures.failure`.
        """
        said = self._running.pop(number, Decision.GO)
        self.pace.leave(number, self.journal.now())
        if death is not None:
            self._failed(number, death)
        elif row is not None and "halted" in row:
            self._leave(number, "interrupted")
        elif row is not None and "failure" in row:
            self._failed(number, row["failure"])
        elif row is None:
            self._failed(number, failure("error", "the trial ended without a word"))
        elif number in self._broken:
            self._failed(number, self._broken.pop(number))
        elif fault := self.unmeasured(row):
            # another try of the training would not change it
            self._tell_failed(number, failure(self.kind_of_unmeasured(row), fault))
        elif row["epoch"] == row["epochs"]:
            self._tell_complete(number, row)
        elif said is Decision.PAUSE:
            is_paused = self.scheduler.is_paused(number) or not self.fatal
            self._leave(number, "paused" if is_paused else "stopped")
            self.listener.on_pause(number)
        else:
            self._tell_pruned(number)

    def unmeasured(self, row: dict[str, Any]) -> str:
        """Why a training that ended with this row has no value; empty if it has one."""
        if math.isnan(row["objective"]):
            return f"{self.objective} cannot be measured: val has no truth for it"
        return ""

    def kind_of_unmeasured(self, row: dict[str, Any]) -> str:  # noqa: ARG002
        """Kind of failure that `unmeasured` tells of."""
        return "data"

    # -- what a subclass says --------------------------------------------------------------

    @abstractmethod
    def _chosen(self) -> int | None:
        """The training to go on with or to begin, if none waits; it is known to the study."""

    @abstractmethod
    def _nothing_left(self) -> bool:
        """Whether every training has been given out, and none waits to be continued."""

    @abstractmethod
    def _planned_config(self, number: int) -> TrainConfig:
        """Configuration of a training before anything failed."""

    @abstractmethod
    def _task(self, number: int) -> TrialTask:
        """What a process must know to run a training; the listener is told."""

    @abstractmethod
    def files(self, number: int) -> TrialFolder:
        """Folder of a training that was given out."""

    def _ready(self, number: int) -> bool:  # noqa: ARG002
        """Whether all is known of a training that must be before it begins; else it waits."""
        return True

    def _must_stop(self, number: int) -> bool:  # noqa: ARG002
        """Whether a training is stopped whatever the scheduler says."""
        return False

    @abstractmethod
    def _after(self, number: int, epoch: int | None = None) -> None:
        """What follows from what a scheduler was told of a training: an epoch, or its end."""

    # -- time ------------------------------------------------------------------------------

    def left(self) -> float:
        """What is left of the budget, in seconds of its clock; infinite without one."""
        if self.allowance.budget is None:
            return math.inf
        now = self.journal.now()
        return self.allowance.left(now, self.pace.total_s(now))

    def remaining(self) -> Allowance:
        """What is left for the next phase of the run."""
        now = self.journal.now()
        return self.allowance.after(now, self.pace.total_s(now))

    def cost(self, trainings: int, epochs: int) -> float:
        """Of whole trainings at the pace so far, with a margin; 0 while there is none."""
        return MARGIN * self.allowance.cost(trainings, epochs * self.pace.epoch_s)

    # -- deciding --------------------------------------------------------------------------

    def _decide(self, number: int, row: dict[str, Any]) -> Decision:
        if fault := not_finite(row):
            self._broken[number] = failure("diverged", fault)
            return Decision.STOP
        decision = Decision.GO
        if result := decisive(row):
            decision = self.scheduler.take(number, result)
        if decision is Decision.GO and row["epoch"] < row["epochs"]:
            if self.fatal:
                return Decision.PAUSE
            if self._ending:  # it sees that for itself, and writes a checkpoint first
                return Decision.GO
            if self._must_stop(number):
                return Decision.STOP
        return decision

    def _note_epoch(self, number: int, row: dict[str, Any], decision: Decision) -> None:
        """Put an epoch into the journal, and whether the scheduler was told of it."""
        told = bool(decisive(row)) and not not_finite(row)
        value = _plain(row["objective"])
        self.journal.note("epoch", number, epoch=row["epoch"], value=value, told=told,
                          says=decision.value)  # fmt: skip

    def _leave(self, number: int, why: Why) -> None:
        """Put into the journal that a training has left before its end, to go on later."""
        self.journal.note("leave", number, why=why)

    def _failed(self, number: int, what: dict[str, Any]) -> None:
        """Try a training again that is worth it; else tell that it failed."""
        before = self._attempts.setdefault(number, [])
        remedy = remedy_for(what["type"], before, shares=self.allowance.workers > 1)
        if remedy == "halt":
            place = what["where"] or self._place(number)
            self._stop_all(RunError(what["what"], place, MAKE_ROOM))
            self._leave(number, "stopped")
        elif remedy == "none" or (remedy == "smaller" and not self._has_smaller(number)):
            self._tell_failed(number, what)
        else:
            self._try_again(number, what, remedy)

    def _try_again(self, number: int, what: dict[str, Any], remedy: Remedy) -> None:
        attempts = [*self._attempts[number], {**what, "remedy": remedy}]
        self._attempts[number] = attempts
        self._attr(number, ATTEMPTS_ATTR, attempts)
        self.journal.note("retry", number, type=what["type"], remedy=remedy)
        self._waiting.append(number)
        reason = f"{what['type']}: {what['what']}"
        logger.warning("%s=%d tried again (%s): %s", self.noun, number, remedy, reason)
        self.listener.on_retry(number, reason, remedy)

    def _has_smaller(self, number: int) -> bool:
        """Whether mini-batches of a training can be made smaller once more."""
        return smaller(self._config(number)) is not None

    def _stop_all(self, error: EvolveError) -> None:
        """Begin nothing any more, and let what runs wait where it is."""
        self.fatal = self.fatal or error

    def _place(self, number: int) -> str:
        return str(self.files(number).path)

    def _recall(self, trial: FrozenTrial) -> None:
        """Learn of a stored training that has not ended."""
        self._ids[trial.number] = trial._trial_id
        self._attempts[trial.number] = list(trial.user_attrs.get(ATTEMPTS_ATTR, ()))

    def _config(self, number: int) -> TrainConfig:
        """Configuration of a training, with the mini-batches that its failures have led to."""
        config = self._planned_config(number)
        remedies = [attempt["remedy"] for attempt in self._attempts.get(number, ())]
        for _ in range(remedies.count("smaller")):
            config = smaller(config) or config
        return config

    def _halt_file(self) -> str:
        return "" if self.interrupt is None else str(self.interrupt.path.absolute())

    def _needs_all(self, number: int) -> bool:
        """Whether a training has run out of memory beside others."""
        return any(one["type"] == "oom" for one in self._attempts.get(number, ()))

    # -- how each ends ---------------------------------------------------------------------

    def _tell_complete(self, number: int, row: dict[str, Any]) -> None:
        with together(self.study._storage):
            self._attr(number, METRICS_ATTR, {k: _plain(v) for k, v in row["metrics"].items()})
            tell(self.study, number, self._values(number, row))
        result = {TIME: row["epoch"], OBJECTIVE: row["objective"]}
        self._ended(number, "COMPLETE", result, "")

    def _values(self, number: int, row: dict[str, Any]) -> list[float]:  # noqa: ARG002
        """Values of a training that ended with this row, one for each objective of the study."""
        return [row["objective"]]

    def _tell_pruned(self, number: int) -> None:
        rows = self.files(number).read_metrics()
        with together(self.study._storage):
            if rows:
                metrics = {k: _plain(v) for k, v in rows[-1]["metrics"].items()}
                self._attr(number, METRICS_ATTR, metrics)
            tell(self.study, number, state=TrialState.PRUNED)
        self.files(number).drop_checkpoints()
        result = {TIME: rows[-1]["epoch"], OBJECTIVE: rows[-1]["objective"]} if rows else None
        self._ended(number, "PRUNED", result, "")

    def _tell_failed(self, number: int, what: dict[str, Any]) -> None:
        with together(self.study._storage):
            self._attr(number, FAILURE_ATTR, what)
            tell(self.study, number, state=TrialState.FAIL)
        self._ended(number, "FAIL", None, f"{what['type']}: {what['what']}")
        self._count_failure(what["type"], what["what"])

    def _count_failure(self, kind: str, what: str) -> None:
        self._failures += kind not in ("diverged", CONSTRAINT)
        if self._max_failures is not None and self._failures > self._max_failures:
            self._stop_all(
                RunError(
                    f"{self._failures} {self.noun}s have failed, the last with {kind}: {what}",
                    "--max-failures",
                    "mend the cause, then 'evolve resume' with a larger --max-failures",
                )
            )

    def _ended(self, number: int, state: str, result: dict[str, Any] | None, reason: str) -> None:
        value = None if result is None else result[OBJECTIVE]
        self.scheduler.end(number, result)
        plain = None if value is None else _plain(value)
        self.journal.note("end", number, state=state, value=plain)
        shown = "-" if value is None else f"{100 * value:.1f}%"
        logger.info("%s=%d state=%s %s=%s %s", self.noun, number, state, self.objective, shown,
                    reason)  # fmt: skip
        self.listener.on_end(number, state, value, reason)
        self._after(number)

    # -- helpers ---------------------------------------------------------------------------

    def _store_value(self, number: int, row: dict[str, Any]) -> None:
        storage, trial_id = self.study._storage, self._ids[number]
        if math.isfinite(row["objective"]):
            with together(storage, unhurried=True):  # the trial's folder has it
                storage.set_trial_intermediate_value(trial_id, row["epoch"], row["objective"])

    def _attr(self, number: int, key: str, value: Any) -> None:
        self.study._storage.set_trial_user_attr(self._ids[number], key, value)


def not_finite(row: dict[str, Any]) -> str:
    """Which number of an epoch says that it diverged; empty if none does.

    An objective that is not a number is no such sign: there may be nothing to measure it on.
    """
    if math.isinf(row["objective"]):
        return "the objective is not finite"
    loss = row["metrics"].get("loss", 0.0)
    return "" if math.isfinite(loss) else f"the loss is not finite (epoch {row['epoch']})"


def _plain(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) if math.isfinite(value) else None
