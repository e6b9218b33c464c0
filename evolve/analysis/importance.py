"""Which parameters a search says matter, with error bars and the level that chance reaches.

Two measures of Optuna, for they answer two questions. PED-ANOVA: which parameters separate the
best trials from the others? fANOVA: which parameters explain the spread of all values? Neither is
ever negative, so that a parameter without any effect has some importance too: values shuffled
over the trials tell how much it has by chance. As many parameters are tested at once, the largest
of each shuffle counts (Westfall and Young, "Resampling-based multiple testing", 1993, ch. 2).
"""

import copy
import warnings
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)
from optuna.search_space import intersection_search_space
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

METHODS = ("PED-ANOVA", "fANOVA")
COLUMNS = ("parameter", "method", "importance", "low", "high", "chance", "rank")
FEWEST_TRIALS = 8
RESAMPLES = 50
MOST_TRIALS = 500  # of more, so many are drawn: time grows with them, what they tell hardly does

_TREES = 64  # Optuna's
_TREES_RESAMPLED = 8  # the spread between resamples is larger than that between forests
_DEPTH = 6  # of a tree: time grows with the square of its leaves
_BEST = 5  # trials that PED-ANOVA compares with all, at least (Optuna's advice)

Floats = NDArray[np.float64]
Measure = Callable[[Sequence[FrozenTrial], int, int], Floats]


@dataclass(frozen=True)
class Importances:
    """How much each parameter matters.

    Attributes
    ----------
    frame : DataFrame, one line a method and parameter, by method and falling importance
        parameter, method, importance (share, sums to one in a method), low and high (95 %
        percentile interval of a bootstrap over trials), chance (95th percentile of the largest
        of a method if no parameter mattered, in the same unit), rank (from 1, within the method).
        fANOVA has no line for a parameter that some trials lack.
    trials : int
        Complete trials behind it.
    reason : str
        Why the frame is empty; empty text if it is not.
    of : int
        Complete trials that there are; of more than 500, 500 were drawn at random.
    """

    frame: pd.DataFrame
    trials: int
    reason: str = ""
    of: int = 0


