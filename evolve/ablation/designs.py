"""Designs: which rows are made from a list of ingredients, and how the rows are judged.

Every design gives rows of ingredients that are on, as `evolve.analysis.effects` and
`evolve.analysis.sampled_shapley` take them. Whether the ingredients go together is no matter
here (`evolve.ablation.company`).
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from evolve.ablation.fractions import LEAST_FACTORS, MOST_FACTORS, Fraction, resolution_four
from evolve.errors import TableError

Kind = Literal[
    "add-one-in", "leave-one-out", "cumulative", "pairs", "full-factorial",
    "fractional-factorial", "shapley",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)

BASE, ALL = "base", "all"
AWAY = "-"
MOST_FULL = 7
"""Ingredients of a full factorial: 128 rows."""
MOST_EXACT = 5
"""Ingredients of which Shapley values come from all subsets; of more, orders are drawn."""
ORDERS = 8
LONGEST_KEY = 80
"""Letters of a row's key; longer ones have a number in place of their ingredients."""

Subset = frozenset[str]


@dataclass(frozen=True)
class DesignRow:
    """One row: its name, and the listed ingredients that it has."""

    key: str
    title: str
    on: Subset


@dataclass(frozen=True)
class Design:
    """Rows made from a list of ingredients.

    Attributes
    ----------
    kind : Kind
    ingredients : tuple of str
        In the user's order; one with a minus is taken away where it is "on".
    rows : tuple of DesignRow
    baseline : str
        Key of the row that deltas are taken to: none of them on, or all of them.
    orders : tuple of tuple of str
        Drawn orders of a sampled Shapley value, in pairs of one and its reverse; else empty.
    fraction : Fraction or None
        Of a fractional factorial.
    """

    kind: Kind
    ingredients: tuple[str, ...]
    rows: tuple[DesignRow, ...]
    baseline: str
    orders: tuple[tuple[str, ...], ...] = ()
    fraction: Fraction | None = field(default=None, repr=False)

    @property
    def on(self) -> dict[str, Subset]:
        """Ingredients by row: the `design` that the functions of `evolve.analysis` take."""
        return {row.key: row.on for row in self.rows}

    @property
    def least_seeds(self) -> int:
        """Seeds without which what it estimates has no error of its own.

        The delta of two rows has an interval over the images with one seed already.
        """
        return 1 if self.kind in ("add-one-in", "leave-one-out", "cumulative") else 2


def add_one_in(ingredients: Sequence[str]) -> Design:
    """The baseline without any, and each of them alone: 1 + k rows."""
    return _design("add-one-in", ingredients, [(), *((one,) for one in ingredients)])


def leave_one_out(ingredients: Sequence[str]) -> Design:
    """The baseline with all of them, and all but each: 1 + k rows."""
    rows = [DesignRow(ALL, "all", frozenset(ingredients))]
    for one in ingredients:
        on = frozenset(ingredients) - {one}
        rows.append(DesignRow(f"without-{_word(one)}", f"without {_said(one)}", on))
    return Design("leave-one-out", tuple(ingredients), tuple(rows), ALL)


def cumulative(ingredients: Sequence[str]) -> Design:
    """The baseline without any, then one more in each row, in their order: 1 + k rows."""
    steps = [DesignRow(BASE, "baseline", frozenset())]
    for count, one in enumerate(ingredients, start=1):
        steps.append(
            DesignRow(f"{count}-{_word(one)}", _plus(one), frozenset(ingredients[:count]))
        )
    return Design("cumulative", tuple(ingredients), tuple(steps), BASE)


def pairs(ingredients: Sequence[str]) -> Design:
    """None, each alone, and each two together: 1 + k + k (k - 1) / 2 rows."""
    subsets = [s for size in range(3) for s in itertools.combinations(ingredients, size)]
    return _design("pairs", ingredients, subsets, least=2)


def full_factorial(ingredients: Sequence[str]) -> Design:
    """All 2^k combinations, of up to seven."""
    if len(ingredients) > MOST_FULL:
        raise TableError(
            f"{len(ingredients)} ingredients make {2 ** len(ingredients):,} rows",
            "full-factorial",
            f"name {MOST_FULL} at most, or take fractional-factorial (up to {MOST_FACTORS})",
        )
    return _design("full-factorial", ingredients, _subsets(ingredients), least=2)


