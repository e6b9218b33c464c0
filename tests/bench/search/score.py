"""Scaled regret: 0 is the best known value of a problem, 1 a top-10 % random configuration.

What a run has reached after n trials is the noise-free value of that one of the first n results
whose noisy value was best: a lucky trial is not a good one.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from tests.bench.search.problem import Problem
from tests.bench.search.surface import existing, from_genes

REFERENCES = Path(__file__).parent / "tables" / "reference.json"
RANDOM_TRIALS = 100_000
_STEPS = 3000  # of a climb
_RESAMPLES = 2000
_PROBES = 3


@dataclass(frozen=True)
class Reference:
    """The two values that scale a problem's regret.

    Attributes
    ----------
    best : float
        Best known truth.
    good : float
        90th percentile of the truth of random configurations, failing ones left out.
    """

    best: float
    good: float

    def regret(self, truth: float) -> float:
        """0 at the best known value, 1 at a top-10 % random configuration; can exceed 1."""
        return (self.best - truth) / (self.best - self.good)


def search_reference(
    problem: Problem, n_random: int = RANDOM_TRIALS, n_climbs: int = 20
) -> Reference:
    """Reference of a problem from random configurations and hill climbs from the best of them."""
    rng = np.random.default_rng(0)
    genes = rng.random((n_random, len(problem.distributions)))
    truths = np.array([problem.truth(from_genes(row, problem)) for row in genes])
    good = float(np.nanquantile(truths, 0.9))
    order = np.argsort(np.where(np.isnan(truths), -np.inf, truths))[::-1]
    best = max(_climb(problem, genes[index], rng) for index in order[:n_climbs])
    return Reference(best, good)


def _climb(problem: Problem, genes: npt.NDArray[np.float64], rng: np.random.Generator) -> float:
    """Best truth of a hill climb with steps of many sizes, in few or many genes at once."""
    best = problem.truth(from_genes(genes, problem))
    for _ in range(_STEPS):
        size, share = 10 ** rng.uniform(-4, 0), rng.choice([1 / len(genes), 0.3, 1.0])
        step = rng.normal(0.0, size, len(genes)) * (rng.random(len(genes)) < share)
        moved = np.clip(genes + step, 0.0, 1.0)
        truth = problem.truth(from_genes(moved, problem))
        if truth >= best:
            genes, best = moved, truth
    return best


def fingerprint(problem: Problem) -> list[float | None]:
    """Truths at the defaults and a few fixed points: they change when the problem does."""
    rng = np.random.default_rng(1)
    points = [existing(problem.defaults, problem)]
    points += [from_genes(rng.random(len(problem.distributions)), problem) for _ in range(_PROBES)]
    truths = [problem.truth(point) for point in points]
    return [None if math.isnan(truth) else round(truth, 6) for truth in truths]


def references(problems: Iterable[Problem], path: Path = REFERENCES) -> dict[str, Reference]:
    """References of problems, from the committed file.

    Raises
    ------
    ValueError
        If a problem is not in the file, or has changed since.
    """
    known = json.loads(path.read_text()) if path.exists() else {}
    found = {}
    for problem in problems:
        entry = known.get(problem.name)
        if entry is None or not _alike(entry["fingerprint"], fingerprint(problem)):
            raise ValueError(
                f"{path.name} does not know the present {problem.name}; "
                "run python -m tests.bench.search.make_reference"
            )
        found[problem.name] = Reference(entry["best"], entry["q90"])
    return found


def _alike(old: Sequence[float | None], new: Sequence[float | None]) -> bool:
    """Equal but for rounding, which differs a little between machines."""
    pairs = [(a, b) for a, b in zip(old, new, strict=True)]
    return all(
        a is b or (a is not None and b is not None and abs(a - b) < 1e-4 * (1 + abs(a)))
        for a, b in pairs
    )


@dataclass(frozen=True)
class Cell:
    """Mean regret of a sampler at a budget.

    Attributes
    ----------
    mean, low, high : float
        Mean over problems, and its 95 % interval over seeds (percentile bootstrap).
    rank : float
        Mean rank among the samplers of the table, over problems and seeds; 1 is best.
    difference : tuple of float
        Mean, low, high of this sampler's regret less that of the first, seed by seed.
    """

    mean: float
    low: float
    high: float
    rank: float
    difference: tuple[float, float, float]


def cells(regrets: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, Cell]:
    """Compare samplers at one budget.

    Parameters
    ----------
    regrets : mapping of sampler -> array, problems x seeds
        Of equal shape: the same problems and seeds for all.
    """
    stacked = np.stack(list(regrets.values()))
    ranks = rankdata(stacked, axis=0).mean(axis=(1, 2))
    first = next(iter(regrets.values()))
    found = {}
    for (name, regret), rank in zip(regrets.items(), ranks, strict=True):
        low, high = _interval(regret)
        apart = regret - first
        difference = (float(apart.mean()), *_interval(apart))
        found[name] = Cell(float(regret.mean()), low, high, float(rank), difference)
    return found


def _interval(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """95 % interval of the mean over problems, seeds drawn with replacement for each problem."""
    rng = np.random.default_rng(0)
    n_problems, n_seeds = values.shape
    drawn = rng.integers(n_seeds, size=(_RESAMPLES, n_problems, n_seeds))
    means = values[np.arange(n_problems)[:, None], drawn].mean(axis=(1, 2))
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
