"""Tables of real scikit-learn trainings, with a smooth regression between the table's points.

A surrogate benchmark (Eggensperger et al. 2015, "Efficient benchmarking of hyperparameter
optimizers via surrogates"): some hundred random configurations of a learner were trained on
several splits of a bundled data set (`make_tables`). The truth is the mean of a Gaussian process
fitted to the means over the splits; the noise is that of a mean over three splits, smoothed over
the space. Learners and data sets of the two roles are different.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution, CategoricalDistribution

from tests.bench.search.problem import Role
from tests.bench.search.surface import (
    Conditions,
    Surface,
    choice,
    fraction,
    from_genes,
    real,
    whole,
)

FOLDS = 3  # splits that one trial averages over, as in a threefold cross-validation
TABLES = Path(__file__).parent / "tables"

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Study:
    """A learner's space, and the data set that it learns.

    Attributes
    ----------
    name : str
        learner-dataset-dimensions; the table is ``tables/NAME.npz``.
    """

    name: str
    role: Role
    distributions: Mapping[str, BaseDistribution]
    defaults: Mapping[str, Any]
    ordinal: frozenset[str] = frozenset()
    conditions: Conditions = field(default_factory=dict)

    @property
    def dataset(self) -> str:
        """Name of the data set."""
        return self.name.split("-")[1]


SVC = Study(
    "svc-digits-6",
    "tune",
    {
        "kernel": choice("rbf", "poly", "sigmoid"),
        "c": real(1e-3, 1e3, log=True),
        "gamma": real(1e-6, 1e-1, log=True),
        "degree": whole(1, 5),
        "coef0": real(-1.0, 3.0),
        "shrinking": choice(False, True),
    },
    {"kernel": "rbf", "c": 1.0, "gamma": 1e-4, "degree": 3, "coef0": 0.0, "shrinking": True},
    conditions={"degree": {"kernel": ("poly",)}, "coef0": {"kernel": ("poly", "sigmoid")}},
)
FOREST = Study(
    "forest-wine-8",
    "tune",
    {
        "trees": whole(5, 100, log=True),
        "criterion": choice("gini", "entropy"),
        "depth": whole(1, 12),
        "leaf": whole(1, 30, log=True),
        "features": real(0.05, 1.0),
        "balanced": choice(False, True),
        "bootstrap": choice(False, True),
        "samples": real(0.1, 1.0),
    },
    {
        "trees": 20,
        "criterion": "gini",
        "depth": 4,
        "leaf": 5,
        "features": 1.0,
        "balanced": False,
        "bootstrap": True,
        "samples": 0.7,
    },
    conditions={"samples": {"bootstrap": (True,)}},
)
SGD = Study(
    "sgd-digits-9",
    "tune",
    {
        "loss": choice("hinge", "log_loss", "modified_huber"),
        "penalty": choice("l1", "l2", "elasticnet"),
        "l1_ratio": real(0.0, 1.0),
        "alpha": real(1e-6, 1e0, log=True),
        "schedule": choice("constant", "invscaling", "optimal"),
        "eta0": real(1e-4, 1e1, log=True),
        "power": real(0.1, 0.9),
        "epochs": choice(2, 4, 8, 16, 32),
        "average": choice(False, True),
    },
    {
        "loss": "hinge",
        "penalty": "l2",
        "l1_ratio": 0.15,
        "alpha": 1e-2,
        "schedule": "optimal",
        "eta0": 1e-2,
        "power": 0.5,
        "epochs": 8,
        "average": False,
    },
    ordinal=frozenset({"epochs"}),
    conditions={
        "l1_ratio": {"penalty": ("elasticnet",)},
        "eta0": {"schedule": ("constant", "invscaling")},
        "power": {"schedule": ("invscaling",)},
    },
)
MLP = Study(
    "mlp-cancer-10",
    "judge",
    {
        "solver": choice("adam", "sgd"),
        "lr": real(1e-4, 1e0, log=True),
        "momentum": real(0.0, 0.98),
        "alpha": real(1e-6, 1e1, log=True),
        "layers": whole(1, 2),
        "width1": whole(2, 64, log=True),
        "width2": whole(2, 64, log=True),
        "activation": choice("relu", "tanh", "logistic"),
        "batch": choice(8, 16, 32, 64, 128),
        "epochs": whole(2, 30, log=True),
    },
    {
        "solver": "adam",
        "lr": 1e-3,
        "momentum": 0.9,
        "alpha": 1e-4,
        "layers": 1,
        "width1": 16,
        "width2": 16,
        "activation": "relu",
        "batch": 32,
        "epochs": 8,
    },
    ordinal=frozenset({"batch"}),
    conditions={"momentum": {"solver": ("sgd",)}, "width2": {"layers": (2,)}},
)
BOOSTING = Study(
    "boosting-diabetes-8",
    "judge",
    {
        "lr": real(3e-3, 1e0, log=True),
        "stages": whole(5, 150, log=True),
        "depth": whole(1, 5),
        "subsample": real(0.2, 1.0),
        "leaf": whole(1, 50, log=True),
        "features": real(0.1, 1.0),
        "loss": choice("squared_error", "absolute_error", "huber"),
        "alpha": real(0.5, 0.99),
    },
    {
        "lr": 0.1,
        "stages": 100,
        "depth": 3,
        "subsample": 1.0,
        "leaf": 1,
        "features": 1.0,
        "loss": "squared_error",
        "alpha": 0.9,
    },
    conditions={"alpha": {"loss": ("huber",)}},
)
NEIGHBOURS = Study(
    "neighbours-cancer-6",
    "judge",
    {
        "scaler": choice("none", "standard", "minmax", "robust", "quantile"),
        "reducer": choice("none", "pca"),
        "components": whole(1, 20, log=True),
        "k": whole(1, 100, log=True),
        "power": real(0.5, 5.0, log=True),
        "weights": choice("uniform", "distance"),
    },
    {
        "scaler": "none",
        "reducer": "none",
        "components": 5,
        "k": 5,
        "power": 2.0,
        "weights": "uniform",
    },
    conditions={"components": {"reducer": ("pca",)}},
)

STUDIES = (SVC, FOREST, SGD, MLP, BOOSTING, NEIGHBOURS)


def learning_problems() -> list[Surface]:
    """All of them, of both roles."""
    return [_problem(study) for study in STUDIES]


def _problem(study: Study) -> Surface:
    with np.load(TABLES / f"{study.name}.npz") as table:
        arrays = {name: table[name].astype(np.float64) for name in table.files}
    points = features(bare(study), arrays["genes"])
    values = arrays["values"]
    spread = np.log(np.std(values, axis=1, ddof=1) / math.sqrt(FOLDS) + 1e-4)
    noise = float(arrays["noise"])
    truth = _Regression(study.distributions, study.ordinal, points, arrays["lengths"])
    spreads = _Regression(study.distributions, study.ordinal, points, arrays["lengths"])
    means = values.mean(axis=1)
    bounded = Bounded.around(means)
    truth.fit(bounded.unbounded(means), noise)
    # the spread of a few splits is itself known badly: smooth it much more than the value
    spreads.fit(spread, max(noise, 1.0))
    return Surface(
        name=f"learning-{study.name}",
        family="learning",
        role=study.role,
        distributions=study.distributions,
        defaults=study.defaults,
        surface=lambda params: bounded.value(truth(params)),
        noise=lambda params: float(np.exp(spreads(params))),
        ordinal=study.ordinal,
        conditions=study.conditions,
    )


@dataclass(frozen=True)
class Bounded:
    """Logistic link: a regression's answers stay between bounds little wider than the table's.

    Without it a Gaussian process swings beyond a plateau that ends in a cliff, as accuracies do.
    """

    low: float
    high: float

    @classmethod
    def around(cls, values: Array) -> "Bounded":
        """Bounds 1 % of the range beyond the values."""
        margin = 0.01 * float(values.max() - values.min())
        return cls(float(values.min()) - margin, float(values.max()) + margin)

    def unbounded(self, values: Array) -> Array:
        """Log odds of where the values lie between the bounds."""
        odds: Array = np.log((values - self.low) / (self.high - values))
        return odds

    def value(self, log_odds: float) -> float:
        """Value between the bounds."""
        return self.low + (self.high - self.low) / (1.0 + math.exp(-log_odds))


def bare(study: Study) -> Surface:
    """The study's space as a problem without values."""
    return Surface(
        name=study.name,
        family="learning",
        role=study.role,
        distributions=study.distributions,
        defaults=study.defaults,
        surface=lambda _: 0.0,
        noise=0.0,
        ordinal=study.ordinal,
        conditions=study.conditions,
    )


