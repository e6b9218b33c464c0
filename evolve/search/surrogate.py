"""A Gaussian process over genomes: what a child may be worth, and how sure that is."""

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import lapack
from scipy.linalg.blas import strsm
from scipy.optimize import minimize

from evolve.search.genome import Genes, Mask

_JITTER = 1e-6
_ROUNDED = 1e-4  # more than single precision loses in a variance


class Hyper(NamedTuple):
    """What the process was fitted to.

    Attributes
    ----------
    weights : ndarray, shape (D,)
        Inverse length scale of each gene.
    variance : float
        Of the function, in units of the standardised values.
    noise : float
        Variance of one observation, same units.
    mean : float
        Far from every observation.
    main : float
        Variance of the main effects: what each gene does whatever the others are.
    study : bool
        Whether the last gene tells studies apart, whose main effects differ, too.
    """

    weights: Genes
    variance: float
    noise: float
    mean: float
    main: float = 0.0
    study: bool = False


class Process(NamedTuple):
    """A process given observations; see `condition`.

    Attributes
    ----------
    factor : ndarray of float32, shape (M, M)
        Lower Cholesky factor of the observations' covariance.
    alpha : ndarray, shape (M,)
        Weights of the observations in the mean.
    """

    points: Genes
    nominal: Mask
    hyper: Hyper
    factor: Genes
    alpha: Genes

    def predict(self, points: Genes) -> tuple[Genes, Genes]:
        """Mean and standard deviation of the noise-free function, each of shape (N,)."""
        mean, half = self.project(points)
        left = _variances(points, self.nominal, self.hyper) - np.einsum("ij,ij->j", half, half)
        return mean, np.sqrt(np.maximum(left, 1e-12))

    def expect(self, points: Genes) -> Genes:
        """Mean alone, shape (N,), equal to that of `predict`."""
        return self._mean(self._cross(points))

    def project(self, points: Genes) -> tuple[Genes, Genes]:
        """Means, shape (N,), and what the observations explain, shape (M, N).

        The covariances of the second's columns are what knowing the observations takes away.
        In single precision: children are many, and it is several times as fast.
        """
        cross = self._cross(points)
        mean = self._mean(cross)
        return mean, strsm(1.0, self.factor, cross.T, lower=1, overwrite_b=1)

    def _cross(self, points: Genes) -> Genes:
        """Covariances with the observations, shape (N, M)."""
        return kernel(points, self.points, self.nominal, self.hyper, np.float32)

    def _mean(self, cross: Genes) -> Genes:
        return np.asarray(self.hyper.mean + cross @ self.alpha)

    def fitted(self, values: Genes, extra: Genes) -> Genes:
        """Mean at the observations themselves, shape (N,): each value less its share of noise."""
        return np.asarray(values - (self.hyper.noise + extra + _JITTER) * self.alpha)


def features(points: Genes, nominal: Mask, weights: Genes) -> Genes:
    """Coordinates whose squared distance is the weighted one of the kernel.

    A choice contributes its weight squared where two genomes differ, as an indicator a choice.
    """
    chosen = nominal.nonzero()[0].tolist()
    if not chosen:
        return np.multiply(points, weights, order="F")  # which sums are made of columns
    parts = [points[:, ~nominal] * weights[~nominal]]
    for column in chosen:
        values = np.unique(points[:, column])
        parts.append((points[:, column, None] == values) * (weights[column] / np.sqrt(2.0)))
    return np.concatenate(parts, axis=1)


def effects(points: Genes, nominal: Mask) -> Genes:
    """Coordinates in which main effects are straight lines, shape (N, F).

    Of a number the first two Legendre polynomials, of a choice an indicator for each value that
    occurs; scaled so that their mean square length is about 2.
    """
    chosen = nominal.nonzero()[0].tolist()
    centred = np.multiply(2.0, points[:, ~nominal] if chosen else points, order="F")
    centred -= 1.0
    curved = centred**2
    curved *= 1.5
    curved -= 0.5
    curved *= np.sqrt(5.0)
    centred *= np.sqrt(3.0)
    parts = [centred, curved]
    for column in chosen:
        values = np.unique(points[:, column])
        parts.append((points[:, column, None] == values).astype(np.float64))
    found = np.concatenate(parts, axis=1)
    found /= np.sqrt(points.shape[1])
    return found


