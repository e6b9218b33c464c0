"""Fit the regressions that replay a recorded study, say how good they are, and store them.

Run: ``python -m tests.bench.search.fit_recordings STUDY FILE`` on what `record_detector` wrote.
It stores the trainings compressed and the fit as numbers, so that a replay fits nothing.
"""

import argparse
import gzip
import json
import logging
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import spearmanr

from tests.bench.search.recorded import (
    EARLY_OFFSET,
    FOLDER,
    Array,
    Kernel,
    axes,
    noise_sd,
    unordered_axes,
)
from tests.bench.search.recorded_studies import METRIC, STOP_EPOCH, STUDIES, Study

log = logging.getLogger(__name__)

STARTS = 4  # of the search for hyperparameters
FOLDS = 10
BANDWIDTH = 0.15  # of the noise as a function of the value, as a part of the values' range
JITTER = 1e-8

Row = dict[str, Any]


@dataclass(frozen=True)
class Data:
    """What a Gaussian process is fitted to: points (N, D), values (N,), noise (N,), axes' kinds.

    The noise is relative: standard deviations up to one factor, which is fitted.
    """

    points: Array
    values: Array
    noise: Array
    unordered: NDArray[np.bool_]

    def part(self, keep: NDArray[np.bool_]) -> "Data":
        """Some of the trainings."""
        return Data(self.points[keep], self.values[keep], self.noise[keep], self.unordered)


@dataclass(frozen=True)
class Fit:
    """Hyperparameters, found as the most probable ones, and the weights that follow.

    Attributes
    ----------
    kernel : Kernel
    variance, noise : float
        Of the joint effect, and the factor of the noise's standard deviation.
    mean : float
    weights : array, shape (N,)
    precision : array, shape (N, N)
        Inverse of the values' covariance, up to a factor that is in the weights, too.
    """

    kernel: Kernel
    variance: float
    noise: float
    mean: float
    weights: Array
    precision: Array

    def at(self, data: Data, points: Array) -> Array:
        """Predictions (M,) at points (M, D)."""
        return self.mean + self.kernel(points, data.points) @ (self.variance * self.weights)

    def to_dict(self) -> dict[str, Any]:
        """What a replay needs."""
        return {
            "inverse_lengths": self.kernel.inverse_lengths.tolist(),
            "main": self.kernel.main,
            "weights": (self.variance * self.weights).tolist(),
            "mean": self.mean,
            "noise": self.noise,
        }


def fit(data: Data, starts: int = STARTS) -> Fit:
    """The most probable Gaussian process, from a few starts."""
    center, spread = float(data.values.mean()), float(data.values.std())
    scaled = (data.values - center) / spread
    bounds = [(-3.0, 4.0)] * data.points.shape[1] + [
        (-3.0, 3.0),
        (-3.0, 3.0),
        (-5.0, 1.0),
        (-3, 3),
    ]
    found = [minimize(_surprise, start, (data, scaled), "L-BFGS-B", bounds=bounds)
             for start in _starts(data.points.shape[1], starts)]  # fmt: skip
    theta = _Theta.of(min(found, key=lambda one: float(one.fun)).x, data)
    precision = np.asarray(np.linalg.inv(theta.covariance(data)), np.float64)
    weights: Array = precision @ (scaled - theta.mean) * spread
    mean = center + spread * theta.mean
    return Fit(theta.kernel, theta.joint, theta.noise * spread, mean, weights, precision)


def _starts(dimension: int, count: int) -> Array:
    """Starts (S, D + 4): logarithms of lengths, joint and main scale and noise, and the mean."""
    starts = np.random.default_rng(0).normal(0.5, 0.5, (count, dimension + 4))
    starts[:, -4:] = 0.0, 0.0, -1.0, 0.0
    return starts


@dataclass(frozen=True)
class _Theta:
    """Hyperparameters for values of mean 0 and variance 1."""

    kernel: Kernel
    joint: float
    noise: float
    mean: float

    @classmethod
    def of(cls, theta: Array, data: Data) -> "_Theta":
        *lengths, joint, main, noise, mean = theta
        kernel = Kernel(data.unordered, np.exp(-np.array(lengths)), np.exp(2 * (main - joint)))
        return cls(kernel, np.exp(2 * joint), np.exp(noise), float(mean))

    def covariance(self, data: Data) -> Array:
        noise = (self.noise * data.noise) ** 2 + JITTER
        return self.joint * self.kernel(data.points, data.points) + np.diag(noise)


