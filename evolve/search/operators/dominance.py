"""Several objectives: who dominates whom, who stands alone, and one number for one ask."""

import numpy as np
import numpy.typing as npt

from evolve.search.operators.encoding import Genome


def fronts(values: Genome) -> npt.NDArray[np.int64]:
    """Number of the front of each of N points with M values; larger is better, front 0 is best.

    References
    ----------
    Deb, Pratap, Agarwal, Meyarivan, "A fast and elitist multiobjective genetic algorithm:
    NSGA-II", IEEE Trans. Evolutionary Computation 6 (2002), section III-A.
    """
    at_least = np.asarray((values[:, None] >= values[None]).all(axis=2))
    dominates = at_least & np.asarray((values[:, None] > values[None]).any(axis=2))
    front = np.full(len(values), -1, dtype=np.int64)
    left, number = np.ones(len(values), dtype=bool), 0
    while left.any():
        free = left & ~dominates[left].any(axis=0)
        front[free] = number
        left &= ~free
        number += 1
    return front


def crowding(values: Genome) -> Genome:
    """Crowding distance within one front, shape (N,); infinite at the ends of each objective.

    References
    ----------
    Deb et al. (2002), section III-B.
    """
    total = np.zeros(len(values))
    for column in values.T:
        order = np.argsort(column, kind="stable")
        spread = column[order[-1]] - column[order[0]]
        total[order[[0, -1]]] = np.inf
        if spread > 0 and len(order) > 2:
            total[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / spread
    return total


def non_dominated_order(values: Genome) -> npt.NDArray[np.int64]:
    """Indices from best to worst: by front, then the less crowded first, then as they came."""
    if values.shape[1] == 1:
        return np.argsort(-values[:, 0], kind="stable")
    front = fronts(values)
    apart = np.zeros(len(values))
    for number in np.unique(front):
        apart[front == number] = crowding(values[front == number])
    return np.lexsort((np.arange(len(values)), -apart, front))


def scalarised(values: Genome, rng: np.random.Generator) -> Genome:
    """One number for each point under random weights of the objectives, larger is better.

    Augmented Tchebycheff on objectives scaled to [0, 1]: with other weights at every ask, all of
    the front is sought, bent inwards or not.

    References
    ----------
    Knowles, "ParEGO", IEEE Trans. Evolutionary Computation 10 (2006), equation 2.
    """
    low, high = values.min(axis=0), values.max(axis=0)
    cost = (high - values) / np.where(high > low, high - low, 1.0)
    weights = rng.dirichlet(np.ones(values.shape[1]))
    worth: Genome = -((cost * weights).max(axis=1) + 0.05 * cost @ weights)
    return worth
