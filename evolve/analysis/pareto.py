"""The front of latency and AP: detectors of which none is beaten in both by another one.

Of a table of points, in milliseconds and fractions of one, it gives the front, the area under it,
and how sure it is that a point belongs to it. One point beats another if it is no slower and no
less accurate, and better in one of the two; of equal points neither does.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

from evolve.analysis.deltas import Delta

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
ImageValues = Mapping[str, Floats]

DRAWS = 2000
COLUMNS = ("key", "network", "latency_ms", "latency_se_ms", "ap", "seed_se", "seed_df")

_AT_ONCE = 4_000_000  # comparisons of two points
_P95 = 1.6448536269514722  # of the normal distribution


@dataclass(frozen=True)
class Reference:
    """The corner that a hypervolume is measured from: this slow, and this poor.

    Points that are slower or poorer add nothing.
    """

    latency_ms: float
    ap: float = 0.0


@dataclass(frozen=True)
class Drawn:
    """Points as they may truly be, (draws, points) each.

    Points whose networks are the same have one latency in every draw, and all are measured on the
    same images.
    """

    latency_ms: Floats
    ap: Floats


@dataclass(frozen=True)
class Hypervolume:
    """Area between a front and the reference, in fractions of AP times milliseconds.

    `share` is that area over the budgets from 0 to the reference: the best AP within a budget,
    averaged over all budgets. `low` and `high` are the ends of its 95 % interval, NaN where no
    error is known.
    """

    value: float
    share: float
    low: float
    high: float
    reference: Reference


def on_front(latency_ms: ArrayLike, ap: ArrayLike) -> Flags:
    """Which points none beats, for arrays (..., points); one that has a NaN is none of them."""
    speeds, values = np.asarray(latency_ms, np.float64), np.asarray(ap, np.float64)
    first, second = (speeds[..., :, None], values[..., :, None])
    other, better = (speeds[..., None, :], values[..., None, :])
    beats = (other <= first) & (better >= second) & ((other < first) | (better > second))
    front: Flags = ~beats.any(axis=-1) & np.isfinite(speeds) & np.isfinite(values)
    return front


def hypervolume(latency_ms: ArrayLike, ap: ArrayLike, reference: Reference) -> float:
    """Area that the points take from the reference, exactly; 0 without a point.

    References
    ----------
    E. Zitzler, L. Thiele, "Multiobjective optimization using evolutionary algorithms: a
    comparative case study", PPSN V (1998): the size of the dominated space. In two dimensions it
    is a sum of rectangles.
    """
    speeds, values = np.asarray(latency_ms, np.float64), np.asarray(ap, np.float64)
    inside = (speeds < reference.latency_ms) & (values > reference.ap)
    order = np.argsort(speeds[inside], kind="stable")
    edges = np.append(speeds[inside][order], reference.latency_ms)
    best = np.maximum.accumulate(values[inside][order]) - reference.ap
    return float(np.diff(edges) @ best)


def reference_of(frame: pd.DataFrame) -> Reference:
    """No AP at all, and the slowest latency of a table rounded up to 1, 2 or 5 and noughts."""
    slowest = float(frame["latency_ms"].max())
    if not slowest > 0:
        return Reference(1.0)
    power = 10.0 ** math.floor(math.log10(slowest))
    return Reference(next(step * power for step in (1, 2, 5, 10) if step * power >= slowest))


def median_se(median: float, p95: float, count: int) -> float:
    """Standard error of a median of so many passes, from their 95th percentile.

    It takes the passes for independent and normal, with the spread that is above the median: what
    another day does to a machine is not in it.
    """
    sigma = max(0.0, p95 - median) / _P95
    return math.sqrt(math.pi / 2) * sigma / math.sqrt(count) if count else math.nan


def seed_part(delta: Delta) -> tuple[float, float]:
    """Standard error and degrees of freedom of a mean over seeds; NaN from one seed."""
    if delta.pairs < 2:
        return math.nan, math.nan
    return delta.sd / math.sqrt(delta.pairs), float(delta.pairs - 1)


# -- uncertainty -------------------------------------------------------------------------------


def draw_points(
    frame: pd.DataFrame,
    rng: np.random.Generator,
    image_values: ImageValues | None = None,
    draws: int = DRAWS,
) -> Drawn:
    """Draw what the points may be by what is known of their errors.

    Parameters
    ----------
    frame : DataFrame
        `COLUMNS`: a standard error that is NaN has no part.
    rng : Generator
    image_values : mapping of key -> array, shape (R,), optional
        AP of a point on R resamples of the images, the same for all: the images' part.
    draws : int

    Notes
    -----
    Each draw takes one resample of the images for all points, for what a lucky set of images does
    to one it does to the others. The part of few seeds is drawn from Student's t, by each row by
    itself, and that of latency from the log-normal distribution, by each network.
    """
    networks = sorted(set(frame["network"]))
    by_network = dict(zip(networks, rng.standard_normal((len(networks), draws)), strict=True))
    chances = rng.random((len(frame), draws))
    picked = rng.permutation(draws)
    speeds, values = np.empty((draws, len(frame))), np.empty((draws, len(frame)))
    for place, one in enumerate(frame[list(COLUMNS)].to_dict("records")):
        median, error = float(one["latency_ms"]), _or_zero(one["latency_se_ms"])
        speeds[:, place] = median * np.exp(error / median * by_network[one["network"]])
        own = (image_values or {}).get(one["key"])
        values[:, place] = float(one["ap"]) + _seeds(one, chances[place]) + _images(own, picked)
    return Drawn(speeds, values)


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else float(value)


def _seeds(one: Mapping[Any, Any], chances: Floats) -> Floats | float:
    if math.isnan(one["seed_se"]) or one["seed_se"] == 0:
        return 0.0
    part: Floats = one["seed_se"] * special.stdtrit(one["seed_df"], chances)
    return part


def _images(resampled: Floats | None, picked: NDArray[np.int64]) -> Floats | float:
    if resampled is None or not np.isfinite(resampled).any():
        return 0.0
    centred = np.nan_to_num(resampled - np.nanmean(resampled))
    drawn: Floats = centred[picked % len(centred)]
    return drawn


def front_chances(drawn: Drawn) -> Floats:
    """How often each point is on the front, (points,)."""
    draws, points = drawn.ap.shape
    size = max(1, _AT_ONCE // max(1, points**2))
    counts = np.zeros(points)
    for start in range(0, draws, size):
        part = slice(start, start + size)
        counts += on_front(drawn.latency_ms[part], drawn.ap[part]).sum(axis=0)
    chances: Floats = counts / draws
    return chances


def join_front(frame: pd.DataFrame, drawn: Drawn) -> pd.DataFrame:
    """The table with what can be said of the front.

    Returns
    -------
    DataFrame
        The same lines with on_front (bool), beaten_by (key of the most accurate one that beats
        it, else empty) and p_front (chance to be on the front; NaN where its own AP has no known
        error).
    """
    speeds, values = frame["latency_ms"].to_numpy(float), frame["ap"].to_numpy(float)
    known = frame["ap_se"].notna().to_numpy()
    return frame.assign(
        on_front=on_front(speeds, values),
        beaten_by=[_beater(place, frame["key"].tolist(), speeds, values)
                   for place in range(len(frame))],
        p_front=np.where(known, front_chances(drawn), np.nan),
    )  # fmt: skip


def _beater(place: int, keys: Sequence[str], speeds: Floats, values: Floats) -> str:
    no_worse = (speeds <= speeds[place]) & (values >= values[place])
    beats = no_worse & ((speeds < speeds[place]) | (values > values[place]))
    if not beats.any():
        return ""
    best = max(np.flatnonzero(beats), key=lambda index: (values[index], -speeds[index], -index))
    return keys[int(best)]


def measure_front(frame: pd.DataFrame, drawn: Drawn, reference: Reference) -> Hypervolume:
    """Hypervolume of a table, with an interval where any point's AP has a known error."""
    value = hypervolume(frame["latency_ms"], frame["ap"], reference)
    low = high = math.nan
    if frame["ap_se"].notna().any():
        pairs = zip(drawn.latency_ms, drawn.ap, strict=True)
        areas = [hypervolume(speeds, values, reference) for speeds, values in pairs]
        low, high = (float(end) for end in np.percentile(areas, [2.5, 97.5]))
    span = reference.latency_ms
    return Hypervolume(value, value / span, low / span, high / span, reference)


