"""What a trial shows before its end: learning curves, for searches that stop trials early.

Recorded detectors (see `recorded`) say what made-up curves must be like. Rank correlation of
early and final AP50, over all trainings and over the better half of them:

| study | after epoch 3 of 10 | after 6 |
|---|---|---|
| bccd160 | 0.86, 0.59 | 0.97, 0.86 |
| digits | 0.79, 0.48 | 0.95, 0.89 |
| schedule | 0.58, 0.43 | 0.87, 0.61 |

Most of what parts early from final order comes with the configuration: trainings repeated with
other seeds agree on it. Made-up curves have 0.80, 0.62 at the
first rung of ASHA and 0.93, 0.85 at the second, in the mean of the tuning problems.
"""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np

from evolve.engine.course import rungs
from evolve.search.operators.scaling import Scale, learn_scale
from tests.bench.search.problem import Problem
from tests.bench.search.recorded import Recorded
from tests.bench.search.recorded_studies import EPOCHS, STOP_EPOCH
from tests.bench.search.suite import problem as problem_named
from tests.bench.search.surface import from_genes, genes_of

_EPOCHS = 27  # of a made-up training: rungs of ASHA at epochs 6 and 18
_PROBES = 300  # random configurations that tell a problem's spread
_FLOOR = -1.5  # deviations below the median from which values count logarithmically
_APART = 0.7  # between early and final place at the first rung, in deviations of the values
_APART_SPREAD = 0.4  # of its logarithm, from problem to problem
_LATER = 0.45  # of that, what is left at each rung that follows
_LUCK = 0.5  # of that, what the seed decides instead of the configuration
_BOTTOM = -4.0  # value of a training that has learnt nothing, in deviations from the median
_HEIGHTS = (0.8, 2.0, 3.0)  # above that, of the median training at each rung
_BEND = 0.35  # good trainings rise faster: logarithm of the height for each deviation


class Curves(Protocol):
    """Learning curves of a problem.

    Attributes
    ----------
    epochs : int
        Of a whole training.
    """

    epochs: int

    def early(
        self, params: Mapping[str, Any], final: float, rng: np.random.Generator
    ) -> dict[int, float]:
        """Values by epoch, where ASHA asks for them, of a trial that would end with `final`."""


@dataclass(frozen=True)
class MadeUpCurves:
    """Early values whose order is the final one, but for a place that a trial gains or loses.

    By how much is a sum of one smooth random function for each parameter, fixed by the problem's
    name, and of luck.
    """

    problem: Problem
    scale: Scale
    epochs: int = _EPOCHS

    def early(
        self, params: Mapping[str, Any], final: float, rng: np.random.Generator
    ) -> dict[int, float]:
        """As in `Curves`."""
        place = float(self.scale(np.asarray(final)))
        own = math.sqrt(1.0 - _LUCK**2) * self._haste(params)
        apart = self._apart() * (own + _LUCK * rng.standard_normal())
        shown = {}
        for turn, epoch in enumerate(_asked(self.epochs)):
            height = _HEIGHTS[turn] * math.exp(_BEND * (place + apart * _LATER**turn))
            shown[epoch] = self.scale.centre + self.scale.unit * (_BOTTOM + height)
        return shown

    def _apart(self) -> float:
        rng = np.random.default_rng(zlib.crc32(b"apart in " + self.problem.name.encode()))
        return float(_APART * np.exp(_APART_SPREAD * rng.standard_normal()))

    def _haste(self, params: Mapping[str, Any]) -> float:
        """Of mean 0 and deviation about 1 over the space."""
        genes = genes_of(params, self.problem)
        heights, phases = _waves(self.problem.name, len(genes))
        return float((heights * np.sqrt(2.0) * np.sin(4.0 * genes + phases)).sum())


@dataclass(frozen=True)
class RecordedCurves:
    """Early values as recorded trainings had them."""

    problem: Recorded
    epochs: int = EPOCHS

    def early(
        self, params: Mapping[str, Any], final: float, rng: np.random.Generator
    ) -> dict[int, float]:
        """As in `Curves`."""
        return {STOP_EPOCH: self.problem.early_value(params, final, rng)}


def curves_of(problem: Problem) -> Curves:
    """Learning curves of a problem: recorded ones where there are any."""
    if isinstance(problem, Recorded):
        return RecordedCurves(problem)
    return MadeUpCurves(problem, _spread(problem.name))


@cache
def _spread(name: str) -> Scale:
    """Scale of the values of random configurations."""
    problem = problem_named(name)
    rng = np.random.default_rng(zlib.crc32(b"spread of " + name.encode()))
    genes = rng.random((_PROBES, len(problem.distributions)))
    truths = np.array([problem.truth(from_genes(row, problem)) for row in genes])
    return learn_scale(truths[~np.isnan(truths)], _FLOOR)


@cache
def _waves(name: str, dims: int) -> np.ndarray:
    """Heights, of which a few are large, and phases of the functions; shape (2, D)."""
    rng = np.random.default_rng(zlib.crc32(b"haste in " + name.encode()))
    heights = rng.exponential(size=dims) * rng.choice([-1.0, 1.0], dims)
    return np.stack([heights / np.linalg.norm(heights), rng.uniform(0.0, 2.0 * np.pi, dims)])


def _asked(epochs: int) -> list[int]:
    """Epochs of ASHA's rungs."""
    first, last = rungs(epochs)
    return [epoch for epoch in (first, 3 * first, 9 * first) if epoch <= last]
