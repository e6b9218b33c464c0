"""Ray Tune's schedulers, each with what it needs to decide on detectors' trainings."""

import logging
import math
import random
from bisect import insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from optuna.distributions import BaseDistribution, CategoricalDistribution
from ray.tune.experiment import Trial
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    TrialScheduler,
)
from ray.tune.schedulers.async_hyperband import _Bracket

from evolve.engine.course import CONTROLS, REDUCTION, promotion_rung, rungs
from evolve.engine.schedulers.stage import Stage, StageTrial
from evolve.errors import SpaceError
from evolve.search.operators.encoding import decode, encode

OBJECTIVE = "objective"
TIME = "epoch"
SPARED = 3  # the trial of the defaults and two more, before a rung can tell anything
PERTURBATIONS = 10  # of a population in a whole training


@dataclass(frozen=True)
class Setting:
    """What schedulers are made for.

    Attributes
    ----------
    epochs : int
        Of a whole training.
    trials : int
        That the run will hold, at most.
    seed : int
    fidelity : float
        Part of the training that comes before a promotion.
    promote : int
        Trials that are promoted.
    changeable : dict of str -> BaseDistribution
        Parameters that may change during a training.
    """

    epochs: int
    trials: int = 1
    seed: int = 0
    fidelity: float = 0.1
    promote: int = 5
    changeable: Mapping[str, BaseDistribution] = field(default_factory=dict)


class Kind(Protocol):
    """What `Scheduler` asks beside Ray's own methods; the defaults of `_Plain` fit most.

    Attributes
    ----------
    spares : int
        First trials that are never stopped.
    draws : bool
        Whether it draws from the module `random`.
    """

    spares: int
    draws: bool

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Ray's: a trial is known."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Ray's: what becomes of a trial after a result."""

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Ray's: a trial has come to its end."""

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Ray's: a trial has failed."""

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Ray's: a trial is stopped before it went on."""

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Ray's: the trial that runs next."""

    def make_room(self, stage: Stage) -> None:
        """Add places for trials that the scheduler must know of before they are asked for."""

    def conclude(self, stage: Stage) -> None:
        """Decide what waited for further trials: there will be none."""

    def reopen(self) -> None:
        """There will be further trials after all."""

    def pauses(self, trial: StageTrial) -> tuple[int, ...]:
        """Epochs after which a trial may be paused, so that it needs a checkpoint there."""

    def keeps(self) -> bool:
        """Whether other trials may go on from these checkpoints."""


class _Plain:
    """A kind that pauses nothing."""

    spares = SPARED
    draws = False

    def make_room(self, stage: Stage) -> None:
        """Add a place for the next trial."""
        stage.add_place({})

    def conclude(self, stage: Stage) -> None:
        """As in `Kind`."""

    def reopen(self) -> None:
        """As in `Kind`."""

    def pauses(self, trial: StageTrial) -> tuple[int, ...]:  # noqa: ARG002
        """As in `Kind`."""
        return ()

    def keeps(self) -> bool:
        """As in `Kind`."""
        return False


class NoScheduler(_Plain, FIFOScheduler):
    """Every trial runs to its end."""


class _Rung(dict[str, float]):
    """Values by trial, as Ray keeps them, and in order besides."""

    def __init__(self) -> None:
        super().__init__()
        self.ordered: list[float] = []

    def __setitem__(self, trial: str, value: float) -> None:
        """Take a trial's value in; Ray does so once."""
        super().__setitem__(trial, value)
        if not math.isnan(value):
            insort(self.ordered, value)


