"""The driver's side of a run: asks the sampler, feeds the scheduler, tells the study the truth.

Nothing durable is held here: a coordinator built on the same store goes on where the last one was
killed.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import yaml
from optuna.trial import FrozenTrial, TrialState

from evolve.attributes import RECIPE
from evolve.budget import Budget
from evolve.cost_book import CostBook
from evolve.engine.allowance import Allowance
from evolve.engine.director import Director, Listener
from evolve.engine.interrupt import Interrupt
from evolve.engine.recipes import Recipe, changeable_parameters, config_of, recipe_of, taken_over
from evolve.engine.schedulers import OBJECTIVE, TIME, Decision, Scheduler
from evolve.engine.trial import TrialTask
from evolve.errors import EvolveError, SpaceError
from evolve.search.genetic import DEFAULT, ORIGIN
from evolve.search.repair import REPAIR, repair
from evolve.space import Space
from evolve.store.folder import RunFolder, TrialFolder
from evolve.store.journal import Journal
from evolve.store.mirror import together
from evolve.store.study import (
    COST_ATTR,
    EPOCHS_ATTR,
    FAILURE_ATTR,
    failure_of,
    is_rejected,
    rejection,
    suggest,
    tell,
)
from model.config import TrainConfig
from model.files import write_text_atomically

logger = logging.getLogger(__name__)

MOST_REJECTED = 10  # proposals in a row that violate a constraint


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
    final_trainings : int
        Of the final comparison, for which time is kept.
    until_no_gain : int or None
        No trial is begun after so many that brought no better value.
    max_failures : int or None
        The run stops after more failures than that.
    """

    trials: int
    seed: int
    data: Path
    trainer: str
    threads: int
    final_trainings: int = 0
    until_no_gain: int | None = None
    max_failures: int | None = None


def search_limits(trials: int, until_no_gain: int | None, budget: Budget | None) -> dict[str, Any]:
    """What says how far a search goes; one that is closed stays so within the same."""
    return {
        "trials": trials,
        "until_no_gain": until_no_gain,
        "budget": None if budget is None else budget.text,
    }


