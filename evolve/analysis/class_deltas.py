"""The gain of a row over another class by class, each with its interval."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evolve.analysis.decisions import ALPHA
from evolve.analysis.deltas import Delta, estimate
from evolve.analysis.effects import delta_cells
from evolve.analysis.significance import holm

Floats = NDArray[np.float64]
ClassValues = Mapping[tuple[str, int], Mapping[str, float]]
ClassReplicates = Mapping[tuple[str, int], Mapping[str, Floats]]

COLUMNS = (
    *("class", "mean", "low", "high", "se", "df", "source", "pairs"),
    *("p_better", "p", "test", "p_holm"),
)


def class_deltas(
    values: ClassValues,
    baseline: str,
    other: str,
    *,
    resampled: ClassReplicates | None = None,
    images: int | Mapping[str, int] | None = None,
    alpha: float = ALPHA,
) -> pd.DataFrame:
    """Other minus baseline for every class, seed by seed.

    Parameters
    ----------
    values : mapping of (row, seed_index) -> mapping of class -> AP in [0, 1]
        Of complete trainings. A class that is missing or NaN with a seed leaves that pair out
        for this class.
    baseline, other : str
    resampled : mapping of (row, seed_index) -> mapping of class -> array, shape (R,), optional
        The same on R resamples of the images, the same for all trainings. Resamples without the
        class are NaN and left out.
    images : int or mapping of class -> int, optional
        Images that hold the class; a number for all is right where every image holds every class.
    alpha : float
        Level of the family of all classes.

    Returns
    -------
    DataFrame, one line a class, in the order of the first training that has it
        class, mean, low, high (95 %), se, df, source, pairs, p_better, p, test, p_holm.
    """
    seeds = sorted({s for row, s in values if row == baseline and (other, s) in values})
    own = [values[row, s] for s in seeds for row in (baseline, other)]
    names = list(dict.fromkeys(name for one in own for name in one))
    level = alpha / max(1, len(names))
    lines = []
    for name in names:
        count = images.get(name) if isinstance(images, Mapping) else images
        delta = _delta(name, (baseline, other), seeds, values, resampled or {}, count)
        lines.append({"class": name, **delta_cells(delta, level)})
    frame = pd.DataFrame(lines, columns=list(COLUMNS))
    return frame.assign(p_holm=holm(frame["p"].to_numpy(dtype=float)))


def _delta(
    name: str,
    rows: tuple[str, str],
    seeds: Sequence[int],
    values: ClassValues,
    resampled: ClassReplicates,
    images: int | None,
) -> Delta:
    pairs = {s: [values[row, s].get(name, math.nan) for row in rows] for s in seeds}
    known = [s for s, ends in pairs.items() if not np.isnan(ends).any()]
    differences = [pairs[s][1] - pairs[s][0] for s in known]
    drawn = [[resampled.get((row, s), {}).get(name) for row in rows] for s in known]
    found = [new - old for old, new in drawn if old is not None and new is not None]
    replicates = np.stack(found) if found and len(found) == len(known) else None
    return estimate(differences, replicates, images if images is None else max(2, images))
