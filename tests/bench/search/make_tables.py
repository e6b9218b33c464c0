"""Trains scikit-learn models at random and writes the tables of `problems_learning`.

    python -m tests.bench.search.make_tables [PATTERN]

About seven minutes of one core. Where a table is there already, only the regression is fitted
anew: delete it to train anew. A table holds the genes of its configurations (n x parameters),
the value of each on each split (n x splits), and the lengths and the noise of the Gaussian
process that answers between them. Larger values are better: accuracy, minus log loss, or R2, cut
off below so that a hopeless configuration is no worse than a bad one.
"""

import fnmatch
import functools
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import qmc
from sklearn import datasets, metrics
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler
from sklearn.svm import SVC

from tests.bench.search.problems_learning import (
    STUDIES,
    TABLES,
    Array,
    Bounded,
    Study,
    bare,
    features,
)
from tests.bench.search.surface import from_genes

CONFIGURATIONS, SPLITS = 400, 4
_LEARNT = {"digits": 250, "wine": 110, "cancer": 300, "diabetes": 300}  # examples; the rest test
_LOADERS = {
    "digits": datasets.load_digits,
    "wine": datasets.load_wine,
    "cancer": datasets.load_breast_cancer,
    "diabetes": datasets.load_diabetes,
}

Params = Mapping[str, Any]


def main(pattern: str = "*") -> None:
    """Write the tables whose names match."""
    warnings.filterwarnings("ignore", module="sklearn")
    for study in STUDIES:
        if fnmatch.fnmatchcase(study.name, pattern):
            begun = time.process_time()
            _write(study)
            sys.stderr.write(f"{study.name}: {time.process_time() - begun:.0f} s\n")


def _write(study: Study) -> None:
    problem = bare(study)
    genes = _points(len(study.distributions))
    path = TABLES / f"{study.name}.npz"
    values = _known(path, genes)
    if values is None:
        values = np.array([_measure(study, from_genes(row.tolist(), problem)) for row in genes])
    means = values.mean(axis=1)
    lengths, noise = _process(features(problem, genes), Bounded.around(means).unbounded(means))
    np.savez_compressed(
        path,
        genes=genes.astype(np.float32),
        values=values.astype(np.float32),
        lengths=lengths,
        noise=noise,
    )


def _known(path: Path, genes: Array) -> Array | None:
    """Values of the table that is there, if it has these configurations."""
    if not path.exists():
        return None
    with np.load(path) as table:
        same = np.array_equal(table["genes"], genes.astype(np.float32))
        return table["values"].astype(np.float64) if same else None


