"""Samplers to compare, by name, each made for a problem, a seed and a budget."""

import inspect
from collections.abc import Callable

import optuna
from optuna.samplers import BaseSampler

from evolve.search.genetic import GeneticSampler
from tests.bench.search.problem import Problem

Builder = Callable[[Problem, int, int], BaseSampler]


def evolve(problem: Problem, seed: int, budget: int, variant: str = "") -> BaseSampler:
    """The sampler of this package, told what a space file tells it."""
    told = {
        "seed": seed,
        "defaults": dict(problem.defaults),
        "search_space": dict(problem.distributions),
        "ordinal": problem.ordinal,
        "conditions": problem.conditions,
        "budget": budget,
        "variant": variant or None,
    }
    known = inspect.signature(GeneticSampler).parameters
    if variant and "variant" not in known:
        raise ValueError(f"the genetic sampler has no variants, so none called '{variant}'")
    return GeneticSampler(**{n: v for n, v in told.items() if n in known and v is not None})


def random(problem: Problem, seed: int, budget: int) -> BaseSampler:
    """Random search."""
    return optuna.samplers.RandomSampler(seed=seed)


def tpe(problem: Problem, seed: int, budget: int) -> BaseSampler:
    """Optuna's default: the tree-structured Parzen estimator, each parameter by itself."""
    return optuna.samplers.TPESampler(seed=seed)


BUILDERS: dict[str, Builder] = {"evolve": evolve, "random": random, "tpe": tpe}


def builder(name: str) -> Builder:
    """Builder of a sampler; 'evolve:NAME' is a variant of ours.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    base, _, variant = name.partition(":")
    if base == "evolve" and variant:
        return lambda problem, seed, budget: evolve(problem, seed, budget, variant)
    if name not in BUILDERS:
        raise ValueError(f"unknown sampler '{name}'; there are {', '.join(BUILDERS)}")
    return BUILDERS[name]


def knows_budget(name: str) -> bool:
    """Tell whether a sampler plans for its budget, so that each budget needs a run of its own."""
    return name.startswith("evolve") and "budget" in inspect.signature(GeneticSampler).parameters
