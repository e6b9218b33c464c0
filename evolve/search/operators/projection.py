"""Trials that were stopped early, at what they are worth: a guess of their end, with its error."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from evolve.search.operators.encoding import Genome

Curve = Mapping[int, float]

_FALL_DOUBT = 0.5  # deviation of a guess below the line, as a share of the fall
_ROUNDING = 1e-9  # values apart by less, relative to the largest, are equal


class Relation(NamedTuple):
    """A straight line from values at one step to final values; see `relate`.

    Attributes
    ----------
    early, late : float
        A point of the line: the means.
    slope : float
    variance : float
        Of final values about the line.
    doubt : float
        Variance of the line's height at that point, as a share of `variance`.
    reach : float
        Squared distance from there at which the slope's error doubles the variance.
    edge : float
        Lowest value at that step of a trial that went on to its end.
    bottom, end : float
        Lowest value at that step of any trial; where that one is taken to end.
    """

    early: float = 0.0
    late: float = 0.0
    slope: float = 1.0
    variance: float = 0.0
    doubt: float = 0.0
    reach: float = math.inf
    edge: float = -math.inf
    bottom: float = -math.inf
    end: float = -math.inf

    def __call__(self, values: Genome) -> tuple[Genome, Genome]:
        """Final values that trials stopped at these would probably have had; the variances."""
        guesses, doubts = self._line(values)
        if self.bottom >= self.edge:
            return guesses, doubts
        at_edge, _ = self._line(np.asarray(self.edge))
        share = (values - self.bottom) / (self.edge - self.bottom)
        lower = self.end + np.maximum(share, 0.0) * (at_edge - self.end)
        lower = np.where(values < self.edge, np.minimum(guesses, lower), guesses)
        return lower, doubts + (_FALL_DOUBT * (guesses - lower)) ** 2

    def _line(self, values: Genome) -> tuple[Genome, Genome]:
        """Final values and variances along the line."""
        off = values - self.early
        return (
            self.late + self.slope * off,
            self.variance * (1.0 + self.doubt + off**2 / self.reach),
        )


def relate(
    step: int, finals: Sequence[float], curves: Sequence[Curve], stopped: Sequence[float] = ()
) -> Relation:
    """How a value at a step and a final value go together, as complete trials tell.

    A straight line through them, its slope drawn towards 0 as three trials' worth of no relation
    would. Below the lowest of them the line tells nothing, as those that were let on are alike:
    there it falls to the lowest value that any trial had at the step, and a trial that was there
    is taken to get no further, give or take half of the fall. With fewer than three complete
    trials at that step nothing is known, and a value stands as it is, with the spread of the
    final values as its error.

    Parameters
    ----------
    finals, curves : sequences
        Final value and intermediate values of the complete trials.
    stopped : sequence of float
        Values at that step of the trials that were stopped there or later.

    References
    ----------
    After Swersky, Snoek, Adams, "Freeze-thaw Bayesian optimization", arXiv:1406.3896, whose
    aim this is with a model of curves.
    """
    early = np.array([curve.get(step, math.nan) for curve in curves], dtype=np.float64)
    return relation(early, np.array(finals, dtype=np.float64), np.array(stopped, dtype=np.float64))


def relation(early: Genome, finals: Genome, stopped: Genome) -> Relation:
    """As `relate`, from the values at the step: not finite where there is none.

    Parameters
    ----------
    early, finals : ndarray, shape (N,)
        Of the complete trials.
    stopped : ndarray
        Of the trials that were stopped there or later.
    """
    known = np.isfinite(early)
    count = int(np.count_nonzero(known))
    if count < 3:
        return Relation(variance=float(np.var(finals)) if len(finals) > 1 else 0.0)
    early, late = np.column_stack([early[known], finals[known]]).T
    off, spread = early - early.mean(), float(np.var(early))
    if spread <= (_ROUNDING * float(np.abs(early).max())) ** 2:
        return Relation(0.0, float(late.mean()), 0.0, float(np.var(late)))
    trust = count / (count + 3.0)
    slope = max(0.0, trust * float(np.mean(off * (late - late.mean()))) / spread)
    rest = late - late.mean() - slope * off
    variance = float(np.mean(rest**2)) * count / max(count - 2, 1)
    means = float(early.mean()), float(late.mean())
    edge = float(early.min())
    bottom = float(np.fmin.reduce(stopped, initial=edge))
    end = min(bottom, float(late.min()))
    return Relation(*means, slope, variance, 1.0 / count, count * spread, edge, bottom, end)
