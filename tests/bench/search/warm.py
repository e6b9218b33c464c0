"""Warm starts that help and that mislead: ``python -m tests.bench.search.warm --seeds 5``.

The earlier study is of the same problem seen from a little way off: the gene of every number is
moved by 0.05 to 0.1 before it counts, and the noise is other noise. It has 60 trials, 30 at random
and 30 that the genetic sampler asked for. What a run begins with:

=========  ====================================================================================
cold       nothing
helpful    the earlier study
mirrored   the same, with the genes turned round: what was good at one end is told of the other
negated    the same, with the values negated: the worst is told as the best
=========  ====================================================================================

Prints a Markdown table of the scaled regret (see `score`) with 95 % intervals over seeds.
"""

import argparse
import multiprocessing
import os
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from evolve.search.estimate import estimate_values
from evolve.search.genetic import GeneticSampler
from evolve.search.operators.encoding import decode, encode, unordered
from evolve.search.prior import Prior
from tests.bench.search.problem import Problem
from tests.bench.search.run import Job, Record, drain, quiet, suggest
from tests.bench.search.score import references
from tests.bench.search.suite import problem as problem_named
from tests.bench.search.suite import problems
from tests.bench.search.surface import from_genes, in_order
from tests.bench.search.tabulate import tabulate

ARMS = ("cold", "helpful", "mirrored", "negated")
_TRIALS = 60
_AT_RANDOM = 30
_SHIFT = (0.05, 0.1)
_STREAM = 1  # of random numbers, beside that of the trials of a run

Task = tuple[str, int, tuple[str, ...], int]


def main(arguments: Sequence[str] | None = None) -> str:
    """Run all and give the table."""
    options = _options(arguments)
    arms = tuple(options.arms.split(","))
    unknown = set(arms) - set(ARMS)
    if unknown:
        raise ValueError(f"unknown arm '{unknown.pop()}'; there are {', '.join(ARMS)}")
    budgets = sorted(int(budget) for budget in options.budgets.split(","))
    chosen = problems(options.role, options.family, options.problems)
    known = references(chosen)
    tasks: list[Task] = [
        (problem.name, seed, arms, budgets[-1])
        for seed in range(options.seeds)
        for problem in chosen
    ]
    records = [record for some in _run(tasks, options.jobs) for record in some]
    return tabulate(records, arms, chosen, known, budgets)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.search.warm")
    parser.add_argument("--arms", default="cold,helpful,mirrored,negated", help="by commas")
    parser.add_argument("--role", choices=["tune", "judge"], default="judge")
    parser.add_argument("--family", help="smooth, learning, mixed, detector or recorded")
    parser.add_argument("--problems", default="*", help="pattern of names")
    parser.add_argument("--budgets", default="10,30,100", help="trials, by commas")
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    return parser.parse_args(arguments)


def _run(tasks: Sequence[Task], processes: int) -> Iterator[list[Record]]:
    context = multiprocessing.get_context("spawn")
    if processes == 1:
        yield from _counted(map(run_seed, tasks), len(tasks))
        return
    with context.Pool(processes, initializer=quiet) as pool:
        yield from _counted(pool.imap_unordered(run_seed, tasks, chunksize=1), len(tasks))


def _counted(results: Iterator[list[Record]], total: int) -> Iterator[list[Record]]:
    for count, result in enumerate(results, 1):
        sys.stderr.write(f"\r{count}/{total} seeds of problems  ")
        yield result
    sys.stderr.write("\n")


def run_seed(task: Task) -> list[Record]:
    """All arms on one problem with one seed; they share the earlier study."""
    name, seed, arms, budget = task
    problem = problem_named(name)
    earlier = earlier_study(problem, seed) if set(arms) != {"cold"} else None
    found = []
    for arm in arms:
        priors = () if earlier is None or arm == "cold" else (as_told(arm, earlier, problem),)
        sampler = _sampler(problem, seed, warm_start=priors)
        found.append(drain(sampler, problem, Job(arm, name, seed, 1, budget)))
    return found


def _sampler(problem: Problem, seed: int, **more: Any) -> GeneticSampler:
    return GeneticSampler(
        seed=seed,
        defaults=dict(problem.defaults),
        search_space=dict(problem.distributions),
        ordinal=problem.ordinal,
        conditions=problem.conditions,
        **more,
    )


def earlier_study(problem: Problem, seed: int, trials: int = _TRIALS) -> Prior:
    """What 60 trials on the moved problem found; the best first, by an estimate for noise."""
    rng = np.random.default_rng((seed, zlib.crc32(problem.name.encode()), _STREAM))
    shifts = draw_shifts(problem, rng)
    study = optuna.create_study(
        direction="maximize", sampler=_sampler(problem, int(rng.integers(2**31)))
    )
    for _ in range(min(_AT_RANDOM, trials)):
        study.enqueue_trial(from_genes(rng.random(len(problem.distributions)), problem))
    order = in_order(problem)
    for _ in range(trials):
        trial = study.ask()
        params = suggest(trial, problem, order)
        value = problem.observe(moved(params, problem, shifts), rng).value
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        study.tell(trial, value, state=state)
    return _prior(study.get_trials(states=(TrialState.COMPLETE,)), problem)


def _prior(trials: Sequence[FrozenTrial], problem: Problem) -> Prior:
    estimates = estimate_values(trials, problem.distributions, problem.ordinal, problem.conditions)
    ordered = sorted(trials, key=lambda trial: -estimates[trial.number].mean)
    return Prior("earlier", tuple(t.params for t in ordered), tuple(t.value for t in ordered))


def draw_shifts(problem: Problem, rng: np.random.Generator) -> dict[str, float]:
    """How far each gene is moved, up or down.

    Not those of choices without order, nor of parents, whose children would come and go.
    """
    sizes = rng.uniform(*_SHIFT, len(problem.distributions))
    signs = rng.choice([-1.0, 1.0], len(problem.distributions))
    nominal = unordered(dict(problem.distributions))
    return {
        name: float(size * sign)
        for name, size, sign, choice in zip(
            problem.distributions, sizes, signs, nominal, strict=True
        )
        if name not in _parents(problem) and (name in problem.ordinal or not choice)
    }


def moved(
    params: Mapping[str, Any], problem: Problem, shifts: Mapping[str, float]
) -> dict[str, Any]:
    """Parameters with their genes moved, as far as the ranges go."""
    kinds = problem.distributions
    return {
        name: decode(float(np.clip(encode(value, kinds[name]) + shifts[name], 0, 1)), kinds[name])
        if name in shifts
        else value
        for name, value in params.items()
    }


def as_told(arm: str, earlier: Prior, problem: Problem) -> Prior:
    """The earlier study as an arm is told of it."""
    if arm == "mirrored":
        params = tuple(_mirrored(one, problem) for one in earlier.params)
        return replace(earlier, name=arm, params=params)
    if arm == "negated":
        values = tuple(-value for value in reversed(earlier.values))
        return replace(earlier, name=arm, params=earlier.params[::-1], values=values)
    return earlier


def _mirrored(params: Mapping[str, Any], problem: Problem) -> dict[str, Any]:
    kinds, parents = problem.distributions, _parents(problem)
    return {
        name: value if name in parents else decode(1.0 - encode(value, kinds[name]), kinds[name])
        for name, value in params.items()
    }


def _parents(problem: Problem) -> set[str]:
    return {parent for parents in problem.conditions.values() for parent in parents}


if __name__ == "__main__":
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    quiet()
    sys.stdout.write(main() + "\n")
