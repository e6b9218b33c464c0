"""The first population: a design that fills the space, and a cloud around the defaults."""

from statistics import NormalDist

import numpy as np

from evolve.search.operators.mutation import reflect


def latin_gene(index: int, count: int, rng: np.random.Generator) -> float:
    """Gene `index` of `count` in one dimension of a Latin hypercube.

    The dimensions are independent: `rng` belongs to the dimension and is new at each call, so
    that every index sees the same permutation. No two of the `count` genes share a stratum.

    References
    ----------
    McKay, Beckman, Conover, "A comparison of three methods for selecting values of input
    variables", Technometrics 21 (1979).
    """
    strata, offsets = rng.permutation(count), rng.random(count)
    return float((strata[index] + offsets[index]) / count)


def near(gene: float, centre: float, sigma: float) -> float:
    """Turn a uniform gene into one that is normal around `centre`, reflected at the walls."""
    step = NormalDist(0.0, sigma).inv_cdf(min(max(gene, 1e-6), 1.0 - 1e-6))
    return float(reflect(np.array([centre + step]))[0])


def keep_mostly(gene: float, centre: float, keep: float) -> float:
    """Turn a uniform gene into `centre` with probability `keep`, else into a uniform one."""
    return centre if gene < keep else (gene - keep) / (1.0 - keep)
