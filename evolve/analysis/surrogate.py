"""A surrogate of a search: what an untried configuration is worth, and how sure that is."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from evolve.search.operators.encoding import encode_all, unordered

Floats = NDArray[np.float64]
Params = Mapping[str, Any]

MOST_TRIALS = 400  # time grows with the cube


class Surrogate:
    """A Gaussian process over the genes, Matern 5/2 with noise (Rasmussen and Williams 2006).

    A length scale for each parameter lets one that does not matter drop out. A choice is one
    indicator a value; a parameter that a configuration lacks has the middle of its range and an
    indicator of its absence. Values are of the noise-free function: what a mean over seeds tends
    to, as far as the trials tell.

    Parameters
    ----------
    params : sequence of mapping
        Of the complete trials, at least two.
    values : sequence of float
    space : mapping of name -> distribution
    seed : int
        Of the starts of the fit, and of the 400 trials that are taken of more.
    """

    def __init__(
        self,
        params: Sequence[Params],
        values: Sequence[float],
        space: Mapping[str, BaseDistribution],
        seed: int = 0,
    ) -> None:
        self._space = space
        genes = self._encode(params)
        self._conditional = np.isnan(genes).any(axis=0)
        rows = _some(len(genes), seed)
        points, targets = self._features(genes[rows]), np.asarray(values, dtype=float)[rows]
        fitted = _fit(points, targets, seed)
        noise = fitted.kernel_.k2.noise_level
        self._process = GaussianProcessRegressor(
            fitted.kernel_.k1, alpha=noise, optimizer=None, normalize_y=True
        ).fit(points, targets)

    def predict(self, params: Sequence[Params]) -> Floats:
        """Expected values, (N,)."""
        return np.asarray(self._process.predict(self._features(self._encode(params))))

    def sd(self, params: Sequence[Params]) -> Floats:
        """Standard deviations of the values, (N,)."""
        return np.sqrt(np.maximum(np.diag(self.covariance(params)), 0.0))

    def covariance(self, params: Sequence[Params]) -> Floats:
        """Covariances of the values, (N, N)."""
        points = self._features(self._encode(params))
        return np.asarray(self._process.predict(points, return_cov=True)[1])

    def _encode(self, params: Sequence[Params]) -> Floats:
        return np.stack([encode_all(one, self._space) for one in params])

    def _features(self, genes: Floats) -> Floats:
        """Columns for the kernel from genes (N, D), NaN where a parameter is absent."""
        absent = np.isnan(genes)
        nominal = unordered(self._space)
        columns = [np.where(absent, 0.5, genes)[:, ~nominal], absent[:, self._conditional]]
        for column, distribution in enumerate(self._space.values()):
            if nominal[column]:
                count = len(distribution.choices)  # type: ignore[attr-defined]
                columns.append(genes[:, [column]] == (np.arange(count) + 0.5) / count)
        return np.hstack(columns).astype(np.float64)


def _some(count: int, seed: int) -> NDArray[np.int64]:
    if count <= MOST_TRIALS:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, MOST_TRIALS, replace=False))


def _fit(points: Floats, values: Floats, seed: int) -> GaussianProcessRegressor:
    scales = np.full(points.shape[1], np.sqrt(points.shape[1]) / 2)
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(scales, (0.1, 100.0), nu=2.5)
    process = GaussianProcessRegressor(
        kernel + WhiteKernel(0.1, (1e-4, 2.0)),
        normalize_y=True,
        n_restarts_optimizer=1,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # a length scale at its bound is a parameter that does not matter
        warnings.simplefilter("ignore", ConvergenceWarning)
        return process.fit(points, values)
