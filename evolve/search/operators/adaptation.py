"""What the archive teaches about breeding: which operators pay, and how far to step."""

from collections.abc import Mapping, Sequence

import numpy as np

from evolve.search.operators.encoding import Genome

SIGMA_RANGE = (0.01, 0.5)


def operator_shares(
    uses: Mapping[str, int], successes: Mapping[str, int], names: Sequence[str], least: float
) -> Genome:
    """Share of children that each operator breeds, by its rate of success so far.

    Every operator counts as once successful in two uses before any is known, and keeps a share
    of at least `least`.

    References
    ----------
    Thierens, "An adaptive pursuit strategy for allocating operator probabilities", GECCO 2005,
    section 2 (probability matching).
    """
    rates = np.array([(successes.get(n, 0) + 1.0) / (uses.get(n, 0) + 2.0) for n in names])
    shares: Genome = least + (1.0 - least * len(names)) * rates / rates.sum()
    return shares


def adapted_sigmas(parents: Genome, rng: np.random.Generator) -> Genome:
    """Step sizes of children: their parents', each times a log-normal factor.

    A child that is chosen and turns out well hands its step size on, so the sizes that pay
    spread; no rule says when to shrink.

    References
    ----------
    Beyer and Schwefel, "Evolution strategies: a comprehensive introduction", Natural Computing 1
    (2002), section 4.2.2 (mutative self-adaptation).
    """
    factors = np.exp(rng.normal(0.0, 0.7, parents.shape))
    return np.clip(parents * factors, *SIGMA_RANGE)


def gene_scales(lengths: Genome, power: float) -> Genome:
    """Factor of the step of each gene: longer where the objective changes slowly.

    What the model takes for flat can be varied freely, which costs nothing and teaches whether
    it is flat.

    Parameters
    ----------
    lengths : ndarray, shape (D,)
        Length scales of the surrogate.
    power : float
        0 gives equal steps.
    """
    known = np.clip(lengths, 0.1, 4.0)
    scales: Genome = np.clip(lengths / np.exp(np.mean(np.log(known))), 0.3, 4.0) ** power
    return scales
