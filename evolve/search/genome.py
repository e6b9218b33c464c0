"""A search space as arrays: many genomes are snapped, decoded and compared at once."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution, CategoricalDistribution

from evolve.search.operators.encoding import decode, encode, snap

Genes = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Conditions = Mapping[str, Mapping[str, tuple[Any, ...]]]

SAME = 1e-9  # genes of one value differ by less: each is computed in more than one way
ABSENT = 0.5  # what a parameter that does not exist counts as when genomes are compared


class Branch(NamedTuple):
    """One value of an unordered choice.

    Attributes
    ----------
    column : int
        Of the choice.
    gene : float
        Of the value.
    opens : int
        Parameters that depend on it.
    """

    column: int
    gene: float
    opens: int

    def holds(self, genes: Genes) -> Mask:
        """Which of the genomes, shape (N, D), have that value."""
        return np.asarray(np.abs(genes[:, self.column] - self.gene) < SAME)


class GenomeSpace:
    """Parameters of a study in a fixed order, and what exists when.

    Genes lie in [0, 1] (see `operators.encoding`); choices lie at the middle of their bins.

    Parameters
    ----------
    distributions : mapping of name -> Optuna distribution
    ordinal : set of names
        Choices that are in order: neighbours mean something, unlike those of other choices.
    conditions : mapping of name -> {parent: values}
        A parameter exists only when each of its parents exists and has one of the values.

    Raises
    ------
    ValueError
        If a condition names a parameter that is not there, or goes round in a circle.
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        ordinal: frozenset[str] = frozenset(),
        conditions: Conditions | None = None,
    ) -> None:
        given = conditions or {}
        self.names = _in_order(distributions, given)
        self.distributions = {name: distributions[name] for name in self.names}
        self.nominal: Mask = np.array(
            [isinstance(d, CategoricalDistribution) and n not in ordinal for n, d in self.items()],
            dtype=bool,
        )
        self._stepped = [
            (column, kind)
            for column, (_, kind) in enumerate(self.items())
            if getattr(kind, "step", 1) is not None or kind.single()
        ]
        self._rules = [
            (self.names.index(child), self._rule(given[child]))
            for child in self.names
            if child in given
        ]

    def __len__(self) -> int:
        return len(self.names)

    def items(self) -> list[tuple[str, BaseDistribution]]:
        """Names and distributions, parents before their children."""
        return list(self.distributions.items())

    def _rule(self, parents: Mapping[str, tuple[Any, ...]]) -> list[tuple[int, Genes]]:
        return [
            (
                self.names.index(parent),
                np.array([encode(value, self.distributions[parent]) for value in values]),
            )
            for parent, values in parents.items()
        ]

    def encode(self, values: Mapping[str, Any]) -> Genes:
        """Genes of one trial; NaN where it has no value."""
        genes = [encode(values[n], d) if n in values else np.nan for n, d in self.items()]
        return np.array(genes, dtype=np.float64)

    def decode(self, genes: Genes) -> dict[str, Any]:
        """Values of one genome; only those that exist."""
        exists = self.active(genes[None])[0].tolist()
        pairs = zip(self.items(), genes.tolist(), exists, strict=True)
        return {name: decode(gene, kind) for (name, kind), gene, there in pairs if there}

    def snap(self, genes: Genes) -> Genes:
        """Genes moved to the nearest value that their parameter has; a new array."""
        snapped = genes.copy()
        for column, kind in self._stepped:
            snapped[:, column] = snap(genes[:, column], kind)
        return snapped

    def active(self, genes: Genes) -> Mask:
        """Which parameters exist, for snapped genes, shape (N, D)."""
        exists = np.ones(genes.shape, dtype=bool)
        for child, parents in self._rules:
            for parent, allowed in parents:
                near = np.abs(genes[:, parent, None] - allowed).min(axis=1) < SAME
                exists[:, child] &= exists[:, parent] & near
        return exists

    def branches(self) -> list["Branch"]:
        """Every value of every unordered choice."""
        found = []
        for column, (_, kind) in enumerate(self.items()):
            if self.nominal[column] and isinstance(kind, CategoricalDistribution):
                genes = ((np.arange(len(kind.choices)) + 0.5) / len(kind.choices)).tolist()
                found += [Branch(column, gene, self._opened(column, gene)) for gene in genes]
        return found

    def _opened(self, column: int, gene: float) -> int:
        """How many parameters depend on that choice."""
        needed = [allowed for _, parents in self._rules for at, allowed in parents if at == column]
        return sum(bool((np.abs(allowed - gene) < SAME).any()) for allowed in needed)

    def forced(self, genes: Genes, branch: "Branch") -> Genes:
        """Genes with a choice made, and all that it depends on; a new array."""
        moved = genes.copy()
        self._force(moved, branch.column, np.array([branch.gene]))
        return moved

    def _force(self, genes: Genes, column: int, allowed: Genes) -> None:
        apart = np.abs(genes[:, column, None] - allowed)
        genes[:, column] = allowed[apart.argmin(axis=1)]
        for parent, needed in dict(self._rules).get(column, []):
            self._force(genes, parent, needed)

    def complete(self, genes: Genes) -> Genes:
        """Genes with one fixed number for all that does not exist; a new array."""
        if not self._rules:
            return np.where(np.isnan(genes), ABSENT, genes)
        return np.where(self.active(genes) & ~np.isnan(genes), genes, ABSENT)


def _in_order(distributions: Mapping[str, BaseDistribution], conditions: Conditions) -> list[str]:
    """Names by alphabet, but parents before their children."""
    for child, parents in conditions.items():
        for name in (child, *parents):
            if name not in distributions:
                raise ValueError(f"the condition of '{child}' names '{name}', which is not there")
    waiting, placed = sorted(distributions), list[str]()
    while waiting:
        ready = [n for n in waiting if set(conditions.get(n, {})) <= set(placed)]
        if not ready:
            raise ValueError(f"the conditions of {', '.join(waiting)} go round in a circle")
        placed += ready
        waiting = [name for name in waiting if name not in ready]
    return placed
