"""Many children at once, by every operator, of the trials that deserve offspring."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from evolve.search.genome import Genes, GenomeSpace, Mask
from evolve.search.operators.adaptation import adapted_sigmas
from evolve.search.operators.correlated import correlated
from evolve.search.operators.crossover import blend, pick
from evolve.search.operators.differential import differential
from evolve.search.operators.mutation import gaussian, reset

CROSSOVER, MUTATION, RECOMBINATION = "crossover", "mutation", "recombination"
DIFFERENTIAL, CORRELATED, IMMIGRANT = "differential", "correlated", "immigrant"
OPERATORS = (CROSSOVER, MUTATION, RECOMBINATION, DIFFERENTIAL, CORRELATED, IMMIGRANT)

_PARENTS = {
    IMMIGRANT: 1,
    MUTATION: 1,
    CORRELATED: 2,
    CROSSOVER: 2,
    RECOMBINATION: 2,
    DIFFERENTIAL: 3,
}


@dataclass(frozen=True)
class Elites:
    """Trials that breed, best first.

    Attributes
    ----------
    numbers : ndarray, shape (K,)
        Of the trials.
    genes : ndarray, shape (K, D)
    sigmas : ndarray, shape (K,)
        Step size of each, as a fraction of the ranges.
    """

    numbers: npt.NDArray[np.int64]
    genes: Genes
    sigmas: Genes

    @property
    def weights(self) -> Genes:
        """Share of each in the offspring, falling logarithmically (Hansen 2016, table 1)."""
        count = len(self.numbers)
        falling = np.log(count + 1.0) - np.log(np.arange(1, count + 1))
        return np.asarray(falling / falling.sum())


@dataclass(frozen=True)
class Brood:
    """Children and where they come from; N of each.

    Attributes
    ----------
    genes : ndarray, shape (N, D)
        Snapped.
    operators : ndarray, shape (N,)
        Places in OPERATORS.
    drawn : ndarray, shape (N, 3)
        Trial numbers; the parents are the first of them, as many as the operator takes.
    sigmas : ndarray, shape (N,)
    """

    genes: Genes
    operators: npt.NDArray[np.int64]
    drawn: npt.NDArray[np.int64]
    sigmas: Genes

    @property
    def origins(self) -> list[str]:
        """Operators by name."""
        return [OPERATORS[place] for place in self.operators.tolist()]

    @property
    def parents(self) -> list[tuple[int, ...]]:
        """Trial numbers, each once."""
        return [
            tuple(dict.fromkeys(row[: _PARENTS[name]]))
            for name, row in zip(self.origins, self.drawn.tolist(), strict=True)
        ]

    def __getitem__(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> "Brood":
        chosen = np.asarray(rows)
        return Brood(
            self.genes[chosen], self.operators[chosen], self.drawn[chosen], self.sigmas[chosen]
        )

    def __len__(self) -> int:
        return len(self.genes)

    def __add__(self, other: "Brood") -> "Brood":
        return Brood(
            np.concatenate([self.genes, other.genes]),
            np.concatenate([self.operators, other.operators]),
            np.concatenate([self.drawn, other.drawn]),
            np.concatenate([self.sigmas, other.sigmas]),
        )


def breed(
    space: GenomeSpace,
    elites: Elites,
    counts: Mapping[str, int],
    scales: Genes,
    rng: np.random.Generator,
) -> Brood:
    """So many children by each operator.

    Parameters
    ----------
    counts : mapping of operator -> int
    scales : ndarray, shape (D,)
        Factor of the mutation step of each gene.
    """
    places = [OPERATORS.index(name) for name in counts]
    operators = np.repeat(places, list(counts.values()))
    chosen = rng.choice(len(elites.numbers), (len(operators), 3), p=elites.weights)
    sigmas = adapted_sigmas(elites.sigmas[chosen[:, 0]], rng)
    broods, first = [], 0
    for name, count in counts.items():
        here = slice(first, first + count)
        family = _Family(space.nominal, elites, chosen[here], sigmas[here], scales)
        broods.append(_BREEDERS[name](family, rng) if count else family.parent(0))
        first += count
    genes = space.snap(np.concatenate(broods))
    return Brood(genes, operators, elites.numbers[chosen], sigmas)


def refine(
    space: GenomeSpace,
    best: Brood,
    count: int,
    sigma: float,
    scales: Genes,
    rng: np.random.Generator,
) -> Brood:
    """Children of children that were never trained; their lineage is that of the unborn parent.

    Half of them are mutated, half recombined.
    """
    rows = np.arange(len(best))
    unborn = Elites(rows, best.genes, np.full(len(best), sigma))
    young = breed(space, unborn, {MUTATION: count // 2, RECOMBINATION: count // 2}, scales, rng)
    return replace(best[young.drawn[:, 0]], genes=young.genes)


@dataclass(frozen=True)
class _Family:
    """Parents of the children of one operator; `chosen` has three elites for each."""

    nominal: Mask
    elites: Elites
    chosen: npt.NDArray[np.int64]
    sigmas: Genes
    scales: Genes

    def parent(self, which: int) -> Genes:
        return self.elites.genes[self.chosen[:, which]]

    def mixed(self, numbers: Genes, choices: Genes) -> Genes:
        """Children that take their numbers from one array, their choices from the other."""
        return np.where(self.nominal, choices, numbers)


def _crossed(family: _Family, rng: np.random.Generator) -> Genes:
    first, second = family.parent(0), family.parent(1)
    return family.mixed(blend(first, second, 0.3, rng), pick(first, second, rng))


def _mutated(family: _Family, rng: np.random.Generator) -> Genes:
    """From one gene to all of them at once: how many is drawn on a logarithmic scale."""
    base = family.parent(0)
    dims = base.shape[1]
    rates = np.exp(rng.uniform(-np.log(dims), 0.0, (len(base), 1))) * np.ones((1, dims))
    rates[np.arange(len(base)), rng.integers(dims, size=len(base))] = 1.0
    steps = family.sigmas[:, None] * family.scales
    return family.mixed(gaussian(base, rates, steps, rng), reset(base, 0.5 * rates, rng))


def _recombined(family: _Family, rng: np.random.Generator) -> Genes:
    crossed = pick(family.parent(0), family.parent(1), rng)
    steps = family.sigmas[:, None] * family.scales
    return family.mixed(gaussian(crossed, 0.3, steps, rng), reset(crossed, 0.1, rng))


def _differential(family: _Family, rng: np.random.Generator) -> Genes:
    base, first, second = (family.parent(which) for which in range(3))
    moved = differential(base, first, second, 0.3, 0.9, rng)
    return family.mixed(gaussian(moved, 1.0, 0.02, rng), pick(base, first, rng))


def _correlated(family: _Family, rng: np.random.Generator) -> Genes:
    base, elites = family.parent(0), family.elites
    moved = correlated(base, elites.genes, elites.weights, 1.0, rng)
    return family.mixed(moved, pick(base, family.parent(1), rng))


def _fresh(family: _Family, rng: np.random.Generator) -> Genes:
    """An elite with some genes drawn anew, from one of them to nearly all."""
    base = family.parent(0)
    rates = np.maximum(rng.random((len(base), 1)), 1.0 / base.shape[1])
    return reset(base, rates, rng)


_BREEDERS: dict[str, Callable[[_Family, np.random.Generator], Genes]] = {
    CROSSOVER: _crossed,
    MUTATION: _mutated,
    RECOMBINATION: _recombined,
    DIFFERENTIAL: _differential,
    CORRELATED: _correlated,
    IMMIGRANT: _fresh,
}
