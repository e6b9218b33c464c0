"""PED-ANOVA: which parameters tell the best trials from all of them.

The numbers are those of Optuna's evaluator, a hundred times as fast over many resamples of the
same trials: what depends on the trials alone is worked out once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial
from scipy.special import ndtr

_CELLS = 50  # of the range of a parameter
_FEWEST = 2  # trials that have a parameter in one range
_TINY = 1e-12
_NARROWEST = 0.5 / 1.64  # standard deviation of a kernel, in cells

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class PedAnova:
    """Divergence between the densities of a parameter in the best trials and in all.

    A parameter that some trials lack, or that has another range in some, counts by the parts of
    the trials that have it alike.

    Parameters
    ----------
    trials : sequence of FrozenTrial
    names : sequence of str
        Parameters.
    share : float
        Of the trials, that count as the best.

    References
    ----------
    S. Watanabe, A. Bansal and F. Hutter, "PED-ANOVA", IJCAI 2023 (arXiv:2304.10255), equation 11.
    The same for conditional parameters: arXiv:2601.20800, theorem 4.2.
    """

    def __init__(self, trials: Sequence[FrozenTrial], names: Sequence[str], share: float) -> None:
        self._regimes = [_regimes(trials, name) for name in names]
        self._share = share

    def measure(self, rows: Ints, losses: Floats) -> Floats:
        """Divergence of each name, at least 0; 0 for one that these trials lack.

        Parameters
        ----------
        rows : ndarray, shape (N,)
            Which trials, by their place; one may be there twice.
        losses : ndarray, shape (N,)
            Their values; lower is better.
        """
        last = math.ceil(self._share * len(rows)) - 1
        best = losses <= np.partition(losses, last)[last]
        found = [sum(_part(one, rows, best) for one in regimes) for regimes in self._regimes]
        return np.array(found, dtype=np.float64) * float(best.mean()) ** 2


@dataclass(frozen=True)
class _Regime:
    """A parameter over one range: the cell that each trial is in, -1 for those without."""

    cells: Ints
    count: int
    is_choice: bool


def _regimes(trials: Sequence[FrozenTrial], name: str) -> list[_Regime]:
    kinds = dict.fromkeys(t.distributions[name] for t in trials if name in t.distributions)
    return [_regime(trials, name, kind) for kind in kinds if not kind.single()]


def _regime(trials: Sequence[FrozenTrial], name: str, kind: BaseDistribution) -> _Regime:
    has = np.array([trial.distributions.get(name) == kind for trial in trials])
    own = [trial.params[name] for trial, one in zip(trials, has, strict=True) if one]
    cells = np.full(len(trials), -1)
    if isinstance(kind, CategoricalDistribution):
        cells[has] = [int(kind.to_internal_repr(value)) for value in own]
        return _Regime(cells, len(kind.choices), is_choice=True)
    assert isinstance(kind, FloatDistribution | IntDistribution)
    count = _count(kind)
    low, high = (math.log(end) if kind.log else end for end in (kind.low, kind.high))
    places = np.log(own) if kind.log else np.asarray(own, dtype=float)
    width = (high - low) / (count - 1)
    cells[has] = np.clip(np.ceil((places - low) / width - 0.5), 0, count - 1)
    return _Regime(cells, count, is_choice=False)


def _count(kind: FloatDistribution | IntDistribution) -> int:
    """Cells of a range: one for each value where it has few."""
    if isinstance(kind, IntDistribution) and kind.log:
        return min(math.ceil(math.log2(kind.high - kind.low + 1)) + 1, _CELLS)
    if kind.step is not None:
        return min(round((kind.high - kind.low) / kind.step) + 1, _CELLS)
    return _CELLS


def _part(regime: _Regime, rows: Ints, best: NDArray[np.bool_]) -> float:
    """What trials with a parameter in one range add to its divergence."""
    cells = regime.cells[rows]
    has = cells >= 0
    top = has & best
    if has.sum() < _FEWEST or not top.any():
        return 0.0
    density = _choice_density if regime.is_choice else _density
    of_all, of_top = (
        density(np.bincount(cells[some], minlength=regime.count)) + _TINY for some in (has, top)
    )
    weight = (top.sum() / best.sum()) ** 2 / (has.sum() / len(rows))
    return float(weight * (of_all @ (of_top / of_all - 1) ** 2))


def _density(counts: Ints) -> Floats:
    """Kernel estimate over the cells of a range by Scott's rule, with one trial more for all."""
    cells = np.flatnonzero(counts)
    weights = counts[cells]
    total = int(weights.sum())
    mean = cells @ weights / total
    sd = math.sqrt((cells - mean) ** 2 @ weights / max(1, total - 1))
    reached = np.cumsum(weights)
    first = int(np.searchsorted(reached, total // 4, side="left"))
    third = min(len(cells) - 1, int(np.searchsorted(reached, total * 3 // 4, side="right")))
    half = (cells[third] - cells[first]) / 1.34  # of all lie in between
    width = max(1.059 * min(half, sd) * total**-0.2, _NARROWEST)
    count = len(counts)
    prior = _masses(count, np.array([(count - 1) / 2]), float(count))[:, 0]
    return np.asarray((_masses(count, cells, width) @ weights + prior) / (total + 1))


def _masses(count: int, centres: Floats | Ints, width: float) -> Floats:
    """Mass of each cell under normal kernels cut off at the ends, shape (cells, kernels)."""
    below = ndtr((np.arange(count + 1)[:, None] - 0.5 - centres) / width)
    return np.asarray(np.diff(below, axis=0) / (below[-1] - below[0]))


def _choice_density(counts: Ints) -> Floats:
    """The same over choices: each seen one keeps a part for the others, the fewer are seen."""
    total, size = counts.sum(), len(counts)
    spread = 1 / (np.count_nonzero(counts) + 1)
    seen = (counts + total * spread) / (1 + size * spread)
    return np.asarray((seen + 1 / size) / (total + 1))
