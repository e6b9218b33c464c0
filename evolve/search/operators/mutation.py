"""Mutation: small or free changes of single genes, in the unit cube."""

import numpy as np

from evolve.search.operators.encoding import Genome


def gaussian(
    genes: Genome, rate: float | Genome, sigma: float | Genome, rng: np.random.Generator
) -> Genome:
    """Each gene, with probability `rate`, moved by a normal step of deviation `sigma`.

    Both are numbers, or arrays that are broadcast against the genes.

    A step out of the unit cube is reflected at its wall, so that the walls gather no children.

    References
    ----------
    Baeck, Fogel, Michalewicz, "Evolutionary Computation 1" (2000), section 32.2.
    """
    chosen = rng.random(genes.shape) < rate
    return reflect(genes + chosen * sigma * rng.standard_normal(genes.shape))


def reset(genes: Genome, rate: float | Genome, rng: np.random.Generator) -> Genome:
    """Each gene, with probability `rate`, drawn anew from the whole range; for choices.

    References
    ----------
    Eiben and Smith, "Introduction to Evolutionary Computing" (2015), section 4.3.1.
    """
    chosen = rng.random(genes.shape) < rate
    return np.where(chosen, rng.random(genes.shape), genes)


def reflect(genes: Genome) -> Genome:
    """Genes folded into [0, 1] at both walls; those inside are unchanged."""
    folded = np.abs(genes) % 2.0
    return np.where(folded > 1.0, 2.0 - folded, folded)
