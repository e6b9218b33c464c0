"""Records of runs -> Markdown tables."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tests.bench.search.peers import knows_budget
from tests.bench.search.problem import Problem
from tests.bench.search.run import Record
from tests.bench.search.score import Cell, Reference, cells


def tabulate(
    records: Sequence[Record],
    samplers: Sequence[str],
    problems: Sequence[Problem],
    known: Mapping[str, Reference],
    budgets: Sequence[int],
) -> str:
    """Tables of all problems and of each family, and the time of each sampler."""
    parts = []
    for family in (None, *dict.fromkeys(problem.family for problem in problems)):
        some = [problem.name for problem in problems if family in (None, problem.family)]
        title = f"### {family or 'all'} ({len(some)} problems)"
        columns = [_column(records, samplers, some, known, budget) for budget in budgets]
        parts.append(title + "\n\n" + _table(samplers, budgets, columns))
    return "\n\n".join([*parts, _times(records, samplers)])


def listing(problems: Sequence[Problem]) -> str:
    """Table of the problems: which are for tuning, and which for judging."""
    lines = ["| problem | family | role | parameters | conditional |", "|---|---|---|---|---|"]
    for one in problems:
        sizes = f"{len(one.distributions)} | {len(one.conditions)}"
        lines.append(f"| {one.name} | {one.family} | {one.role} | {sizes} |")
    return "\n".join(lines)


def _column(
    records: Iterable[Record],
    samplers: Sequence[str],
    names: Sequence[str],
    known: Mapping[str, Reference],
    budget: int,
) -> dict[str, Cell]:
    """Cells of one budget; a sampler without a run of that many trials has none."""
    found: dict[str, dict[tuple[str, int], float]] = {sampler: {} for sampler in samplers}
    seeds = set()
    for record in records:
        job = record.job
        if job.problem in names and _serves(record, budget):
            regret = known[job.problem].regret(record.truth(budget))
            found[job.sampler][job.problem, job.seed] = regret
            seeds.add(job.seed)
    return cells(
        {s: _array(values, names, sorted(seeds)) for s, values in found.items() if values}
    )


def _serves(record: Record, budget: int) -> bool:
    job = record.job
    return job.budget == budget or (job.budget > budget and not knows_budget(job.sampler))


def _array(
    values: Mapping[tuple[str, int], float], names: Sequence[str], seeds: Sequence[int]
) -> npt.NDArray[np.float64]:
    return np.array([[values[name, seed] for seed in seeds] for name in names])


def _table(
    samplers: Sequence[str], budgets: Sequence[int], columns: Sequence[Mapping[str, Cell]]
) -> str:
    heads = [f"{n}: regret | rank | less {samplers[0]}" for n in budgets]
    lines = ["| sampler | " + " | ".join(heads) + " |", "|---" * (1 + 3 * len(budgets)) + "|"]
    for sampler in samplers:
        cell = [_cell(column.get(sampler)) for column in columns]
        lines.append(f"| {sampler} | " + " | ".join(cell) + " |")
    return "\n".join(lines)


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "- | - | -"
    mean, low, high = cell.difference
    return (
        f"{cell.mean:.3f} [{cell.low:.3f}, {cell.high:.3f}] | {cell.rank:.2f} | "
        f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
    )


def _times(records: Sequence[Record], samplers: Sequence[str]) -> str:
    lines = []
    for sampler in samplers:
        longest = max(r.job.budget for r in records if r.job.sampler == sampler)
        some = [r.seconds for r in records if r.job.sampler == sampler]
        lines.append(f"{sampler} {1e3 * float(np.mean(some)):.1f} ms ({longest} trials)")
    return "Ask and tell of one trial: " + ", ".join(lines) + "."
