"""Where values of a parameter stand on an axis from 0 to 1, and the ticks of that axis."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import MaxNLocator

from evolve.store.records import ParameterRecord
from reports.figures import choice_labels, log_ticks, places_of, power

_STEPS = [1, 2, 2.5, 5, 10]


@dataclass(frozen=True)
class Scale:
    """An axis of one parameter.

    Attributes
    ----------
    ticks : tuple of (place in [0, 1], label)
    is_log : bool
    low, high : float
        Values at 0 and 1; of choices their index half a step beyond the first and last.
    """

    ticks: tuple[tuple[float, str], ...]
    is_log: bool
    low: float
    high: float

    def place(self, value: float) -> float:
        """Place of a value (of a choice its index); NaN if it has none."""
        if math.isnan(value):
            return math.nan
        low, high, at = self.low, self.high, value
        if self.is_log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low) if high > low else 0.5


def scale_of(parameter: ParameterRecord, values: Sequence[Any], most: int = 5) -> Scale:
    """Scale over the searched range and all values, with `most` ticks or so."""
    if parameter.choices is not None:
        labels = choice_labels(parameter)
        count = len(labels)
        ticks = tuple(((k + 0.5) / count, label) for k, label in enumerate(labels))
        return Scale(ticks, False, -0.5, count - 0.5)
    bounds = [b for b in (parameter.low, parameter.high) if b is not None]
    known = [*bounds, *(v for v in places_of(parameter, values) if not math.isnan(v))]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    is_log = parameter.scale == "log" and low > 0
    bare = Scale((), is_log, low, high)
    if is_log:
        marks, write = log_ticks(low, high), power
    else:
        whole = parameter.kind == "int"
        marks = list(MaxNLocator(most, steps=_STEPS, integer=whole).tick_values(low, high))
        write = _plain
    ticks = tuple(
        (bare.place(m), write(m)) for m in marks if low <= m * 1.000001 <= high * 1.00001
    )
    return Scale(ticks, is_log, low, high)


def _plain(value: float) -> str:
    return f"{value:.4g}"
