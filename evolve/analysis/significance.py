"""Tests of a delta: whether it is other than 0, whether it is as good as 0, and of many at once.

Two tests ask whether a delta is other than 0. The t of its own interval carries seeds and images
and takes their effects for normal. The sign-flip test takes nothing for granted but that without
an effect each seed's difference is as likely up as down, and it is exact; of other images it says
nothing, and with n seeds its p is 2 / 2^n at least. So where enough seeds let it reach the level,
both have to agree: the larger of the two p counts, and bears the name of its test.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evolve.analysis.deltas import Delta

Floats = NDArray[np.float64]
TestName = Literal["sign-flip", "moderated t", "t", ""]

_MOST_FLIPPED = 40  # seeds: 2^20 sums in each half
_EQUAL = 1e-12  # of the sum of all sizes: sums that differ by less are equal


@dataclass(frozen=True)
class Tested:
    """Two-sided p of "no effect", and the test that it is of; NaN and empty below two pairs."""

    p: float
    test: TestName


def judge_sign(delta: Delta, level: float) -> Tested:
    """Test whether a delta is other than 0.

    Parameters
    ----------
    delta : Delta
    level : float
        What p is held to at worst: alpha divided by the number of deltas. Which tests take part
        depends on it and on the number of seeds alone, not on what they find.
    """
    if not _is_repeated(delta):
        return Tested(math.nan, "")
    assert delta.spread is not None
    by_t = Tested(t_p(delta), "moderated t" if delta.spread.lent else "t")
    if not can_flip(delta.pairs, level):
        return by_t
    p_flip = sign_flip_p(delta.differences)
    return Tested(p_flip, "sign-flip") if p_flip >= by_t.p else by_t


def t_p(delta: Delta) -> float:
    """Two-sided p of a delta from its own interval; NaN below two pairs."""
    if not _is_repeated(delta):
        return math.nan
    assert delta.spread is not None
    return min(1.0, 2 * float(delta.spread.tail(abs(delta.mean))))


def can_flip(seeds: int, level: float) -> bool:
    """Whether the sign-flip test can reach `level`, and takes part."""
    return 0 < seeds <= _MOST_FLIPPED and smallest_p(seeds) <= level


def smallest_p(seeds: int) -> float:
    """The smallest p of a sign-flip test, two-sided: all signs equal."""
    return min(1.0, 2.0 ** (1 - seeds))


def sign_flip_p(differences: ArrayLike) -> float:
    """Share of all 2^n patterns of signs whose sum is at least as far from 0 as the one seen.

    Parameters
    ----------
    differences : array, shape (n,)
        One a seed, 40 at most.

    References
    ----------
    R. A. Fisher, "The design of experiments" (1935), section 21.
    """
    sizes = np.abs(np.asarray(differences, dtype=np.float64))
    far = abs(math.fsum(np.asarray(differences, dtype=np.float64).tolist()))
    far -= _EQUAL * float(sizes.sum())
    if not len(sizes) or far <= 0:
        return 1.0
    half = len(sizes) // 2  # sums of both halves meet: 2^(n/2) instead of 2^n of them
    left, right = _signed_sums(sizes[:half]), np.sort(_signed_sums(sizes[half:]))
    reaching = len(right) - np.searchsorted(right, far - left)
    return 2 * float(reaching.sum()) / 2.0 ** len(sizes)


def _signed_sums(sizes: Floats) -> Floats:
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate((sums + size, sums - size))
    return sums


def same_p(delta: Delta, region: float) -> float:
    """P of "the effect is `region` or more, up or down": small if it is as good as none.

    The larger of two one-sided tests; NaN below two pairs.

    References
    ----------
    D. J. Schuirmann, "A comparison of the two one-sided tests procedure and the power approach",
    Journal of Pharmacokinetics and Biopharmaceutics 15 (1987) 657-680.
    """
    if not _is_repeated(delta):
        return math.nan
    assert delta.spread is not None
    return float(delta.spread.tail(region - abs(delta.mean)))


def _is_repeated(delta: Delta) -> bool:
    """Whether there are seeds to judge by: the images of one training tell nothing of another."""
    return delta.pairs > 1 and delta.spread is not None


def holm(p: ArrayLike, family: int | None = None) -> Floats:
    """P after Holm: at most alpha for those to reject, however the tests depend on each other.

    Parameters
    ----------
    p : array, shape (m,)
        NaN counts as 1 and stays NaN.
    family : int, optional
        Number of tests if there are more than `p` has; the others count as 1.

    References
    ----------
    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6 (1979) 65-70.
    """
    values = np.asarray(p, dtype=np.float64)
    total = len(values) if family is None else family
    order = np.argsort(values, kind="stable")  # NaN last
    factors = total - np.arange(len(values))
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * values[order]))
    return adjusted
