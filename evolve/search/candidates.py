"""Which trials of a search deserve to be trained again on fresh seeds.

The highest of many noisy values is mostly luck: it is high partly because its noise was. So trials
are ranked by an estimate that leans on what was measured near them.
"""

from collections.abc import Mapping, Sequence
from copy import copy

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from evolve.analysis.front import as_points, non_dominated, reference_of, spread
from evolve.attributes import RECIPE
from evolve.search.estimate import estimate_values
from evolve.search.genetic import DEFAULT, ORIGIN
from evolve.space import Space


def pick_candidates(
    study: optuna.Study, space: Space, k: int, estimates: Mapping[int, float] | None = None
) -> list[FrozenTrial]:
    """The k complete trials with the highest estimates, best first, the defaults left out.

    Parameters
    ----------
    study : optuna.Study
        Its objective is maximised.
    space : Space
    k : int
        Fewer are given where fewer are complete.
    estimates : mapping of int -> float, optional
        Expected value of each trial by its number; default: `estimated_values`.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if estimates is None:
        estimates = estimated_values(complete, space)
    others = [trial for trial in complete if trial.user_attrs.get(ORIGIN) != DEFAULT]
    return sorted(others, key=lambda trial: (-estimates[trial.number], trial.number))[:k]


def pick_front(study: optuna.Study, k: int) -> list[FrozenTrial]:
    """Up to k complete trials that no other dominates, the defaults left out.

    Of more than k those that cover most of the front (see `front.spread`), the best in the first
    objective before all others; so it is where the defaults alone are non-dominated.

    Parameters
    ----------
    study : optuna.Study
        Its first objective is maximised, its second minimised.
    k : int
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    points = as_points([(trial.values[0], trial.values[1]) for trial in complete])
    other = np.array([t.user_attrs.get(ORIGIN) != DEFAULT for t in complete], dtype=bool)
    rows = np.flatnonzero(other & non_dominated(points))
    if not len(rows):
        rows = np.flatnonzero(other)
        rows = rows[np.argsort(-points[rows, 0], kind="stable")][:1]
    chosen = spread(points[rows], k, reference_of(points))
    return [complete[int(rows[index])] for index in chosen]


def estimated_values(trials: Sequence[FrozenTrial], space: Space) -> dict[int, float]:
    """Estimated noise-free value of each trial that has one, by number.

    A trial whose parameters changed on the way stands for itself: its neighbours were none.
    """
    trials = [_of_first(trial) for trial in trials]
    own = {t.number: t.value for t in trials if RECIPE in t.user_attrs and t.value is not None}
    steady = [trial for trial in trials if trial.number not in own]
    found = estimate_values(steady, space.distributions(), space.ordinal(), space.conditions())
    return {number: estimate.mean for number, estimate in found.items()} | own


def _of_first(trial: FrozenTrial) -> FrozenTrial:
    """The trial with its first objective alone."""
    if trial.values is None or len(trial.values) == 1:
        return trial
    alone = copy(trial)
    alone.values = trial.values[:1]
    return alone
