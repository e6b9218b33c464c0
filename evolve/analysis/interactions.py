"""Which two parameters a search says matter together, beyond what each does alone.

fANOVA splits the variance of a forest into parts of single parameters and of pairs, here over the
space as it was searched: a logarithmic range counts by its logarithm. A forest makes
pairs of noise, and of parameters that only add up, too: each tree cuts one inside a cut of the
other. So a pair counts where it is above the level that chance gives in trials without any
interaction, made from the trials themselves: an additive model's values, and its errors shuffled
over the trials.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.search_space import intersection_search_space
from optuna.trial import FrozenTrial

from evolve.analysis.fanova import Fanova, columns_of
from evolve.analysis.importance import draw_trials, is_measured, varied
from evolve.search.operators.encoding import decode

COLUMNS = ("first", "second", "share", "low", "high", "chance")
FEWEST_TRIALS = 20
MOST_TRIALS = 300
RESAMPLES = 30
MOST_PANELS = 3
GRID = 24

_TREES = 64
_TREES_RESAMPLED = 8
_STUMPS, _RATE = 60, 0.1

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Surface:
    """What the forest expects over two parameters, the mean over all others.

    Attributes
    ----------
    first, second : str
    values : array, shape (R, C)
        At the middles of C equal steps of `first` on its scale, and of R of `second`; of choices
        at each.
    """

    first: str
    second: str
    values: Floats


@dataclass(frozen=True, eq=False)
class Interactions:
    """How much pairs of parameters matter beyond each alone.

    Attributes
    ----------
    frame : DataFrame, one line a pair, by falling share
        first, second, share (of the variance of the forest, in [0, 1]), low and high (95 %
        percentile interval of a bootstrap over trials), chance (largest share of any pair in
        `RESAMPLES` sets of trials without interaction).
    main : dict of parameter -> float
        Share of each alone.
    surfaces : tuple of Surface
        Of the first pairs above chance, three at most.
    trials, of : int
        Complete trials behind it, and those that there are.
    reason : str
        Why the frame is empty; empty text if it is not.
    """

    frame: pd.DataFrame
    main: Mapping[str, float]
    surfaces: tuple[Surface, ...]
    trials: int
    of: int
    reason: str = ""

    @property
    def above_chance(self) -> pd.DataFrame:
        """The pairs that chance does not explain."""
        return self.frame[self.frame["share"] > self.frame["chance"]]


def measure_interactions(
    trials: Iterable[FrozenTrial], *, resamples: int = RESAMPLES, seed: int = 0
) -> Interactions:
    """Measure every pair of the parameters that all complete trials have.

    Parameters
    ----------
    trials : iterable of FrozenTrial
        Of one objective; those that are not complete are left out.
    resamples : int
        Of the trials for the intervals, and shuffles for the level of chance.
    seed : int
        Of forests, resamples and shuffles, and of the draw if there are more than `MOST_TRIALS`.

    References
    ----------
    F. Hutter, H. Hoos and K. Leyton-Brown, "An efficient approach for assessing hyperparameter
    importance", ICML 2014, section 4; D. Freedman and D. Lane, "A nonstochastic interpretation of
    reported significance levels", J. Bus. Econ. Stat. 1, 1983, of shuffled errors; J. Friedman,
    "Greedy function approximation", Ann. Stat. 29, 2001, of boosted stumps as an additive model;
    P. Westfall and S. Young, "Resampling-based multiple testing", 1993, ch. 2, of the largest.
    """
    complete = [trial for trial in trials if is_measured(trial)]
    everywhere = intersection_search_space(complete)
    space = {name: everywhere[name] for name in varied(complete) if name in everywhere}
    reason = _reason(complete, space)
    if reason:
        return Interactions(
            pd.DataFrame(columns=list(COLUMNS)), {}, (), len(complete), len(complete), reason
        )
    drawn = draw_trials(complete, seed, MOST_TRIALS)
    values = np.array([trial.values[0] for trial in drawn], dtype=float)
    forest, rng = Fanova(drawn, space, scaled=True), np.random.default_rng(seed)
    parts = forest.measure_pairs(np.arange(len(drawn)), values, _TREES, _seed(rng))
    frame = _frame(list(space), parts, _resampled(forest, values, resamples, rng))
    chance = _chance(forest, values, resamples, rng)
    frame = frame.assign(chance=chance)[list(COLUMNS)]
    found = Interactions(
        frame, dict(zip(space, np.diag(parts).tolist(), strict=True)), (), len(drawn),
        len(complete),
    )  # fmt: skip
    first = found.above_chance.head(MOST_PANELS)
    pairs = list(zip(first["first"], first["second"], strict=True))
    surfaces = _surfaces(forest, values, space, pairs, seed) if pairs else ()
    return Interactions(frame, found.main, surfaces, found.trials, found.of)


def _reason(trials: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution]) -> str:
    if len(trials) < FEWEST_TRIALS:
        return f"it takes {FEWEST_TRIALS} complete trials, and there are {len(trials)}"
    if len({trial.value for trial in trials}) == 1:
        return "all complete trials have the same value"
    if len(space) < 2:
        return "it takes two parameters that all trials have"
    return ""


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _frame(names: Sequence[str], parts: Floats, resampled: Floats) -> pd.DataFrame:
    first, second = np.triu_indices(len(names), k=1)
    share = parts[first, second]
    low, high = np.nanpercentile(resampled[:, first, second], [2.5, 97.5], axis=0)
    frame = pd.DataFrame(
        {
            "first": [names[place] for place in first.tolist()],
            "second": [names[place] for place in second.tolist()],
            "share": share,
            # a resample repeats trials, which can push all of its shares to one side
            "low": np.minimum(low, share),
            "high": np.maximum(high, share),
        }
    )
    return frame.sort_values("share", ascending=False, kind="stable", ignore_index=True)


def _resampled(forest: Fanova, values: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Shares (resamples, D, D) of trials drawn with replacement."""
    count = len(values)
    draws = (rng.integers(count, size=count) for _ in range(resamples))
    return np.array([_measured(forest, rows, values[rows], rng) for rows in draws])


