"""The first trials: points that fill the space, and a cloud around the defaults."""

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from evolve.search.operators.encoding import Genome
from evolve.search.operators.mutation import reflect


def sobol_point(index: int, dims: int, seed: int) -> Genome:
    """Point `index` of a scrambled Sobol sequence in the unit cube, shape (dims,).

    Every beginning of the sequence fills the space evenly, so its length need not be known.

    References
    ----------
    Sobol, USSR Comp. Math. 7 (1967); Owen, "Scrambled net variance for integrals of smooth
    functions", Annals of Statistics 25 (1997).
    """
    sequence = qmc.Sobol(dims, scramble=True, rng=np.random.default_rng(seed))
    if index:  # scipy cannot forward by nothing
        sequence.fast_forward(index)
    point: Genome = sequence.random(1)[0]
    return point


def near(genes: Genome, centre: Genome, sigma: float) -> Genome:
    """Turn uniform genes into ones that are normal around `centre`, reflected at the walls."""
    step = sigma * ndtri(np.clip(genes, 1e-6, 1.0 - 1e-6))
    return reflect(centre + step)


def keep_mostly(genes: Genome, centre: Genome, keep: float) -> Genome:
    """Turn uniform genes into `centre` with probability `keep`, else into uniform ones."""
    return np.where(genes < keep, centre, (genes - keep) / (1.0 - keep))
