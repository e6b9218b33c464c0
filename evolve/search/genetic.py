"""A genetic sampler for 30 to 300 long, noisy, partly failing trials."""

import zlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import ThreadpoolController

from evolve.attributes import ORIGIN, PARENTS
from evolve.search.archive import (
    FITTED,
    SIGMA,
    SPARES,
    Encoder,
    holds,
    read_archive,
    since,
)
from evolve.search.genome import Conditions, GenomeSpace
from evolve.search.judge import Fits
from evolve.search.operators.encoding import decode
from evolve.search.operators.mutation import gaussian
from evolve.search.prior import Prior
from evolve.search.variants.guided import TOGETHER, Guided
from evolve.search.variants.plain import Plain
from evolve.search.variants.variant import (
    DEFAULT,
    Proposal,
    Satisfied,
    Setting,
    Variant,
)
from evolve.search.variants.yolov5 import Multiplied

__all__ = ["DEFAULT", "ORIGIN", "PARENTS", "GeneticSampler"]

VARIANTS = ("evolve", "paper", "yolov5")
GIVEN = "given"

_LONE_SIGMA = 0.1  # step of a parameter that is proposed by itself
_LONE_PARENTS = 5


class GeneticSampler(BaseSampler):
    """Steady-state genetic algorithm as an Optuna sampler, for one objective or several.

    Every ask breeds from whatever is finished then, so no worker waits for a generation. Trial 0
    is `defaults`; without them, the middle of each range in its scale, and the first of several
    choices. What follows is the variant's:

    - ``evolve`` (`variants.guided`): all trials are an archive. A Gaussian process over it says
      what each trial is worth given its neighbours, so a lucky number does not rule, and which of
      200 children promises most, so only that one is trained.
    - ``paper`` (`variants.plain`): the plain algorithm of a textbook.
    - ``yolov5`` (`variants.yolov5`): mutation alone, as YOLOv5 does it.

    In all of them, trials that were stopped early count with their projected end (see
    `operators.projection`), failed ones are never parents (``evolve`` learns where trials fail
    and keeps away), equal trials are not proposed twice, and with several objectives parents are
    the non-dominated ones.

    The sampler keeps nothing outside the study: what it remembers is a function of the trials. A
    proposal depends on the seed, the trial's number and the set of other trials, not on their
    order of arrival: a study that is stopped and resumed goes on as if it never stopped. Lineage
    is in the trials' user attributes ``evolve:origin``, ``evolve:parents``, ``evolve:sigma``; in
    a study of more than 320 trials some also tell what the surrogate was fitted to
    (``evolve:fitted``), which spares the others the fit; and where 128 trials are under way, every
    fourth also proposes the next three (``evolve:spares``), where 384 are, every eighth seven.

    Parameters
    ----------
    seed : int, optional
        Not negative; drawn from the operating system if not given.
    defaults : mapping of name -> value, optional
        Parameters of trial 0; those not named take the middle. Must keep the constraints.
    search_space : mapping of name -> distribution, optional
        Lets trials be proposed as a whole from the first on. Otherwise the space is what all
        finished trials share, and other parameters are proposed one by one.
    variant : str
        evolve, paper or yolov5.
    ordinal : set of names
        Categorical parameters whose choices are in order.
    conditions : mapping of name -> {parent: values}
        A parameter exists only when each of its parents exists and has one of the values. Ask
        for it only then; others are proposed for nothing.
    feasible : callable, optional
        Whether a mapping of existing parameters keeps the constraints; those that do not are
        never proposed.
    warm_start : sequence of Prior
        Earlier studies, on other data. Their best are among the first trials, and the surrogate
        learns from them as far as they agree with this study. For the variant evolve alone.

    Raises
    ------
    ValueError
        If an option cannot be.
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        defaults: Mapping[str, Any] | None = None,
        search_space: Mapping[str, BaseDistribution] | None = None,
        variant: str = "evolve",
        ordinal: frozenset[str] = frozenset(),
        conditions: Conditions | None = None,
        feasible: Satisfied | None = None,
        warm_start: Sequence[Prior] = (),
    ) -> None:
        if variant not in VARIANTS:
            raise ValueError(f"variant must be one of {', '.join(VARIANTS)}")
        if warm_start and variant != "evolve":
            raise ValueError(f"the variant '{variant}' takes no warm start")
        if seed is not None and seed < 0:
            raise ValueError(f"seed must not be negative, got {seed}")
        self._seed = np.random.default_rng().integers(2**63).item() if seed is None else seed
        self._defaults = dict(defaults or {})
        self._space = None if search_space is None else dict(search_space)
        self._variant = variant
        self._ordinal = frozenset(ordinal)
        self._conditions = {} if conditions is None else dict(conditions)
        self._feasible = feasible
        self._warm_start = tuple(warm_start)
        self._memory: _Memory | None = None
        if search_space is not None:
            for name in self._defaults:
                if name not in search_space:
                    known = ", ".join(search_space)
                    raise ValueError(f"the default '{name}' is not in search_space: {known}")
            self._remembered(dict(search_space))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_memory": None}

    def infer_relative_search_space(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002  (Optuna's signature)
    ) -> dict[str, BaseDistribution]:
        """Parameters proposed together: those given, else those that all good trials share."""
        return _shared_space(study) if self._space is None else self._space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of one child; its lineage is noted in the trial's user attributes."""
        if not search_space:
            return {}
        memory = self._remembered(search_space)
        given = trial.system_attrs.get("fixed_params")
        if given is not None:
            proposal = Proposal(memory.setting.default, GIVEN)
        elif trial.number == 0:
            proposal = Proposal(memory.setting.default, DEFAULT)
        else:
            proposal = _spare(study, trial.number, memory) or self._bred(study, trial, memory)
        _note(study, trial, proposal)
        values = memory.setting.space.decode(proposal.genes)
        exact = self._defaults if proposal.origin in (DEFAULT, GIVEN) else {}
        return {name: exact.get(name, value) for name, value in values.items()}

    def _bred(self, study: Study, trial: FrozenTrial, memory: "_Memory") -> Proposal:
        archive = read_archive(study, trial.number, memory.encoder_for(study))
        with _one_thread():
            return memory.variant.propose(archive, trial.number, self._rng(trial.number))

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Value of a parameter outside the shared space: a good trial's, mutated, or any.

        Trial 0 takes the default, or the middle.
        """
        if trial.number == 0:
            return self._default(param_name, param_distribution)
        rng = self._rng(trial.number, param_name)
        space = GenomeSpace({param_name: param_distribution})
        archive = read_archive(study, trial.number, Encoder(space))
        having = [i for i, t in enumerate(archive.trials) if param_name in t.params]
        having.sort(key=lambda index: -archive.values[index, 0])
        gene = float(rng.random())
        if having and rng.random() < min(0.8, len(having) / 10):
            parent = archive.genes[having[int(rng.integers(min(len(having), _LONE_PARENTS)))]]
            kept = space.nominal[0] and rng.random() < 0.8
            if kept or not space.nominal[0]:
                gene = float((parent if kept else gaussian(parent, 1.0, _LONE_SIGMA, rng))[0])
        return decode(gene, param_distribution)

    def _rng(self, number: int, *names: str) -> np.random.Generator:
        keys = (zlib.crc32(name.encode()) for name in names)
        return np.random.default_rng((self._seed, number, *keys))

    def _remembered(self, search_space: dict[str, BaseDistribution]) -> "_Memory":
        """What follows from the search space, made when it changes."""
        if self._memory is None or self._memory.search_space != search_space:
            self._memory = self._prepare(search_space)
        return self._memory

    def _prepare(self, search_space: dict[str, BaseDistribution]) -> "_Memory":
        conditions = {n: p for n, p in self._conditions.items() if n in search_space}
        space = GenomeSpace(search_space, self._ordinal & search_space.keys(), conditions)
        values = {name: self._default(name, kind) for name, kind in space.items()}
        default = space.snap(space.encode(values)[None])[0]
        setting = Setting(space, default, self._feasible, self._seed)
        if not setting.allows(default):
            raise ValueError("the defaults do not keep the constraints")
        return _Memory(dict(search_space), setting, self._build(setting))

    def _build(self, setting: Setting) -> Variant:
        if self._variant == "evolve":
            return Guided(setting, Fits(), self._warm_start)
        return Plain(setting) if self._variant == "paper" else Multiplied(setting)

    def _default(self, name: str, distribution: BaseDistribution) -> Any:
        if name not in self._defaults:
            choice = name not in self._ordinal and not hasattr(distribution, "low")
            return decode(0.0 if choice else 0.5, distribution)
        value = self._defaults[name]
        if not distribution._contains(distribution.to_internal_repr(value)):
            raise ValueError(f"the default of '{name}' is outside its range: {value!r}")
        return value


class _Memory:
    """What follows from a search space; nothing in it changes a proposal."""

    def __init__(
        self,
        search_space: dict[str, BaseDistribution],
        setting: Setting,
        variant: Variant,
    ) -> None:
        self.search_space = search_space
        self.setting = setting
        self.variant = variant
        self._encoders: WeakKeyDictionary[BaseStorage, Encoder] = WeakKeyDictionary()

    def encoder_for(self, study: Study) -> Encoder:
        """What remembers the trials of a study; their numbers mean others in another storage."""
        if study._storage not in self._encoders:
            self._encoders[study._storage] = Encoder(self.setting.space)
        return self._encoders[study._storage]


def _spare(study: Study, number: int, memory: _Memory) -> Proposal | None:
    """What an earlier trial proposed for this one, if it did and nobody tried it since."""
    for together in TOGETHER:
        turn = number % together
        first, later = since(study, number - turn) if turn else (None, ())
        noted = () if first is None else first.user_attrs.get(SPARES, ())
        if not 0 < turn <= len(noted):
            continue
        spare, setting = Proposal.from_json(noted[turn - 1]), memory.setting
        if len(spare.genes) != len(setting.space) or not setting.allows(spare.genes):
            continue  # noted when something else was searched
        others = [trial for trial in later if trial.number != number and trial.params]
        if not holds(others, spare.genes, setting.space):
            return spare
    return None


def _one_thread() -> AbstractContextManager[object]:
    """No threads in linear algebra: matrices are small, and trials need the other cores.

    Waiting for each other they are several times as slow, and sums depend on their number.
    """
    limited: AbstractContextManager[object] = _thread_pools().limit(limits=1, user_api="blas")
    return limited


@cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()


def _note(study: Study, trial: FrozenTrial, proposal: Proposal) -> None:
    """Write the lineage into the study, unless whoever gave the trial did."""
    note = study._storage.set_trial_user_attr
    if proposal.fitted:
        note(trial._trial_id, FITTED, dict(proposal.fitted))
    if proposal.spares:
        note(trial._trial_id, SPARES, [spare.to_json() for spare in proposal.spares])
    if ORIGIN in trial.user_attrs:
        return
    note(trial._trial_id, ORIGIN, proposal.origin)
    note(trial._trial_id, PARENTS, list(proposal.parents))
    if proposal.sigma is not None:
        note(trial._trial_id, SIGMA, round(proposal.sigma, 6))


def _shared_space(study: Study) -> dict[str, BaseDistribution]:
    """Parameters that all good trials have, with equal distributions."""
    states = (TrialState.COMPLETE, TrialState.PRUNED)
    shared: dict[str, BaseDistribution] | None = None
    for trial in study.get_trials(deepcopy=False, states=states):
        mine = trial.distributions
        shared = mine if shared is None else {n: d for n, d in shared.items() if mine.get(n) == d}
    return {} if shared is None else dict(sorted(shared.items()))