def kernel(
    first: Genes,
    second: Genes,
    nominal: Mask,
    hyper: Hyper,
    precision: type[np.floating[Any]] = np.float64,
) -> Genes:
    """Covariances, shape (N, M): Matern 5/2 on all genes together, plus main effects.

    Few observations in many dimensions tell what each gene does on the whole long before they
    tell what all do together. Rasmussen and Williams 2006, equation 4.17 for the first part;
    Duvenaud, Nickisch, Rasmussen, "Additive Gaussian processes", NeurIPS 2011, for the idea of
    the second, which here is a Bayesian linear regression on `effects`. Between two studies the
    second falls as the first does.
    """
    everyone = first if first is second else np.concatenate([first, second])
    here, there = slice(len(first)), slice(len(everyone) - len(second), None)
    both = features(everyone, nominal, hyper.weights).astype(precision, copy=False)
    left, right = both[here], both[there]
    smooth: Genes = (-2.0 * left) @ right.T
    smooth += (left**2).sum(axis=1)[:, None]
    smooth += (right**2).sum(axis=1)
    _fall(smooth)
    smooth *= hyper.variance
    if hyper.main > 0.0:
        both = effects(everyone, nominal)
        both *= np.sqrt(hyper.main)
        both = both.astype(precision, copy=False)
        # a copy, for NumPy multiplies an array with itself in another way, and rounds otherwise
        straight = both[here] @ both[there].copy().T
        if hyper.study:
            straight[first[:, -1:] != second[:, -1]] *= _matern(hyper.weights[-1])
        smooth += straight
    return smooth


def _matern(distance: float) -> float:
    """Correlation of Matern 5/2 at a distance in units of the length."""
    scaled = np.sqrt(5.0) * distance
    return float((1.0 + scaled + scaled**2 / 3.0) * np.exp(-scaled))


def _matern_slope(distance: float) -> float:
    """Derivative of that by the logarithm of the distance."""
    scaled = np.sqrt(5.0) * distance
    return float(-(scaled**2) / 3.0 * (1.0 + scaled) * np.exp(-scaled))


def _variances(points: Genes, nominal: Mask, hyper: Hyper) -> Genes:
    """Diagonal of `kernel` of points with themselves."""
    main = (effects(points, nominal) ** 2).sum(axis=1)
    return np.asarray(hyper.variance + hyper.main * main)


def _fall(squared: Genes) -> None:
    """Turn squared distances into correlations, in place: large arrays are slow to allocate."""
    np.maximum(squared, 0.0, out=squared)
    squared *= 5.0
    scaled = np.sqrt(squared)
    squared /= 3.0
    squared += scaled
    squared += 1.0
    np.negative(scaled, out=scaled)
    squared *= np.exp(scaled, out=scaled)


def diagonal(square: Genes) -> Genes:
    """The diagonal of a square array, to be changed in place."""
    return np.asarray(np.einsum("ii->i", square))


def condition(points: Genes, values: Genes, extra: Genes, nominal: Mask, hyper: Hyper) -> Process:
    """The process given observations.

    Parameters
    ----------
    points : ndarray, shape (N, D)
    values : ndarray, shape (N,)
        Standardised.
    extra : ndarray, shape (N,)
        Variance of each observation beyond the common noise.
    """
    covariance = kernel(points, points, nominal, hyper)
    diagonal(covariance)[:] += hyper.noise + extra + _JITTER
    factor, failed = lapack.dpotrf(covariance, lower=1, clean=1)
    if failed:
        raise np.linalg.LinAlgError("the covariance of the observations is not positive definite")
    alpha, _ = lapack.dpotrs(factor, values - hyper.mean, lower=1)
    return Process(points, nominal, hyper, factor.astype(np.float32, order="F"), alpha)


def believed(process: Process, points: Genes) -> Process:
    """The process given that it is right at these points: means stay, deviations shrink there.

    What `condition` gives for observations that equal the means, at a fraction of its cost.
    """
    _, half = process.project(points)
    rest = kernel(points, points, process.nominal, process.hyper) - half.T @ half
    diagonal(rest)[:] += process.hyper.noise + _ROUNDED
    corner, failed = lapack.dpotrf(rest, lower=1, clean=1)
    if failed:
        raise np.linalg.LinAlgError("the covariance of the points is not positive definite")
    known, added = len(process.points), len(points)
    factor: Any = np.zeros((known + added, known + added), dtype=np.float32, order="F")
    factor[:known, :known], factor[known:, :known] = process.factor, half.T
    factor[known:, known:] = corner
    return Process(
        np.concatenate([process.points, points]),
        process.nominal,
        process.hyper,
        factor,
        np.append(process.alpha, np.zeros(added)),
    )


class Prior(NamedTuple):
    """Normal priors on the logarithms; means and deviations."""

    length: tuple[float, float] = (np.sqrt(2.0), np.sqrt(3.0))  # mean grows with the dimensions
    noise: tuple[float, float] = (-3.0, 1.5)
    variance: tuple[float, float] = (0.0, 1.0)
    main: tuple[float, float] = (-1.5, 1.5)


