"""What each trial of a search is probably worth: its value, and what its neighbours say of it."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from evolve.search.archive import Encoder, archive_of
from evolve.search.genome import Conditions, GenomeSpace
from evolve.search.judge import FLOOR, Fits, Judge
from evolve.search.operators.scaling import learn_scale
from evolve.search.variants.guided import observations

_FEWEST = 4
_DOUBT = 10.0


class Estimate(NamedTuple):
    """Noise-free value of a trial, in units of the objective, and its standard deviation."""

    mean: float
    sd: float


def estimate_values(
    trials: Sequence[FrozenTrial],
    distributions: Mapping[str, BaseDistribution],
    ordinal: frozenset[str] = frozenset(),
    conditions: Conditions | None = None,
) -> dict[int, Estimate]:
    """Estimates for those trials that have a value, by number; larger is better.

    By the surrogate of a search that has seen them all (see `judge.Judge`): of many trials the
    best is the best partly by luck, and its neighbours tell by how much. The surrogate of a few
    trials knows little, so its word counts n / (n + 10), the measured value the rest. With fewer
    than four trials each stands for itself, with an unknown deviation (NaN); so do those of a
    very long study that are neither good nor new.
    """
    space = GenomeSpace(distributions, ordinal, conditions)
    archive = archive_of(trials, [1.0], Encoder(space))
    values = archive.values[:, 0]
    alone = {n: Estimate(float(v), math.nan) for n, v in zip(archive.numbers, values, strict=True)}
    found = {int(number): estimate for number, estimate in alone.items()}
    if len(archive) < _FEWEST:
        return found
    judge = Judge(observations(archive, values), Fits())
    scale = learn_scale(values, FLOOR)
    trust = len(archive) / (len(archive) + _DOUBT)
    worth = trust * scale.inverse(judge.means) + (1.0 - trust) * values[judge.rows]
    for row, mean, sd in zip(judge.rows, worth, judge.deviations * scale.unit, strict=True):
        found[archive.trials[row].number] = Estimate(float(mean), float(sd))
    return found
