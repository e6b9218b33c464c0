"""The verdict of a comparison: a gain, none that can be detected, or worse; and how much was luck.

The winner is chosen on val by whoever asks; it is judged here on the split that took no part in
the choice, against the baseline, pair by pair of trainings with the same seed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from evolve.analysis.contrasts import ImageValues, is_complete, row_delta
from evolve.analysis.deltas import Delta
from evolve.analysis.phrases import plural, points, probability, span, upper_first

Word = Literal["gain", "no detectable gain", "worse", "undecided"]

_FLATTERED = " There is no test split: the winner was chosen on these images, which flatters it."


@dataclass(frozen=True)
class RowValues:
    """Complete trainings of one row: how many, their mean, and sd (NaN below two)."""

    count: int
    mean: float
    sd: float


@dataclass(frozen=True)
class Verdict:
    """What is said of the winner of a comparison.

    Attributes
    ----------
    winner, baseline : str
        Keys of the two rows.
    word : str
        gain if the interval lies above 0, worse if below, else no detectable gain; undecided if
        there is no interval.
    sentence : str
        The verdict for people, with all that limits it.
    values : dict of row -> RowValues
        Of every row, on the split that is judged on, in [0, 1].
    delta : Delta
        Winner minus baseline over the complete pairs; its `pairs` may be fewer than `planned`.
    planned : int
        Seeds of the comparison.
    images : int or None
    """

    winner: str
    baseline: str
    word: Word
    sentence: str
    values: dict[str, RowValues]
    delta: Delta
    planned: int
    images: int | None


@dataclass(frozen=True)
class Luck:
    """How much of the gain seen in the search fresh seeds confirm, on the same val images.

    `searched` and `luck`, which is `searched` minus the mean of `confirmed`, are differences of
    fractions of one; NaN where unknown.
    """

    searched: float
    confirmed: Delta
    luck: float
    sentence: str


def judge(
    trainings: pd.DataFrame,
    winner: str,
    titles: Mapping[str, str],
    *,
    baseline: str = "default",
    metric: str = "AP",
    split: str = "test",
    image_values: ImageValues | None = None,
    images: int | None = None,
) -> Verdict:
    """Reach the verdict on `winner`, a row that was chosen on val.

    Parameters
    ----------
    trainings : DataFrame
        One line a row and seed: row, seed_index, state (COMPLETE counts), value_test in [0, 1].
    winner, baseline : str
        Keys of rows.
    titles : mapping of row -> text
        As inside a sentence: 'the defaults'.
    metric, split : str
        What `value_test` is.
    image_values : mapping of (row, seed_index) -> array, shape (R,), optional
        The same metric of each training on R resamples of the images, the same for all. Where a
        training lacks it, the images have no part in the interval.
    images : int, optional
        Number of images of the split.
    """
    delta = row_delta(trainings, baseline, winner, image_values=image_values, images=images)
    planned = int(trainings["seed_index"].nunique())
    names = (titles.get(winner, winner), titles.get(baseline, baseline))
    if winner == baseline:
        word: Word = "no detectable gain"
        sentence = f"{upper_first(names[1])} stay: nothing else was better on val."
    else:
        word = _word(delta)
        sentence = _sentence(word, delta, names, f"{metric} points on {split}", planned, images)
        sentence += _FLATTERED if split == "val" and delta.pairs else ""
    values = {key: _values(rows["value_test"], rows) for key, rows in _by_row(trainings)}
    return Verdict(winner, baseline, word, sentence, values, delta, planned, images)


def judge_luck(
    trainings: pd.DataFrame,
    winner: str,
    search_values: Mapping[str, float | None],
    *,
    baseline: str = "default",
) -> Luck:
    """Compare the gain that the search saw on val with the mean gain over fresh seeds.

    Parameters
    ----------
    trainings : DataFrame
        As for `judge`, with value_val.
    winner, baseline : str
    search_values : mapping of row -> float or None
        Value of the row's trial in the search; None or missing where it has none.
    """
    ends = [search_values.get(row) for row in (baseline, winner)]
    old, new = (math.nan if value is None else value for value in ends)
    confirmed = row_delta(trainings, baseline, winner, "value_val")
    luck = new - old - confirmed.mean
    sentence = "" if winner == baseline else _luck_sentence(new - old, confirmed)
    return Luck(new - old, confirmed, luck, sentence)


def _by_row(trainings: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(key), rows) for key, rows in trainings.groupby("row", sort=False)]


def _values(column: "pd.Series[float]", rows: pd.DataFrame) -> RowValues:
    values = column[is_complete(rows, str(column.name))]
    return RowValues(len(values), float(values.mean()), float(values.std()))


def _word(delta: Delta) -> Word:
    if math.isnan(delta.low):
        return "undecided"
    if delta.low > 0:
        return "gain"
    return "worse" if delta.high < 0 else "no detectable gain"


def _sentence(
    word: Word, delta: Delta, names: tuple[str, str], unit: str, planned: int, images: int | None
) -> str:
    winner, baseline = names
    if not delta.pairs:
        return f"Undecided: with no seed are {baseline} and {winner} both trained to the end."
    size = _size(delta.mean, unit)
    if word == "undecided":
        way = "above" if delta.mean >= 0 else "below"
        claim = f"Undecided: {winner} is {size} {way} {baseline}"
        return f"{claim}, but one fresh seed alone gives no interval."
    claim = {
        "gain": f"{upper_first(winner)} beats {baseline} by {size}",
        "worse": f"{upper_first(winner)} is worse than {baseline} by {size}",
        "no detectable gain": f"No detectable gain: {winner} minus {baseline} is "
        f"{points(delta.mean)} {unit}",
    }[word]
    return f"{claim} ({_detail(delta, planned, images)}).{limits(delta, planned)}"


def _size(difference: float, unit: str) -> str:
    size = points(abs(difference))
    return f"less than 0.1 {unit}" if size == "0.0" else f"{size} {unit}"


def _detail(delta: Delta, planned: int, images: int | None) -> str:
    of_all = "" if delta.pairs == planned else f"{delta.pairs} of "
    seen = f"{of_all}{plural(planned, 'fresh seed')}"
    if images and "images" in delta.source:
        seen += f", {plural(images, 'image')}"
    better = f"P(better) {probability(delta.p_better)}"
    return f"{span(delta.low, delta.high)}; {seen}; {better}"


LEFT_OUT = {
    "images": "With one seed, the interval holds nothing of what another seed would change.",
    "seeds": "The interval holds nothing of what other images would change.",
}
"""What the interval of a delta says nothing of, by its source."""


def limits(delta: Delta, planned: int) -> str:
    """What the interval leaves out, as more sentences."""
    said = ""
    if delta.pairs < planned:
        lacking = planned - delta.pairs
        verb = "is" if lacking == 1 else "are"
        said += f" {plural(lacking, 'seed')} without both trainings {verb} left out."
    left_out = LEFT_OUT.get(delta.source, "")
    return f"{said} {left_out}" if left_out else said


def _luck_sentence(searched: float, confirmed: Delta) -> str:
    if math.isnan(searched):
        return (
            "How much of the gain was luck cannot be told: one of the two has no value from the "
            "search."
        )
    if not confirmed.pairs:
        return (
            f"None of the {points(searched)} points seen in the search could be tried on fresh "
            "seeds."
        )
    # differences of rounded numbers, so that the sentence adds up
    seen, kept = round(100 * searched, 1), round(100 * confirmed.mean, 1)
    return _say_luck(seen, kept, _held(confirmed))


def _held(confirmed: Delta) -> str:
    seeds = plural(confirmed.pairs, "fresh seed")
    if math.isnan(confirmed.low):
        return seeds
    return f"{span(confirmed.low, confirmed.high)}; {seeds}"


def _say_luck(seen: float, kept: float, detail: str) -> str:
    """Words for points seen in the search and points kept with fresh seeds, both rounded."""
    saw, left = points(seen / 100), points(kept / 100)
    if seen <= 0:
        return (
            f"The search saw no gain on val ({saw} points), so there was no luck to take off; "
            f"fresh seeds give {left} points ({detail})."
        )
    if kept <= 0:
        return (
            f"None of the {saw} points seen in the search were confirmed: fresh seeds give {left} "
            f"points on val ({detail}), so all of it was luck of the draw."
        )
    if kept >= seen:
        return (
            f"The search saw {saw} points and fresh seeds give {left} on val ({detail}): no sign "
            "that the gain was luck."
        )
    return (
        f"Of the {saw} points seen in the search, {left} were confirmed on val ({detail}); "
        f"{points((seen - kept) / 100)} were luck of the draw."
    )
