"""Selection: an honest order of finished trials, and tournaments in it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Individual(NamedTuple):
    """A finished trial as selection sees it; larger is better in `fitness`.

    Attributes
    ----------
    number : int
        Of the trial.
    fitness : float
        Final value, or the last one before it was stopped; times `sign`, so larger is better.
    step : int or None
        Step at which it was stopped early; None if it ran to its end.
    curve : mapping of step -> value
        Intermediate values as stored, without the sign.
    """

    number: int
    fitness: float
    step: int | None
    curve: Mapping[int, float]


def rank(individuals: Sequence[Individual], sign: float) -> list[Individual]:
    """Best first; a trial that was stopped early is only compared at its own step.

    Complete trials stand in the order of their final values. A stopped trial stands right below
    the last complete trial that was at least as good at the step where it was stopped; complete
    trials with no value at that step count as at least as good. So a stopped trial passes only
    complete ones that it had beaten on equal training, and never one that it had not. Between the
    same two complete trials, stopped ones stand by how far they came, then by their value there.
    Ties go to the lower number: the order of arrival plays no part.

    Parameters
    ----------
    sign : float
        1 to maximise, -1 to minimise; applied to the curves.
    """
    complete = [one for one in individuals if one.step is None]
    complete.sort(key=lambda one: (-one.fitness, one.number))
    stopped = [one for one in individuals if one.step is not None]
    best_below = {
        step: _best_from_here(complete, step, sign)
        for step in {one.step for one in stopped}
        if step is not None
    }
    keyed = [((float(place), 0, 0.0, one.number), one) for place, one in enumerate(complete)]
    for one in stopped:
        assert one.step is not None
        place = int(np.count_nonzero(best_below[one.step] >= one.fitness))
        keyed.append(((place - 0.5, -one.step, -one.fitness, one.number), one))
    return [one for _, one in sorted(keyed, key=lambda pair: pair[0])]


def tournament(count: int, size: int, rng: np.random.Generator) -> int:
    """Place of the winner: the best of `size` drawn from `count` ranked ones, 0 the best.

    References
    ----------
    Goldberg and Deb, "A comparative analysis of selection schemes used in genetic algorithms",
    Foundations of Genetic Algorithms 1 (1991).
    """
    return int(rng.integers(count, size=size).min())


def _best_from_here(complete: list[Individual], step: int, sign: float) -> np.ndarray:
    """For each place, the best value at `step` of the complete trials from there down."""
    values = [sign * one.curve[step] if step in one.curve else np.inf for one in complete]
    known = np.nan_to_num(np.array(values, dtype=np.float64), nan=np.inf, posinf=np.inf)
    return np.maximum.accumulate(known[::-1])[::-1]
