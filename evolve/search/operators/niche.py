"""Another place to breed, for a search that has come to rest."""

import numpy as np
import numpy.typing as npt

from evolve.search.operators.encoding import Genome


def far_elites(genes: Genome, worth: Genome, count: int, radius: float) -> npt.NDArray[np.int64]:
    """Indices of the best `count` genomes outside the neighbourhood of the very best.

    Parameters
    ----------
    genes : ndarray, shape (N, D)
    worth : ndarray, shape (N,)
        Larger is better.
    radius : float
        Of the neighbourhood: root-mean-square distance in the unit cube. Empty if all genomes
        are inside.

    References
    ----------
    After Auger and Hansen, "A restart CMA evolution strategy", CEC 2005: begin again elsewhere,
    but keep what is known; and clearing (Petrowski, ICEC 1996) for the neighbourhood.
    """
    apart = np.sqrt(np.mean((genes - genes[np.argmax(worth)]) ** 2, axis=1))
    outside = np.flatnonzero(apart > radius)
    return outside[np.argsort(-worth[outside], kind="stable")[:count]]
