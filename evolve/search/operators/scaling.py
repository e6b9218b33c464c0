"""Objective values on a scale on which differences among the good ones count."""

from typing import NamedTuple

import numpy as np

from evolve.search.operators.encoding import Genome


class Scale(NamedTuple):
    """A linear scale with a soft floor; see `learn_scale`."""

    centre: float
    unit: float
    floor: float

    def __call__(self, values: Genome) -> Genome:
        """Scaled values: below the floor they fall ever more slowly."""
        scaled = (values - self.centre) / self.unit
        return np.where(
            scaled < self.floor,
            self.floor - np.log1p(np.maximum(self.floor - scaled, 0.0)),
            scaled,
        )

    def inverse(self, scaled: Genome) -> Genome:
        """Values of scaled ones."""
        under = np.minimum(scaled - self.floor, 0.0)
        plain = np.where(scaled < self.floor, self.floor - np.expm1(-under), scaled)
        return plain * self.unit + self.centre


def learn_scale(values: Genome, floor: float) -> Scale:
    """Scale with the values' mean at 0 and their deviation at 1, in the face of disasters.

    A learning rate that is off gives an AP near 0. A few of those would stretch the scale until
    all good trials look alike, so a value more than `-floor` deviations below the median counts
    logarithmically; the deviation is taken from the upper half, mirrored at the median.
    """
    median = float(np.median(values))
    upper = values[values >= median] - median
    unit = float(np.sqrt(np.mean(upper**2)))
    if unit <= 0.0:
        unit = float(np.std(values)) or 1.0
    return Scale(median, unit, floor)
