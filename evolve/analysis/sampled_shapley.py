"""Shapley values from some of all orders, with an error that includes the drawing of orders.

Each order is a chain of rows from all off to all on. What an ingredient adds in an order crosses
with the seeds: all rows are trained with the same ones.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evolve.analysis.contrasts import ImageValues, complete_values, contrasts
from evolve.analysis.decisions import ALPHA
from evolve.analysis.deltas import Delta, with_spread
from evolve.analysis.effects import Design, ingredient_frame
from evolve.analysis.intervals import NONE, Part, Spread

Floats = NDArray[np.float64]


def draw_orders(
    ingredients: Sequence[str], count: int, rng: np.random.Generator, *, antithetic: bool = True
) -> tuple[tuple[str, ...], ...]:
    """Orders of switching ingredients on, drawn with equal chances.

    Parameters
    ----------
    ingredients : sequence of str
    count : int
        Of orders; even if antithetic.
    rng : Generator
    antithetic : bool
        Every second order is the one before it, reversed: one that comes early comes late in the
        other, which lowers the error where gains wear off.
    """
    if antithetic and count % 2:
        raise ValueError(f"{count} orders are not pairs of an order and its reverse")
    drawn = [rng.permutation(len(ingredients)) for _ in range(count // 2 if antithetic else count)]
    each = [way for one in drawn for way in ((one, one[::-1]) if antithetic else (one,))]
    return tuple(tuple(ingredients[i] for i in way) for way in each)


def sampled_shapley(
    trainings: pd.DataFrame,
    design: Design,
    orders: Sequence[Sequence[str]],
    *,
    antithetic: bool = True,
    alpha: float = ALPHA,
    column: str = "value_test",
    image_values: ImageValues | None = None,
    images: int | None = None,
) -> pd.DataFrame:
    """Shapley value of each ingredient, averaged over the drawn orders.

    Parameters
    ----------
    trainings, column, image_values, images
        As for `contrasts.contrast`.
    design : mapping of row -> frozenset of ingredients
        All subsets that the orders go through.
    orders : sequence of sequence of str
        From `draw_orders`; two draws at least (of pairs, if antithetic).
    antithetic : bool
        As they were drawn.
    alpha : float

    Returns
    -------
    DataFrame
        As for `effects.shapley_values`. The interval holds what the draw of orders, seeds and
        images (where there are any) may change.

    Raises
    ------
    ValueError
        If there are fewer than two draws, or a row of an order is missing.

    References
    ----------
    J. Castro, D. Gomez and J. Tejada, "Polynomial calculation of the Shapley value based on
    sampling", Computers and Operations Research 36 (2009) 1726-1730.
    R. Mitchell et al., "Sampling permutations for Shapley value estimation", Journal of Machine
    Learning Research 23 (2022): antithetic orders.
    """
    steps = 2 if antithetic else 1
    draws = [orders[start : start + steps] for start in range(0, len(orders), steps)]
    if len(draws) < 2:
        raise ValueError(f"{len(orders)} orders do not tell how much one differs from another")
    row_of = {on: row for row, on in design.items()}
    by_draw = {one: [_weights(one, draw, row_of) for draw in draws] for one in sorted(orders[0])}
    whole = {one: _mean(weights) for one, weights in by_draw.items()}
    deltas = contrasts(trainings, whole, column, image_values=image_values, images=images)
    with_orders: dict[Hashable, Delta] = {
        one: _with_orders(delta, _gains(trainings, by_draw[one], list(whole[one]), column))
        for one, delta in deltas.items()
    }
    return ingredient_frame(with_orders, alpha)


def _weights(
    one: str, draw: Sequence[Sequence[str]], row_of: Mapping[frozenset[str], str]
) -> dict[str, float]:
    """Weights of the rows in what an ingredient adds, averaged over the orders of a draw."""
    weights: dict[str, float] = {}
    for order in draw:
        before = frozenset(order[: list(order).index(one)])
        for subset, sign in ((before, -1.0), (before | {one}, 1.0)):
            if subset not in row_of:
                raise ValueError(f"no row has on just {sorted(subset)}")
            row = row_of[subset]
            weights[row] = weights.get(row, 0.0) + sign / len(draw)
    return weights


def _mean(weights: Sequence[Mapping[str, float]]) -> dict[str, float]:
    rows = dict.fromkeys(row for each in weights for row in each)
    return {row: sum(each.get(row, 0.0) for each in weights) / len(weights) for row in rows}


def _gains(
    trainings: pd.DataFrame,
    weights: Sequence[Mapping[str, float]],
    rows: Sequence[str],
    column: str,
) -> Floats:
    """What an ingredient adds in each draw with each seed, (draws, seeds)."""
    values = complete_values(trainings, rows, column)
    factors = np.array([[each.get(row, 0.0) for row in rows] for each in weights])
    gains: Floats = factors @ values.to_numpy().T
    return gains


def _with_orders(delta: Delta, gains: Floats) -> Delta:
    """The same delta; its error with that of the draw of orders.

    Orders and seeds cross, so of the mean square of the orders the part that is of both together
    is left out: it is in that of the seeds.
    """
    draws, seeds = gains.shape
    if not seeds:
        return delta
    both = _mean_square_of_both(gains) / (draws * seeds) if seeds > 1 else 0.0
    among = max(0.0, float(gains.mean(axis=1).var(ddof=1)) / draws - both)
    old = delta.spread or Spread(NONE)
    return with_spread(delta, replace(old, others=(*old.others, Part(among, draws - 1))))


def _mean_square_of_both(gains: Floats) -> float:
    """Mean square of what neither draw nor seed alone explains."""
    rest = gains - gains.mean(axis=0) - gains.mean(axis=1, keepdims=True) + gains.mean()
    draws, seeds = gains.shape
    return float(np.sum(rest**2)) / float((draws - 1) * (seeds - 1))
