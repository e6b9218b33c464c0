"""fANOVA: which parameters explain the spread of all values.

The numbers are those of Optuna's evaluator, with the same forest. A tree cuts the space into
boxes, so that its mean over all other parameters is a sum over its leaves, made here for all
values of a parameter at once.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    scaled : bool
        Count a range that was searched logarithmically by its logarithm; Optuna does not.

    References
    ----------
    F. Hutter, H. Hoos and K. Leyton-Brown, "An efficient approach for assessing hyperparameter
    importance", ICML 2014, section 4.
    """

    def __init__(
        self,
        trials: Sequence[FrozenTrial],
        space: Mapping[str, BaseDistribution],
        *,
        scaled: bool = False,
    ) -> None:
        columns = [
            columns_of([t.params[n] for t in trials], kind, scaled=scaled)
            for n, kind in space.items()
        ]
        ends = np.cumsum([0, *(own.shape[1] for own in columns)])
        self._of = [np.arange(*pair) for pair in itertools.pairwise(ends)]
        self._points = np.hstack(columns).astype(np.float32)
        self._low, high = np.hstack([_bounds(kind, scaled) for kind in space.values()])
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
        forest = self._grow(rows, values, trees, seed)
        parts = np.array([self._parts(one.tree_) for one in forest.estimators_])
        known = parts[~np.isnan(parts).any(axis=1)]
        return known.mean(axis=0) if len(known) else np.full(len(self._of), np.nan)

    def measure_pairs(self, rows: Ints, values: Floats, trees: int, seed: int) -> Floats:
        """Part of the variance that two parameters explain together and not each alone, (D, D).

        On the diagonal what each explains alone. Arguments as for `measure`.
        """
        forest = self._grow(rows, values, trees, seed)
        parts = np.array([self._pair_parts(one.tree_) for one in forest.estimators_])
        known = parts[~np.isnan(parts[:, 0, 0])]
        return known.mean(axis=0) if len(known) else np.full(parts.shape[1:], np.nan)

    def additive(self, values: Floats, stumps: int, rate: float) -> Floats:
        """Values of all trials by a model without interactions: boosted trees of one cut each."""
        from sklearn.ensemble import GradientBoostingRegressor

        model = GradientBoostingRegressor(
            n_estimators=stumps, learning_rate=rate, max_depth=1, random_state=0
        )
        return np.asarray(model.fit(self._points, values).predict(self._points))

    def marginals(self, rows: Ints, values: Floats, trees: int, seed: int) -> "Marginals":
        """Means of the forest over all parameters but some; arguments as for `measure`."""
        forest = self._grow(rows, values, trees, seed)
        leaves = [_Leaves(one.tree_, self._low, self._width) for one in forest.estimators_]
        return Marginals(leaves, self._of, self._low, self._width)

    def _grow(self, rows: Ints, values: Floats, trees: int, seed: int) -> Any:
        from sklearn import config_context
        from sklearn.ensemble import RandomForestRegressor

        forest = RandomForestRegressor(trees, max_depth=_DEPTH, random_state=seed)
        with config_context(skip_parameter_validation=True, assume_finite=True):
            return forest.fit(self._points[rows], values)

    def _parts(self, tree: Any) -> Floats:
        """Part of each parameter in the variance of a tree; NaN for a tree without a split."""
        leaves = _Leaves(tree, self._low, self._width)
        if not leaves.variance:
            return np.full(len(self._of), np.nan)
        return np.array([leaves.explained(own) for own in self._of]) / leaves.variance

    def _pair_parts(self, tree: Any) -> Floats:
        leaves = _Leaves(tree, self._low, self._width)
        if not leaves.variance:
            return np.full((len(self._of), len(self._of)), np.nan)
        return leaves.explained_pairs(self._of) / leaves.variance