def _surprise(theta: Array, data: Data, scaled: Array) -> float:
    """Negative log posterior; a priori an axis has little to say, with a length of e."""
    lengths, (joint, main, noise, mean) = theta[:-4], theta[-4:]
    root = np.linalg.cholesky(_Theta.of(theta, data).covariance(data))
    rest = np.linalg.solve(root, scaled - mean)
    prior = (((lengths - 1) / 0.8) ** 2).sum() + joint**2 + main**2
    prior += ((noise + 1) / 1.5) ** 2 + mean**2
    return float(rest @ rest / 2 + np.log(np.diag(root)).sum() + prior / 2)


def left_out(fitted: Fit, data: Data, groups: NDArray[np.int64]) -> Array:
    """Prediction (N,) of each training from those of other configurations, same hyperparameters.

    Rasmussen and Williams 2006, section 5.4.2, for blocks.
    """
    found = data.values.copy()
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        found[own] -= np.linalg.solve(fitted.precision[np.ix_(own, own)], fitted.weights[own])
    return found


def held_out(data: Data, groups: NDArray[np.int64]) -> Array:
    """Prediction (N,) of each training by a fit, hyperparameters and all, without its fold."""
    names = np.unique(groups)
    folds = np.random.default_rng(0).permutation(len(names)) % FOLDS
    fold_of = folds[np.searchsorted(names, groups)]
    found = np.empty(len(groups))
    for fold in range(FOLDS):
        part = data.part(fold_of != fold)
        found[fold_of == fold] = fit(part, starts=2).at(part, data.points[fold_of == fold])
    return found


def residuals_of(rows: list[Row]) -> tuple[Array, Array]:
    """Means (M,) and residuals (M,) of trainings of repeated configurations.

    Residuals are enlarged by what a mean of so few takes away.
    """
    by_group: dict[int, list[float]] = {}
    for row in rows:
        by_group.setdefault(_group(row), []).append(row[METRIC])
    repeated = [np.array(values) for values in by_group.values() if len(values) > 1]
    means = np.concatenate([np.full(len(values), values.mean()) for values in repeated])
    rest = [(v - v.mean()) * np.sqrt(len(v) / (len(v) - 1)) for v in repeated]
    return means, np.concatenate(rest)


def _group(row: Row) -> int:
    """The first training of the same configuration."""
    return int(row["index"] if row["of"] is None else row["of"])


def fit_noise(rows: list[Row]) -> dict[str, Any]:
    """How the noise follows from the value, and residuals as parts of it."""
    means, residuals = residuals_of(rows)
    values = [row[METRIC] for row in rows]
    width = BANDWIDTH * (max(values) - min(values))
    noise: dict[str, Any] = {"means": means.tolist(), "squares": (residuals**2).tolist()}
    noise["width"] = width
    spread = [noise_sd(noise, float(mean)) for mean in means]
    return noise | {"residuals": (residuals / spread).tolist()}


def fit_early(study: Study, rows: list[Row], level: Array) -> dict[str, Any]:
    """Logarithm of the early value where ASHA asks, and how it goes with luck at the end.

    Parameters
    ----------
    rows : list of dict
        Trainings that did not fail, N of them.
    level : array, shape (N,)
        What the regression on final values says of each.
    """
    seen = np.array([row["early"][str(STOP_EPOCH)] for row in rows])
    values = np.log(seen + EARLY_OFFSET)
    data = _data(study, rows, values)
    fitted = fit(data)
    groups = np.array([_group(row) for row in rows])
    rest = values - fitted.at(data, data.points)
    luck = np.array([row[METRIC] for row in rows]) - level
    follows = float((rest * luck).sum() / (luck**2).sum())
    noise = math.sqrt(max(fitted.noise**2 - follows**2 * float(np.mean(luck**2)), 0.0))
    quality = scores(values, held_out(data, groups))
    return fitted.to_dict() | {"follows": follows, "noise": noise, "quality": quality}


