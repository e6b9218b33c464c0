"""One run of a sampler on a problem: an in-memory study, and workers in virtual time."""

import heapq
import time
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.trial import Trial, TrialState

from tests.bench.search.peers import builder
from tests.bench.search.problem import Problem
from tests.bench.search.suite import problem as problem_named
from tests.bench.search.surface import existing, exists, in_order

_DURATION_SIGMA = 0.3  # of the logarithm of a trial's duration


@dataclass(frozen=True)
class Job:
    """What is run: equal jobs give equal records, but for the seconds."""

    sampler: str
    problem: str
    seed: int
    workers: int
    budget: int


@dataclass(frozen=True)
class Record:
    """What a run reached.

    Attributes
    ----------
    chosen : tuple of (n, truth)
        From the n-th result on, the noise-free value of the trial with the best noisy value;
        before the first success the defaults'.
    failed : int
        Trials that diverged.
    seconds : float
        Mean time of the sampler, ask and tell of one trial together.
    """

    job: Job
    chosen: tuple[tuple[int, float], ...]
    failed: int
    seconds: float

    def truth(self, n: int) -> float:
        """Truth of the configuration chosen after the first n results."""
        return [value for since, value in self.chosen if since <= n][-1]


def quiet() -> None:
    """Optuna warns of what peers are: experimental, or sampling a choice by itself."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", module="optuna")


def run(job: Job) -> Record:
    """Carry out a job."""
    problem = problem_named(job.problem)
    return drain(builder(job.sampler)(problem, job.seed, job.budget), problem, job)


def drain(sampler: BaseSampler, problem: Problem, job: Job) -> Record:
    """Let a sampler propose all trials of a job but the first, which has the defaults."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial(dict(problem.defaults))
    return _Workers(study, problem, job).drain()


def suggest(trial: Trial, problem: Problem, order: Sequence[str]) -> dict[str, Any]:
    """Ask for the parameters of a trial that exist; `order` has parents first."""
    params: dict[str, Any] = {}
    for name in order:
        if exists(name, params, problem.conditions):
            params[name] = trial._suggest(name, problem.distributions[name])
    return params


class _Workers:
    """Keeps as many trials out as there are workers; results come in order of virtual time."""

    def __init__(self, study: optuna.Study, problem: Problem, job: Job) -> None:
        self._study, self._problem, self._job = study, problem, job
        self._order = in_order(problem)
        self._out: list[tuple[float, int, Trial, float | None]] = []
        self._busy = 0.0
        self._results = self._failed = 0
        self._best = -np.inf
        self._chosen = [(0, problem.truth(existing(problem.defaults, problem)))]

    def drain(self) -> Record:
        """Run all trials of the budget."""
        for number in range(self._job.budget):
            now = self._receive() if number >= self._job.workers else 0.0
            self._start(number, now)
        while self._out:
            self._receive()
        seconds = round(self._busy / self._job.budget, 6)
        return Record(self._job, tuple(self._chosen), self._failed, seconds)

    def _start(self, number: int, now: float) -> None:
        begun = time.perf_counter()
        trial = self._study.ask()
        params = suggest(trial, self._problem, self._order)
        self._busy += time.perf_counter() - begun
        outcome = self._problem.observe(params, self._rng(number))
        duration = self._rng(number, 1).lognormal(0.0, _DURATION_SIGMA)
        heapq.heappush(self._out, (now + duration, number, trial, outcome.value))

    def _receive(self) -> float:
        """Tell the study the next result; gives its virtual time."""
        ended, _, trial, value = heapq.heappop(self._out)
        begun = time.perf_counter()
        if value is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, value)
        self._busy += time.perf_counter() - begun
        self._note(trial.params, value)
        return ended

    def _note(self, params: Mapping[str, Any], value: float | None) -> None:
        self._results += 1
        if value is None:
            self._failed += 1
        elif value > self._best:
            self._best = value
            self._chosen.append((self._results, round(self._problem.truth(params), 6)))

    def _rng(self, number: int, *stream: int) -> np.random.Generator:
        name = zlib.crc32(self._problem.name.encode())
        return np.random.default_rng((self._job.seed, name, number, *stream))
