"""The verdict on a row of a table in words, with all that limits it."""

import math
from dataclasses import dataclass

from evolve.analysis.decisions import Decision
from evolve.analysis.deltas import Delta
from evolve.analysis.phrases import digits_for, plural, points, probability, span, upper_first
from evolve.analysis.verdict import limits

MOST_SEEDS = 99  # that a row is said to want: nobody trains more
_MANY_TIMES = 100


@dataclass(frozen=True)
class Told:
    """What a sentence is made of, besides the decision.

    Attributes
    ----------
    title, baseline : str
        As inside a sentence.
    unit : str
        As 'AP points on test'.
    planned, failed : int
        Trainings of the row.
    reason : str
        Of its failures.
    images : int or None
    rows : int
        Rows that p was corrected for.
    region : float
    is_one_of_many : bool
        Whether rows have different baselines, so that each has to be named.
    """

    title: str
    baseline: str
    unit: str
    planned: int
    failed: int
    reason: str
    images: int | None
    rows: int
    region: float
    is_one_of_many: bool = False


def failed_sentence(told: Told) -> str:
    """What is said of a row without enough trainings to judge it."""
    return (
        f"{upper_first(told.title)} failed: {told.failed} of "
        f"{plural(told.planned, 'training')} ({told.reason})."
    )


def row_sentence(decision: Decision, delta: Delta, told: Told) -> str:
    """The verdict on one row."""
    title = upper_first(told.title)
    if told.is_one_of_many:
        title = f"Against {told.baseline}, {told.title}"
    if not delta.pairs:
        return (
            f"{upper_first(told.title)}: undecided; with no seed are {told.baseline} and it both "
            "trained to the end."
        )
    size = points(delta.mean, digits_for(delta.mean))
    claim = {
        "helps": f"{title} helps by {size} {told.unit}",
        "hurts": f"{title} hurts by {points(-delta.mean, digits_for(delta.mean))} {told.unit}",
        "no effect": f"{title} has no effect, nothing beyond \u00b1{points(told.region)} "
        f"{told.unit}: {size}",
        "undecided": f"{title}: undecided, {size} {told.unit}",
    }[decision.word]
    more = f"; {_outlook(decision, delta)}" if decision.word == "undecided" else ""
    rest = f"{_failures(told)}{limits(delta, told.planned)}"
    return f"{claim} ({_detail(decision, delta, told)}){more}.{rest}"


def _detail(decision: Decision, delta: Delta, told: Told) -> str:
    of_all = "" if delta.pairs == told.planned else f"{delta.pairs} of "
    parts = [f"{of_all}{plural(told.planned, 'seed')}"]
    if told.images and "images" in delta.source:
        parts[0] += f", {plural(told.images, 'image')}"
    if delta.spread is None:
        return parts[0]
    parts.insert(0, span(delta.low, delta.high))
    if math.isnan(decision.p):
        pass
    elif decision.word == "no effect":
        parts.append(f"equivalence p {probability(decision.p_same)}{_over(told.rows)}")
    else:
        parts.append(f"{decision.test} p {probability(decision.p_holm)}{_over(told.rows)}")
    parts.append(f"P(better) {probability(delta.p_better)}")
    return "; ".join(parts)


def _over(rows: int) -> str:
    return f" after Holm over {rows} rows" if rows > 1 else ""


def _outlook(decision: Decision, delta: Delta) -> str:
    if decision.more_seeds is None:
        times = decision.more_images
        if math.isnan(times):
            return "thousands of seeds could not tell"
        asked = f"about {times:.1f}" if times < _MANY_TIMES else f"more than {_MANY_TIMES}"
        return f"more seeds cannot tell, {asked} times the images could"
    if delta.pairs < 2:
        return f"{plural(decision.more_seeds, 'more seed')} at least needed"
    if decision.more_seeds > MOST_SEEDS:
        return f"more than {MOST_SEEDS} more seeds needed"
    return f"about {plural(decision.more_seeds, 'more seed')} needed"


def _failures(told: Told) -> str:
    if not told.failed:
        return ""
    return (
        f" {told.failed} of its {plural(told.planned, 'training')} failed ({told.reason}); "
        "what they would have given is not in the mean."
    )
