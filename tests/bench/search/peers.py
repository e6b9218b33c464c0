"""Samplers to compare, by name, each made for a problem, a seed and a budget."""

import inspect
from collections.abc import Callable
from typing import Any

import optuna
from optuna.samplers import BaseSampler

from evolve.search.genetic import GeneticSampler
from tests.bench.search.peers_evolution import DifferentialEvolution, YoloGA, YoloV5
from tests.bench.search.problem import Problem

Builder = Callable[[Problem, int, int], BaseSampler]


def evolve(problem: Problem, seed: int, budget: int, variant: str = "") -> BaseSampler:
    """The sampler of this package, told what a space file tells it."""
    told: dict[str, Any] = {
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
    """Optuna's default: the tree-structured Parzen estimator, multivariate from version 5 on."""
    return optuna.samplers.TPESampler(seed=seed)


def tpe_group(problem: Problem, seed: int, budget: int) -> BaseSampler:
    """Multivariate TPE that splits a conditional space into its parts."""
    return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)


def gp(problem: Problem, seed: int, budget: int) -> BaseSampler:
    """Optuna's Gaussian process; it takes seconds a trial beyond some tens of them."""
    return optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False)


def cmaes(problem: Problem, seed: int, budget: int) -> BaseSampler:
    """CMA-ES with Optuna's settings; choices, and what not all trials have, are random."""
    return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)


def nsga2(problem: Problem, seed: int, budget: int) -> BaseSampler:
    """NSGA-II; with its population of 50 it would be random search in these budgets."""
    return optuna.samplers.NSGAIISampler(seed=seed, population_size=10)


def differential_evolution(problem: Problem, seed: int, budget: int) -> BaseSampler:
    """Differential evolution."""
    return DifferentialEvolution(problem, seed)


def yolo_ga(problem: Problem, seed: int, budget: int) -> BaseSampler:
    """The GA of present YOLO packages."""
    return YoloGA(problem, seed)


def yolov5(problem: Problem, seed: int, budget: int) -> BaseSampler:
    """The GA of YOLOv5."""
    return YoloV5(problem, seed)


BUILDERS: dict[str, Builder] = {
    "evolve": evolve,
    "random": random,
    "tpe": tpe,
    "tpe-group": tpe_group,
    "gp": gp,
    "cmaes": cmaes,
    "nsga2": nsga2,
    "de": differential_evolution,
    "yolo-ga": yolo_ga,
    "yolov5": yolov5,
}
LONGEST = {"gp": 30}  # trials that a slow sampler is run for


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
