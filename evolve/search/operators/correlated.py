"""Steps that follow the correlations among the elites."""

import numpy as np

from evolve.search.operators.encoding import Genome
from evolve.search.operators.mutation import reflect


def correlated(
    base: Genome, elites: Genome, weights: Genome, scale: float, rng: np.random.Generator
) -> Genome:
    """Each base moved by a normal step with the covariance of the elites, shape (N, D).

    Few elites in many dimensions know few directions, so their weighted covariance is drawn
    towards its own diagonal, by less the more elites there are.

    Parameters
    ----------
    elites : ndarray, shape (K, D)
    weights : ndarray, shape (K,)
        Of the elites; their sum is 1.
    scale : float
        1 draws steps as long as the elites are spread.

    References
    ----------
    Larranaga and Lozano, "Estimation of distribution algorithms" (2002), section 8.3.2 (EMNA);
    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices",
    J. Multivariate Analysis 88 (2004), for the shrinkage towards a simple target; Hansen and
    Ostermeier, Evolutionary Computation 9 (2001), for weighted elites.
    """
    count, dims = elites.shape
    off = elites - weights @ elites
    covariance = (off * weights[:, None]).T @ off
    trust = count / (count + dims)
    covariance = trust * covariance + (1.0 - trust) * np.diag(np.diag(covariance))
    covariance[np.diag_indices(dims)] += 1e-6
    root = np.linalg.cholesky(covariance)
    return reflect(base + scale * rng.standard_normal(base.shape) @ root.T)
