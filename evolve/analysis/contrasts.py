"""Weighted sums of rows: the gain of one over another, a main effect, an interaction, Shapley's.

Each is summed seed by seed and image resample by image resample, so that what the rows have in
common leaves the error, and only then averaged over the seeds.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evolve.analysis.deltas import Delta, estimate
from evolve.analysis.intervals import LEVEL
from evolve.analysis.moderation import moderated

Floats = NDArray[np.float64]
ImageValues = Mapping[tuple[str, int], Floats]
Key = TypeVar("Key", bound=Hashable)


def contrast(
    trainings: pd.DataFrame,
    weights: Mapping[str, float],
    column: str = "value_test",
    *,
    image_values: ImageValues | None = None,
    images: int | None = None,
    level: float = LEVEL,
) -> Delta:
    """The sum of weight times value over the rows, with an interval.

    Parameters
    ----------
    trainings : DataFrame
        One line a row and seed: row, seed_index, state (COMPLETE counts), and `column`.
    weights : mapping of row -> float
        Seeds with which any of these rows is not complete are left out: `pairs` tells how many
        are in.
    column : str
        value_test or value_val.
    image_values : mapping of (row, seed_index) -> array, shape (R,), optional
        Each training on R resamples of the images that `column` is of, the same for all. Where a
        training lacks it, the images have no part in the interval.
    images : int, optional
        Number of images.
    level : float
        Of the interval.
    """
    rows, factors = list(weights), np.array(list(weights.values()), dtype=np.float64)
    values = complete_values(trainings, rows, column)
    replicates = _replicates(values.index.tolist(), rows, factors, image_values or {})
    return estimate(values.to_numpy() @ factors, replicates, images, level)


def contrasts(
    trainings: pd.DataFrame,
    weights: Mapping[Key, Mapping[str, float]],
    column: str = "value_test",
    *,
    image_values: ImageValues | None = None,
    images: int | None = None,
) -> dict[Key, Delta]:
    """Several contrasts of one table, the variance between seeds of each moderated by the others.

    Parameters
    ----------
    weights : mapping of key -> (mapping of row -> float)
        Of each contrast.
    trainings, column, image_values, images
        As for `contrast`.
    """
    found = {
        key: contrast(trainings, each, column, image_values=image_values, images=images)
        for key, each in weights.items()
    }
    return moderated(found, weights)


def row_deltas(
    trainings: pd.DataFrame,
    baselines: Mapping[str, str],
    column: str = "value_test",
    *,
    image_values: ImageValues | None = None,
    images: int | None = None,
) -> dict[str, Delta]:
    """The rows of a table, each minus its baseline; the rest as for `contrasts`."""
    weights = {row: {base: -1.0, row: 1.0} for row, base in baselines.items()}
    return contrasts(trainings, weights, column, image_values=image_values, images=images)


def row_delta(
    trainings: pd.DataFrame,
    baseline: str,
    other: str,
    column: str = "value_test",
    *,
    image_values: ImageValues | None = None,
    images: int | None = None,
) -> Delta:
    """One row minus another over the seeds with which both are complete; rest as `contrast`."""
    weights = {baseline: -1.0}
    weights[other] = weights.get(other, 0.0) + 1.0
    return contrast(trainings, weights, column, image_values=image_values, images=images)


def complete_values(
    trainings: pd.DataFrame, rows: Sequence[str], column: str = "value_test"
) -> pd.DataFrame:
    """Values of the rows by seed_index, for the seeds with which all are complete."""
    done = trainings[is_complete(trainings, column)]
    columns = {row: done[done["row"] == row].set_index("seed_index")[column] for row in rows}
    return pd.DataFrame(columns, dtype=float).dropna().sort_index()


def is_complete(trainings: pd.DataFrame, column: str) -> "pd.Series[bool]":
    """Which trainings ended well and have a value."""
    return (trainings["state"] == "COMPLETE") & trainings[column].notna()


def _replicates(
    seeds: Sequence[int], rows: Sequence[str], factors: Floats, image_values: ImageValues
) -> Floats | None:
    """The contrast of each seed on each resample, (seeds, R); None where a training lacks it."""
    keys = [(row, seed) for seed in seeds for row in rows]
    if not keys or any(key not in image_values for key in keys):
        return None
    return np.stack([sum(_weighted(seed, rows, factors, image_values)) for seed in seeds])


def _weighted(
    seed: int, rows: Sequence[str], factors: Floats, image_values: ImageValues
) -> list[Floats]:
    return [f * image_values[row, seed] for row, f in zip(rows, factors.tolist(), strict=True)]
