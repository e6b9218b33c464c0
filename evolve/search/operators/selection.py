"""Selection: tournaments among ranked trials."""

import numpy as np


def tournament(count: int, size: int, rng: np.random.Generator) -> int:
    """Place of the winner: the best of `size` drawn from `count` ranked ones, 0 the best.

    References
    ----------
    Goldberg and Deb, "A comparative analysis of selection schemes used in genetic algorithms",
    Foundations of Genetic Algorithms 1 (1991).
    """
    return int(rng.integers(count, size=size).min())
