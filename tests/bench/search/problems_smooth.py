"""BBOB functions (Hansen et al. 2009) as hyperparameter surfaces: scaled, bounded, noisy.

The functions come from the package ioh. Most are smooth and a few have many optima, as responses
to hyperparameters are. Each is stretched over linear, logarithmic and whole-number ranges, and
its value squashed, so that noise of one size means something both far from and near the optimum:
``-log(1 + (f - f_opt) / s) / log(1 + m / s)`` with m and s the median and the best 1 % of random
points; 0 is the optimum and -1 a random point of the median.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution

from tests.bench.search.problem import Role
from tests.bench.search.surface import Surface, at, fraction, real, whole

NOISE = (0.05, 0.075, 0.1)  # in turn, of the spread between a random point and the optimum
_RANGES = (
    real(0.0, 1.0),
    real(1e-5, 1e-1, log=True),
    whole(1, 40),
    real(-2.0, 2.0),
    real(0.3, 3.0, log=True),
    whole(4, 512, log=True),
)

# name, function, dimensions; no function, nor another variant of it, has both roles
_TUNE = (
    ("sphere", 1, 6),
    ("rastrigin", 3, 5),
    ("step-ellipsoid", 7, 8),
    ("rosenbrock", 8, 10),
    ("discus", 11, 12),
    ("bent-cigar", 12, 20),
    ("rastrigin-rotated", 15, 7),
    ("schwefel", 20, 4),
)
_JUDGE = (
    ("ellipsoid", 2, 8),
    ("slope", 5, 20),
    ("attractive-sector", 6, 10),
    ("ellipsoid-rotated", 10, 12),
    ("sharp-ridge", 13, 16),
    ("different-powers", 14, 5),
    ("schaffers", 17, 6),
    ("gallagher", 21, 4),
)


def smooth_problems() -> list[Surface]:
    """All of them, of both roles."""
    tune = [_problem(index, "tune", *entry) for index, entry in enumerate(_TUNE)]
    return tune + [_problem(index, "judge", *entry) for index, entry in enumerate(_JUDGE)]


def _problem(index: int, role: Role, label: str, function: int, dimension: int) -> Surface:
    kinds = [_RANGES[(index + axis) % len(_RANGES)] for axis in range(dimension)]
    distributions = {f"x{axis}.{_suffix(kind)}": kind for axis, kind in enumerate(kinds)}
    squashed = _Squashed(function, dimension, distributions)
    return Surface(
        name=f"smooth-{label}-{dimension}",
        family="smooth",
        role=role,
        distributions=distributions,
        defaults=squashed.upper_quartile(),
        surface=squashed,
        noise=NOISE[index % len(NOISE)],
    )


class _Squashed:
    """A BBOB function of parameters, squashed to 0 at its optimum."""

    def __init__(
        self, function: int, dimension: int, distributions: Mapping[str, BaseDistribution]
    ) -> None:
        import ioh

        self._kinds = distributions
        self._function = ioh.get_problem(
            function, instance=1, dimension=dimension, problem_class=ioh.ProblemClass.BBOB
        )
        self._optimum = self._function.optimum.y
        points = np.random.default_rng((function, dimension)).random((400, dimension))
        self._points = [self._params(genes) for genes in points]
        excess = np.array([self._excess(params) for params in self._points])
        self._scale = float(np.quantile(excess, 0.01))
        self._unit = math.log1p(float(np.median(excess)) / self._scale)

    def __call__(self, params: Mapping[str, Any]) -> float:
        return -math.log1p(self._excess(params) / self._scale) / self._unit

    def upper_quartile(self) -> dict[str, Any]:
        """Parameters better than three of four random ones: what an informed guess is worth."""
        some = sorted(self._points[:25], key=self)
        return some[round(0.75 * (len(some) - 1))]

    def _params(self, genes: np.ndarray) -> dict[str, Any]:
        return {
            n: at(float(g), kind) for g, (n, kind) in zip(genes, self._kinds.items(), strict=True)
        }

    def _excess(self, params: Mapping[str, Any]) -> float:
        point = [10 * fraction(params[n], kind) - 5 for n, kind in self._kinds.items()]
        return max(float(self._function(point)) - self._optimum, 0.0)


def _suffix(kind: BaseDistribution) -> str:
    return "log" if getattr(kind, "log", False) else "lin"
