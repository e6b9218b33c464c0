"""The gain of each row over its baseline class by class, each with its interval."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evolve.analysis.decisions import ALPHA
from evolve.analysis.deltas import Delta, estimate
from evolve.analysis.effects import delta_cells
from evolve.analysis.moderation import moderated
from evolve.analysis.significance import holm

Floats = NDArray[np.float64]
ClassValues = Mapping[tuple[str, int], Mapping[str, float]]
ClassReplicates = Mapping[tuple[str, int], Mapping[str, Floats]]

COLUMNS = (
    *("row", "class", "mean", "low", "high", "se", "df", "source", "pairs"),
    *("p_better", "p", "test", "p_holm"),
)


def class_deltas(
    values: ClassValues,
    baselines: Mapping[str, str],
    *,
    limits: Mapping[str, float] | None = None,
    resampled: ClassReplicates | None = None,
    images: int | Mapping[str, int] | None = None,
    alpha: float = ALPHA,
) -> pd.DataFrame:
    """Each row minus its baseline for every class, seed by seed.

    Parameters
    ----------
    values : mapping of (row, seed_index) -> mapping of class -> AP in [0, 1]
        Of complete trainings. A class that is missing or NaN with a seed leaves that pair out
        for this class.
    baselines : mapping of row -> row
        Rows of one table. In each class, the variance between seeds of a row is moderated by
        those of the others (`moderation`).
    limits : mapping of row -> float, optional
        Seeds from this index on are left out; all are in where a row has none.
    resampled : mapping of (row, seed_index) -> mapping of class -> array, shape (R,), optional
        The same on R resamples of the images, the same for all trainings. Resamples without the
        class are NaN and left out.
    images : int or mapping of class -> int, optional
        Images that hold the class; a number for all is right where every image holds every class.
    alpha : float
        Level of the family of all classes of a row.

    Returns
    -------
    DataFrame, row by row, one line a class, in the order of the first training that has it
        row, class, mean, low, high (95 %), se, df, source, pairs, p_better, p, test, p_holm.
    """
    limits = limits or {}
    pairs = {row: (base, row) for row, base in baselines.items()}
    seeds = {row: _seeds(values, ends, limits.get(row, math.inf)) for row, ends in pairs.items()}
    names = {row: _names(values, ends, seeds[row]) for row, ends in pairs.items()}
    weights = {row: {base: -1.0, row: 1.0} for row, base in baselines.items()}
    by_class: dict[str, dict[str, Delta]] = {}
    for name in dict.fromkeys(name for each in names.values() for name in each):
        count = images.get(name) if isinstance(images, Mapping) else images
        found = {
            row: _delta(name, pairs[row], seeds[row], values, resampled or {}, count)
            for row in pairs
            if name in names[row]
        }
        by_class[name] = moderated(found, weights)
    frames = [_lines(row, {name: by_class[name][row] for name in names[row]}, alpha)
              for row in pairs]  # fmt: skip
    there = [frame for frame in frames if not frame.empty]
    return pd.concat(there, ignore_index=True) if there else pd.DataFrame(columns=list(COLUMNS))


def _seeds(values: ClassValues, ends: tuple[str, str], limit: float) -> list[int]:
    """Seeds with which both rows are complete."""
    base, row = ends
    return sorted({s for key, s in values if key == base and (row, s) in values and s < limit})


def _names(values: ClassValues, ends: tuple[str, str], seeds: Sequence[int]) -> list[str]:
    own = [values[row, s] for s in seeds for row in ends]
    return list(dict.fromkeys(name for one in own for name in one))


def _lines(row: str, deltas: Mapping[str, Delta], alpha: float) -> pd.DataFrame:
    level = alpha / max(1, len(deltas))
    lines = [{"row": row, "class": name, **delta_cells(d, level)} for name, d in deltas.items()]
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
