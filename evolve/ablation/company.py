"""Which ingredients of a design go together, and which design would work where some do not."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evolve.ablation.designs import AWAY, KINDS, Design, Kind, Subset, make_design
from evolve.errors import TableError
from model.config import TrainConfig
from model.ingredient import catalogue
from model.recipes import Values, active, recipe_faults


@dataclass(frozen=True)
class Clash:
    """Why a design cannot be made of its ingredients; `ingredient` is the one to point at."""

    ingredient: str
    what: str
    mend: str


@dataclass(frozen=True)
class Company:
    """What is asked of ingredients that are on together.

    Attributes
    ----------
    apart : mapping of pair -> str
        Two that cannot both be on, and why.
    needed : mapping of ingredient -> frozenset of ingredients
        Those that have to be on with it, and are not in every row.
    """

    apart: Mapping[Subset, str]
    needed: Mapping[str, Subset]

    def allows(self, on: Subset) -> bool:
        """Whether these can be on, and no other of the design's."""
        together = any(pair <= on for pair in self.apart)
        return not together and all(self.needed[one] <= on for one in on if one in self.needed)


def company(
    config: TrainConfig, base: Sequence[str], ingredients: Sequence[str], given: Values
) -> Company:
    """What ingredients ask of each other on top of a base.

    Parameters
    ----------
    config : TrainConfig
        With the settings of every row.
    base : sequence of str
        Ingredients of every row.
    ingredients : sequence of str
        Those of the design, perhaps with a minus.
    given : mapping of key -> {key path: value}
        As for `model.recipes.with_ingredients`.
    """

    def faults(*keys: str) -> dict[str, None]:
        return dict.fromkeys(
            each.what for each in recipe_faults(config, merged(base, keys), given)
        )

    alone = {one: faults(one) for one in ingredients}
    apart = {}
    for one, other in itertools.combinations(ingredients, 2):
        known = alone[one] | alone[other]
        new = [what for what in faults(one, other) if what not in known]
        if new:
            apart[frozenset({one, other})] = new[0]
    there = {*active(config, given), *base}
    needed = {
        one: frozenset(catalogue()[one].requires) - there
        for one in ingredients
        if not one.startswith(AWAY)
    }
    return Company(apart, {one: keys for one, keys in needed.items() if keys})


def merged(base: Sequence[str], own: Sequence[str]) -> list[str]:
    """Keys of the base and of a row; ``-KEY`` and ``KEY`` leave nothing of each other."""
    undone = {_opposite(key) for key in own}
    kept = [key for key in base if key not in undone]
    return [*kept, *(key for key in own if _opposite(key) not in base)]


def _opposite(key: str) -> str:
    return key.removeprefix(AWAY) if key.startswith(AWAY) else f"{AWAY}{key}"


def find_clash(design: Design, asked: Company) -> Clash | None:
    """The first pair that a row of the design would break, with a design that would not."""
    for row in design.rows:
        if asked.allows(row.on):
            continue
        for pair, why in asked.apart.items():
            if pair <= row.on:
                one, other = sorted(pair, key=design.ingredients.index)
                what = f"{design.kind} puts {one} and {other} into one row ('{row.key}'): {why}"
                return Clash(other, what, _mend(design, asked))
        for one in sorted(row.on, key=design.ingredients.index):
            missing = asked.needed.get(one, frozenset()) - row.on
            if missing:
                names = " and ".join(sorted(missing))
                what = f"{design.kind} has a row with {one} and without {names} ('{row.key}')"
                what += f": {one} requires {names}"
                mend = f"put {names} into base.ingredients"
                if missing <= set(design.ingredients):
                    mend += f", or take cumulative with {names} named before {one}"
                return Clash(one, what, mend)
    return None


def _mend(design: Design, asked: Company) -> str:
    """A design of the same ingredients whose rows are all allowed, or what to leave out."""
    works = [kind for kind in KINDS if kind != design.kind and _works(kind, design, asked)]
    if works:
        return f"take {' or '.join(works)}"
    return "leave one of the two out"


def _works(kind: Kind, design: Design, asked: Company) -> bool:
    try:
        other = make_design(kind, design.ingredients)
    except TableError:
        return False
    return all(asked.allows(row.on) for row in other.rows)
