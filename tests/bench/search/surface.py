"""A problem made of a function of its parameters, and what all problems share: genes, order."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tests.bench.search.problem import Family, Outcome, Problem, Role

Conditions = Mapping[str, Mapping[str, tuple[Any, ...]]]


def never(_: Mapping[str, Any]) -> float:
    """Chance of a failure where nothing fails."""
    return 0.0


@dataclass(frozen=True)
class Surface:
    """A problem with a closed form, Gaussian noise, and a chance of failing.

    Attributes
    ----------
    surface : callable
        Existing parameters -> noise-free value.
    noise : float or callable
        Standard deviation of a trial's value, or how it follows from the parameters.
    failure : callable
        Existing parameters -> chance in [0, 1] that the trial diverges.
    floor : float
        Lowest value that a trial can show; an average precision has 0.
    """

    name: str
    family: Family
    role: Role
    distributions: Mapping[str, BaseDistribution]
    defaults: Mapping[str, Any]
    surface: Callable[[Mapping[str, Any]], float]
    noise: float | Callable[[Mapping[str, Any]], float]
    failure: Callable[[Mapping[str, Any]], float] = never
    ordinal: frozenset[str] = frozenset()
    conditions: Conditions = field(default_factory=dict)
    floor: float = -math.inf

    def truth(self, params: Mapping[str, Any]) -> float:
        """Noise-free value of the trials that do not fail; NaN where all of them fail."""
        if self.failure(params) >= 1.0:
            return math.nan
        return max(self.surface(params), self.floor)

    def observe(self, params: Mapping[str, Any], rng: np.random.Generator) -> Outcome:
        """One noisy trial."""
        luck, error = rng.random(), rng.standard_normal()
        if luck < self.failure(params):
            return Outcome(None)
        spread = self.noise(params) if callable(self.noise) else self.noise
        return Outcome(max(self.surface(params) + spread * error, self.floor))


def real(low: float, high: float, *, log: bool = False) -> FloatDistribution:
    """Range of a real number."""
    return FloatDistribution(low, high, log=log)


def whole(low: int, high: int, *, log: bool = False) -> IntDistribution:
    """Range of a whole number."""
    return IntDistribution(low, high, log=log)


def choice(*choices: Any) -> CategoricalDistribution:
    """Choices; also the ordinal ones, which `Problem.ordinal` names."""
    return CategoricalDistribution(choices)


def fraction(value: float, distribution: BaseDistribution) -> float:
    """Where a number lies in its range, in the range's own scale: 0 at low, 1 at high."""
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    if distribution.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def at(gene: float, distribution: BaseDistribution) -> Any:
    """Value at a gene in [0, 1]; whole numbers and choices share the range in equal bins."""
    if isinstance(distribution, CategoricalDistribution):
        count = len(distribution.choices)
        return distribution.choices[min(int(gene * count), count - 1)]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    half = 0.5 if isinstance(distribution, IntDistribution) else 0.0
    if distribution.log:
        value = (low - half) * ((high + half) / (low - half)) ** gene
    else:
        value = low - half + gene * (high - low + 2 * half)
    value = min(max(value, low), high)
    return round(value) if half else value


def exists(name: str, params: Mapping[str, Any], conditions: Conditions) -> bool:
    """Tell whether a parameter exists, given the existing ones above it."""
    wanted = conditions.get(name, {})
    return all(parent in params and params[parent] in values for parent, values in wanted.items())


def existing(values: Mapping[str, Any], problem: Problem | Surface) -> dict[str, Any]:
    """Keep those of a full set of values that exist."""
    params: dict[str, Any] = {}
    for name in in_order(problem):
        if exists(name, params, problem.conditions):
            params[name] = values[name]
    return params


def in_order(problem: Problem | Surface) -> list[str]:
    """Names of the parameters, parents before children."""
    ordered: list[str] = []
    waiting = list(problem.distributions)
    while waiting:
        ready = [n for n in waiting if all(p in ordered for p in problem.conditions.get(n, {}))]
        if not ready:
            raise ValueError(f"{problem.name}: conditions in a circle among {', '.join(waiting)}")
        ordered += ready
        waiting = [n for n in waiting if n not in ordered]
    return ordered


def from_genes(genes: Iterable[float], problem: Problem | Surface) -> dict[str, Any]:
    """Existing parameters at a point of the unit cube, one gene a parameter."""
    kinds = problem.distributions.items()
    values = {name: at(float(gene), kind) for gene, (name, kind) in zip(genes, kinds, strict=True)}
    return existing(values, problem)


def genes_of(params: Mapping[str, Any], problem: Problem | Surface) -> np.ndarray:
    """Point of the unit cube, shape (D,), of existing parameters; 0.5 where one does not exist."""
    genes = np.full(len(problem.distributions), 0.5)
    for index, (name, kind) in enumerate(problem.distributions.items()):
        if name in params and isinstance(kind, CategoricalDistribution):
            genes[index] = (kind.choices.index(params[name]) + 0.5) / len(kind.choices)
        elif name in params:
            genes[index] = fraction(params[name], kind)
    return genes


def off(value: float, centre: float, width: float) -> float:
    """Squared distance from `centre` in widths; in logarithms where the caller takes them."""
    return ((value - centre) / width) ** 2


def log_off(value: float, centre: float, factor: float) -> float:
    """Squared distance of positive numbers on a log scale: 1 at `factor` times the centre."""
    return (math.log(value / centre) / math.log(factor)) ** 2