def columns_of(values: Sequence[Any], kind: BaseDistribution, *, scaled: bool = False) -> Floats:
    """Columns for the forest: one, or one for each choice; `scaled` as for `Fanova`."""
    if isinstance(kind, CategoricalDistribution):
        places = [int(kind.to_internal_repr(value)) for value in values]
        return np.eye(len(kind.choices))[places]
    column = np.array(values, dtype=float)[:, None]
    return np.log(column) if scaled and _is_log(kind) else column


def _bounds(kind: BaseDistribution, scaled: bool) -> Floats:
    """Ends of each of these columns, shape (2, columns)."""
    if isinstance(kind, CategoricalDistribution):
        return np.array([[0.0], [1.0]]).repeat(len(kind.choices), axis=1)
    assert isinstance(kind, FloatDistribution | IntDistribution)
    ends = np.array([[kind.low], [kind.high]], dtype=float)
    return np.log(ends) if scaled and _is_log(kind) else ends


def _is_log(kind: BaseDistribution) -> bool:
    return bool(getattr(kind, "log", False))


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

    def explained_pairs(self, groups: Sequence[Ints]) -> Floats:
        """Variance of the means over all but two groups of columns beyond those over all but one.

        On the diagonal the latter. A mean over all but the columns S is a sum over leaves, each on
        its side in S, so that its square has the mean sum_lm v_l v_m prod_S overlap_S(l, m) with
        the part of the space that two leaves share in S over what each has there.
        """
        masses = self._values * self._volumes
        square = masses.sum() ** 2
        shared = np.array([self._shared(own).ravel() for own in groups])
        together = (shared * np.outer(masses, masses).ravel()) @ shared.T - square
        alone = shared @ np.outer(masses, masses).ravel() - square
        pairs = np.maximum(together - alone[:, None] - alone, 0.0)
        np.fill_diagonal(pairs, np.maximum(alone, 0.0))
        return np.asarray(pairs)

    def _shared(self, columns: Ints) -> Floats:
        """Overlap of each two leaves in some columns over the product of their sides there."""
        result = np.ones((len(self._values),) * 2)
        for column in columns:
            low, high, width = (
                ends[:, column] for ends in (self._lows, self._highs, self._widths)
            )
            if (width == 1).all():
                continue
            overlap = np.minimum.outer(high, high) - np.maximum.outer(low, low)
            sides = np.outer(width, width)
            result *= np.divide(
                np.maximum(overlap, 0.0), sides, out=np.zeros_like(sides), where=sides > 0
            )
        return result

    def means(self, columns: Ints, points: Floats) -> Floats:
        """Mean over all other columns at points (N, C) of some columns, in fractions."""
        inside = np.ones((len(points), len(self._values)), bool)
        for place, column in enumerate(columns):
            at = points[:, [place]]
            low, high = self._lows[:, column], self._highs[:, column]
            inside &= (at <= high) & ((at > low) | (low == 0.0))
        own = self._widths[:, columns].prod(axis=1)
        others = np.divide(self._volumes, own, out=np.zeros_like(own), where=own > 0)
        return np.asarray(inside @ (others * self._values) / (inside @ others))


@dataclass(frozen=True, eq=False)
class Marginals:
    """Means of a forest over all parameters but some."""

    _leaves: Sequence[_Leaves]
    _of: Sequence[Ints]
    _low: Floats
    _width: Floats

    def at(self, parameters: Sequence[int], columns: Sequence[Floats]) -> Floats:
        """Mean over all other parameters, (N,).

        Parameters
        ----------
        parameters : sequence of int
            By their place in the space.
        columns : sequence of ndarray, shape (N, C)
            Values of each, as `columns_of` gives them.
        """
        own = np.concatenate([self._of[place] for place in parameters])
        points = (np.hstack(columns) - self._low[own]) / self._width[own]
        return np.asarray(np.mean([one.means(own, points) for one in self._leaves], axis=0))


def _variance(values: Floats, weights: Floats) -> float:
    total = weights.sum()
    mean = values @ weights / total
    return float((values - mean) ** 2 @ weights / total)
