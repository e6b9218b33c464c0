"""Evolutionary peers that Optuna lacks: differential evolution, and the GAs of YOLO packages.

Each is written from the description of its algorithm. They know nothing of conditions: a child
has all genes, also those that do not exist in it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from tests.bench.search.problem import Problem
from tests.bench.search.surface import at, fraction

Genes = npt.NDArray[np.float64]

_CHOICE_RATE = 0.2  # chance that a GA which knows numbers only draws a choice anew


class _Whole(BaseSampler):
    """Proposes all parameters at once; trial 0 is the defaults: the runner enqueues them."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._space = dict(problem.distributions)
        self._defaults = dict(problem.defaults)
        self._rng = np.random.default_rng(seed)
        self._proposed: dict[int, dict[str, Any]] = {0: self._defaults}

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        done = [one for one in study.get_trials(deepcopy=False) if one.state.is_finished()]
        values = self._propose(trial.number, done)
        self._proposed[trial.number] = values
        return values

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return at(self._rng.random(), param_distribution)

    def _propose(self, number: int, done: Sequence[FrozenTrial]) -> dict[str, Any]:
        raise NotImplementedError


class DifferentialEvolution(_Whole):
    """Scheme rand/1/bin of Storn & Price (1997), "Differential Evolution", steady state.

    Trial n competes with slot n modulo the population's size; the better one stays. The paper's
    ten individuals a dimension are more than a budget here; F and CR are those that it tries
    first for a fast convergence.
    """

    _SIZE, _F, _CR = 10, 0.5, 0.9

    def _propose(self, number: int, done: Sequence[FrozenTrial]) -> dict[str, Any]:
        drawn = self._rng.random(len(self._space))
        members = self._members(done)
        slot = number % self._SIZE
        others = [genes for index, genes in members.items() if index != slot]
        if number < self._SIZE or slot not in members or len(others) < 3:
            return self._decode(drawn)
        picked = self._rng.choice(len(others), 3, replace=False)
        base, left, right = (others[index] for index in picked)
        mutant = base + self._F * (left - right)
        mutant = np.where((mutant < 0) | (mutant > 1), drawn, mutant)
        crossed = self._rng.random(len(drawn)) < self._CR
        crossed[self._rng.integers(len(drawn))] = True
        return self._decode(np.where(crossed, mutant, members[slot]))

    def _members(self, done: Sequence[FrozenTrial]) -> dict[int, Genes]:
        """Genes of the best finished trial of each slot."""
        best: dict[int, FrozenTrial] = {}
        for trial in done:
            slot = trial.number % self._SIZE
            if slot not in best or _value(trial) >= _value(best[slot]):
                best[slot] = trial
        return {slot: self._encode(self._proposed[one.number]) for slot, one in best.items()}

    def _decode(self, genes: Genes) -> dict[str, Any]:
        pairs = zip(genes.tolist(), self._space.items(), strict=True)
        return {name: at(gene, kind) for gene, (name, kind) in pairs}

    def _encode(self, values: Mapping[str, Any]) -> Genes:
        return np.array([_gene(values[name], kind) for name, kind in self._space.items()])


class YoloV5(_Whole):
    """The GA that came with YOLOv5: one of the best five, each number times a random factor.

    A parent is drawn by its fitness above the worst of the five. With chance 0.8 each, its genes
    are multiplied by ``1 + N(0, 1) * U * 0.2``, U uniform in [0, 1] and shared, the factor kept in
    [0.3, 3], drawn anew until something changes; then kept in their bounds. The original has no
    choices; here one is drawn anew now and then.
    """

    _PARENTS, _RATE, _SIGMA = 5, 0.8, 0.2

    def _propose(self, number: int, done: Sequence[FrozenTrial]) -> dict[str, Any]:
        alive = [one for one in done if one.state == TrialState.COMPLETE]
        best = sorted(alive, key=_value, reverse=True)[: self._PARENTS]
        parents = [self._proposed[one.number] for one in best] or [self._defaults]
        fitness = np.array([_value(one) for one in best] or [0.0])
        weights = fitness - fitness.min() + 1e-6
        child = self._bred(parents, weights / weights.sum())
        factors = zip(self._space.items(), self._factors(), strict=True)
        return {name: self._mutant(child[name], kind, f) for (name, kind), f in factors}

    def _bred(self, parents: Sequence[Mapping[str, Any]], chances: Genes) -> Mapping[str, Any]:
        return parents[self._rng.choice(len(parents), p=chances)]

    def _factors(self) -> list[float]:
        count, factors = len(self._space), np.ones(1)
        while np.all(factors == 1):
            moved = self._rng.random(count) < self._RATE
            step = self._rng.standard_normal(count) * self._rng.random() * self._SIGMA
            factors = np.clip(1 + moved * step, 0.3, 3.0)
        return list(factors.tolist())

    def _mutant(self, value: Any, kind: BaseDistribution, factor: float) -> Any:
        if isinstance(kind, CategoricalDistribution):
            return at(self._rng.random(), kind) if self._rng.random() < _CHOICE_RATE else value
        return _bounded(value * factor, kind)


class YoloGA(YoloV5):
    """Its successor: a child is bred of two of the best five (BLX-alpha), then mutated.

    Numbers are drawn uniformly from the parents' span widened by `_ALPHA` of it at either end
    (Eshelman & Schaffer 1993), choices from either parent; mutation is ``1 + 0.2 N(0, 1)`` with
    chance 0.8 each.
    """

    _ALPHA = 0.2

    def _bred(self, parents: Sequence[Mapping[str, Any]], chances: Genes) -> Mapping[str, Any]:
        first, second = (parents[i] for i in self._rng.choice(len(parents), 2, p=chances))
        return {
            name: self._blend(first[name], second[name], kind)
            for name, kind in self._space.items()
        }

    def _blend(self, left: Any, right: Any, kind: BaseDistribution) -> Any:
        if isinstance(kind, CategoricalDistribution):
            return left if self._rng.random() < 0.5 else right
        margin = self._ALPHA * abs(right - left)
        drawn = self._rng.uniform(min(left, right) - margin, max(left, right) + margin)
        return _bounded(drawn, kind)

    def _factors(self) -> list[float]:
        moved = self._rng.random(len(self._space)) < self._RATE
        step = self._rng.standard_normal(len(self._space)) * self._SIGMA
        return list((1 + moved * step).tolist())


def _value(trial: FrozenTrial) -> float:
    """Value of a finished trial; a failed one is worse than any."""
    return -np.inf if trial.value is None else float(trial.value)


def _gene(value: Any, kind: BaseDistribution) -> float:
    if isinstance(kind, CategoricalDistribution):
        return (kind.choices.index(value) + 0.5) / len(kind.choices)
    return fraction(value, kind)


def _bounded(value: float, kind: BaseDistribution) -> float:
    """Nearest value of a range."""
    assert isinstance(kind, FloatDistribution | IntDistribution)
    kept = min(max(value, kind.low), kind.high)
    return round(kept) if isinstance(kind, IntDistribution) else kept
