"""Search benchmark: ``python -m tests.bench.search --samplers evolve,tpe,random``.

Prints a Markdown table of the mean regret (see `score`) with 95 % intervals over seeds, average
ranks, and the difference to the first sampler. With ``--out FILE`` each run becomes a line of
that file, and runs already there are not repeated: delete those of a sampler that has changed.
"""

import argparse
import dataclasses
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from evolve.engine.schedulers import SCHEDULERS
from tests.bench.search.peers import LONGEST, builder, knows_budget
from tests.bench.search.problem import Problem
from tests.bench.search.run import Job, Record, quiet, run
from tests.bench.search.score import references
from tests.bench.search.suite import problems
from tests.bench.search.tabulate import listing, tabulate


def main(arguments: Sequence[str] | None = None) -> str:
    """Run what is missing and give the table."""
    options = _options(arguments)
    if options.list:
        return listing(problems(None, options.family, options.problems))
    samplers = options.samplers.split(",")
    budgets = sorted(int(budget) for budget in options.budgets.split(","))
    for name in samplers:
        builder(name)
    chosen = problems(options.role, options.family, options.problems)
    known = references(chosen)
    alike = Job("", "", 0, options.workers, 0, options.scheduler)
    jobs = _jobs(samplers, chosen, options.seeds, alike, budgets)
    records = _all(jobs, options.out, options.jobs)
    return tabulate(records, samplers, chosen, known, budgets)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.search")
    parser.add_argument("--samplers", default="evolve,tpe,random", help="names, by commas")
    parser.add_argument("--list", action="store_true", help="list the problems of both roles")
    parser.add_argument("--role", choices=["tune", "judge"], default="tune")
    parser.add_argument("--family", help="smooth, learning, mixed, detector or recorded")
    parser.add_argument("--problems", default="*", help="pattern of names")
    parser.add_argument("--budgets", default="30,100,300", help="trials, by commas")
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 0")
    parser.add_argument("--workers", type=int, default=1, help="trials out at once")
    parser.add_argument("--scheduler", choices=sorted(SCHEDULERS), default="none",
                        help="what stops trials early, on learning curves")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, help="file of results, one a line, that is extended")
    return parser.parse_args(arguments)


def _jobs(
    samplers: Sequence[str],
    chosen: Sequence[Problem],
    n_seeds: int,
    alike: Job,
    budgets: Sequence[int],
) -> list[Job]:
    """Seed by seed, so that an interrupted benchmark has all problems of some seeds."""
    return [
        dataclasses.replace(alike, sampler=sampler, problem=problem.name, seed=seed, budget=budget)
        for seed in range(n_seeds)
        for problem in chosen
        for sampler in samplers
        for budget in _budgets(sampler, budgets)
    ]


def _budgets(sampler: str, budgets: Sequence[int]) -> list[int]:
    """Lengths of a sampler's runs: one run serves all budgets of one that plans for none."""
    served = [budget for budget in budgets if budget <= LONGEST.get(sampler, budget)]
    return served if knows_budget(sampler) else served[-1:]


def _all(jobs: Sequence[Job], out: Path | None, processes: int) -> list[Record]:
    """Records of the jobs, those in the file and those run now."""
    done = {record.job: record for record in _read(out)}
    missing = [job for job in jobs if job not in done]
    begun = time.monotonic()
    for count, record in enumerate(_run(missing, processes), 1):
        done[record.job] = record
        if out is not None:
            with out.open("a") as file:
                file.write(json.dumps(dataclasses.asdict(record)) + "\n")
        left = (time.monotonic() - begun) / count * (len(missing) - count)
        sys.stderr.write(f"\r{count}/{len(missing)} runs, {left:.0f} s left  ")
    sys.stderr.write("\n" if missing else "")
    return [done[job] for job in jobs]


def _read(out: Path | None) -> Iterator[Record]:
    if out is None or not out.exists():
        return
    for line in out.read_text().splitlines():
        entry = json.loads(line)
        entry["job"] = Job(**entry["job"])
        entry["chosen"] = tuple((n, truth) for n, truth in entry["chosen"])
        yield Record(**entry)


def _run(jobs: Sequence[Job], processes: int) -> Iterable[Record]:
    if processes == 1 or len(jobs) < 2:
        return map(run, jobs)
    return _pooled(jobs, processes)


def _pooled(jobs: Sequence[Job], processes: int) -> Iterator[Record]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, initializer=quiet) as pool:
        yield from pool.imap_unordered(run, jobs, chunksize=1)


if __name__ == "__main__":
    # one thread a process: the samplers' matrices are small, and processes share the cores
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    quiet()
    sys.stdout.write(main() + "\n")
