"""The difference of two configurations, trained with the same seeds, and how well it is known.

Two things would fall otherwise next time: the seeds, and the images that happen to be in the
split. Both are in the interval. Trainings of one seed are compared with each other, and all are
measured on the same images, so the spread between seeds holds nothing of the images' own part.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evolve.analysis.intervals import LEVEL, NONE, Part, Spread

Floats = NDArray[np.float64]
Source = Literal["seeds and images", "seeds", "images", "none"]


@dataclass(frozen=True)
class Delta:
    """Other minus baseline, or any other contrast of rows.

    Attributes
    ----------
    mean : float
        Over the pairs; NaN without one.
    sd : float
        Of the differences between pairs; NaN below two.
    pairs : int
    source : str
        What the interval allows for: seeds and images, one of them, or none (then no interval).
    se, df, low, high, p_better : float
        Standard error, degrees of freedom of the t with this interval, the interval, and the
        probability that the truth is above 0; NaN where `source` is none.
    spread : Spread or None
        What the interval comes from.
    differences : tuple of float
        One a pair.
    """

    mean: float
    sd: float
    pairs: int
    source: Source
    se: float = math.nan
    df: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p_better: float = math.nan
    spread: Spread | None = None
    differences: tuple[float, ...] = ()


def paired_delta(
    baseline: Sequence[float],
    other: Sequence[float],
    image_deltas: ArrayLike | None = None,
    images: int | None = None,
    level: float = LEVEL,
) -> Delta:
    """Mean difference of values that are paired by place; the rest as for `estimate`."""
    return estimate(np.subtract(other, baseline), image_deltas, images, level)


def estimate(
    differences: ArrayLike,
    image_deltas: ArrayLike | None = None,
    images: int | None = None,
    level: float = LEVEL,
) -> Delta:
    """Mean difference with an interval over seeds and images.

    Parameters
    ----------
    differences : array, shape (pairs,)
        One a seed.
    image_deltas : array, shape (pairs, R), optional
        The difference of each pair on R resamples of the images, the same resamples for all
        pairs (`image_bootstrap`). A resample with NaN is left out. Shape (R,), the mean over
        pairs, is taken too; then the interval is somewhat too wide with two pairs or more, for
        what images do to one seed alone counts twice.
    images : int, optional
        Number of images; without it the images' part is taken for exactly known.
    level : float
        Of the interval.
    """
    values = np.asarray(differences, dtype=np.float64)
    pairs = len(values)
    if not pairs:
        return Delta(math.nan, math.nan, 0, "none")
    mean, each = float(values.mean()), tuple(values.tolist())
    sd = float(values.std(ddof=1)) if pairs > 1 else math.nan
    replicates = _replicates(image_deltas, pairs)
    source = _source(pairs > 1, replicates is not None)
    if source == "none":
        return Delta(mean, sd, pairs, source, differences=each)
    bare = Delta(mean, sd, pairs, source, differences=each)
    return with_spread(bare, _spread(values, replicates, images), level)


def with_spread(delta: Delta, spread: Spread, level: float = LEVEL) -> Delta:
    """The same delta with another error: interval and probability come from `spread`."""
    reach = spread.reach(level)
    return replace(
        delta,
        se=spread.se,
        df=spread.df(level),
        low=delta.mean - reach,
        high=delta.mean + reach,
        p_better=1 - float(spread.tail(delta.mean)),
        spread=spread,
    )


def _replicates(image_deltas: ArrayLike | None, pairs: int) -> Floats | None:
    if image_deltas is None:
        return None
    values = np.atleast_2d(np.asarray(image_deltas, dtype=np.float64))
    if len(values) not in (1, pairs):
        raise ValueError(f"{len(values)} rows of image deltas for {pairs} pairs")
    values = values[:, np.isfinite(values).all(axis=0)]
    return values if values.shape[1] > 1 else None


def _source(seeds: bool, images: bool) -> Source:
    if seeds:
        return "seeds and images" if images else "seeds"
    return "images" if images else "none"


def _spread(differences: Floats, replicates: Floats | None, images: int | None) -> Spread:
    """Parts of the variance of the mean difference.

    Pairs and images cross: pair s on image i has an effect of its seed, one of the image, and one
    of the two together. With mean squares A (pairs), B (images) and C (together), each divided by
    the number of values, the variance of the mean is A + B - C; as none of the three effects has
    a negative variance, A and B are at least C. A falls with the number of pairs, B - C does not.
    So the variance is B at least; where seeds agree by chance a quarter of B is held on to, as all
    of it would make every interval too wide when most is of both together.
    """
    pairs = len(differences)
    seeds = Part(float(differences.var(ddof=1)) / pairs, pairs - 1) if pairs > 1 else NONE
    if replicates is None:
        return Spread(seeds)
    freedom = math.inf if images is None else images - 1
    unbiased = 1.0 if images is None else images / freedom  # a bootstrap divides by n, not n - 1
    covariance = np.atleast_2d(np.cov(replicates)) * unbiased
    mean_square = float(covariance.mean())
    alone = max(0.0, mean_square - _together(covariance))
    return Spread(seeds, (Part(alone, freedom),), Part(mean_square / 4, freedom))


def _together(covariance: Floats) -> float:
    """Mean square of seeds and images together: the variance not shared by the pairs."""
    pairs = len(covariance)
    if pairs == 1:
        return 0.0
    return max(0.0, float(np.trace(covariance) / pairs - covariance.mean())) / (pairs - 1)
