"""Ray Tune's schedulers, driven by any engine and rebuilt from the store."""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from typing import Any, NamedTuple

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from evolve.engine.schedulers.kinds import (
    KINDS,
    OBJECTIVE,
    TIME,
    Kind,
    Setting,
)
from evolve.engine.schedulers.stage import Stage, StageTrial, drawn_from
from evolve.errors import SpaceError, nearest

__all__ = ["OBJECTIVE", "SCHEDULERS", "TIME", "Decision", "Move", "Scheduler", "Setting",
           "build_scheduler", "decisive"]  # fmt: skip

SCHEDULERS = tuple(KINDS)


def decisive(row: dict[str, Any]) -> dict[str, Any]:
    """Time and objective of a trial's row; empty where a scheduler has no say.

    That is after the last epoch, and where there is a failure or no value.
    """
    value = row.get(OBJECTIVE, math.nan)
    if not math.isfinite(value) or row[TIME] == row["epochs"]:
        return {}
    return {TIME: row[TIME], OBJECTIVE: value}


class Decision(Enum):
    """What becomes of a trial after an epoch."""

    GO = "go"
    STOP = "stop"
    PAUSE = "pause"


class Move(NamedTuple):
    """A trial that goes on from another one's checkpoint, with other parameters.

    Attributes
    ----------
    number : int
    donor : int
        Trial whose checkpoint it is.
    epoch : int
        Epochs that the donor had finished then.
    params : dict
        Parameters of the trial from there on.
    """

    number: int
    donor: int
    epoch: int
    params: dict[str, Any]


class Scheduler:
    """A scheduler of Ray's under stable trial numbers, without Ray.

    It is told of every trial that begins (`add`), every epoch (`take`) and every end (`end`), and
    says which paused trial goes on (`choose`). Whatever it was told decides all that it says, so
    one that is told the same again, after a restart, says the same.

    With most schedulers the first three trials are spared: trial 0, of the defaults, is what all
    others are compared with, so it is never stopped; nor are the next two, as the best third of
    one or two values is whatever came first. Their values count in the rungs all the same.

    Parameters
    ----------
    inner : Kind
        Decides from `epoch` and `objective` of each result.
    seed : int
        Of what it draws.
    """

    def __init__(self, inner: Kind, seed: int = 0) -> None:
        self._inner: Kind = inner
        self._stage = Stage(inner)
        self._trials: dict[int, StageTrial] = {}
        self._seed = seed
        self._closed = False
        self._pauses = 0  # most schedulers never do
        self._moves: dict[int, Move] = {}

    def add(self, number: int, params: Mapping[str, Any] | None = None) -> None:
        """A trial begins, or goes on."""
        known = self._trials.get(number)
        if known is not None:
            if known.status == Trial.PAUSED:
                known.status = Trial.RUNNING
            return
        if not self._stage.places:
            self._inner.make_room(self._stage)
        trial = self._stage.places.popleft()
        trial.number, trial.status = number, Trial.RUNNING
        trial.config.update(params or {})
        self._trials[number] = trial

    def take(self, number: int, result: dict[str, Any]) -> Decision:
        """Take a result in; what becomes of the trial. A second time changes nothing."""
        trial = self._trials[number]
        if result[TIME] <= trial.reached or trial.is_finished():
            return self._standing(trial)
        trial.reached = result[TIME]
        with self._drawing(number, result[TIME]):
            action = self._inner.on_trial_result(self._stage, trial, result)
        if trial.status == Trial.TERMINATED:  # with the others that were stopped
            self._stage.stopped.remove(number)
        elif action == TrialScheduler.STOP and number >= self._inner.spares:
            trial.status = Trial.TERMINATED
        elif action in (TrialScheduler.PAUSE, TrialScheduler.NOOP):
            self._pauses += 1
            trial.status, trial.paused = Trial.PAUSED, self._pauses
            self._note_move(trial)
        else:
            trial.status = Trial.RUNNING
        return self._standing(trial)

    def _drawing(self, number: int, epoch: int) -> AbstractContextManager[None]:
        """Draws of their own for what is told of a trial's epoch; most kinds need none."""
        if self._inner.draws:
            return drawn_from(self._seed, number, epoch)
        return nullcontext()

    @staticmethod
    def _standing(trial: StageTrial) -> Decision:
        if trial.status == Trial.PAUSED:
            return Decision.PAUSE
        return Decision.STOP if trial.is_finished() else Decision.GO

    def _note_move(self, trial: StageTrial) -> None:
        saved = trial.cloned()
        if saved is not None:
            assert trial.number is not None
            self._moves[trial.number] = Move(
                trial.number, saved.number, saved.epoch, dict(trial.config)
            )
            trial.reached = saved.epoch

    def end(self, number: int, result: dict[str, Any] | None) -> None:
        """A trial ran to its end, with its last result, or failed (None)."""
        trial = self._trials[number]
        if trial.is_finished():
            return
        with self._drawing(number, -1):
            if result is None:
                self._inner.on_trial_error(self._stage, trial)
            else:
                self._inner.on_trial_complete(self._stage, trial, result)
        trial.status = Trial.ERROR if result is None else Trial.TERMINATED

    def close(self) -> None:
        """There will be no further trials."""
        if self._closed:
            return
        self._closed = True
        while self._stage.places:
            self._stage.drop(self._stage.places.popleft())
        with self._drawing(-1, -1):
            self._inner.conclude(self._stage)

    def reopen(self) -> None:
        """There will be further trials after all."""
        self._closed = False
        self._inner.reopen()

    def choose(self) -> int | None:
        """The paused trial that goes on now (tell it with `add`); None: a new one, if any."""
        if not self._pauses:
            return None
        chosen = self._inner.choose_trial_to_run(self._stage)
        return None if chosen is None else chosen.number

    def stopped(self) -> list[int]:
        """Paused trials that have been stopped since this was asked for."""
        found = list(self._stage.stopped)
        self._stage.stopped.clear()
        return found

    def move_of(self, number: int) -> Move | None:
        """How a trial that is paused goes on elsewhere; told once."""
        return self._moves.pop(number, None)

    def is_paused(self, number: int) -> bool:
        """Whether a trial waits to be chosen."""
        return number in self._trials and self._trials[number].status == Trial.PAUSED

    def is_stopped(self, number: int) -> bool:
        """Whether a trial was stopped, or has ended."""
        return number in self._trials and self._trials[number].is_finished()

    def pauses(self, number: int) -> tuple[int, ...]:
        """Epochs after which a trial may be paused: its checkpoint must be written before."""
        return self._inner.pauses(self._trials[number])

    def keeps(self) -> bool:
        """Whether trials may go on from checkpoints of others."""
        return self._inner.keeps()


def build_scheduler(name: str, epochs: int, setting: Setting | None = None) -> Scheduler:
    """A scheduler by name for trainings of `epochs`; a SpaceError names the known ones."""
    if name not in KINDS:
        raise SpaceError(f"unknown scheduler '{name}'", "scheduler", nearest(name, KINDS))
    setting = setting or Setting(epochs)
    return Scheduler(KINDS[name](setting), setting.seed)