class Coordinator(Director):
    """Joins study, scheduler and trial folders.

    Parameters
    ----------
    study : optuna.Study
        With the run's sampler.
    space : Space
        Its base configuration must be resolved for the data.
    folder : RunFolder
    scheduler : Scheduler
        Fresh; what the journal tells is told to it here.
    settings : Settings
    listener : Listener
    journal : Journal, optional
        Default: that of the folder.
    allowance : Allowance, optional
    interrupt : Interrupt, optional
    costs : CostBook, optional
        What networks cost; where the space has two objectives.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        folder: RunFolder,
        scheduler: Scheduler,
        settings: Settings,
        listener: Listener,
        journal: Journal | None = None,
        allowance: Allowance | None = None,
        interrupt: Interrupt | None = None,
        costs: CostBook | None = None,
    ) -> None:
        journal = journal or Journal(folder.journal)
        super().__init__(study, space.objective, scheduler, listener, journal, allowance,
                         settings.max_failures, interrupt)  # fmt: skip
        self.space = space
        self.folder = folder
        self.settings = settings
        self.costs = costs
        self._distributions = space.distributions()
        self._params: dict[int, dict[str, Any]] = {}
        self._recipes: dict[int, Recipe] = {}
        self._changeable = tuple(changeable_parameters(space))
        self._asked = 0
        self._best = -math.inf
        self._front: list[tuple[float, ...]] = []  # values that no other trial's are as good as
        self._since_best = 0
        self._closed = ""
        self._closed_with: dict[str, Any] = {}
        self._rebuild()

    # -- restart ---------------------------------------------------------------------------

    def _rebuild(self) -> None:
        """Bring scheduler and study to where the store says the run stood."""
        trials = self.study.get_trials(deepcopy=False)
        if not trials:
            self.study.enqueue_trial(self.space.complete({}), user_attrs={ORIGIN: DEFAULT})
        self._asked = sum(t.state != TrialState.WAITING and not is_rejected(t) for t in trials)
        for trial in trials:
            self._count(trial)
        begun = [self._with_all_params(t) for t in trials if t.state == TrialState.RUNNING]
        self._params = {t.number: t.params for t in (*trials, *begun)}
        for trial in begun:
            self._recall(trial)
            if recipe := recipe_of(trial):
                self._recipes[trial.number] = recipe
        self._store_unwritten(begun)
        reached = self._replay()
        self.journal.note("session")
        if self._closed and self._closed_with != self._limits():
            self._closed = ""
            self.journal.note("open")
            self.scheduler.reopen()
        self._take_unseen([t.number for t in begun], reached, told=bool(reached) or not trials)
        self.scheduler.stopped()  # those who have not been told are told here
        for trial in begun:
            self._go_on_with(trial)
        self._params = {n: p for n, p in self._params.items() if n in self._ids}

    def _count(self, trial: FrozenTrial) -> None:
        """Learn how a trial ended, for what depends on the ends of all."""
        if trial.state == TrialState.FAIL:
            failed = failure_of(trial)
            self._count_failure(failed.get("type", "error"), failed.get("what", ""))
        elif trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            whole = trial.state == TrialState.COMPLETE
            self._note_values(trial.values if whole else None)

    def _store_unwritten(self, begun: list[FrozenTrial]) -> None:
        """Store epochs that the journal has and that waited to be stored when the kill came."""
        seen: dict[int, dict[int, float]] = {trial.number: {} for trial in begun}
        for event in self.journal.earlier:
            number = event.get("number", -1)
            if event["event"] == "epoch" and number in seen and event["value"] is not None:
                seen[number][event["epoch"]] = event["value"]
        for trial in begun:
            for epoch, value in seen[trial.number].items():
                if trial.intermediate_values.get(epoch) != value:
                    self._store_value(trial.number, {"epoch": epoch, "objective": value})

    def _replay(self) -> dict[int, int]:
        """Tell the scheduler what it was told before; epochs that it knows of, by trial."""
        events, self.journal.earlier = self.journal.earlier, []
        self.pace.replay(events)
        reached: dict[int, int] = {}
        for event in events:
            number, kind = event.get("number", -1), event["event"]
            if kind == "close":
                self._closed, self._closed_with = event["why"], event["limits"]
                self.scheduler.close()
            elif kind == "open":
                self._closed = ""
                self.scheduler.reopen()
            elif number not in self._params:
                continue
            elif kind == "begin":
                self.scheduler.add(number, self._params[number])
            elif kind == "epoch":
                self.scheduler.add(number, self._params[number])
                reached[number] = event["epoch"]
                if event["told"]:
                    self.scheduler.take(number, {TIME: event["epoch"], OBJECTIVE: event["value"]})
            elif kind == "moved":
                reached[number] = event["epoch"]
                self.scheduler.move_of(number)
            elif kind == "end":
                result = {TIME: reached.get(number, 0), OBJECTIVE: event["value"]}
                self.scheduler.end(number, None if event["state"] == "FAIL" else result)
        return reached

    def _take_unseen(self, begun: list[int], reached: dict[int, int], *, told: bool) -> None:
        """Take in epochs that no driver has seen; all of them in a run from before the journal."""
        numbers = begun if told else sorted(self._params)
        rows = [
            (number, row)
            for number in numbers
            for row in self.files(number).read_metrics()
            if row["epoch"] > reached.get(number, 0)
        ]
        rows.sort(key=lambda item: (item[1]["time"], item[0]))
        for number, row in rows:
            self.scheduler.add(number, self._params[number])
            if number in self._ids:
                self._store_value(number, row)
            self._note_epoch(number, row, self._decide(number, row))
        self._broken.clear()  # a training that goes on will say so again

    def _go_on_with(self, trial: FrozenTrial) -> None:
        """A trial that has not ended waits to be continued, unless it should have been stopped."""
        if self._rejects(trial):
            self._asked -= 1
            return
        if self.scheduler.is_stopped(trial.number):
            self._tell_pruned(trial.number)
        elif self.scheduler.is_paused(trial.number):
            self._move(trial.number)
        else:
            self._waiting.append(trial.number)

    def _with_all_params(self, trial: FrozenTrial) -> FrozenTrial:
        """The trial itself, or asked for again if the kill came while it was being asked for."""
        self._ids[trial.number] = trial._trial_id
        if trial.params.keys() != set(self.space.active(trial.params)):
            self._suggest_all(optuna.trial.Trial(self.study, trial._trial_id))
        return self.study._storage.get_trial(trial._trial_id)

    # -- what a director does --------------------------------------------------------------

    def _chosen(self) -> int | None:
        number = self.scheduler.choose()
        if number is None and self._may_begin():
            return self._begin()
        if number is None:
            number = self.scheduler.choose()  # as it knows now that there are no more
        return number if number not in self._running else None

    def _nothing_left(self) -> bool:
        return not self._waiting and not self._may_begin() and self.scheduler.choose() is None

    def files(self, number: int) -> TrialFolder:
        """Folder of a trial."""
        return self.folder.trial(number)

    def _must_stop(self, number: int) -> bool:  # noqa: ARG002
        return self.allowance.budget is not None and self.left() <= self._reserved()

    def _after(self, number: int, epoch: int | None = None) -> None:
        if self.scheduler.keeps() and (epoch is None or epoch in self.scheduler.pauses(number)):
            self.files(number).drop_checkpoints(before=epoch or self.space.base.epochs)
        if self.scheduler.is_paused(number):
            self._move(number)
        for stopped in self.scheduler.stopped():
            if stopped not in self._running:
                self._tell_pruned(stopped)

    # -- when to begin no more -------------------------------------------------------------

    def _may_begin(self) -> bool:
        """Whether a new trial may be begun; once not, never again with the same limits."""
        if not self._closed and (why := self._why_not()):
            self._closed, self._closed_with = why, self._limits()
            self.journal.note("close", why=why, limits=self._closed_with)
            self.scheduler.close()
            logger.info("no further trial: %s", why)
        return not self._closed

    def _limits(self) -> dict[str, Any]:
        """What says how far the search goes."""
        settings = self.settings
        return search_limits(settings.trials, settings.until_no_gain, self.allowance.budget)

    def _why_not(self) -> str:
        """Why no further trial is begun; empty if one may be."""
        patience = self.settings.until_no_gain
        if self._asked >= self.settings.trials:
            return "trials"
        if patience is not None and self._since_best >= patience:
            return "no gain"
        epochs = self.space.base.epochs
        if self.left() - self._reserved() < self.cost(1 + len(self._running), epochs):
            return "budget"
        return ""

    def _reserved(self) -> float:
        """What is kept of the budget for the final comparison."""
        return self.cost(self.settings.final_trainings, self.space.base.epochs)

    @property
    def closed(self) -> str:
        """Why no further trial is begun: trials, no gain or budget; empty while some are."""
        return self._closed

    def _note_values(self, values: Sequence[float] | None) -> None:
        """Count trials since the last one that no other is as good as."""
        if values is None or any(_as_good(one, values) for one in self._front):
            self._since_best += 1
            return
        self._best, self._since_best = max(self._best, values[0]), 0
        self._front = [one for one in self._front if not _as_good(values, one)]
        self._front.append(tuple(values))

    # -- two objectives --------------------------------------------------------------------

    def _ready(self, number: int) -> bool:
        """Whether it is known what the network of a trial costs; if need be it is measured.

        With a cost that others would disturb, the trial waits until nothing runs any more.
        """
        if self.costs is None:
            return True
        config = self._config(number)
        if not self.costs.has(config):
            if self.costs.alone and self._running:
                return False
            try:
                self.costs.measure(config)
            except EvolveError as error:
                self._stop_all(error)
                return False
            if self._ending:  # what ends the run may have ended the measurement
                return False
        self._attr(number, COST_ATTR, self.costs.figures(config))
        return True

    def take(self, number: int, row: dict[str, Any]) -> Decision:
        """Store an epoch of a training; what becomes of it."""
        if self.costs is not None and "metrics" in row:
            row = row | {"cost": self.costs.value(self._config(number))}
        return super().take(number, row)

    def unmeasured(self, row: dict[str, Any]) -> str:
        """Why a trial that ended with this row has no value; empty if it has all."""
        if self.costs is not None and (reason := self.costs.why_not(self._config(row["number"]))):
            return f"{self.space.cost} cannot be measured: {reason}"
        return super().unmeasured(row)

    def kind_of_unmeasured(self, row: dict[str, Any]) -> str:
        """A cost that could not be measured is no fault of the data."""
        if self.costs is not None and self.costs.why_not(self._config(row["number"])):
            return "error"
        return super().kind_of_unmeasured(row)

    def _values(self, number: int, row: dict[str, Any]) -> list[float]:
        values = super()._values(number, row)
        return values if self.costs is None else [*values, self.costs.value(self._config(number))]

    def _store_value(self, number: int, row: dict[str, Any]) -> None:
        if self.costs is None:
            super()._store_value(number, row)

    def _note_epochs(self, number: int) -> None:
        """Note how many there were, where their values are not in the study."""
        if self.costs is not None:
            self._attr(number, EPOCHS_ATTR, len(self.files(number).read_metrics()))

    # -- trials that go on from another's checkpoint ---------------------------------------

    def _move(self, number: int) -> None:
        """Put a trial where the scheduler wants it to go on: at another's checkpoint.

        A kill at any moment of this is mended by doing it again.
        """
        move = self.scheduler.move_of(number)
        if move is None:
            return
        self._recipes[number] = taken_over(
            move.donor,
            move.epoch,
            {name: move.params[name] for name in self._changeable},
            params=self._params[move.donor],
            before=self._recipes.get(move.donor),
        )
        self._attr(number, RECIPE, self._recipes[number])
        self.files(number).take_over(self.files(move.donor), move.epoch, number)
        self.journal.note("moved", number, epoch=move.epoch, donor=move.donor)

    # -- asking ----------------------------------------------------------------------------

    def _begin(self) -> int:
        """Ask for a new trial; its number."""
        trial = self._ask()
        self._asked += 1
        self._params[trial.number] = dict(trial.params)
        return trial.number

    def _ask(self) -> FrozenTrial:
        """A new trial that satisfies the constraints; others are asked for and put aside.

        Optuna's samplers learn nothing from what was put aside. One that stays where the
        constraints forbid is helped: its last proposal is drawn back to where they hold.

        Raises
        ------
        SpaceError
            If not even that helps.
        """
        for _ in range(MOST_REJECTED):
            trial = self._proposal()
            if not self._rejects(trial):
                return trial
        self.study.enqueue_trial(self._repaired(trial), user_attrs={ORIGIN: REPAIR})
        trial = self._proposal()
        if self._rejects(trial):
            raise SpaceError(
                f"no trial is found that satisfies '{self.space.violated(trial.params)}'",
                self.space.name,
                "take --sampler genetic, which keeps to constraints, or loosen this one",
            )
        return trial

    def _proposal(self) -> FrozenTrial:
        with together(self.study._storage):
            asked = self.study.ask()
            self._ids[asked.number] = asked._trial_id
            self._suggest_all(asked)
        return self.study._storage.get_trial(asked._trial_id)

    def _repaired(self, trial: FrozenTrial) -> dict[str, Any]:
        """Values between those of a trial and of one that ran, the defaults before any has."""
        ran = self.study.get_trials(
            deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
        )
        rng = np.random.default_rng((self.settings.seed, trial.number))
        anchors = [self.space.complete({}), *(one.params for one in ran)]
        return repair(self.space, trial.params, anchors[rng.integers(len(anchors))])

    def _suggest_all(self, trial: optuna.trial.Trial) -> None:
        """Propose a value for every parameter that exists beside those proposed before it."""
        suggest(trial, self._distributions, self.space.active)

    def _rejects(self, trial: FrozenTrial) -> bool:
        """Close a trial that violates a constraint, before it runs and unheard by the listener."""
        violated = self.space.violated(trial.params)
        if violated:
            with together(self.study._storage):
                self._attr(trial.number, FAILURE_ATTR, rejection(violated))
                tell(self.study, trial.number, state=TrialState.FAIL)
        return bool(violated)

    # -- how each ends ---------------------------------------------------------------------

    def _tell_complete(self, number: int, row: dict[str, Any]) -> None:
        best = self._best
        self._note_values(self._values(number, row))
        if self._best > best:
            self._write_best(number)
        with together(self.study._storage):
            self._note_epochs(number)
            super()._tell_complete(number, row)

    def _tell_pruned(self, number: int) -> None:
        self._note_values(None)
        with together(self.study._storage):
            self._note_epochs(number)
            super()._tell_pruned(number)

    def _ended(self, number: int, state: str, result: dict[str, Any] | None, reason: str) -> None:
        super()._ended(number, state, result, reason)
        for known in (self._ids, self._attempts, self._params, self._recipes):
            known.pop(number, None)

    # -- helpers ---------------------------------------------------------------------------

    def _planned_config(self, number: int) -> TrainConfig:
        recipe, seed = self._recipes.get(number), self.settings.seed
        return config_of(self.space, number, self._params[number], recipe, seed)

    def _task(self, number: int) -> TrialTask:
        config, params, folder = self._config(number), self._params[number], self.files(number)
        self.scheduler.add(number, params)
        done = len(folder.read_metrics())
        self.listener.on_start(number, params, done, config.epochs)
        return TrialTask(
            number=number,
            folder=str(folder.path.absolute()),
            config=config.to_dict(),
            data=str(self.settings.data),
            objective=self.space.objective,
            trainer=self.settings.trainer,
            data_seed=self.settings.seed,
            threads=self.settings.threads,
            halt_file=self._halt_file(),
            pauses=self.scheduler.pauses(number),
            keeps=self.scheduler.keeps(),
            alone=self._needs_all(number),
        )

    def _write_best(self, number: int) -> None:
        head = f"# trial {number} of {self.folder.path.name}: "
        head += f"{self.space.objective} {100 * self._best:.1f}% on val\n"
        text = head + yaml.safe_dump(self._config(number).to_dict(), sort_keys=False)
        write_text_atomically(self.folder.best_config, text)


def _as_good(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether values are at least as good as others: the first raised, a second lowered."""
    return one[0] >= other[0] and all(a <= b for a, b in zip(one[1:], other[1:], strict=True))
