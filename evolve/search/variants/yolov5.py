"""The variant `yolov5`: the evolution that YOLOv5 made popular."""

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution

from evolve.search.archive import Archive
from evolve.search.operators.dominance import non_dominated_order
from evolve.search.variants.variant import START, Proposal, Setting, first_free, some_free

_PARENTS = 5
_RATE, _SIGMA = 0.8, 0.2
_LEAST, _MOST = 0.3, 3.0
_CHOICE_RATE = 0.1
_ATTEMPTS = 50


class Multiplied:
    """One of the five best trials, its values multiplied by random factors near 1.

    As the documentation of YOLOv5's hyperparameter evolution describes it: the parent is drawn
    by how far its fitness lies above the worst of the five; each value is multiplied, with
    probability 0.8, by 1 plus a normal number times 0.2 times a uniform one that all values
    share, kept between 0.3 and 3, and cut at the bounds. There is no crossover and no random
    beginning: trial 1 is already a child of the defaults. A value of 0 stays 0. Choices, which
    YOLOv5 has none of, are redrawn with probability 0.1.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def propose(self, archive: Archive, number: int, rng: np.random.Generator) -> Proposal:  # noqa: ARG002
        """The child of this number."""
        if not len(archive):
            return Proposal(some_free(archive, self._setting, rng), START)
        best = non_dominated_order(archive.values)[:_PARENTS]
        fitness = archive.values[best, 0]
        weights = fitness - fitness.min() + 1e-6
        space = self._setting.space
        for _ in range(_ATTEMPTS):
            parent = archive.trials[int(rng.choice(best, p=weights / weights.sum()))]
            step = rng.random() * _SIGMA
            values = {
                name: _multiplied(parent.params.get(name), kind, step, rng)
                for name, kind in space.items()
            }
            child = space.snap(space.encode(values)[None])
            if first_free(child, archive, self._setting) is not None:
                return Proposal(child[0], "mutation", (parent.number,))
        return Proposal(some_free(archive, self._setting, rng), START)


def _multiplied(value: Any, kind: BaseDistribution, step: float, rng: np.random.Generator) -> Any:
    """A child's value; one that the parent has not is drawn from the choices or the range."""
    if isinstance(kind, CategoricalDistribution):
        if value is None or rng.random() < _CHOICE_RATE:
            return kind.choices[int(rng.integers(len(kind.choices)))]
        return value
    low, high = kind.low, kind.high  # type: ignore[attr-defined]
    if value is None:
        return rng.uniform(low, high)
    factor = 1.0 + step * float(rng.standard_normal()) * (rng.random() < _RATE)
    return min(max(value * min(max(factor, _LEAST), _MOST), low), high)
