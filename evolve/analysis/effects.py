"""Main effects, interactions and Shapley values of ingredients, as contrasts of rows.

A design is the rows with the ingredients that each has on. A main effect is how much an
ingredient adds on average over what the others are; an interaction of two is how much more one
adds where the other is on. In a fraction of all combinations some of them cannot be told apart:
they are aliases, and their line is the sum of all that it names.
"""

import itertools
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evolve.analysis.contrasts import ImageValues, contrasts
from evolve.analysis.decisions import ALPHA
from evolve.analysis.deltas import Delta
from evolve.analysis.significance import holm, judge_sign

Floats = NDArray[np.float64]
Design = Mapping[str, frozenset[str]]
Effect = frozenset[str]

COLUMNS = (
    *("name", "kind", "ingredients", "aliases", "mean", "low", "high", "se", "df", "source"),
    *("pairs", "p", "test", "p_holm", "p_better"),
)
_KINDS = ("", "main effect", "interaction")
_HIGHEST = 3  # order of the aliases that are named


def factorial_effects(
    trainings: pd.DataFrame,
    design: Design,
    *,
    alpha: float = ALPHA,
    column: str = "value_test",
    image_values: ImageValues | None = None,
    images: int | None = None,
) -> pd.DataFrame:
    """Main effects and two-factor interactions of a full or fractional factorial design.

    Parameters
    ----------
    trainings, column, image_values, images
        As for `contrasts.contrast`.
    design : mapping of row -> frozenset of ingredients that are on
    alpha : float
        Level of the family of all lines; it decides which test is used.

    Returns
    -------
    DataFrame, one line an effect, main effects first
        name, kind (main effect or interaction), ingredients (tuple), aliases (tuple of text, up
        to three ingredients each, with a minus where the sign is opposite), mean, low, high
        (95 %), se, df, source, pairs, p, test, p_holm (over all lines), p_better.

    Raises
    ------
    ValueError
        If an effect is not in balance over the rows, so that it has no estimate.

    References
    ----------
    G. E. P. Box, J. S. Hunter and W. G. Hunter, "Statistics for experimenters", 2nd edition
    (2005), chapters 5 and 6; interactions here are twice theirs.
    """
    weights, aliases = _factorial(design)
    deltas = contrasts(trainings, weights, column, image_values=image_values, images=images)
    return _frame(deltas, aliases, alpha)


def pair_interactions(
    trainings: pd.DataFrame,
    design: Design,
    *,
    alpha: float = ALPHA,
    column: str = "value_test",
    image_values: ImageValues | None = None,
    images: int | None = None,
) -> pd.DataFrame:
    """Interaction of each pair whose rows are there: none, either alone, and both.

    Of two ingredients, what both together add beyond what each adds alone. Arguments and result
    as for `factorial_effects`; nothing is aliased.
    """
    row_of = {on: row for row, on in design.items()}
    weights: dict[Effect, dict[str, float]] = {}
    for one, two in itertools.combinations(_ingredients(design), 2):
        corners = [frozenset[str](), frozenset({one}), frozenset({two}), frozenset({one, two})]
        if all(corner in row_of for corner in corners):
            rows = [row_of[corner] for corner in corners]
            weights[corners[-1]] = dict(zip(rows, (1.0, -1.0, -1.0, 1.0), strict=True))
    deltas = contrasts(trainings, weights, column, image_values=image_values, images=images)
    return _frame(deltas, dict.fromkeys(deltas, ()), alpha)


def _factorial(
    design: Design,
) -> tuple[dict[Effect, dict[str, float]], dict[Effect, tuple[str, ...]]]:
    """Weights of the rows for each effect of one or two ingredients, and what it is mixed with."""
    ingredients = _ingredients(design)
    weights: dict[Effect, dict[str, float]] = {}
    aliases: dict[Effect, tuple[str, ...]] = {}
    claimed: set[Effect] = set()
    for effect in _effects(ingredients, 2):
        if effect in claimed:
            continue
        signs = _signs(design, effect)
        if signs.sum() or not len(signs):
            raise ValueError(f"the rows are not in balance for {_name(effect)}")
        scale = 2.0 ** len(effect) / len(signs)
        weights[effect] = dict(zip(design, (scale * signs).tolist(), strict=True))
        same = _aliases(design, effect, signs, ingredients)
        claimed |= same.keys()
        aliases[effect] = tuple(f"{sign}{_name(other)}" for other, sign in same.items())
    return weights, aliases


