"""A surrogate of a search: what an untried configuration is worth, and how sure that is."""

import math
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from scipy.linalg import LinAlgError, cholesky
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from evolve.search.operators.encoding import encode_all, unordered

if TYPE_CHECKING:
    from sklearn.gaussian_process import GaussianProcessRegressor

Floats = NDArray[np.float64]
Params = Mapping[str, Any]

MOST_TRIALS = 400  # time grows with the cube

_JITTER = 1e-10  # scikit-learn's


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
        from sklearn.gaussian_process import GaussianProcessRegressor

        self._space = space
        self._conditional = np.array([any(n not in one for one in params) for n in space])
        rows = _some(len(params), seed)
        points = self._features(self._encode([params[row] for row in rows]))
        targets = np.asarray(values, dtype=float)[rows]
        fitted = _fit(points, targets, seed, quickly=len(rows) < len(params))
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


def _fit(
    points: Floats, values: Floats, seed: int, *, quickly: bool
) -> "GaussianProcessRegressor":
    """Process of the greatest likelihood; `quickly` is worth it with hundreds of points alone."""
    # half a second, which who finds the path stored is spared
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    scales = np.full(points.shape[1], np.sqrt(points.shape[1]) / 2)
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(scales, (0.1, 100.0), nu=2.5)
    process = GaussianProcessRegressor(
        kernel + WhiteKernel(0.1, (1e-4, 2.0)),
        optimizer=partial(_optimum, points, values) if quickly else "fmin_l_bfgs_b",
        normalize_y=True,
        n_restarts_optimizer=1,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # a length scale at its bound is a parameter that does not matter
        warnings.simplefilter("ignore", ConvergenceWarning)
        return process.fit(points, values)


def _optimum(
    points: Floats, values: Floats, _given: Any, start: Floats, bounds: Floats
) -> tuple[Floats, float]:
    """Hyperparameters of the greatest likelihood, as scikit-learn asks an optimizer for them."""
    targets = (values - values.mean()) / (values.std() or 1.0)
    found = minimize(_misfit, start, (points, targets), method="L-BFGS-B", jac=True, bounds=bounds)
    return found.x, float(found.fun)


def _misfit(theta: Floats, points: Floats, targets: Floats) -> tuple[float, Floats]:
    """Negative log likelihood and its gradient, by a tenth of the work of scikit-learn's.

    That makes a matrix of derivatives for each parameter; their sums are products of matrices.

    Parameters
    ----------
    theta : ndarray
        Logarithms of the signal's variance, of a length scale for each column, and of the noise's
        variance.
    points, targets : ndarray, shapes (N, D) and (N,)

    References
    ----------
    Rasmussen and Williams 2006, equations 2.30, 4.17 and 5.9.
    """
    signal, lengths, noise = math.exp(theta[0]), np.exp(theta[1:-1]), math.exp(theta[-1])
    scaled = points / lengths
    distance = math.sqrt(5) * cdist(scaled, scaled)
    decay = signal * np.exp(-distance)
    smooth = (1 + distance + distance**2 / 3) * decay
    covariance = smooth + (noise + _JITTER) * np.eye(len(points))
    try:
        factor = cholesky(covariance, lower=True)
    except LinAlgError:
        return math.inf, np.zeros_like(theta)
    half = np.tril(dpotri(factor, lower=1)[0])
    inverse = half + np.tril(half, -1).T
    weights = inverse @ targets
    pull = np.outer(weights, weights) - inverse
    slopes = pull * (5 / 3 * (1 + distance) * decay)
    # the sum of slopes * (difference of two points) ** 2, half of it
    stretched = slopes.sum(axis=1) @ scaled**2 - ((slopes @ scaled) * scaled).sum(axis=0)
    likelihood = -0.5 * targets @ weights - np.log(np.diag(factor)).sum()
    likelihood -= 0.5 * len(points) * math.log(2 * math.pi)
    gradient = np.array([(pull * smooth).sum() / 2, *stretched, noise * np.trace(pull) / 2])
    return -float(likelihood), -gradient
