"""Which parameters a search says matter, with error bars and the level that chance reaches.

Two measures of Optuna, for they answer two questions. PED-ANOVA: which parameters separate the
best trials from the others? fANOVA: which parameters explain the spread of all values? Neither is
ever negative, so that a parameter without any effect has some importance too: values shuffled
over the trials tell how much it has by chance. As many parameters are tested at once, the largest
of each shuffle counts (Westfall and Young, "Resampling-based multiple testing", 1993, ch. 2).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.search_space import intersection_search_space
from optuna.trial import FrozenTrial, TrialState

from evolve.analysis.fanova import Fanova
from evolve.analysis.ped_anova import PedAnova

METHODS = ("PED-ANOVA", "fANOVA")
COLUMNS = ("parameter", "method", "importance", "low", "high", "chance", "rank")
FEWEST_TRIALS = 8
RESAMPLES = 50
MOST_TRIALS = 500  # of more, so many are drawn: time grows with them, what they tell hardly does

_TREES = 64  # Optuna's
_TREES_RESAMPLED = 8  # the spread between resamples is larger than that between forests
_BEST = 5  # trials that PED-ANOVA compares with all, at least (Optuna's advice)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Measure = Callable[[Ints, Floats, int, int], Floats]


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
    complete = [trial for trial in trials if is_measured(trial)]
    reason = _reason(complete)
    if reason:
        nothing = pd.DataFrame(columns=list(COLUMNS))
        return Importances(nothing, len(complete), reason, len(complete))
    drawn = draw_trials(complete, seed, MOST_TRIALS)
    rng = np.random.default_rng(seed)
    values = np.array([trial.values[0] for trial in drawn], dtype=float)
    frames = [
        _frame(method, names, _Bootstrap(values, measure, resamples), rng)
        for method, names, measure in _methods(drawn, direction)
        if names
    ]
    return Importances(pd.concat(frames, ignore_index=True), len(drawn), of=len(complete))


def draw_trials(trials: Sequence[FrozenTrial], seed: int, most: int) -> Sequence[FrozenTrial]:
    """The trials, or `most` of them in their order."""
    if len(trials) <= most:
        return trials
    chosen = np.random.default_rng(seed).choice(len(trials), most, replace=False)
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
    return FrozenTrial(  # as `create_trial`, which asks every distribution again for its range
        number=-1,
        trial_id=-1,
        state=TrialState.COMPLETE,
        value=float(row["value"]),
        datetime_start=None,
        datetime_complete=None,
        params=params,
        distributions=used,
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


def is_measured(trial: FrozenTrial) -> bool:
    """Whether a trial is complete with finite values."""
    return trial.state == TrialState.COMPLETE and bool(np.isfinite(trial.values).all())


def _reason(trials: Sequence[FrozenTrial]) -> str:
    if len(trials) < FEWEST_TRIALS:
        return f"it takes {FEWEST_TRIALS} complete trials, and there are {len(trials)}"
    if len({trial.value for trial in trials}) == 1:
        return "all complete trials have the same value"
    if not varied(trials):
        return "no parameter was searched"
    return ""


def varied(trials: Sequence[FrozenTrial]) -> list[str]:
    """Parameters of any trial that can take more than one value, by name."""
    each = {(n, d) for trial in trials for n, d in trial.distributions.items() if not d.single()}
    return sorted({name for name, _ in each})


def _methods(
    trials: Sequence[FrozenTrial], direction: str
) -> list[tuple[str, list[str], Measure]]:
    names = varied(trials)
    everywhere = intersection_search_space(list(trials))
    shared = {name: everywhere[name] for name in names if name in everywhere}
    divergence = PedAnova(trials, names, min(0.5, max(0.1, _BEST / len(trials))))
    forest = Fanova(trials, shared) if shared else None
    sign = -1.0 if direction == "maximize" else 1.0

    def ped_anova(rows: Ints, values: Floats, _trees: int, _seed: int) -> Floats:
        return divergence.measure(rows, sign * values)

    def fanova(rows: Ints, values: Floats, trees: int, seed: int) -> Floats:
        assert forest is not None
        return forest.measure(rows, values, trees, seed)

    return list(zip(METHODS, (names, list(shared)), (ped_anova, fanova), strict=True))


@dataclass(frozen=True)
class _Bootstrap:
    """One measure of the trials as they are, resampled, and with their values shuffled."""

    values: Floats
    measure: Measure
    resamples: int

    def estimate(self, rng: np.random.Generator) -> Floats:
        return self.measure(np.arange(len(self.values)), self.values, _TREES, _draw_seed(rng))

    def resampled(self, rng: np.random.Generator) -> Floats:
        """Importances (resamples, parameters) of trials drawn with replacement."""
        count = len(self.values)
        draws = (rng.integers(count, size=count) for _ in range(self.resamples))
        return self._each(((rows, self.values[rows]) for rows in draws), rng)

    def shuffled(self, rng: np.random.Generator) -> Floats:
        """Importances (resamples, parameters) if no parameter mattered."""
        rows = np.arange(len(self.values))
        orders = (rng.permutation(self.values) for _ in range(self.resamples))
        return self._each(((rows, order) for order in orders), rng)

    def _each(self, several: Iterable[tuple[Ints, Floats]], rng: np.random.Generator) -> Floats:
        """Importances of each; NaN where all values are equal."""
        seeds = (_draw_seed(rng) for _ in range(self.resamples))
        return np.array(
            [
                self.measure(rows, values, _TREES_RESAMPLED, seed)
                * (np.nan if (values == values[0]).all() else 1.0)
                for (rows, values), seed in zip(several, seeds, strict=True)
            ]
        )


def _draw_seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


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
