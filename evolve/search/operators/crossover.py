"""Crossover: one child of two parents, in the unit cube."""

import numpy as np

from evolve.search.operators.encoding import Genome
from evolve.search.operators.mutation import reflect


def blend(first: Genome, second: Genome, alpha: float, rng: np.random.Generator) -> Genome:
    """Blend crossover BLX-alpha: uniform between the parents and `alpha` of their distance beyond.

    The distance of the parents sets the step, so it shrinks by itself as the population gathers;
    equal parents give that parent. What falls out of the unit cube is reflected into it.

    References
    ----------
    Eshelman and Schaffer, "Real-coded genetic algorithms and interval-schemata",
    Foundations of Genetic Algorithms 2 (1993), section 4.
    """
    weight = rng.uniform(-alpha, 1.0 + alpha, size=first.shape)
    return reflect(first + weight * (second - first))


def pick(first: Genome, second: Genome, rng: np.random.Generator) -> Genome:
    """Uniform crossover: each gene from either parent with equal chance.

    References
    ----------
    Syswerda, "Uniform crossover in genetic algorithms", Proc. 3rd ICGA (1989).
    """
    return np.where(rng.random(first.shape) < 0.5, first, second)
