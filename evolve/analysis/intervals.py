"""Intervals for an estimate whose variance is a sum of parts that are known unequally well."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Part:
    """One estimated mean square of a variance: its value, degrees of freedom, and sign."""

    value: float
    df: float
    sign: int = 1


@dataclass(frozen=True)
class Interval:
    """A t interval.

    Attributes
    ----------
    se, df : float
        Standard error, and the degrees of freedom it is known with.
    low, high : float
    p_positive : float
        Probability that the truth is above 0, from the same t (a flat prior).
    """

    se: float
    df: float
    low: float
    high: float
    p_positive: float


def combine(parts: Sequence[Part]) -> tuple[float, float]:
    """Variance and degrees of freedom of a signed sum of mean squares.

    The degrees of freedom are those of the chi-square with equal mean and variance.

    References
    ----------
    F. E. Satterthwaite, "An approximate distribution of estimates of variance components",
    Biometrics Bulletin 2 (1946) 110-114, equation 17.
    """
    variance = sum(part.sign * part.value for part in parts)
    spread = sum(part.value**2 / part.df for part in parts)
    return variance, variance**2 / spread if spread > 0 else math.inf


def t_interval(estimate: float, variance: float, df: float, level: float = LEVEL) -> Interval:
    """Interval of `estimate` from its variance; a point where the variance is 0."""
    se = math.sqrt(variance)
    reach = float(stats.t.ppf((1 + level) / 2, df)) * se
    return Interval(se, df, estimate - reach, estimate + reach, _p_positive(estimate, se, df))


def _p_positive(estimate: float, se: float, df: float) -> float:
    if se > 0:
        return float(stats.t.cdf(estimate / se, df))
    return 0.5 if estimate == 0 else float(estimate > 0)
