"""Hypervolume on a known two-objective problem: ours, Optuna's NSGA-II and random search.

ZDT1 with 6 variables (Zitzler, Deb, Thiele, "Comparison of multiobjective evolutionary
algorithms: empirical results", Evolutionary Computation 8 (2000)): both objectives are minimised,
the true front is f2 = 1 - sqrt(f1) on [0, 1]. Areas are measured from the corner (1.1, 6), beyond
which few random points lie, as a share of what the true front covers: 1.1 * 6 - 1/3 = 6.27.

    python -m tests.bench.bench_front [--trials 100] [--seeds 5]
"""

import argparse
import time

import numpy as np
import optuna
from optuna.distributions import FloatDistribution

from evolve.analysis.front import Reference, as_points, hypervolume
from evolve.search.genetic import GeneticSampler

VARIABLES = 6
SPACE = {f"x{index}": FloatDistribution(0.0, 1.0) for index in range(VARIABLES)}
CORNER = Reference(-6.0, 1.1)  # of -f2, which is raised, and of f1
MARKS = (30, 60, 100)


def zdt1(x):
    """The two values, both minimised."""
    g = 1.0 + 9.0 * float(np.mean(x[1:]))
    return x[0], g * (1.0 - np.sqrt(x[0] / g))


def best_area():
    """Hypervolume of the true front, by a fine sum."""
    f1 = np.linspace(0.0, 1.0, 200_001)
    return hypervolume(as_points(list(zip(np.sqrt(f1) - 1.0, f1, strict=True))), CORNER)


SAMPLERS = {
    "genetic": lambda seed: GeneticSampler(seed=seed, search_space=SPACE),
    "paper": lambda seed: GeneticSampler(seed=seed, search_space=SPACE, variant="paper"),
    "nsga2": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}


def run(name, seed, trials):
    """Hypervolumes at the marks, as a share of that of the true front."""
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=SAMPLERS[name](seed))
    pairs = []
    for _ in range(trials):
        trial = study.ask(SPACE)
        f1, f2 = zdt1([trial.params[key] for key in SPACE])
        study.tell(trial, [f1, f2])
        pairs.append((-f2, f1))
    whole = best_area()
    return [hypervolume(as_points(pairs[:mark]), CORNER) / whole for mark in _marks(trials)]


def _marks(trials):
    return [mark for mark in MARKS if mark < trials] + [trials]


def main():
    """Print a line a sampler: mean and standard deviation over the seeds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samplers", default=",".join(SAMPLERS), help="names with commas")
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    names = [name for name in SAMPLERS if name in asked.samplers.split(",")]
    marks = "".join(f"{mark:>16} trials" for mark in _marks(asked.trials))
    print(f"ZDT1, {VARIABLES} variables, share of the hypervolume\n{'':<16}{marks}")  # noqa: T201
    for name in names:
        began = time.process_time()
        found = np.array([run(name, seed, asked.trials) for seed in range(asked.seeds)])
        spent = (time.process_time() - began) / asked.seeds
        cells = "".join(
            f"{mean:>15.3f} ± {sd:.3f}"
            for mean, sd in zip(found.mean(axis=0), found.std(axis=0, ddof=1), strict=True)
        )
        print(f"{name:<16}{cells}   {spent:.1f} s each", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
