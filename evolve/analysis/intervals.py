"""Intervals for an estimate whose error comes from few seeds and from many images.

The part of a few seeds is known so badly that one t with common degrees of freedom (Satterthwaite,
Biometrics Bulletin 2, 1946) will not do: where the seeds agree by chance it takes the error for
well known. With two seeds and a small image part its 95 % intervals hold the truth in 87 %, and
far out in the tails, where a test of many rows looks, it is wrong by more than tenfold. So all
values that the seeds' variance may have are averaged over instead, each as likely as the mean
square makes it: the hierarchical answer of Behrens and Fisher, which is the t interval where
images add nothing.

As it stands that answer is too wide where images have a real part (99 of 100 intervals hold the
truth, with two seeds), for it gives no less room to a seeds' variance far below that of the
images, of which the data tell nothing, than to one as large. So such small variances are thought
more likely beforehand, by just enough for the intervals to hold the truth in 95 %, whatever the
parts: a prior that matches probabilities, as that of Ghosh and Kim does with many seeds, but found
by numbers (`tests/bench/bench_interval_priors.py`).
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

LEVEL = 0.95

Floats = NDArray[np.float64]

_NODES = 48  # of the average over the seeds' variance: errors below 1e-7
_WIDEST = 1e100  # of a variance against its mean square; more would overflow
_MANY = 1e9  # degrees of freedom that count as infinitely many
_LEAN = 0.035  # to seeds' variances below the images'; times the root of the degrees of freedom


@dataclass(frozen=True)
class Part:
    """An estimated part of a variance, and the degrees of freedom it is known with."""

    value: float
    df: float


NONE = Part(0.0, math.inf)


@dataclass(frozen=True)
class Spread:
    """How far an estimate may lie from the truth.

    Attributes
    ----------
    seeds : Part
        That of the seeds, known badly.
    others : tuple of Part
        Those that more seeds do not lower, of the images first.
    least : Part
        What the variance is taken for at least, however well the seeds agree.
    lent : float
        Degrees of freedom of `seeds` that come from other rows (`moderation`), below 0 where they
        make it less sure; what is left is the number of seeds less one.

    References
    ----------
    R. A. Fisher, "The fiducial argument in statistical inference", Annals of Eugenics 6 (1935)
    391-398. G. K. Robinson, "Properties of Student's t and of the Behrens-Fisher solution to the
    two means problem", Annals of Statistics 4 (1976) 963-971: it is conservative. M. Ghosh and
    Y.-H. Kim, "The Behrens-Fisher problem revisited: a Bayes-frequentist synthesis", Canadian
    Journal of Statistics 29 (2001) 5-17: priors that match.
    """

    seeds: Part
    others: tuple[Part, ...] = ()
    least: Part = NONE
    lent: float = 0.0

    @property
    def fixed(self) -> float:
        """Variance that more seeds would leave."""
        return sum(part.value for part in self.others)

    @property
    def shrinking(self) -> float:
        """Variance that more seeds would lower."""
        return max(self.seeds.value, self.least.value - self.fixed)

    @property
    def se(self) -> float:
        """Standard error."""
        return math.sqrt(self.shrinking + self.fixed)

    def tail(self, distance: ArrayLike) -> Floats:
        """Chance of an error above each `distance`, which may be negative."""
        away = np.asarray(distance, dtype=np.float64)
        beyond = np.maximum(self._mixed(np.abs(away)), _t_tail(self.least, np.abs(away)))
        return np.where(away < 0, 1 - beyond, beyond)

    def reach(self, level: float = LEVEL) -> float:
        """Half of the width of the interval that holds the truth with chance `level`."""
        return _reach(self, level)

    def df(self, level: float = LEVEL) -> float:
        """Degrees of freedom of the t that has the same standard error and interval."""
        if self.se == 0:
            return math.inf
        found = float(special.stdtridf((1 + level) / 2, self.reach(level) / self.se))
        return found if found < _MANY else math.inf

    def with_seeds(self, count: int) -> "Spread":
        """What `count` seeds are to be expected to leave."""
        now = self.seeds.df - self.lent + 1
        seeds = Part(self.shrinking * now / count, count - 1 + self.lent)
        return Spread(seeds, self.others, lent=self.lent)

    def _mixed(self, away: Floats) -> Floats:
        if self.seeds.value == 0:
            return _t_tail(_sum(self.others), away)
        if self.fixed == 0:
            return _t_tail(self.seeds, away)
        ratios, weights = _ratios(self.seeds.df)
        drawn = self.seeds.value * ratios
        weights = weights * (1 + _LEAN * math.sqrt(self.seeds.df) * self.fixed / drawn) ** 2
        variance = drawn + self.fixed
        unsure = sum(part.value**2 / part.df for part in self.others)
        df = variance**2 / unsure if unsure > 0 else np.full(len(variance), np.inf)
        beyond: Floats = special.stdtr(df, -away[..., None] / np.sqrt(variance)) @ weights
        beyond /= weights.sum()
        return beyond


@lru_cache(maxsize=1024)
def _reach(spread: Spread, level: float) -> float:
    """Asked for twice at least: by the interval, and by its degrees of freedom."""
    beyond, se = (1 - level) / 2, spread.se
    if se == 0:
        return 0.0
    high = se
    while spread.tail(high) > beyond:
        high *= 2
    found = optimize.brentq(lambda x: float(spread.tail(x)) - beyond, 0, high, xtol=1e-9 * se)
    return float(found)


def _sum(parts: tuple[Part, ...]) -> Part:
    """Parts that are known well, together; degrees of freedom after Satterthwaite."""
    value = sum(part.value for part in parts)
    unsure = sum(part.value**2 / part.df for part in parts)
    return Part(value, value**2 / unsure if unsure > 0 else math.inf)


def _t_tail(part: Part, away: Floats) -> Floats:
    """Chance of an error above `away`, at least 0, if `part` were the only one."""
    if part.value == 0:
        return np.where(away > 0, 0.0, 0.5)
    tail: Floats = np.asarray(special.stdtr(part.df, -away / math.sqrt(part.value)))
    return tail


@lru_cache(maxsize=256)
def _ratios(df: float) -> tuple[Floats, Floats]:
    """Variances that a mean square of 1 may come from, and their weights, (Q,) each.

    Gauss-Legendre over the chance of chi-square; its fourth root is what the nodes are even in,
    for the largest variances decide about the tails.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    root = (nodes + 1) / 2
    chances = root**4
    square = 2 * special.gammaincinv(df / 2, chances)  # of chi-square
    ratios = df / np.maximum(square, df / _WIDEST)
    return ratios, weights / 2 * 4 * root**3
