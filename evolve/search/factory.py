"""Samplers by name: ours, and Optuna's own."""

import importlib.util
from collections.abc import Callable

import numpy as np
import optuna
from optuna.samplers import BaseSampler

from evolve.errors import SpaceError, nearest
from evolve.search.genetic import GeneticSampler
from evolve.space import Space

POPULATION = (4, 8)


def build_sampler(name: str, seed: int, space: Space, n_existing: int = 0) -> BaseSampler:
    """Sampler for a study over a space.

    Parameters
    ----------
    name : str
        genetic, tpe, cmaes, nsga2 or random.
    seed : int
        Seed of the run. The genetic sampler goes on after a resume as if it never stopped;
        Optuna's own keep their random state in memory and would repeat their first proposals,
        so for them the seed also depends on `n_existing`.
    n_existing : int
        Trials already in the study.

    Raises
    ------
    SpaceError
        If the name is unknown, or the sampler cannot search this space here.
    """
    if name not in _BUILDERS:
        raise SpaceError(f"unknown sampler '{name}'", "sampler", nearest(name, _BUILDERS))
    return _BUILDERS[name](seed if name == "genetic" else _resumed(seed, n_existing), space)


def _genetic(seed: int, space: Space) -> BaseSampler:
    few, many = POPULATION
    return GeneticSampler(
        seed=seed,
        defaults=space.defaults(),
        search_space=space.distributions(),
        # a third of a small budget is spent on the start, the rest on breeding
        population_size=min(many, max(few, space.trials // 3)),
    )


def _tpe(seed: int, _: Space) -> BaseSampler:
    return optuna.samplers.TPESampler(seed=seed)


def _nsga2(seed: int, _: Space) -> BaseSampler:
    return optuna.samplers.NSGAIISampler(seed=seed)


def _random(seed: int, _: Space) -> BaseSampler:
    return optuna.samplers.RandomSampler(seed=seed)


def _cmaes(seed: int, space: Space) -> BaseSampler:
    if importlib.util.find_spec("cmaes") is None:
        mend = "pip install cmaes, or take --sampler genetic"
        raise SpaceError("the sampler 'cmaes' needs the package cmaes", "sampler", mend)
    choices = [parameter.path for parameter in space.parameters if parameter.choices is not None]
    if choices:
        what = f"the sampler 'cmaes' cannot search choices: {', '.join(choices)}"
        raise SpaceError(what, "sampler", "fix them with --set, or take --sampler genetic")
    return optuna.samplers.CmaEsSampler(seed=seed)


_BUILDERS: dict[str, Callable[[int, Space], BaseSampler]] = {
    "genetic": _genetic,
    "tpe": _tpe,
    "cmaes": _cmaes,
    "nsga2": _nsga2,
    "random": _random,
}


def _resumed(seed: int, n_existing: int) -> int:
    """Seed of a fresh study is the given one; of a resumed study another one each time."""
    if n_existing == 0:
        return seed % 2**32
    return int(np.random.SeedSequence((seed, n_existing)).generate_state(1)[0])
