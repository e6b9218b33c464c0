"""A genetic sampler for few, long, unequal trials: steady state, no generations to wait for."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from evolve.search.operators.crossover import blend, pick
from evolve.search.operators.encoding import Genome, decode_all, encode, encode_all, unordered
from evolve.search.operators.mutation import gaussian, reset
from evolve.search.operators.novelty import distance
from evolve.search.operators.selection import Individual, rank, tournament
from evolve.search.operators.start import keep_mostly, latin_gene, near

ORIGIN = "evolve:origin"
PARENTS = "evolve:parents"

DEFAULT, START, IMMIGRANT = "default", "start", "immigrant"
CROSSOVER, MUTATION = "crossover", "mutation"

_ATTEMPTS = 20  # redraws of a child that was there before, or lies next to a failure
_FAILURES = 20  # the latest failed trials that are remembered
_NEAR_SIGMA = 0.1  # of the cloud around the defaults, as a fraction of the range
_KEEP = 0.75  # chance that a choice in that cloud is the default


class GeneticSampler(BaseSampler):
    """Steady-state genetic algorithm as an Optuna sampler, for 12 to some hundred trials.

    Every ask breeds one child from whatever is finished then, so no worker waits for a
    generation. The order of events:

    1. Trial 0 is `defaults`; without them, the middle of each range in its scale, and the first
       of several choices.
    2. The trials up to `population_size` - 1 fill the space (Latin hypercube) and, every other
       one, the surroundings of trial 0.
    3. Then parents are drawn by tournament among the `population_size` best finished trials, so
       the best is never lost. A child is the blend of two parents, or the copy of one, mutated.
       Now and then an immigrant is drawn from the whole space.

    Trials that were pruned take part, ranked only against what others had at the same step (see
    `operators.selection.rank`). Failed trials are never parents; a child is drawn anew if its
    nearest trial, among the population and the last 20 failed ones, is a failed one within
    `failure_radius`. A child equal to any trial of the study, running ones included, is drawn
    anew as well. Both give up after 20 draws, as a small discrete space may be exhausted.

    A parameter that only one parent has comes from that parent, one that neither has is drawn
    from its range: conditional parameters are inherited like others.

    The sampler keeps nothing outside the study. A proposal depends on the seed, the trial's
    number and the set of other trials, not on their order of arrival: a study that is stopped
    and resumed goes on as if it never stopped. Lineage is in the trials' user attributes
    ``evolve:origin`` (default, start, crossover, mutation, immigrant) and ``evolve:parents``.

    Parameters
    ----------
    seed : int, optional
        Not negative; drawn from the operating system if not given.
    defaults : mapping of name -> value, optional
        Parameters of trial 0; those not named take the middle.
    search_space : mapping of name -> distribution, optional
        Lets the first trials be proposed as a whole. Otherwise it is learnt from the study.
    population_size : int
        Number of starting trials, and of the best trials that may become parents.
    tournament_size : int
        Draws per parent; 1 selects at random, more presses harder for the best.
    crossover_rate : float
        Chance that a child has two parents.
    blend_alpha : float
        How far beyond its parents a child may fall, in their distances.
    mutation_rate : float, optional
        Chance of each gene to be mutated; if not given, two genes of a child on average, but a
        quarter of them at least and half of them at most.
    mutation_sigma : float
        Standard deviation of a mutation, as a fraction of the range.
    immigrant_rate : float
        Chance that a child has no parents.
    failure_radius : float
        Root-mean-square distance, as a fraction of the ranges; 0 ignores failures.
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        defaults: Mapping[str, Any] | None = None,
        search_space: Mapping[str, BaseDistribution] | None = None,
        population_size: int = 8,
        tournament_size: int = 3,
        crossover_rate: float = 0.8,
        blend_alpha: float = 0.5,
        mutation_rate: float | None = None,
        mutation_sigma: float = 0.1,
        immigrant_rate: float = 0.05,
        failure_radius: float = 0.05,
    ) -> None:
        rates = {
            "crossover_rate": crossover_rate,
            "mutation_rate": mutation_rate or 0.0,
            "immigrant_rate": immigrant_rate,
        }
        for name, rate in rates.items():
            if not 0.0 <= rate <= 1.0:
                raise ValueError(f"{name} must be in [0, 1], got {rate}")
        if population_size < 2 or tournament_size < 1:
            raise ValueError("population_size must be at least 2 and tournament_size at least 1")
        if blend_alpha < 0 or mutation_sigma < 0 or failure_radius < 0:
            raise ValueError("blend_alpha, mutation_sigma, failure_radius must not be negative")
        if seed is not None and seed < 0:
            raise ValueError(f"seed must not be negative, got {seed}")
        self._seed = np.random.default_rng().integers(2**63).item() if seed is None else seed
        self._defaults = dict(defaults or {})
        self._space = None if search_space is None else dict(search_space)
        self._population_size = population_size
        self._tournament_size = tournament_size
        self._crossover_rate = crossover_rate
        self._blend_alpha = blend_alpha
        self._mutation_rate = mutation_rate
        self._mutation_sigma = mutation_sigma
        self._immigrant_rate = immigrant_rate
        self._failure_radius = failure_radius
        for name in self._defaults if search_space is not None else ():
            self._default(name, _known(name, dict(search_space or {})))

    def infer_relative_search_space(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002  (Optuna's signature)
    ) -> dict[str, BaseDistribution]:
        """Parameters proposed together: those given, else those that all good trials share."""
        if len(study.directions) > 1:
            raise ValueError(
                "GeneticSampler ranks by one objective, and the study has "
                f"{len(study.directions)}; take optuna.samplers.NSGAIISampler"
            )
        space = _shared_space(self._population(study)) if self._space is None else self._space
        return {name: space[name] for name in sorted(space) if not space[name].single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of one child; its lineage is noted in the trial's user attributes."""
        rng = self._rng(trial.number)
        population = self._population(study)
        origin, parents = self._descent(trial.number, population, rng)
        values: dict[str, Any] = {}
        if search_space:
            accept = self._acceptance(study, trial.number, search_space, population)
            for _ in range(_ATTEMPTS):
                values, genes = self._child(origin, parents, search_space, trial.number, rng)
                if origin == DEFAULT or accept(values, genes):
                    break
                origin = IMMIGRANT if origin == START else origin
        note = study._storage.set_trial_user_attr
        note(trial._trial_id, ORIGIN, origin)
        note(trial._trial_id, PARENTS, [parent.number for parent in parents])
        return values

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Value of a parameter outside the shared space, of the same lineage as the others."""
        noted = study._storage.get_trial_user_attrs(trial._trial_id)
        numbers = noted.get(PARENTS, [])
        trials = study.get_trials(deepcopy=False) if numbers else []
        parents = [other for number in numbers for other in trials if other.number == number]
        space = {param_name: param_distribution}
        rng = self._rng(trial.number, param_name)
        origin = noted.get(ORIGIN, IMMIGRANT)
        return self._child(origin, parents, space, trial.number, rng)[0][param_name]

    def _rng(self, number: int, *names: str) -> np.random.Generator:
        keys = (zlib.crc32(name.encode()) for name in names)
        return np.random.default_rng((self._seed, number, *keys))

    def _population(self, study: Study) -> list[FrozenTrial]:
        """Rank the finished trials and keep the best, best first."""
        trials = study.get_trials(deepcopy=False)
        sign = 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0
        by_number = {trial.number: trial for trial in trials}
        ranked = rank(_individuals(trials, sign), sign)
        return [by_number[one.number] for one in ranked[: self._population_size]]

    def _descent(
        self, number: int, population: Sequence[FrozenTrial], rng: np.random.Generator
    ) -> tuple[str, list[FrozenTrial]]:
        """Origin and parents of a child."""
        if number < self._population_size:
            return (START if number else DEFAULT), []
        immigrates, crosses = rng.random(2) < (self._immigrant_rate, self._crossover_rate)
        if immigrates or not population:
            return IMMIGRANT, []
        first, second = (
            population[tournament(len(population), self._tournament_size, rng)] for _ in range(2)
        )
        if crosses and first.number != second.number:
            return CROSSOVER, [first, second]
        return MUTATION, [first]

    def _child(
        self,
        origin: str,
        parents: Sequence[FrozenTrial],
        space: Mapping[str, BaseDistribution],
        number: int,
        rng: np.random.Generator,
    ) -> tuple[dict[str, Any], Genome]:
        """Values and genes of a child, for any part of its parameters."""
        if origin == DEFAULT:
            values = {name: self._default(name, kind) for name, kind in space.items()}
            return values, encode_all(values, space)
        if origin == START:
            genes = np.array([self._start(name, kind, number) for name, kind in space.items()])
        elif parents:
            genes = self._offspring([_genes(parent, space) for parent in parents], space, rng)
        else:
            genes = rng.random(len(space))
        values = decode_all(genes, space)
        return values, encode_all(values, space)

    def _offspring(
        self,
        parents: list[Genome],
        space: Mapping[str, BaseDistribution],
        rng: np.random.Generator,
    ) -> Genome:
        """Genes of one or two parents, crossed and mutated; NaN where a parent has no gene."""
        first, second = parents[0], parents[-1]
        missing = np.isnan(first) & np.isnan(second)
        fresh = rng.random(len(space))
        left = np.where(missing, fresh, np.where(np.isnan(first), second, first))
        right = np.where(missing, fresh, np.where(np.isnan(second), first, second))
        nominal = unordered(space)
        crossed = np.where(
            nominal, pick(left, right, rng), blend(left, right, self._blend_alpha, rng)
        )
        rate = self._mutation_rate
        if rate is None:
            rate = min(max(0.25, 2 / len(space)), 0.5)
        moved = gaussian(crossed, rate, self._mutation_sigma, rng)
        return np.where(nominal, reset(crossed, rate, rng), moved)

    def _default(self, name: str, distribution: BaseDistribution) -> Any:
        if name not in self._defaults:
            return decode_all(np.array([_middle(distribution)]), {name: distribution})[name]
        value = self._defaults[name]
        if not distribution._contains(distribution.to_internal_repr(value)):
            raise ValueError(f"the default {value!r} of '{name}' is outside {distribution}")
        return value

    def _start(self, name: str, distribution: BaseDistribution, number: int) -> float:
        """Gene of a starting trial: odd numbers lie near the defaults, even ones anywhere."""
        close, index = number % 2, (number - 1) // 2
        count = (self._population_size - 1 + close) // 2
        stream = (self._seed, zlib.crc32(name.encode()), close)
        gene = latin_gene(index, count, np.random.default_rng(stream))
        if not close:
            return gene
        centre = encode(self._default(name, distribution), distribution)
        if unordered({name: distribution})[0]:
            return keep_mostly(gene, centre, _KEEP)
        return near(gene, centre, _NEAR_SIGMA)

    def _acceptance(
        self,
        study: Study,
        number: int,
        space: Mapping[str, BaseDistribution],
        population: Sequence[FrozenTrial],
    ) -> "_Acceptance":
        others = [t for t in study.get_trials(deepcopy=False) if t.number != number]
        failed = [t for t in others if t.state == TrialState.FAIL][-_FAILURES:]
        return _Acceptance(
            others, failed if self._failure_radius else [], population, space, self._failure_radius
        )


class _Acceptance:
    """Says whether a child is worth a trial: not tried before, and not next to a failure."""

    def __init__(
        self,
        others: Sequence[FrozenTrial],
        failed: Sequence[FrozenTrial],
        population: Sequence[FrozenTrial],
        space: Mapping[str, BaseDistribution],
        radius: float,
    ) -> None:
        self._others = others
        self._failed = [_genes(trial, space) for trial in failed]
        self._alive = [_genes(trial, space) for trial in population] if failed else []
        self._nominal = unordered(space)
        self._radius = radius

    def __call__(self, values: dict[str, Any], genes: Genome) -> bool:
        if any(other.params == values for other in self._others):
            return False
        failed = distance(genes, self._failed, self._nominal)
        return failed >= min(self._radius, distance(genes, self._alive, self._nominal))


def _known(name: str, space: dict[str, BaseDistribution]) -> BaseDistribution:
    if name not in space:
        raise ValueError(f"the default '{name}' is not in search_space: {', '.join(space)}")
    return space[name]


def _individuals(trials: Sequence[FrozenTrial], sign: float) -> list[Individual]:
    """Finished trials with a value; a failed trial has none."""
    found = []
    for trial in trials:
        complete = trial.state == TrialState.COMPLETE
        value = trial.value if complete or trial.state == TrialState.PRUNED else None
        if value is not None:
            curve = trial.intermediate_values
            step = None if complete else max(curve, default=-1)
            found.append(Individual(trial.number, sign * value, step, curve))
    return found


def _shared_space(population: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    """Parameters that all these trials have, with equal distributions."""
    if not population:
        return {}
    shared = population[0].distributions
    for trial in population[1:]:
        shared = {n: d for n, d in shared.items() if trial.distributions.get(n) == d}
    return shared


def _genes(trial: FrozenTrial, space: Mapping[str, BaseDistribution]) -> Genome:
    """Genes of a trial; NaN where it has no such parameter, or another range of it."""
    same = {n: v for n, v in trial.params.items() if trial.distributions[n] == space.get(n)}
    return encode_all(same, space)


def _middle(distribution: BaseDistribution) -> float:
    return 0.0 if unordered({"": distribution})[0] else 0.5