# -- choosing ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """The most accurate point within a latency.

    Attributes
    ----------
    limit_ms : float
    key : str
        Empty if none fits.
    chance : float
        That no other point within the latency is more accurate; NaN where that is not known.
    rival : str
        The one that is most often so instead; empty if none ever is.
    """

    limit_ms: float
    key: str = ""
    chance: float = math.nan
    rival: str = ""


def choose(frame: pd.DataFrame, limit_ms: float, drawn: Drawn | None = None) -> Choice:
    """The point with the highest AP whose median latency is no longer than a limit.

    Of equally accurate ones the fastest is taken.
    """
    fits = ((frame["latency_ms"] <= limit_ms) & frame["ap"].notna()).to_numpy()
    if not fits.any():
        return Choice(limit_ms)
    inside = frame[fits].sort_values(["ap", "latency_ms"], ascending=[False, True], kind="stable")
    key = str(inside["key"].iloc[0])
    if drawn is None or inside["ap_se"].isna().any():
        return Choice(limit_ms, key)
    keys = frame.loc[fits, "key"].tolist()
    firsts = np.bincount(drawn.ap[:, fits].argmax(axis=1), minlength=len(keys)) / len(drawn.ap)
    shares = dict(zip(keys, firsts.tolist(), strict=True))
    others = {name: share for name, share in shares.items() if name != key and share > 0}
    return Choice(limit_ms, key, shares[key], max(others, key=lambda n: others[n], default=""))