def features(problem: Surface, genes: Array) -> Array:
    """Points of the unit cube as the regression sees them.

    Parameters
    ----------
    genes : array, n x parameters

    Returns
    -------
    array, n x features
        A number, or an ordinal choice, is its fraction of the range; a choice has a column for
        each value; what does not exist lies in the middle.
    """
    rows = [from_genes(row.tolist(), problem) for row in genes]
    return np.array([_feature_row(row, problem.distributions, problem.ordinal) for row in rows])


def _feature_row(
    params: Mapping[str, Any], kinds: Mapping[str, BaseDistribution], ordinal: frozenset[str]
) -> list[float]:
    row: list[float] = []
    for name, kind in kinds.items():
        if not isinstance(kind, CategoricalDistribution):
            row.append(fraction(params[name], kind) if name in params else 0.5)
        elif name in ordinal:
            last = len(kind.choices) - 1
            row.append(kind.choices.index(params[name]) / last if name in params else 0.5)
        else:
            row += [float(name in params and params[name] == one) for one in kind.choices]
    return row


class _Regression:
    """Mean of a Gaussian process with a Matern 5/2 kernel and a length for each feature."""

    def __init__(
        self,
        kinds: Mapping[str, BaseDistribution],
        ordinal: frozenset[str],
        points: Array,
        lengths: Array,
    ) -> None:
        self._row = functools.partial(_feature_row, kinds=kinds, ordinal=ordinal)
        self._lengths = lengths
        self._points = points / lengths
        self._centre = 0.0
        self._weights: Array = np.zeros(len(points))

    def fit(self, values: Array, noise: float) -> None:
        """Solve for the weights; `noise` is its variance, the process's own being 1."""
        self._centre = float(values.mean())
        kernel: Array = np.stack([self._kernel(point) for point in self._points])
        kernel[np.diag_indices_from(kernel)] += noise
        self._weights = np.linalg.solve(kernel, values - self._centre).astype(np.float64)

    def __call__(self, params: Mapping[str, Any]) -> float:
        point = np.array(self._row(params)) / self._lengths
        return self._centre + float(self._kernel(point) @ self._weights)

    def _kernel(self, point: Array) -> Array:
        apart = self._points - point
        distance = np.sqrt(5.0 * np.einsum("ij,ij->i", apart, apart))
        near: Array = (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)
        return near