def fit_failure(study: Study, rows: list[Row]) -> tuple[dict[str, Any], Array]:
    """Log odds of a failure, and those (N,) of every training from other configurations.

    Least squares on labels of -1 and 1; a logistic curve through predictions of left-out
    trainings then makes odds of them.
    """
    failed = np.array([METRIC not in row for row in rows])
    data = _data(study, rows, np.where(failed, 1.0, -1.0))
    fitted = fit(data)
    score = left_out(fitted, data, np.array([_group(row) for row in rows]))
    offset, slope = _logistic(score, failed)
    stored = fitted.to_dict()
    stored["mean"] = offset + slope * stored["mean"]
    stored["weights"] = [slope * weight for weight in stored["weights"]]
    return stored, offset + slope * score


def _logistic(score: Array, failed: NDArray[np.bool_]) -> tuple[float, float]:
    """Offset and slope of the log odds; a prior keeps them finite if no score is wrong."""
    sign = np.where(failed, 1.0, -1.0)

    def surprise(line: Array) -> float:
        loss = np.logaddexp(0.0, -sign * (line[0] + line[1] * score)).sum()
        return float(loss + (line[0] ** 2 + (line[1] / 6) ** 2) / 2)

    offset, slope = minimize(surprise, np.array([0.0, 3.0])).x
    return float(offset), float(slope)


def _data(study: Study, rows: list[Row], values: Array, noise: Array | None = None) -> Data:
    points = np.stack([axes(study, row["params"]) for row in rows])
    noise = np.ones(len(rows)) if noise is None else noise / np.sqrt(np.mean(noise**2))
    return Data(points, values, noise, unordered_axes(study))


def fit_study(study: Study, rows: list[Row]) -> dict[str, Any]:
    """All that a replay of that study needs, and how good it is."""
    well = [row for row in rows if METRIC in row]
    values, groups = np.array([r[METRIC] for r in well]), np.array([_group(r) for r in well])
    noise = fit_noise(well)
    first = fit(_data(study, well, values))
    level = first.at(_data(study, well, values), _data(study, well, values).points)
    data = _data(study, well, values, np.array([noise_sd(noise, float(v)) for v in level]))
    fitted = fit(data)
    failure, log_odds = fit_failure(study, rows)
    early = fit_early(study, well, fitted.at(data, data.points))
    quality = {
        "trainings": len(rows),
        "failed": len(rows) - len(well),
        "cpu_s": float(np.mean([row["cpu_s"] for row in rows])),
        "left_out": scores(values, left_out(fitted, data, groups)),
        "held_out": scores(values, held_out(data, groups)),
        "noise_sd": float(np.sqrt(np.mean(noise["squares"]))),
        "failure_accuracy": float(np.mean((log_odds > 0) == [METRIC not in r for r in rows])),
    }
    return {
        "value": fitted.to_dict(),
        "early": early,
        "failure": failure,
        "noise": noise,
        "quality": quality,
    }


def scores(values: Array, predicted: Array) -> dict[str, float]:
    """How well predictions tell values: R2, rank correlation, and the latter of the best 40 %."""
    rest = ((values - predicted) ** 2).sum() / ((values - values.mean()) ** 2).sum()
    best = values > np.quantile(values, 0.6)
    return {
        "r2": float(1 - rest),
        "rank": float(spearmanr(values, predicted)[0]),
        "rank_of_best": float(spearmanr(values[best], predicted[best])[0]),
    }


def store(study: Study, rows: list[Row], fitted: dict[str, Any]) -> None:
    """Write the trainings and the fit beside each other; equal input gives equal bytes."""
    FOLDER.mkdir(exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    (FOLDER / f"{study.name}.jsonl.gz").write_bytes(gzip.compress(lines, mtime=0))
    text = json.dumps(fitted, separators=(",", ":"), sort_keys=True)
    (FOLDER / f"{study.name}.fit.json").write_text(text + "\n")


def main(arguments: list[str]) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=sorted(STUDIES))
    parser.add_argument("file", type=Path)
    given = parser.parse_args(arguments)
    study = STUDIES[given.study]
    rows = [json.loads(line) for line in given.file.read_text().splitlines()]
    fitted = fit_study(study, rows)
    store(study, rows, fitted)
    log.info("%s %s", study.name, json.dumps(fitted["quality"], indent=1))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(sys.argv[1:])
