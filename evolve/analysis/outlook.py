"""What more seeds or more images would decide, and what differences a plan can find.

More seeds lower their own part of the error; the part of the images stays (`Spread`).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from evolve.analysis.deltas import Delta
from evolve.analysis.intervals import LEVEL, NONE, Part, Spread
from evolve.analysis.moderation import typical_df

Floats = NDArray[np.float64]

_MOST_SEEDS = 10_000
_NODES = 48


@dataclass(frozen=True)
class Aim:
    """What a verdict takes.

    Attributes
    ----------
    effect, same : float
        Level that p has to reach for an effect, and for as good as none.
    region : float
        Differences that are as good as none, to both sides.
    """

    effect: float
    same: float
    region: float

    def met(self, mean: float, spread: Spread) -> bool:
        """Whether this estimate with this error gets a verdict."""
        size = abs(mean)
        if 2 * spread.tail(size) <= min(self.effect, 1 - LEVEL):
            return True
        return bool(spread.tail(self.region - size) <= min(self.same, (1 - LEVEL) / 2))


def more_seeds(delta: Delta, aim: Aim) -> int | None:
    """How many more seeds a verdict takes if mean and variances stay as they are; None if never.

    With one pair the spread between seeds is not known: one more is the least.
    Judged by the t; where the sign-flip test joins in, a seed of the other sign may ask for more.
    """
    if delta.spread is None or delta.pairs < 2:
        return 2 - delta.pairs
    enough = delta.pairs + 1
    if aim.met(delta.mean, delta.spread.with_seeds(enough)):
        return 1
    few, many = enough, 2 * enough
    while not aim.met(delta.mean, delta.spread.with_seeds(many)):
        few, many = many, 2 * many
        if few > _MOST_SEEDS:
            return None
    while many - few > 1:
        middle = (few + many) // 2
        met = aim.met(delta.mean, delta.spread.with_seeds(middle))
        few, many = (few, middle) if met else (middle, many)
    return many - delta.pairs


def more_images(delta: Delta, aim: Aim) -> float:
    """How many times the images a verdict takes at least, with any number of seeds; above 1.

    For deltas that no number of seeds decides; NaN where images have no part.
    """
    if delta.spread is None or not delta.spread.fixed:
        return math.nan
    alone = Spread(NONE, delta.spread.others)
    z_effect = alone.reach(max(LEVEL, 1 - aim.effect))
    z_same = alone.reach(max(LEVEL, 1 - 2 * aim.same))
    room = abs(delta.mean), aim.region - abs(delta.mean)
    times = [
        (reach / space) ** 2 if space > 0 else math.inf
        for reach, space in zip((z_effect, z_same), room, strict=True)
    ]
    return max(1.0, min(times))


def is_hopeless(delta: Delta, aim: Aim) -> bool:
    """Whether images alone keep a verdict away, and seeds are not the larger part of the error.

    As long as they are, the mean may still move by more than the images' part.
    """
    if delta.spread is None or delta.pairs < 2 or delta.spread.shrinking > delta.spread.fixed:
        return False
    return more_seeds(delta, aim) is None


def detectable_difference(
    seeds: int,
    sd: float,
    images_se: float = 0.0,
    *,
    rows: int = 1,
    alpha: float = 0.05,
    power: float = 0.8,
    images: int | None = None,
) -> float:
    """The smallest true difference that a table finds with chance `power`; NaN below two seeds.

    Parameters
    ----------
    seeds : int
    sd : float
        Of the difference between pairs, as `Delta.sd`, from an earlier table or a guess.
    images_se : float
        What the images leave in the difference with any number of seeds.
    rows : int
        Rows besides the baseline; each is held to alpha / rows, Holm's first step, and tells
        the others how much rows scatter, if they all scatter alike.
    alpha, power : float
    images : int, optional
        How many; without it their part is taken for exactly known.
    """
    if seeds < 2:
        return math.nan
    variance, df = sd**2 / seeds, typical_df(rows, seeds)
    fixed = Part(images_se**2, math.inf if images is None else images - 1)
    total = math.sqrt(variance + fixed.value)
    if total == 0:
        return 0.0
    chances, weights = np.polynomial.legendre.leggauss(_NODES)
    own = 2 * special.gammaincinv((seeds - 1) / 2, (chances + 1) / 2)  # of chi-square
    ratios = (own + df - (seeds - 1)) / df  # what the others lend is as it should be
    parts = [Part(float(variance * ratio), df) for ratio in ratios]
    reaches = np.array([Spread(part, (fixed,)).reach(1 - alpha / rows) for part in parts])

    def lacking(delta: float) -> float:
        found = special.ndtr((delta - reaches) / total) + special.ndtr((-delta - reaches) / total)
        return float(found @ weights) / 2 - power

    high = total
    while lacking(high) < 0:
        high *= 2
    return float(optimize.brentq(lacking, 0, high, xtol=1e-6 * total))
