"""The variant `paper`: a plain genetic algorithm, as a textbook has it."""

import numpy as np

from evolve.search.archive import Archive
from evolve.search.genome import Genes
from evolve.search.operators.crossover import pick
from evolve.search.operators.dominance import non_dominated_order
from evolve.search.operators.mutation import gaussian, reset
from evolve.search.operators.selection import tournament
from evolve.search.variants.variant import START, Proposal, Setting, first_free, some_free

_POPULATION = 8
_TOURNAMENT = 2
_CROSSOVER_RATE = 0.9
_SIGMA = 0.1
_ATTEMPTS = 50


class Plain:
    """Random first population, tournaments, uniform crossover, mutation; the best survive.

    The YOLOv4 paper (arXiv:2004.10934, section 3.4) says only that "genetic algorithms" chose
    its hyperparameters; this is the algorithm of Goldberg, "Genetic algorithms in search,
    optimization and machine learning" (1989), chapter 3, with real genes and elitism: parents
    are two winners among the eight best trials, and a child has one mutation on average.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def propose(self, archive: Archive, number: int, rng: np.random.Generator) -> Proposal:
        """The child of this number."""
        if number < _POPULATION or not len(archive):
            return Proposal(some_free(archive, self._setting, rng), START)
        best = non_dominated_order(archive.values)[:_POPULATION]
        for _ in range(_ATTEMPTS):
            first, second = (best[tournament(len(best), _TOURNAMENT, rng)] for _ in range(2))
            crosses = first != second and rng.random() < _CROSSOVER_RATE
            second = second if crosses else first
            child = self._child(archive.genes[first], archive.genes[second], rng)
            if first_free(child[None], archive, self._setting) is not None:
                parents = dict.fromkeys((int(first), int(second)))
                numbers = tuple(archive.trials[index].number for index in parents)
                return Proposal(child, "crossover" if crosses else "mutation", numbers)
        return Proposal(some_free(archive, self._setting, rng), START)

    def _child(self, first: Genes, second: Genes, rng: np.random.Generator) -> Genes:
        crossed = pick(first, second, rng)
        rate = 1.0 / len(crossed)
        moved = gaussian(crossed, rate, _SIGMA, rng)
        nominal = self._setting.space.nominal
        child = np.where(nominal, reset(crossed, rate, rng), moved)
        snapped: Genes = self._setting.space.snap(child[None])[0]
        return snapped
