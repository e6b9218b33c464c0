"""Variances between few seeds, each moderated by those of the other rows of its table.

Three seeds hardly tell how much a row scatters, but the rows of a table are trainings of one
network by similar recipes, and all of them together tell what is usual. So each row's variance is
drawn towards the usual one, by as much as the rows are alike, and is known with more degrees of
freedom than its own seeds have: the moderated t of Smyth, with two changes. His two numbers, what
is usual and how much rows differ, are averaged over instead of estimated, for a table has ten rows
and not ten thousand genes. And rows that share a baseline share its scatter, so they count as
fewer.

How much rows differ is thought of beforehand, for a table of few rows hardly tells it: the
standard deviation of the logarithms of their variances is as likely below 0.5 as above, and may
be large. Single rows that scatter several times as much as all others, and a baseline that does,
still have intervals that are too narrow (`tests/bench/bench_ablation_stats.py` has the figures).
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from evolve.analysis.deltas import Delta, with_spread
from evolve.analysis.intervals import Part

Floats = NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)

_UNLIKE = 0.5  # half-Cauchy: sd of the logarithms of the rows' true variances
_KINDS = 16  # of tables, from rows all alike to rows unlike
_STEPS = 3  # of the usual variance, in each standard deviation of what is known of it
_FAR = 8  # standard deviations that are looked at on either side
_MOST_STEPS = 1200
_NOTHING = 1e-12  # of the largest variance: seeds that agree but for rounding


def moderated(
    deltas: Mapping[Key, Delta], weights: Mapping[Key, Mapping[str, float]]
) -> dict[Key, Delta]:
    """Deltas of one table, the seeds' part of each moderated by the others.

    Parameters
    ----------
    deltas : mapping of key -> Delta
        With any number of pairs. Those with fewer than two, and those whose seeds agree exactly
        (a row that changes nothing), stay as they are and tell nothing of the others.
    weights : mapping of key -> (mapping of row -> float)
        The weighted sum of rows that each of them is. Variances are compared by the weights'
        sizes, and sums of the same rows are less than two.
    """
    scatter = {key: _square(delta, weights[key]) for key, delta in deltas.items()}
    most = max(scatter.values(), default=0.0)
    keys = [key for key, square in scatter.items() if square > _NOTHING * most]
    if len(keys) < 2:
        return dict(deltas)
    squares = [scatter[key] for key in keys]
    freedom = [deltas[key].pairs - 1 for key in keys]
    parts = moderate(squares, freedom, independent([weights[key] for key in keys]))
    ratios = [part.value / square for part, square in zip(parts, squares, strict=True)]
    changed = {
        key: _with_seeds(deltas[key], ratio, part.df)
        for key, ratio, part in zip(keys, ratios, parts, strict=True)
    }
    return {key: changed.get(key, delta) for key, delta in deltas.items()}


def _square(delta: Delta, weights: Mapping[str, float]) -> float:
    """Variance between pairs, of rows with weight 1; 0 where there is none to moderate."""
    size = math.fsum(weight**2 for weight in weights.values())
    known = delta.pairs > 1 and delta.spread is not None and size > 0
    return delta.sd**2 / size if known else 0.0


def _with_seeds(delta: Delta, ratio: float, df: float) -> Delta:
    """The same delta with another variance between seeds, `ratio` times its own."""
    assert delta.spread is not None
    own = delta.spread.seeds
    seeds = Part(own.value * ratio, df)
    return with_spread(delta, replace(delta.spread, seeds=seeds, lent=df - own.df))


def independent(weights: Sequence[Mapping[str, float]]) -> float:
    """How many weighted sums of rows count as, if all rows scatter alike.

    The mean squares of two sums are correlated by the square of what the sums are. Rows with one
    baseline, correlated by a half, count as four at most.
    """
    rows = list(dict.fromkeys(row for each in weights for row in each))
    matrix = np.array([[each.get(row, 0.0) for row in rows] for each in weights])
    matrix = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    return len(matrix) ** 2 / float(np.sum((matrix @ matrix.T) ** 2))


def moderate(squares: ArrayLike, freedom: ArrayLike, count: float) -> list[Part]:
    """Variances and the degrees of freedom that they are known with.

    Parameters
    ----------
    squares : array, shape (K,)
        Mean squares above 0, of the same scale.
    freedom : array, shape (K,)
        Of each by itself.
    count : float
        Independent ones that they count as, from 1 to K.

    Notes
    -----
    True variances are scaled inverse chi-squared around the usual one, s0, with d0 degrees of
    freedom; so a mean square over s0 has the F of its own and d0. Over a grid of both, weighed by
    their likelihood, the logarithm of each true variance has a mean and a variance, and those of
    a scaled inverse chi-squared with the same are what is returned. The likelihood of the other
    rows is taken to the power of `count` / K. With one row alone the result is its own.

    References
    ----------
    G. K. Smyth, "Linear models and empirical Bayes methods for assessing differential expression
    in microarray experiments", Statistical Applications in Genetics and Molecular Biology 3
    (2004), article 3, sections 3 to 6. A. Gelman, "Prior distributions for variance parameters in
    hierarchical models", Bayesian Analysis 1 (2006) 515-534: a half-Cauchy where groups are few.
    """
    own = np.asarray(squares, dtype=np.float64)[:, None, None]
    df = np.asarray(freedom, dtype=np.float64)[:, None, None]
    d0 = _alike()[:, None]  # (D, 1); s0 is (G,)
    logs = np.log(own)
    s0 = _usual(logs.ravel(), df.ravel(), count)
    ratio = df / d0 * np.exp(logs - s0)
    likelihood = (
        special.gammaln((d0 + df) / 2) - special.gammaln(d0 / 2)
        + df / 2 * (logs - s0 - np.log(d0)) - (d0 + df) / 2 * np.log1p(ratio)
    )  # fmt: skip
    power = count / len(own)
    weight = power * likelihood.sum(axis=0) + (1 - power) * likelihood
    weight = np.exp(weight - weight.max(axis=(1, 2), keepdims=True))
    weight /= weight.sum(axis=(1, 2), keepdims=True)
    after = (d0 + df) / 2
    means = np.log((d0 * np.exp(s0) + df * own) / 2) - special.digamma(after)
    mean = (weight * means).sum(axis=(1, 2))
    spread = (weight * (special.polygamma(1, after) + means**2)).sum(axis=(1, 2)) - mean**2
    half = _inverse_trigamma(spread)
    values = np.exp(mean + special.digamma(half)) / half
    return [Part(v, f) for v, f in zip(values.tolist(), (2 * half).tolist(), strict=True)]


@lru_cache(maxsize=512)
def typical_df(rows: int, seeds: int) -> float:
    """Degrees of freedom to be expected of `rows` that scatter alike and share a baseline."""
    df = seeds - 1
    if rows < 2 or df < 1:
        return float(df)
    places = (np.arange(rows) + 0.5) / rows
    squares = 2 * special.gammaincinv(df / 2, places) / df
    count = independent([{"baseline": -1.0, str(row): 1.0} for row in range(rows)])
    return float(np.mean([part.df for part in moderate(squares, np.full(rows, df), count)]))


@lru_cache(maxsize=1)
def _alike() -> Floats:
    """Degrees of freedom of the rows' variances around the usual one, all as likely."""
    chances = (np.arange(_KINDS) + 0.5) / _KINDS
    sd = _UNLIKE * np.tan(math.pi / 2 * chances)
    return 2 * _inverse_trigamma(sd**2)


def _usual(logs: Floats, df: Floats, count: float) -> Floats:
    """Logarithms of what may be usual, (G,): even steps over all that is likely."""
    sd = math.sqrt((float(special.polygamma(1, df.min() / 2)) + _UNLIKE**2) / count)
    centred = logs - special.digamma(df / 2) + np.log(df / 2)
    low, high = centred.min() - _FAR * sd, centred.max() + _FAR * sd
    steps = min(_MOST_STEPS, math.ceil((high - low) / sd * _STEPS))
    return np.linspace(low, high, steps)


def _inverse_trigamma(values: Floats) -> Floats:
    """Newton's method on 1 / trigamma, which is nearly straight (Smyth 2004, appendix)."""
    found = 0.5 + 1 / values
    for _ in range(50):
        now = special.polygamma(1, found)
        step = now * (1 - now / values) / special.polygamma(2, found)
        found = found + step
        if np.max(np.abs(step / found)) < 1e-10:
            break
    return found