def _points(dimension: int) -> Array:
    """Half of them at random, half a Latin hypercube; float32, as they are stored."""
    rng = np.random.default_rng(dimension)
    latin = qmc.LatinHypercube(dimension, rng=rng).random(CONFIGURATIONS // 2)
    points = np.concatenate([rng.random((CONFIGURATIONS - len(latin), dimension)), latin])
    return points.astype(np.float32).astype(np.float64)


def _measure(study: Study, params: Params) -> list[float]:
    """Value on each split; the splits are the same for all configurations."""
    learner = study.name.split("-")[0]
    return [
        _MEASURES[learner](_split(study.dataset, seed), params, seed) for seed in range(SPLITS)
    ]


@functools.cache
def _split(dataset: str, seed: int) -> list[Array]:
    """Training inputs, test inputs, training targets, test targets."""
    inputs, targets = _LOADERS[dataset](return_X_y=True)
    stratify = None if dataset == "diabetes" else targets
    parts: list[Array] = train_test_split(
        inputs, targets, train_size=_LEARNT[dataset], random_state=seed, stratify=stratify
    )
    return parts


def _svc(data: list[Array], p: Params, seed: int) -> float:
    model = SVC(
        kernel=p["kernel"],
        C=p["c"],
        gamma=p["gamma"],
        degree=p.get("degree", 3),
        coef0=p.get("coef0", 0.0),
        shrinking=p["shrinking"],
        max_iter=5000,
    )
    return _accuracy(model, data)


def _forest(data: list[Array], p: Params, seed: int) -> float:
    model = RandomForestClassifier(
        n_estimators=p["trees"],
        criterion=p["criterion"],
        max_depth=p["depth"],
        min_samples_leaf=p["leaf"],
        max_features=p["features"],
        class_weight="balanced" if p["balanced"] else None,
        bootstrap=p["bootstrap"],
        max_samples=p.get("samples"),
        random_state=seed,
    )
    return _minus_log_loss(model, data)


def _sgd(data: list[Array], p: Params, seed: int) -> float:
    model = SGDClassifier(
        loss=p["loss"],
        penalty=p["penalty"],
        l1_ratio=p.get("l1_ratio", 0.15),
        alpha=p["alpha"],
        learning_rate=p["schedule"],
        eta0=p.get("eta0", 0.01),
        power_t=p.get("power", 0.5),
        max_iter=p["epochs"],
        tol=None,
        average=p["average"],
        random_state=seed,
    )
    return _accuracy(make_pipeline(StandardScaler(), model), data)


def _mlp(data: list[Array], p: Params, seed: int) -> float:
    model = MLPClassifier(
        hidden_layer_sizes=tuple(p[f"width{i + 1}"] for i in range(p["layers"])),
        solver=p["solver"],
        learning_rate_init=p["lr"],
        momentum=p.get("momentum", 0.9),
        alpha=p["alpha"],
        activation=p["activation"],
        batch_size=p["batch"],
        max_iter=p["epochs"],
        tol=0.0,
        n_iter_no_change=100,
        random_state=seed,
    )
    return _minus_log_loss(make_pipeline(StandardScaler(), model), data)


def _boosting(data: list[Array], p: Params, seed: int) -> float:
    model = GradientBoostingRegressor(
        learning_rate=p["lr"],
        n_estimators=p["stages"],
        max_depth=p["depth"],
        subsample=p["subsample"],
        min_samples_leaf=p["leaf"],
        max_features=p["features"],
        loss=p["loss"],
        alpha=p.get("alpha", 0.9),
        random_state=seed,
    )
    x, x_test, y, y_test = data
    return max(float(metrics.r2_score(y_test, model.fit(x, y).predict(x_test))), -0.3)


def _neighbours(data: list[Array], p: Params, seed: int) -> float:
    scalers = {
        "none": "passthrough",
        "standard": StandardScaler(),
        "minmax": MinMaxScaler(),
        "robust": RobustScaler(),
        "quantile": QuantileTransformer(n_quantiles=50),
    }
    reducer = PCA(p["components"], random_state=0) if p["reducer"] == "pca" else "passthrough"
    model = KNeighborsClassifier(p["k"], p=p["power"], weights=p["weights"])
    return _minus_log_loss(make_pipeline(scalers[p["scaler"]], reducer, model), data)


_MEASURES: dict[str, Callable[[list[Array], Params, int], float]] = {
    "svc": _svc,
    "forest": _forest,
    "sgd": _sgd,
    "mlp": _mlp,
    "boosting": _boosting,
    "neighbours": _neighbours,
}


def _accuracy(model: Any, data: list[Array]) -> float:
    x, x_test, y, y_test = data
    return float(model.fit(x, y).score(x_test, y_test))


def _minus_log_loss(model: Any, data: list[Array]) -> float:
    """At least -1; probabilities are kept from 0 and 1, as one example should not decide."""
    x, x_test, y, y_test = data
    chance = np.clip(model.fit(x, y).predict_proba(x_test), 0.01, 0.99)
    loss = metrics.log_loss(y_test, chance / chance.sum(axis=1, keepdims=True))
    return max(-float(loss), -1.0)


def _process(points: Array, values: Array) -> tuple[Array, float]:
    """Lengths of a Gaussian process, and its noise variance in units of its own variance."""
    scaled = (values - values.mean()) / values.std()
    matern = Matern(np.ones(points.shape[1]), (0.15, 50.0), nu=2.5)
    kernel = ConstantKernel(1.0) * matern + WhiteKernel(0.1, (1e-2, 1.0))
    fitted = GaussianProcessRegressor(kernel, random_state=0).fit(points, scaled).kernel_
    lengths: Array = fitted.k1.k2.length_scale
    return lengths, float(fitted.k2.noise_level / fitted.k1.k1.constant_value)


if __name__ == "__main__":
    main(*sys.argv[1:])