class _Rungs(_Bracket):
    """Ray's rungs; with each result it takes the percentile of all of a rung's values anew."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__(first, last, REDUCTION, 0, stop_last_trials=False)
        self._rungs: list[tuple[int, _Rung]] = [(epoch, _Rung()) for epoch, _ in self._rungs]

    def cutoff(self, recorded: _Rung) -> float | None:
        """What `np.nanpercentile` gives, bit for bit; None if there is no value."""
        if not recorded.ordered:
            return None
        place = (len(recorded.ordered) - 1) * ((1 - 1 / REDUCTION) * 100 / 100)
        share = place % 1.0
        below, above = recorded.ordered[math.floor(place)], recorded.ordered[math.ceil(place)]
        gap = above - below
        return below + gap * share if share < 0.5 else above - gap * (1 - share)


class Asha(_Plain, AsyncHyperBandScheduler):
    """ASHA (arXiv:1810.05934): at each rung the best third goes on; the next is thrice as far."""

    def __init__(self, setting: Setting) -> None:
        first, last = rungs(setting.epochs)
        super().__init__(
            time_attr=TIME,
            metric=OBJECTIVE,
            mode="max",
            grace_period=first,
            max_t=last,
            reduction_factor=REDUCTION,
            brackets=1,
            stop_last_trials=False,
        )
        self._brackets = [_Rungs(first, last)]


class Median(_Plain, MedianStoppingRule):
    """Golovin et al., "Google Vizier", KDD 2017, section 3.2.2: below the median of others' means.

    From ASHA's first rung on, once three others have come as far.
    """

    def __init__(self, setting: Setting) -> None:
        first, _ = rungs(setting.epochs)
        super().__init__(time_attr=TIME, metric=OBJECTIVE, mode="max", grace_period=first)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Decide, and forget that a trial was stopped: one that is spared goes on."""
        action = super().on_trial_result(tune_controller, trial, result)
        self._stopped_trials.discard(trial)
        return str(action)


class HyperBand(_Plain, HyperBandScheduler):
    """HyperBand (arXiv:1603.06560): brackets that halve, each from another share of the training.

    Ray's lets a bracket halve as soon as all trials that it knows of have come far enough, and
    learns of trials one by one; so a bracket's places are told all at once, before its first
    trial. The first bracket, with trial 0 of the defaults, trains in full.
    """

    spares = 0

    def __init__(self, setting: Setting) -> None:
        super().__init__(
            time_attr=TIME,
            metric=OBJECTIVE,
            mode="max",
            max_t=setting.epochs,
            reduction_factor=REDUCTION,
        )

    def make_room(self, stage: Stage) -> None:
        """Fill the next bracket with places; Ray's would fill up one whose trials have ended."""
        self._state["bracket"] = None
        stage.add_place({})
        while not self._state["bracket"].filled():
            stage.add_place({})

    def pauses(self, trial: StageTrial) -> tuple[int, ...]:
        """Ends of the bracket's rounds."""
        bracket, _ = self._trial_info[trial]
        epochs, at = [], bracket._r0
        while at < self._max_t_attr:
            epochs.append(at)
            at = int(min(at * self._eta, self._max_t_attr))
        return tuple(epochs)

    def _process_bracket(self, tune_controller: Any, bracket: Any) -> str:
        # Ray's leaves the mark set, and then a trial's failure never lets the others go on
        try:
            return str(super()._process_bracket(tune_controller, bracket))
        finally:
            bracket.is_being_processed = False


class Population(_Plain, PopulationBasedTraining):
    """Population-based training (arXiv:1711.09846): the worst quarter clones the best, perturbed.

    All trials of the run are one population; each trains a tenth of its epochs between two
    perturbations, from ASHA's first rung on. Draws come from the module `random`, which
    `Scheduler` seeds.
    """

    spares = 0
    draws = True

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        if not setting.changeable:
            raise SpaceError(
                "no parameter of the space can change during a training",
                "scheduler",
                "pbt changes learning rates, loss weights, augmentation: add one, or take asha",
            )
        self._interval = max(1, round(setting.epochs / PERTURBATIONS))
        self._first = max(self._interval, rungs(setting.epochs)[0])
        logging.getLogger(PopulationBasedTraining.__module__).setLevel(logging.WARNING)
        super().__init__(
            time_attr=TIME,
            metric=OBJECTIVE,
            mode="max",
            perturbation_interval=self._interval,
            burn_in_period=self._first,
            hyperparam_mutations={
                name: _mutations(kind) for name, kind in setting.changeable.items()
            },
            custom_explore_fn=self._inside,
            log_config=False,
        )

    def _inside(self, config: dict[str, Any]) -> dict[str, Any]:
        """Bring perturbed parameters back into their ranges, and onto their steps."""
        for name, kind in self._setting.changeable.items():
            if not isinstance(kind, CategoricalDistribution):
                config[name] = decode(encode(config[name], kind), kind)
        return config

    def make_room(self, stage: Stage) -> None:
        """Tell of the whole population, once."""
        for _ in range(max(1, self._setting.trials - len(stage.trials))):
            stage.add_place(dict.fromkeys(self._setting.changeable, 0))

    def pauses(self, trial: StageTrial) -> tuple[int, ...]:  # noqa: ARG002
        """Ends of the intervals."""
        return tuple(range(self._first, self._setting.epochs, self._interval))

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """The trial that is farthest behind; of equals the one that has waited longest.

        Ray's takes the first of equals. With more trials than workers that one can train the
        same epochs for ever: it is sent back to its donor's epoch, and the donor never moves.
        """
        waiting = (
            trial
            for trial in tune_controller.get_trials()
            if trial.status in (Trial.PENDING, Trial.PAUSED)
        )
        states = self._trial_state
        return min(waiting, key=lambda t: (states[t].last_train_time, t.paused), default=None)

    def keeps(self) -> bool:
        """Clones begin with them."""
        return True


