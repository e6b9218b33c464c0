"""How far a genome is from others, in the unit cube."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from evolve.search.operators.encoding import Genome


def distance(genes: Genome, others: Sequence[Genome], nominal: npt.NDArray[np.bool_]) -> float:
    """Root-mean-square distance to the nearest of the others; infinite if there is none.

    A gene under `nominal` (a choice) is 0 apart if equal, else 1; so is one that is missing (NaN).
    """
    if not others:
        return math.inf
    apart = np.abs(np.array(others) - genes)
    apart[np.isnan(apart)] = 1.0
    apart[(apart > 0) & nominal] = 1.0
    return float(np.sqrt(np.mean(apart**2, axis=1)).min())
