"""Differential variation: steps as long and as directed as the parents' own differences."""

import numpy as np

from evolve.search.operators.encoding import Genome
from evolve.search.operators.mutation import reflect


def differential(
    base: Genome, first: Genome, second: Genome, low: float, high: float, rng: np.random.Generator
) -> Genome:
    """Each base moved by a random share of the difference of two others, shape (N, D).

    The step shrinks as the parents gather, and follows the directions in which they are spread.
    One share in [low, high] is drawn for each child (dithering).

    References
    ----------
    Storn and Price, "Differential evolution", J. Global Optimization 11 (1997), section 2.
    """
    share = rng.uniform(low, high, (len(base), 1))
    return reflect(base + share * (first - second))
