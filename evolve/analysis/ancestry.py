"""From which trials one was bred, generation by generation."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

COLUMNS = ("number", "generation", "origin", "parents", "state", "value", "on_line")
MOST = 40
LONGEST_LINE = 20


@dataclass(frozen=True, eq=False)
class Ancestry:
    """A trial and the trials it descends from.

    Attributes
    ----------
    frame : DataFrame, the trial first, then by generation and number
        number, generation (steps back, 0 for the trial itself), origin (default, random, an
        operator, ...; empty if unknown), parents (tuple of numbers, those that the run holds),
        state, value (in [0, 1], NaN if none), on_line.
    line : tuple of int
        The trial, the parent with the highest value, its parent with the highest, and so on.
    more : int
        Ancestors that the frame leaves out, the farthest.
    """

    frame: pd.DataFrame
    line: tuple[int, ...]
    more: int = 0


def ancestry(trials: pd.DataFrame, number: int, most: int = MOST) -> Ancestry:
    """Ancestry of one of the trials.

    Parameters
    ----------
    trials : DataFrame
        `RunRecord.trials`.
    number : int
        Of one of them.
    most : int
        Trials in the frame; the line comes first, 20 of it at most.
    """
    names = ["number", "origin", "parents", "state", "value"]
    rows = {int(row["number"]): row for row in trials[names].to_dict("records")}
    parents = {one: _parents(row, rows) for one, row in rows.items()}
    steps = _steps_back(parents, number)
    line = _line(parents, rows, number)
    nearest = sorted(steps, key=lambda one: (one not in line, steps[one], -one))[:most]
    shown = sorted(nearest, key=lambda one: (steps[one], one))
    records = [
        {**rows[one], "number": one, "generation": steps[one], "parents": parents[one],
         "on_line": one in line}
        for one in shown
    ]  # fmt: skip
    frame = pd.DataFrame(records, columns=list(COLUMNS))
    return Ancestry(frame, line, len(steps) - len(shown))


def _parents(row: Mapping[Any, Any], rows: Mapping[int, Any]) -> tuple[int, ...]:
    """Those that the run holds; a trial is younger than its parents, whatever the store says."""
    numbers = dict.fromkeys(int(one) for one in row["parents"])
    return tuple(one for one in numbers if one in rows and one < int(row["number"]))


def _steps_back(parents: Mapping[int, tuple[int, ...]], number: int) -> dict[int, int]:
    """Every ancestor and the trial itself, with the fewest steps to it."""
    steps, wave = {number: 0}, [number]
    while wave:
        born = dict.fromkeys(one for child in wave for one in parents[child])
        wave = [one for one in born if one not in steps]
        reached = max(steps.values()) + 1
        steps |= dict.fromkeys(wave, reached)
    return steps


def _line(
    parents: Mapping[int, tuple[int, ...]], rows: Mapping[int, Mapping[Any, Any]], number: int
) -> tuple[int, ...]:
    line = [number]
    while parents[line[-1]] and len(line) < LONGEST_LINE:
        line.append(max(parents[line[-1]], key=lambda one: _rank(rows[one])))
    return tuple(line)


def _rank(row: Mapping[Any, Any]) -> tuple[bool, float]:
    """Complete trials before others, by value."""
    value = float(row["value"])
    known = not math.isnan(value)
    return known and row["state"] == "COMPLETE", value if known else -math.inf