class Evidence(NamedTuple):
    """Observations and priors, as the fit uses them; D genes, N observations.

    Attributes
    ----------
    squares : ndarray, shape (D, N * N)
        Squared difference of each pair in each gene; of choices, 1 where they differ.
    centred : ndarray, shape (N,)
        Values less the mean.
    extra : ndarray, shape (N,)
        Variance of each observation beyond the common noise.
    main : ndarray, shape (N, N)
        Covariances of the main effects, of variance 1.
    foreign : ndarray of bool, shape (N, N)
        Whether two observations are of different studies.
    means, spreads : ndarray, shape (D + 3,)
        Of the normal priors on the logarithms of inverse length scales, variance, noise and main.
    """

    squares: Genes
    centred: Genes
    extra: Genes
    main: Genes
    foreign: Mask
    means: Genes
    spreads: Genes


def weigh(
    points: Genes,
    values: Genes,
    extra: Genes,
    nominal: Mask,
    mean: float,
    prior: Prior,
    study: bool = False,
) -> Evidence:
    """Evidence of observations; the arguments are those of `fit`."""
    n, dims = points.shape
    apart = np.empty((dims, n, n))
    for column in range(dims):
        gap = points[:, column, None] - points[None, :, column]
        apart[column] = (gap != 0.0) if nominal[column] else gap**2
    length_mean = prior.length[0] + 0.5 * np.log(dims)
    others = np.array([prior.variance, prior.noise, prior.main])
    means = np.concatenate([np.full(dims, -length_mean), others[:, 0]])
    spreads = np.concatenate([np.full(dims, prior.length[1]), others[:, 1]])
    straight = effects(points, nominal)
    squares = apart.reshape(dims, -1)
    foreign = apart[-1] > 0.0 if study else np.zeros((n, n), dtype=bool)
    return Evidence(squares, values - mean, extra, straight @ straight.T, foreign, means, spreads)


def loss(theta: Genes, evidence: Evidence) -> tuple[float, Genes]:
    """Negative logarithm of the posterior probability, but for a constant, and its gradient.

    Rasmussen and Williams 2006, equations 5.8 and 5.9.

    Parameters
    ----------
    theta : ndarray, shape (D + 3,)
        Logarithms of inverse length scales, variance, noise and main.
    """
    dims, n = len(evidence.squares), len(evidence.centred)
    squares = np.exp(2.0 * theta[:dims])
    variance, noise, main = np.exp(theta[dims:])
    scaled = np.sqrt(5.0 * (squares @ evidence.squares).reshape(n, n))
    fall = np.exp(-scaled)
    clean = variance * (1.0 + scaled + scaled**2 / 3.0) * fall
    straight = main * evidence.main
    between = straight[evidence.foreign]
    distance = float(np.exp(theta[dims - 1]))  # between studies, if there are any
    straight[evidence.foreign] *= _matern(distance)
    covariance = clean + straight
    diagonal(covariance)[:] += noise + evidence.extra + _JITTER
    factor, failed = lapack.dpotrf(covariance, lower=1, clean=1)
    if failed:
        return 1e10, np.zeros_like(theta)
    inverse, _ = lapack.dpotri(factor, lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    alpha = inverse @ evidence.centred
    fit_term = 0.5 * evidence.centred @ alpha + np.log(np.diag(factor)).sum()
    slope = 0.5 * (np.outer(alpha, alpha) - inverse)
    by_square = slope * (-(5.0 / 6.0) * variance * (1.0 + scaled) * fall)
    gradient = np.concatenate(
        [
            2.0 * squares * (evidence.squares @ by_square.ravel()),
            [np.sum(slope * clean), noise * np.trace(slope), np.sum(slope * straight)],
        ]
    )
    gradient[dims - 1] += slope[evidence.foreign] @ between * _matern_slope(distance)
    off = (theta - evidence.means) / evidence.spreads
    return fit_term + 0.5 * off @ off, -gradient + off / evidence.spreads


def fit(
    points: Genes,
    values: Genes,
    extra: Genes,
    nominal: Mask,
    mean: float,
    prior: Prior | None = None,
    steps: int = 25,
    study: bool = False,
) -> Hyper:
    """Hyperparameters of greatest posterior probability.

    Length scales have the dimension-scaled log-normal prior of Hvarfner, Hellsten and Nardi,
    "Vanilla Bayesian optimization performs great in high dimensions" (ICML 2024), section 4.
    """
    evidence = weigh(points, values, extra, nominal, mean, prior or Prior(), study)
    dims = points.shape[1]
    start = np.concatenate(
        [np.full(dims, np.log(1.0 / (0.35 * np.sqrt(dims)))), [0.0, -2.5, -1.5]]
    )
    low = np.concatenate([np.full(dims, -7.0), [-4.0, -9.0, -9.0]])
    high = np.concatenate([np.full(dims, 4.0), [4.0, 2.0, 4.0]])
    found = minimize(
        loss,
        start,
        args=(evidence,),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxiter": steps, "maxcor": 8},
    ).x
    variance, noise, main = np.exp(found[dims:]).tolist()
    return Hyper(np.exp(found[:dims]), variance, noise, mean, main, study)