def measure_importance(
    trials: Iterable[FrozenTrial],
    *,
    direction: str = "maximize",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Importances:
    """Measure the importance of every parameter from the complete trials.

    Parameters
    ----------
    trials : iterable of FrozenTrial
        Of one objective; those that are not complete are left out.
    direction : str
        maximize or minimize.
    resamples : int
        Of the trials for the intervals, and shuffles of the values for the level of chance.
    seed : int
        Of forests, resamples and shuffles, and of the draw if there are more than `MOST_TRIALS`.

    References
    ----------
    S. Watanabe, A. Bansal and F. Hutter, "PED-ANOVA", IJCAI 2023 (arXiv:2304.10255).
    F. Hutter, H. Hoos and K. Leyton-Brown, "An efficient approach for assessing hyperparameter
    importance", ICML 2014.
    """
    complete = [trial for trial in trials if _counts(trial)]
    reason = _reason(complete)
    if reason:
        nothing = pd.DataFrame(columns=list(COLUMNS))
        return Importances(nothing, len(complete), reason, len(complete))
    drawn = _draw(complete, seed)
    rng = np.random.default_rng(seed)
    study = _GivenTrials(drawn, StudyDirection[direction.upper()])
    given = study.given
    frames = [
        _frame(method, names, _Bootstrap(given, measure, resamples), rng)
        for method, names, measure in _methods(study)
        if names
    ]
    return Importances(pd.concat(frames, ignore_index=True), len(drawn), of=len(complete))


def _draw(trials: Sequence[FrozenTrial], seed: int) -> Sequence[FrozenTrial]:
    """The trials, or `MOST_TRIALS` of them in their order."""
    if len(trials) <= MOST_TRIALS:
        return trials
    chosen = np.random.default_rng(seed).choice(len(trials), MOST_TRIALS, replace=False)
    return [trials[index] for index in np.sort(chosen)]


def trials_of(frame: pd.DataFrame, space: Mapping[str, BaseDistribution]) -> list[FrozenTrial]:
    """Complete trials of a stored run as Optuna has them.

    Parameters
    ----------
    frame : DataFrame
        `RunRecord.trials`: state, value, and ``params.<key path>``, missing where a trial has no
        such parameter.
    space : mapping of name -> distribution
    """
    rows = frame[(frame["state"] == "COMPLETE") & frame["value"].notna()]
    return [_trial(row, space) for row in rows.to_dict("records")]


def _trial(row: Mapping[Any, Any], space: Mapping[str, BaseDistribution]) -> FrozenTrial:
    given = {name: row.get(f"params.{name}") for name in space}
    params = {
        name: int(value) if isinstance(space[name], IntDistribution) else value
        for name, value in given.items()
        if not pd.isna(value)
    }
    used = {name: space[name] for name in params}
    return create_trial(params=params, distributions=used, value=float(row["value"]))


def _counts(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.COMPLETE and bool(np.isfinite(trial.values).all())


def _reason(trials: Sequence[FrozenTrial]) -> str:
    if len(trials) < FEWEST_TRIALS:
        return f"it takes {FEWEST_TRIALS} complete trials, and there are {len(trials)}"
    if len({trial.value for trial in trials}) == 1:
        return "all complete trials have the same value"
    if not _varied(trials):
        return "no parameter was searched"
    return ""


def _varied(trials: Sequence[FrozenTrial]) -> list[str]:
    """Parameters of any trial that can take more than one value, by name."""
    each = {(n, d) for trial in trials for n, d in trial.distributions.items() if not d.single()}
    return sorted({name for name, _ in each})


class _GivenTrials(optuna.Study):
    """A study whose trials are handed in: a trial may be in it twice, as a resample wants."""

    def __init__(self, trials: Sequence[FrozenTrial], direction: StudyDirection) -> None:
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # it tells of every new study
        try:
            storage = InMemoryStorage()
            storage.create_new_study([direction], "importance")
            super().__init__("importance", storage)
        finally:
            optuna.logging.set_verbosity(before)
        self.add_trials(trials)  # gives each an id of its own, by which PED-ANOVA knows it
        self.given: Sequence[FrozenTrial] = super().get_trials()

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Trials that are given, as they are."""
        del deepcopy
        return [trial for trial in self.given if states is None or trial.state in states]


def _methods(study: _GivenTrials) -> list[tuple[str, list[str], Measure]]:
    names = _varied(study.given)
    everywhere = intersection_search_space(list(study.given))
    shared = [name for name in names if name in everywhere]
    share = min(0.5, max(0.1, _BEST / len(study.given)))

    def ped_anova(some: Sequence[FrozenTrial], _trees: int, _seed: int) -> Floats:
        evaluator = PedAnovaImportanceEvaluator(target_quantile=share)
        return _importances(study, some, evaluator, names)

    def fanova(some: Sequence[FrozenTrial], trees: int, seed: int) -> Floats:
        evaluator = FanovaImportanceEvaluator(n_trees=trees, max_depth=_DEPTH, seed=seed)
        return _importances(study, some, evaluator, shared)

    return list(zip(METHODS, (names, shared), (ped_anova, fanova), strict=True))


def _importances(
    study: _GivenTrials,
    trials: Sequence[FrozenTrial],
    evaluator: BaseImportanceEvaluator,
    names: Sequence[str],
) -> Floats:
    """Divergence (PED-ANOVA) or part of the variance (fANOVA) of each name, not yet as a share.

    0 for a name that these trials lack; NaN if all values are equal.
    """
    if len({trial.value for trial in trials}) == 1:
        return np.full(len(names), np.nan)
    study.given = trials
    present = [name for name in names if any(name in trial.params for trial in trials)]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # experimental; few trials of a condition: the bars show it
        found = get_param_importances(study, evaluator=evaluator, params=present, normalize=False)
    return np.array([float(found.get(name, 0.0)) for name in names])


@dataclass(frozen=True)
class _Bootstrap:
    """One measure of the trials as they are, resampled, and with their values shuffled."""

    trials: Sequence[FrozenTrial]
    measure: Measure
    resamples: int

    def estimate(self, rng: np.random.Generator) -> Floats:
        return self.measure(self.trials, _TREES, _draw_seed(rng))

    def resampled(self, rng: np.random.Generator) -> Floats:
        """Importances (resamples, parameters) of trials drawn with replacement."""
        count = len(self.trials)
        draws = (rng.integers(count, size=count) for _ in range(self.resamples))
        return self._each(([self.trials[i] for i in draw] for draw in draws), rng)

    def shuffled(self, rng: np.random.Generator) -> Floats:
        """Importances (resamples, parameters) if no parameter mattered."""
        values = np.array([trial.values[0] for trial in self.trials])
        orders = (rng.permutation(values) for _ in range(self.resamples))
        return self._each((_with_values(self.trials, order) for order in orders), rng)

    def _each(self, several: Iterable[Sequence[FrozenTrial]], rng: np.random.Generator) -> Floats:
        seeds = (_draw_seed(rng) for _ in range(self.resamples))
        rows = zip(several, seeds, strict=True)
        return np.array([self.measure(some, _TREES_RESAMPLED, seed) for some, seed in rows])


def _draw_seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _with_values(trials: Sequence[FrozenTrial], values: Floats) -> list[FrozenTrial]:
    """Copies of the trials, each with another value."""
    copies = [copy.copy(trial) for trial in trials]
    for trial, value in zip(copies, values.tolist(), strict=True):
        trial.value = value
    return copies


def _shares(importances: Floats) -> Floats:
    """Importances over the last axis as shares of their sum."""
    return _scaled(importances, importances.sum(axis=-1, keepdims=True))


def _scaled(values: Floats, total: Floats | float) -> Floats:
    return values / np.where(np.equal(total, 0), 1.0, total)


def _frame(
    method: str, names: Sequence[str], bootstrap: _Bootstrap, rng: np.random.Generator
) -> pd.DataFrame:
    found = bootstrap.estimate(rng)
    estimate = _shares(found)
    low, high = np.nanpercentile(_shares(bootstrap.resampled(rng)), [2.5, 97.5], axis=0)
    # the largest of all parameters, or of twenty without effect one would be above it
    chance = np.nanpercentile(bootstrap.shuffled(rng).max(axis=1), 95)
    frame = pd.DataFrame(
        {
            "parameter": list(names),
            "method": method,
            "importance": estimate,
            # a resample repeats trials, which can push all of its importances to one side
            "low": np.minimum(low, estimate),
            "high": np.maximum(high, estimate),
            "chance": _scaled(chance, found.sum()),
        }
    )
    frame = frame.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    return frame.assign(rank=range(1, len(frame) + 1))[list(COLUMNS)]