def _measured(forest: Fanova, rows: Ints, values: Floats, rng: np.random.Generator) -> Floats:
    parts = forest.measure_pairs(rows, values, _TREES_RESAMPLED, _seed(rng))
    return parts * (np.nan if (values == values[0]).all() else 1.0)


def _chance(forest: Fanova, values: Floats, resamples: int, rng: np.random.Generator) -> float:
    """Largest share of any pair in all sets of trials where there is no interaction.

    Where two strong parameters only add up, the 95th percentile of the sets was passed by a pair
    in three of fourteen simulated searches of 150 trials; the largest makes up for the part of
    the two that the additive model leaves among its errors.
    """
    added = forest.additive(values, _STUMPS, _RATE)
    errors, rows = values - added, np.arange(len(values))
    largest = [
        _largest(_measured(forest, rows, added + rng.permutation(errors), rng))
        for _ in range(resamples)
    ]
    return float(np.nanmax(largest))


def _largest(parts: Floats) -> float:
    return float(parts[np.triu_indices(len(parts), k=1)].max())


def _surfaces(
    forest: Fanova,
    values: Floats,
    space: Mapping[str, BaseDistribution],
    pairs: Sequence[tuple[str, str]],
    seed: int,
) -> tuple[Surface, ...]:
    marginals = forest.marginals(np.arange(len(values)), values, _TREES, seed)
    places = {name: place for place, name in enumerate(space)}
    found = []
    for first, second in pairs:
        along, up = steps(space[first]), steps(space[second])
        columns = [
            columns_of([x for _ in up for x in along], space[first], scaled=True),
            columns_of([y for y in up for _ in along], space[second], scaled=True),
        ]
        means = marginals.at([places[first], places[second]], columns)
        found.append(Surface(first, second, means.reshape(len(up), len(along))))
    return tuple(found)


def steps(kind: BaseDistribution) -> list[Any]:
    """Values at the middles of equal steps over a range, on its scale; all choices."""
    if isinstance(kind, CategoricalDistribution):
        return list(kind.choices)
    return [decode((place + 0.5) / GRID, kind) for place in range(GRID)]
