"""The driver's side of a run: asks the sampler, feeds the scheduler, tells the study the truth.

Nothing durable is held here: a coordinator built on the same store goes on where the last one was
killed.
"""

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import yaml
from optuna.trial import FrozenTrial, TrialState

from evolve.engine.director import Director, Listener
from evolve.engine.schedulers import StableScheduler, decisive
from evolve.engine.trial import TrialTask
from evolve.errors import SpaceError
from evolve.search.genetic import DEFAULT, ORIGIN
from evolve.search.repair import REPAIR, repair
from evolve.seeds import trial_seed
from evolve.space import Space
from evolve.store.folder import RunFolder, TrialFolder
from evolve.store.study import FAILURE_ATTR, is_rejected, rejection, unfinished
from model.files import write_text_atomically

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
    """

    trials: int
    seed: int
    data: Path
    trainer: str
    threads: int


class Coordinator(Director):
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
        super().__init__(study, space.objective, scheduler, listener)
        self.space = space
        self.folder = folder
        self.settings = settings
        self._distributions = space.distributions()
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
            self.study.enqueue_trial(self.space.complete({}), user_attrs={ORIGIN: DEFAULT})
        for trial in map(self._with_all_params, unfinished(self.study)):
            self._ids[trial.number] = trial._trial_id
            if self._rejects(trial):
                continue
            for number, row in rows:
                if number == trial.number:
                    self._store_value(number, row)
            if trial.number in stopped:
                self._tell_pruned(trial.number)
            else:
                self._waiting.append(trial)

    def _with_all_params(self, trial: FrozenTrial) -> FrozenTrial:
        """The trial itself, or asked for again if the kill came while it was being asked for."""
        if trial.params.keys() != set(self.space.active(trial.params)):
            self._suggest_all(optuna.trial.Trial(self.study, trial._trial_id))
        return self.study._storage.get_trial(trial._trial_id)

    # -- the four calls of an engine -------------------------------------------------------

    def next_task(self) -> TrialTask | None:
        """The next trial to run: interrupted ones first; None when all are given out."""
        if self._waiting:
            return self._task(self._waiting.popleft())
        if self.nothing_left():
            return None
        return self._task(self._ask())

    def files(self, number: int) -> TrialFolder:
        """Folder of a trial."""
        return self.folder.trial(number)

    def nothing_left(self) -> bool:
        """Whether every trial has been run to an end."""
        return not self._waiting and self._given_out() >= self.settings.trials

    # -- asking ----------------------------------------------------------------------------

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
        values: dict[str, Any] = {}
        while missing := [name for name in self.space.active(values) if name not in values]:
            values[missing[0]] = trial._suggest(missing[0], self._distributions[missing[0]])

    def _rejects(self, trial: FrozenTrial) -> bool:
        """Close a trial that violates a constraint, before it runs and unheard by the listener."""
        violated = self.space.violated(trial.params)
        if violated:
            self._attr(trial.number, FAILURE_ATTR, rejection(violated))
            self.study.tell(trial.number, state=TrialState.FAIL)
        return bool(violated)

    # -- how each ends ---------------------------------------------------------------------

    def _tell_complete(self, number: int, row: dict[str, Any]) -> None:
        super()._tell_complete(number, row)
        if self.study.best_trial.number == number:
            self._write_best(self.study.best_trial)

    # -- helpers ---------------------------------------------------------------------------

    def _given_out(self) -> int:
        trials = self.study.get_trials(deepcopy=False)
        return sum(t.state != TrialState.WAITING and not is_rejected(t) for t in trials)

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

    def _write_best(self, trial: FrozenTrial) -> None:
        config = self.space.to_config(trial.params)
        config = config.with_values({"seed": trial_seed(self.settings.seed, trial.number)})
        head = f"# trial {trial.number} of {self.folder.path.name}: "
        head += f"{self.space.objective} {100 * (trial.value or 0):.1f}% on val\n"
        text = head + yaml.safe_dump(config.to_dict(), sort_keys=False)
        write_text_atomically(self.folder.best_config, text)
