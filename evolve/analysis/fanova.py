"""fANOVA: which parameters explain the spread of all values.

The numbers are those of Optuna's evaluator, with the same forest. A tree cuts the space into
boxes, so that its mean over all other parameters is a sum over its leaves, made here for all
values of a parameter at once.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial

_DEPTH = 6  # of a tree

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Fanova:
    """Part of the variance of a forest's trees that each parameter explains alone.

    Parameters
    ----------
    trials : sequence of FrozenTrial
    space : mapping of name -> distribution
        Parameters that all trials have, each with more than one value.

    References
    ----------
    F. Hutter, H. Hoos and K. Leyton-Brown, "An efficient approach for assessing hyperparameter
    importance", ICML 2014, section 4.
    """

    def __init__(
        self, trials: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution]
    ) -> None:
        columns = [_columns([t.params[n] for t in trials], kind) for n, kind in space.items()]
        ends = np.cumsum([0, *(own.shape[1] for own in columns)])
        self._of = [np.arange(*pair) for pair in itertools.pairwise(ends)]
        self._points = np.hstack(columns).astype(np.float32)
        self._low, high = np.hstack([_bounds(kind) for kind in space.values()])
        self._width = high - self._low

    def measure(self, rows: Ints, values: Floats, trees: int, seed: int) -> Floats:
        """Part of the variance, in [0, 1], of each parameter.

        Parameters
        ----------
        rows : ndarray, shape (N,)
            Which trials, by their place; one may be there twice.
        values : ndarray, shape (N,)
            Not all equal.
        trees, seed : int
            Of the forest.
        """
        from sklearn.ensemble import RandomForestRegressor

        forest = RandomForestRegressor(trees, max_depth=_DEPTH, random_state=seed)
        forest.fit(self._points[rows], values)
        parts = np.array([self._parts(one.tree_) for one in forest.estimators_])
        known = parts[~np.isnan(parts).any(axis=1)]
        return known.mean(axis=0) if len(known) else np.full(len(self._of), np.nan)

    def _parts(self, tree: Any) -> Floats:
        """Part of each parameter in the variance of a tree; NaN for a tree without a split."""
        leaves = _Leaves(tree, self._low, self._width)
        if not leaves.variance:
            return np.full(len(self._of), np.nan)
        return np.array([leaves.explained(own) for own in self._of]) / leaves.variance


def _columns(values: Sequence[Any], kind: BaseDistribution) -> Floats:
    """Columns for the forest: one, or one for each choice."""
    if isinstance(kind, CategoricalDistribution):
        places = [int(kind.to_internal_repr(value)) for value in values]
        return np.eye(len(kind.choices))[places]
    return np.array(values, dtype=float)[:, None]


def _bounds(kind: BaseDistribution) -> Floats:
    """Ends of each of these columns, shape (2, columns)."""
    if isinstance(kind, CategoricalDistribution):
        return np.array([[0.0], [1.0]]).repeat(len(kind.choices), axis=1)
    assert isinstance(kind, FloatDistribution | IntDistribution)
    return np.array([[kind.low], [kind.high]], dtype=float)


class _Leaves:
    """The boxes that a tree cuts the space into, in fractions of the range of each column.

    Attributes
    ----------
    variance : float
        Of the tree's values over the space.
    """

    def __init__(self, tree: Any, low: Floats, width: Floats) -> None:
        lows = np.zeros((tree.node_count, len(low)))
        highs = np.ones((tree.node_count, len(low)))
        edges = [{0.0, 1.0} for _ in low]
        columns, children = np.maximum(tree.feature, 0), tree.children_left  # -2 at the leaves
        at = np.clip((tree.threshold - low[columns]) / width[columns], 0.0, 1.0)
        others, split = tree.children_right, np.flatnonzero(children >= 0)
        for node in split.tolist():
            left, right, column, cut = children[node], others[node], columns[node], float(at[node])
            edges[column].add(cut)
            lows[left] = lows[right] = lows[node]  # a parent comes before its children
            highs[left] = highs[right] = highs[node]
            highs[left, column] = lows[right, column] = cut
        leaf = children < 0
        self._lows, self._highs = lows[leaf], highs[leaf]
        self._widths = self._highs - self._lows
        self._volumes = self._widths.prod(axis=1)
        self._values = tree.value[leaf, 0, 0]
        self._edges = [np.array(sorted(own)) for own in edges]
        self.variance = _variance(self._values, self._volumes)

    def explained(self, columns: Ints) -> float:
        """Variance of the mean over all other columns."""
        edges = [self._edges[column] for column in columns]
        if all(len(own) == 2 for own in edges):
            return 0.0
        middles = np.array(list(itertools.product(*((e[1:] + e[:-1]) / 2 for e in edges))))
        sizes = np.array(list(itertools.product(*(e[1:] - e[:-1] for e in edges)))).prod(axis=1)
        lows, highs = self._lows[:, None, columns], self._highs[:, None, columns]
        inside = ((lows < middles) & (middles <= highs)).all(axis=2)
        own = self._widths[:, columns].prod(axis=1)
        others = np.divide(self._volumes, own, out=np.zeros_like(own), where=own > 0)
        weights = others[:, None] * inside
        return _variance(self._values @ weights / weights.sum(axis=0), sizes)


def _variance(values: Floats, weights: Floats) -> float:
    total = weights.sum()
    mean = values @ weights / total
    return float((values - mean) ** 2 @ weights / total)
