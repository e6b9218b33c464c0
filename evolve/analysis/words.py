"""What mattered, in plain words: which change brought how much of the gain, and which none."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from evolve.analysis.contrasts import row_delta
from evolve.analysis.deltas import Delta
from evolve.analysis.importance import Importances
from evolve.analysis.path import Step
from evolve.analysis.phrases import listed, plural, points, span

FEW_TRIALS = 30

_VISIBLE = 0.001  # 0.1 points: what a rounded number can show
_VISIBLE_SHARE = 0.05  # of the gain
_SURE_SHARE = 0.1  # of the gain: an interval inside this is no effect
_NAMED = 4

_Z = 1.959964


@dataclass(frozen=True)
class Contribution:
    """Part of one step in the gain, with its 95 % interval, NaN where there is none."""

    step: Step
    gain: float
    low: float
    high: float

    @property
    def name(self) -> str:
        """Its parameters as prose."""
        return " with ".join(self.step.parameters)


def step_deltas(
    trainings: pd.DataFrame, rows: Sequence[str], column: str = "value_val"
) -> list[Delta]:
    """Gain of each row of a trained path over the row before, pair by pair of seeds.

    Parameters
    ----------
    trainings : DataFrame
        As for `verdict.judge`.
    rows : sequence of str
        Keys of the start and of every step, in order.
    column : str
        value_val or value_test.
    """
    steps = itertools.pairwise(rows)
    return [row_delta(trainings, before, after, column) for before, after in steps]


def explain(
    steps: Sequence[Step],
    trials: int,
    importances: Importances | None = None,
    trained: Sequence[Delta] | None = None,
) -> str:
    """A few sentences on what the gain came from.

    Parameters
    ----------
    steps : sequence of Step
        From the defaults to the evolved configuration.
    trials : int
        Complete trials that the surrogate was fitted to.
    importances : Importances, optional
        Tells a parameter that does not matter from one that was hardly changed.
    trained : sequence of Delta, optional
        Gain of each step over the one before, really trained; it stands for the estimates.
    """
    if not steps:
        return "The evolved configuration is the default one."
    if trained is None and not apart(steps, trials):
        changed = sum(len(step.parameters) for step in steps)
        return (
            f"{plural(trials, 'complete trial')} cannot tell apart what {changed} changed "
            f"parameters do; evolve explain --retrain trains every step of the path."
        )
    parts = _contributions(steps, trained)
    if any(math.isnan(part.gain) for part in parts):
        return "Not every step of the path has been trained, so its parts cannot be told."
    gained = sum(part.gain for part in parts if part.gain > 0)
    basis = _basis(trials, trained)
    if sum(part.gain for part in parts) < _VISIBLE / 2:
        return f"On the way from the defaults there is no gain to explain. {basis}"
    said = [_lead(parts, gained), _others(parts, gained), _costs(parts, gained)]
    told = trained is not None or trials >= FEW_TRIALS
    said += [*_rest(parts, gained, importances, told), basis]
    return " ".join(sentence for sentence in said if sentence)


def apart(steps: Sequence[Step], trials: int) -> bool:
    """Whether so many trials can tell apart what the steps of a path do: more than parameters."""
    return trials > sum(len(step.parameters) for step in steps)


def _contributions(steps: Sequence[Step], trained: Sequence[Delta] | None) -> list[Contribution]:
    if trained is None:
        reach = [_Z * step.gain_sd for step in steps]
        each = zip(steps, reach, strict=True)
        return [Contribution(s, s.gain, s.gain - r, s.gain + r) for s, r in each]
    pairs = zip(steps, trained, strict=True)
    return [Contribution(step, d.mean, d.low, d.high) for step, d in pairs]


def _lead(parts: Sequence[Contribution], gained: float) -> str:
    """The largest part, and its doubt."""
    first = max(parts, key=lambda part: part.gain)
    share = "Most" if first.gain > gained / 2 else "The largest part"
    said = (
        f"{share} of the gain came from {first.step.title}: {points(first.gain)} of "
        f"{points(gained)} points."
    )
    if first.low > 0:
        return said
    if math.isnan(first.low):
        return f"{said} How sure that is cannot be told."
    return f"{said} That is uncertain: its {span(first.low, first.high)} includes no gain."


def _visible(gained: float) -> float:
    return max(_VISIBLE, _VISIBLE_SHARE * gained)


def _others(parts: Sequence[Contribution], gained: float) -> str:
    ranked = sorted(parts, key=lambda part: -part.gain)[1:]
    helped = [part for part in ranked if part.gain >= _visible(gained)]
    return _amounts(helped, "added")


def _costs(parts: Sequence[Contribution], gained: float) -> str:
    ranked = sorted(parts, key=lambda part: part.gain)
    return _amounts([part for part in ranked if part.gain <= -_visible(gained)], "cost")


def _amounts(parts: Sequence[Contribution], verb: str) -> str:
    if not parts:
        return ""
    items = [
        f"{part.name} {verb + ' ' if number == 0 else ''}{points(abs(part.gain))}"
        + (" (uncertain)" if not (part.low > 0 or part.high < 0) else "")
        for number, part in enumerate(parts)
    ]
    return f"{listed(items)}."


def _rest(
    parts: Sequence[Contribution], gained: float, importances: Importances | None, told: bool
) -> list[str]:
    """Changes without a visible part: did not matter, may have, or only this change did not.

    `told` is whether enough is known to say that something did not matter.
    """
    first = max(parts, key=lambda part: part.gain)
    small = [p for p in parts if abs(p.gain) < _visible(gained) and p is not first]
    matter = _above_chance(importances)
    hardly = [p for p in small if matter.intersection(p.step.parameters)]
    others = [p for p in small if p not in hardly]
    sure = max(_VISIBLE, _SURE_SHARE * gained)
    none = [p for p in others if told and -sure <= p.low and p.high <= sure]
    unseen = [p for p in others if p not in none]
    return [
        _names(none, "did not matter."),
        _names(unseen, "made no difference that can be seen."),
        _names(hardly, "mattered in the search, but this change made little difference."),
    ]


def _above_chance(importances: Importances | None) -> set[str]:
    """Parameters that any method puts above what it gives to parameters without effect."""
    if importances is None or importances.frame.empty:
        return set()
    frame = importances.frame
    return set(frame.loc[frame["importance"] > frame["chance"], "parameter"])


def _names(parts: Sequence[Contribution], claim: str) -> str:
    if not parts:
        return ""
    names = [part.name for part in parts]
    if len(names) > _NAMED + 1:
        names = [*names[:_NAMED], f"{len(names) - _NAMED} others"]
    return f"{listed(names)} {claim}"


def _basis(trials: int, trained: Sequence[Delta] | None) -> str:
    if trained is not None:
        fewest = min(delta.pairs for delta in trained)
        return f"Every step was trained with {plural(fewest, 'seed')} or more."
    said = f"These are estimates from {plural(trials, 'trial')} of the search, not trainings"
    return f"{said}; so few give hints at best." if trials < FEW_TRIALS else f"{said}."
