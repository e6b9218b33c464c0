"""Samplers by name: ours, and Optuna's own."""

import importlib.util
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from evolve.errors import SpaceError, nearest
from evolve.search.genetic import GeneticSampler
from evolve.search.prior import Prior
from evolve.space import Space

logger = logging.getLogger(__name__)


def build_sampler(
    name: str,
    seed: int,
    space: Space,
    n_existing: int = 0,
    warm_start: Sequence[Prior] = (),
) -> BaseSampler:
    """Sampler for a study over a space.

    What parameters do that exist only under conditions, and where choices go:

    ========  ==================================================================================
    genetic   inherited like all others; ordinal choices move to their neighbours
    tpe       each parameter is modelled by itself, from the trials that have it
    cmaes     numbers without conditions together; conditional ones and choices at random
    gp        what all finished trials share is modelled together; the rest at random
    nsga2     what all finished trials share is crossed; the rest at random
    qmc       what trial 0 has is one low-discrepancy sequence; the rest at random
    random    all at random
    ========  ==================================================================================

    Parameters
    ----------
    name : str
        genetic, tpe, cmaes, gp, nsga2, qmc or random.
    seed : int
        Seed of the run. The genetic sampler goes on after a resume as if it never stopped;
        Optuna's own keep their random state in memory and would repeat their first proposals,
        so for them the seed also depends on `n_existing`. (The sequence of qmc is counted in
        the study; only what is drawn at random beside it needs another seed.)
    n_existing : int
        Trials already in the study.
    warm_start : sequence of Prior
        Earlier studies; for the variant ``evolve`` of the genetic sampler alone.

    Raises
    ------
    SpaceError
        If the name is unknown, or the sampler cannot search this space here, or takes no warm
        start.
    """
    if name not in _BUILDERS:
        raise SpaceError(f"unknown sampler '{name}'", "sampler", nearest(name, _BUILDERS))
    seeds = _Seeds(seed % 2**32, _resumed(seed, n_existing), seed)
    if warm_start:
        _check_takes_priors(name, space)
        return _genetic(seeds, space, warm_start)
    return _BUILDERS[name](seeds, space)


def _check_takes_priors(name: str, space: Space) -> None:
    if space.cost:
        what = "earlier studies tell one objective, and this search has two"
        raise SpaceError(what, "--warm-start", "leave it out, or search for one objective")
    if name == "genetic" and space.variant == "evolve":
        return
    with_variant = f"genetic with variant '{space.variant}'" if name == "genetic" else name
    what = f"the sampler {with_variant} takes no warm start"
    raise SpaceError(what, "--warm-start", "take sampler genetic with variant evolve")


class _Seeds(NamedTuple):
    """Seeds of 32 bits for a run as a whole, and for this session; and the seed as given."""

    run: int
    session: int
    given: int


def _genetic(seeds: _Seeds, space: Space, warm_start: Sequence[Prior] = ()) -> BaseSampler:
    return GeneticSampler(
        seed=seeds.given,
        defaults=space.defaults(),
        search_space=space.distributions(),
        variant=space.variant,
        ordinal=space.ordinal(),
        conditions=space.conditions(),
        feasible=space.satisfied if space.constraints else None,
        warm_start=warm_start,
    )


def _tpe(seeds: _Seeds, _: Space) -> BaseSampler:
    return optuna.samplers.TPESampler(seed=seeds.session)


def _nsga2(seeds: _Seeds, _: Space) -> BaseSampler:
    return optuna.samplers.NSGAIISampler(seed=seeds.session)


def _random(seeds: _Seeds, _: Space) -> BaseSampler:
    return optuna.samplers.RandomSampler(seed=seeds.session)


def _gp(seeds: _Seeds, _: Space) -> BaseSampler:
    return optuna.samplers.GPSampler(
        seed=seeds.session, deterministic_objective=False, warn_independent_sampling=False
    )


def _qmc(seeds: _Seeds, _: Space) -> BaseSampler:
    return optuna.samplers.QMCSampler(
        qmc_type="sobol",
        scramble=True,
        seed=seeds.run,
        independent_sampler=optuna.samplers.RandomSampler(seed=seeds.session),
        warn_independent_sampling=False,
    )


def _cmaes(seeds: _Seeds, space: Space) -> BaseSampler:
    if importlib.util.find_spec("cmaes") is None:
        mend = "pip install cmaes, or take --sampler genetic"
        raise SpaceError("the sampler 'cmaes' needs the package cmaes", "sampler", mend)
    conditions = space.conditions()
    apart = [p.path for p in space.parameters if p.choices is not None or p.path in conditions]
    if len(apart) == len(space.parameters):
        what = "the sampler 'cmaes' searches numbers, and no number here is without conditions"
        raise SpaceError(what, "sampler", "take --sampler genetic")
    if apart:
        logger.info("sampler=cmaes at_random=%s", ",".join(apart))
    together = {n: d for n, d in space.distributions().items() if n not in apart}
    return _SteadyCmaEs(together, seeds.session)


class _SteadyCmaEs(optuna.samplers.CmaEsSampler):
    """CMA-ES over the same parameters from first to last.

    Optuna takes those that all finished trials share. Where a condition makes them fewer in the
    middle of a study, its CMA-ES would be given up for random sampling.
    """

    def __init__(self, space: dict[str, BaseDistribution], seed: int) -> None:
        super().__init__(seed=seed, warn_independent_sampling=False)
        self._steady = space

    def infer_relative_search_space(
        self,
        study: optuna.Study,  # noqa: ARG002  (Optuna's signature)
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """Parameters proposed together."""
        return self._steady


_BUILDERS: dict[str, Callable[[_Seeds, Space], BaseSampler]] = {
    "genetic": _genetic,
    "tpe": _tpe,
    "cmaes": _cmaes,
    "gp": _gp,
    "nsga2": _nsga2,
    "qmc": _qmc,
    "random": _random,
}


def _resumed(seed: int, n_existing: int) -> int:
    """Seed of a fresh study is the given one; of a resumed study another one each time."""
    if n_existing == 0:
        return seed % 2**32
    return int(np.random.SeedSequence((seed, n_existing)).generate_state(1)[0])