class Promotion(_Plain, FIFOScheduler):
    """The paper's rule: search with the first tenth of the training, then train the best in full.

    arXiv:2004.10934 section 4.1 tunes on the first tenth of the training. Every trial is paused
    there, in the middle of its long schedule; when there are no more, the best go on from their
    checkpoints, and with them trial 0 of the defaults and a few drawn by lot: on these the report
    tells what the early order was worth.
    """

    spares = 0
    draws = True

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self._setting = setting
        self.rung = promotion_rung(setting.epochs, setting.fidelity)
        self._values: dict[StageTrial, float] = {}
        self._promoted: list[StageTrial] = []
        self._concluded = False
        self._places = setting.promote

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Pause at the rung."""
        if result[TIME] < self.rung or trial in self._promoted:
            return str(TrialScheduler.CONTINUE)
        self._values[trial] = result[OBJECTIVE]
        trial.status = Trial.PAUSED
        self._promote(tune_controller)
        going = trial in self._promoted
        return str(TrialScheduler.CONTINUE if going else TrialScheduler.PAUSE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:  # noqa: ARG002
        """A trial that ends before the rung is waited for no more."""
        self._promote(tune_controller, ended=trial)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """As `on_trial_complete`."""
        self._promote(tune_controller, ended=trial)

    def conclude(self, stage: Stage) -> None:
        """Promote as soon as nobody is on the way to the rung."""
        self._concluded = True
        self._promote(stage)

    def reopen(self) -> None:
        """As many again are promoted of the further trials."""
        self._concluded = False
        self._places = self._setting.promote

    def choose_trial_to_run(self, tune_controller: Any) -> Any:  # noqa: ARG002
        """The best of the promoted that wait."""
        waiting = (trial for trial in self._promoted if trial.status == Trial.PAUSED)
        return next(waiting, None)

    def pauses(self, trial: StageTrial) -> tuple[int, ...]:  # noqa: ARG002
        """The rung."""
        return (self.rung,) if self.rung < self._setting.epochs else ()

    def _promote(self, stage: Stage, ended: StageTrial | None = None) -> None:
        """Take the best of those at the rung, once all have come there, and stop the others."""
        live = [trial for trial in stage.get_live_trials() if trial is not ended]
        waiting = [trial for trial in live if trial not in self._promoted]
        if not self._concluded or not all(trial in self._values for trial in waiting):
            return
        ranked = sorted(waiting, key=lambda one: (-self._values[one], one.number))
        chosen = ranked[: self._places]
        rest = [trial for trial in ranked if trial not in chosen]
        chosen += [trial for trial in rest if trial.number == 0]
        rest = [trial for trial in rest if trial.number != 0]
        drawn = random.sample(rest, min(CONTROLS, len(rest))) if self._places else []
        self._places -= len(ranked[: self._places])
        self._promoted += chosen + drawn
        for trial in rest:
            if trial not in drawn:
                stage.stop_trial(trial)


def _mutations(kind: BaseDistribution) -> Any:
    """What Ray draws new values from: neighbours among choices, else anything in the range."""
    if isinstance(kind, CategoricalDistribution):
        return list(kind.choices)
    return lambda: decode(random.random(), kind)


KINDS: dict[str, Callable[[Setting], Any]] = {
    "asha": Asha,
    "hyperband": HyperBand,
    "median": Median,
    "none": lambda _: NoScheduler(),
    "pbt": Population,
    "promote": Promotion,
}
