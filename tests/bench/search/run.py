"""One run of a sampler on a problem: an in-memory study, and workers in virtual time."""

import heapq
import time
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.trial import Trial, TrialState

from evolve.engine.schedulers import Decision, build_scheduler
from tests.bench.search.curves import curves_of
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
    scheduler: str = "none"


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
    cost : float
        Of all trials, in whole trainings.
    """

    job: Job
    chosen: tuple[tuple[int, float], ...]
    failed: int
    seconds: float
    cost: float = 0.0

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


class _Out(NamedTuple):
    """A trial that is out; the least is the next to report.

    Attributes
    ----------
    time : float
        When it reports, in virtual time.
    number : int
    trial : Trial
    curve : tuple of (epoch, value)
        What it has still to report; None where it fails instead. Its end is the last.
    """

    time: float
    number: int
    trial: Trial
    curve: tuple[tuple[int, float | None], ...]


class _Workers:
    """Keeps as many trials out as there are workers; results come in order of virtual time."""

    def __init__(self, study: optuna.Study, problem: Problem, job: Job) -> None:
        self._study, self._problem, self._job = study, problem, job
        self._order = in_order(problem)
        self._out: list[_Out] = []
        self._busy = self._cost = 0.0
        self._results = self._failed = 0
        self._best = -np.inf
        self._chosen = [(0, problem.truth(existing(problem.defaults, problem)))]
        self._curves, self._scheduler, self._epochs = None, None, 1
        if job.scheduler != "none":
            self._curves = curves_of(problem)
            self._epochs = self._curves.epochs
            self._scheduler = build_scheduler(job.scheduler, self._epochs)

    def drain(self) -> Record:
        """Run all trials of the budget."""
        for number in range(self._job.budget):
            now = self._receive() if number >= self._job.workers else 0.0
            self._start(number, now)
        while self._out:
            self._receive()
        seconds = round(self._busy / self._job.budget, 6)
        cost = round(self._cost / self._epochs, 3)
        return Record(self._job, tuple(self._chosen), self._failed, seconds, cost)

    def _start(self, number: int, now: float) -> None:
        begun = time.perf_counter()
        trial = self._study.ask()
        params = suggest(trial, self._problem, self._order)
        self._busy += time.perf_counter() - begun
        final = self._problem.observe(params, self._rng(number)).value
        early: dict[int, float] = {}
        if self._curves is not None and final is not None:
            early = self._curves.early(params, final, self._rng(number, 2))
        curve = (*early.items(), (self._epochs, final))
        self._push(_Out(now, number, trial, curve), 0)

    def _push(self, out: _Out, epoch: int) -> None:
        """Send a trial on from an epoch to what it reports next."""
        whole = self._rng(out.number, 1).lognormal(0.0, _DURATION_SIGMA)
        part = (out.curve[0][0] - epoch) / self._epochs
        heapq.heappush(self._out, out._replace(time=out.time + whole * part))

    def _receive(self) -> float:
        """Tell the study of the next trial that ends; gives its virtual time."""
        while True:
            out = heapq.heappop(self._out)
            (epoch, value), *later = out.curve
            if not later:
                self._tell(out.trial, epoch, value, TrialState.COMPLETE)
                return out.time
            assert value is not None
            out.trial.report(value, epoch)
            if not self._goes_on(out.number, epoch, value):
                self._tell(out.trial, epoch, value, TrialState.PRUNED)
                return out.time
            self._push(out._replace(curve=tuple(later)), epoch)

    def _goes_on(self, number: int, epoch: int, value: float) -> bool:
        assert self._scheduler is not None
        self._scheduler.add(number)
        decision = self._scheduler.take(number, {"epoch": epoch, "objective": value})
        return decision is Decision.GO

    def _tell(self, trial: Trial, epoch: int, value: float | None, state: TrialState) -> None:
        begun = time.perf_counter()
        if value is None:
            self._study.tell(trial, state=TrialState.FAIL)
        elif state == TrialState.PRUNED:
            self._study.tell(trial, state=state)
        else:
            self._study.tell(trial, value)
        self._busy += time.perf_counter() - begun
        self._cost += epoch
        self._results += 1
        if value is None:
            self._failed += 1
        elif state == TrialState.COMPLETE and value > self._best:
            self._best = value
            self._chosen.append((self._results, round(self._problem.truth(trial.params), 6)))

    def _rng(self, number: int, *stream: int) -> np.random.Generator:
        name = zlib.crc32(self._problem.name.encode())
        return np.random.default_rng((self._job.seed, name, number, *stream))