def _aliases(
    design: Design, effect: Effect, signs: Floats, ingredients: Sequence[str]
) -> dict[Effect, str]:
    """Other effects that have the same signs in all rows, or the opposite in all."""
    found: dict[Effect, str] = {}
    for other in _effects(ingredients, _HIGHEST):
        likeness = float(signs @ _signs(design, other)) / len(signs)
        if other == effect or not likeness:
            continue
        if abs(likeness) < 1 and len(other) < _HIGHEST:
            raise ValueError(
                f"{_name(effect)} and {_name(other)} are neither apart nor the same in these rows"
            )
        if abs(likeness) == 1:
            found[other] = "" if likeness > 0 else "\u2212"
    return found


def _ingredients(design: Design) -> list[str]:
    return list(dict.fromkeys(one for on in design.values() for one in sorted(on)))


def _effects(ingredients: Sequence[str], highest: int) -> list[Effect]:
    orders = range(1, min(highest, len(ingredients)) + 1)
    return [frozenset(e) for order in orders for e in itertools.combinations(ingredients, order)]


def _signs(design: Design, effect: Effect) -> Floats:
    """+1 in rows where an even number of the ingredients is off, else -1."""
    return np.array([(-1.0) ** len(effect - on) for on in design.values()])


def _name(effect: Iterable[str]) -> str:
    return " \u00d7 ".join(sorted(effect))


def _frame(
    deltas: Mapping[Effect, Delta], aliases: Mapping[Effect, tuple[str, ...]], alpha: float
) -> pd.DataFrame:
    level = alpha / max(1, len(deltas))
    lines: list[dict[str, Any]] = [
        {
            "name": _name(effect),
            "kind": _KINDS[len(effect)],
            "ingredients": tuple(sorted(effect)),
            "aliases": aliases[effect],
            **delta_cells(delta, level),
        }
        for effect, delta in deltas.items()
    ]
    frame = pd.DataFrame(lines, columns=list(COLUMNS))
    return frame.assign(p_holm=holm(frame["p"].to_numpy(dtype=float)))


def delta_cells(delta: Delta, level: float) -> dict[str, Any]:
    """The columns that any line with a delta has; `level` as for `judge_sign`."""
    tested = judge_sign(delta, level)
    names = ("mean", "low", "high", "se", "df", "source", "pairs", "p_better")
    cells = {name: getattr(delta, name) for name in names}
    return cells | {"p": tested.p, "test": tested.test}


def shapley_weights(design: Design) -> dict[str, dict[str, float]]:
    """Weight of each row in the Shapley value of each ingredient.

    Parameters
    ----------
    design : mapping of row -> frozenset of ingredients
        All 2^k subsets.

    Raises
    ------
    ValueError
        If a subset is missing.

    References
    ----------
    L. S. Shapley, "A value for n-person games", Contributions to the theory of games II (1953)
    307-317, equation 13.
    """
    ingredients = _ingredients(design)
    count = len(ingredients)
    if len(set(design.values())) != 2**count or len(design) != 2**count:
        raise ValueError(f"{len(design)} rows for the {2**count} subsets of {count} ingredients")

    def weight(one: str, on: Effect) -> float:
        others = len(on - {one})
        share = 1 / (count * math.comb(count - 1, others))
        return share if one in on else -share

    return {one: {row: weight(one, on) for row, on in design.items()} for one in ingredients}


def shapley_values(
    trainings: pd.DataFrame,
    design: Design,
    *,
    alpha: float = ALPHA,
    column: str = "value_test",
    image_values: ImageValues | None = None,
    images: int | None = None,
) -> pd.DataFrame:
    """Exact Shapley value of each ingredient from all subsets, each with its interval.

    What an ingredient adds on average over all orders of switching them on; the values add up to
    all on minus all off. Arguments as for `factorial_effects`.

    Returns
    -------
    DataFrame, one line an ingredient
        ingredient, and the columns of `delta_cells` with p_holm.
    """
    weights: dict[Hashable, dict[str, float]] = dict(shapley_weights(design).items())
    deltas = contrasts(trainings, weights, column, image_values=image_values, images=images)
    return ingredient_frame(deltas, alpha)


def ingredient_frame(deltas: Mapping[Hashable, Delta], alpha: float) -> pd.DataFrame:
    """One line an ingredient, p corrected over all."""
    level = alpha / max(1, len(deltas))
    lines = [{"ingredient": one, **delta_cells(d, level)} for one, d in deltas.items()]
    frame = pd.DataFrame(lines)
    return frame.assign(p_holm=holm(frame["p"].to_numpy(dtype=float)))
