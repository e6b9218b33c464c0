"""Which trials of a search deserve to be trained again on fresh seeds.

The highest of many noisy values is mostly luck: it is high partly because its noise was. So trials
are ranked by an estimate that leans on what was measured near them.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from evolve.search.genetic import DEFAULT, ORIGIN
from evolve.search.operators.encoding import encode_all, unordered
from evolve.space import Space

NEIGHBOURS = 4


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
        Expected value of each trial by its number; default: `smoothed_values`.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if estimates is None:
        estimates = smoothed_values(complete, space.distributions())
    others = [trial for trial in complete if trial.user_attrs.get(ORIGIN) != DEFAULT]
    return sorted(others, key=lambda trial: (-estimates[trial.number], trial.number))[:k]


def smoothed_values(
    trials: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution]
) -> dict[int, float]:
    """Values of complete trials, each drawn towards the mean of its nearest neighbours.

    How far depends on the part of the spread that is noise, which is told by how much nearest
    neighbours differ: between two measurements of one thing that is twice the variance of each.
    """
    values = np.array([trial.value for trial in trials], dtype=np.float64)
    if len(trials) <= NEIGHBOURS:
        return {trial.number: float(v) for trial, v in zip(trials, values, strict=True)}
    nearest = np.argsort(_distances(trials, space), axis=1, kind="stable")[:, :NEIGHBOURS]
    noise = 0.5 * float(np.mean((values - values[nearest[:, 0]]) ** 2))
    spread = float(values.var())
    trust = max(0.0, 1.0 - noise / spread) if spread > 0 else 1.0
    smoothed = trust * values + (1.0 - trust) * values[nearest].mean(axis=1)
    return {trial.number: float(v) for trial, v in zip(trials, smoothed, strict=True)}


def _distances(
    trials: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution]
) -> npt.NDArray[np.float64]:
    """Squared distances in the unit cube, infinite to oneself; a missing gene is 1 apart."""
    genes = np.array([encode_all(trial.params, space) for trial in trials])
    apart = np.abs(genes[:, None] - genes[None])
    missing = np.isnan(genes)
    apart[missing[:, None] & missing[None]] = 0.0
    apart[np.isnan(apart)] = 1.0
    apart[(apart > 0) & unordered(space)] = 1.0
    squared: npt.NDArray[np.float64] = (apart**2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    return squared