def fractional_factorial(ingredients: Sequence[str]) -> Design:
    """A fraction of resolution IV, of 4 to 16 ingredients: 8, 16 or 32 rows.

    Main effects are told from all interactions of two; those of two may be mixed with others of
    two: `Design.fraction` tells which.
    """
    count = len(ingredients)
    if not LEAST_FACTORS <= count <= MOST_FACTORS:
        mend = (
            "take full-factorial, which has no more rows"
            if count < LEAST_FACTORS
            else f"name {MOST_FACTORS} at most, or take add-one-in"
        )
        raise TableError(
            f"a fraction of resolution IV is of {LEAST_FACTORS} to {MOST_FACTORS} ingredients, "
            f"not {count}",
            "fractional-factorial",
            mend,
        )
    fraction = resolution_four(ingredients)
    made = _design("fractional-factorial", ingredients, fraction.subsets())
    return Design(made.kind, made.ingredients, made.rows, BASE, fraction=fraction)


def shapley(ingredients: Sequence[str], orders: int = ORDERS, seed: int = 0) -> Design:
    """All subsets of up to five; of more, those that drawn orders go through.

    Parameters
    ----------
    ingredients : sequence of str
    orders : int
        To draw, an even number from 4 on: every second is the reverse of the one before.
    seed : int
        Of the draw; the trainings have seeds of their own.
    """
    if len(ingredients) <= MOST_EXACT:
        return _design("shapley", ingredients, _subsets(ingredients), least=2)
    if orders < 4 or orders % 2:
        raise TableError(
            f"{orders} orders do not tell how much one pair of them differs from another",
            "shapley",
            "take an even number from 4 on",
        )
    # only here, as they load pandas
    import numpy as np

    from evolve.analysis.sampled_shapley import draw_orders

    drawn = draw_orders(tuple(ingredients), orders, np.random.default_rng(seed))
    ways = sorted({frozenset(o[:n]): None for o in drawn for n in range(len(o) + 1)}, key=len)
    made = _design("shapley", ingredients, ways)
    return Design(made.kind, made.ingredients, made.rows, BASE, orders=drawn)


MAKERS: Mapping[Kind, Callable[..., Design]] = {
    "add-one-in": add_one_in,
    "leave-one-out": leave_one_out,
    "cumulative": cumulative,
    "pairs": pairs,
    "full-factorial": full_factorial,
    "fractional-factorial": fractional_factorial,
    "shapley": shapley,
}


def make_design(kind: Kind, ingredients: Sequence[str], **options: Any) -> Design:
    """The design of a name.

    Raises
    ------
    TableError
        If there are too few or too many ingredients for it, or one is there twice.
    """
    twice = [one for i, one in enumerate(ingredients) if one in ingredients[:i]]
    if twice:
        raise TableError(f"{twice[0]} is named twice", kind, "name it once")
    return MAKERS[kind](ingredients, **options)


def _design(
    kind: Kind, ingredients: Sequence[str], subsets: Iterable[Iterable[str]], least: int = 1
) -> Design:
    if len(ingredients) < least:
        what = f"{len(ingredients)} ingredient has no others to go together with"
        raise TableError(what, kind, f"name {least} or more, or take add-one-in")
    at = {one: place for place, one in enumerate(ingredients)}
    rows = []
    for number, subset in enumerate(subsets):
        names = sorted(subset, key=at.__getitem__)
        key = "+".join(map(_word, names)) or BASE
        key = key if len(key) <= LONGEST_KEY else f"{len(names)}-on-{number}"
        title = " + ".join(map(_said, names)) if len(names) > 1 else "".join(map(_plus, names))
        rows.append(DesignRow(key, title or "baseline", frozenset(names)))
    return Design(kind, tuple(ingredients), tuple(rows), BASE)


def _subsets(ingredients: Sequence[str]) -> list[tuple[str, ...]]:
    """All, by size, in the order of the ingredients."""
    sizes = range(len(ingredients) + 1)
    return [s for size in sizes for s in itertools.combinations(ingredients, size)]


def _word(ingredient: str) -> str:
    """As it stands in a row's key, which names a folder."""
    return f"no-{ingredient[1:]}" if ingredient.startswith(AWAY) else ingredient


def _said(ingredient: str) -> str:
    return f"no {ingredient[1:]}" if ingredient.startswith(AWAY) else ingredient


def _plus(ingredient: str) -> str:
    """As it stands in the title of a row that it makes."""
    return f"\u2212 {ingredient[1:]}" if ingredient.startswith(AWAY) else f"+ {ingredient}"
