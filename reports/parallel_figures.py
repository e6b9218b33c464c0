"""All searched parameters of many trials at once, as parallel coordinates.

The axes lie across, one below the other, so that names and ticks can be read; a line is a trial
from the most important parameter down to its value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from evolve.store.records import ParameterRecord, RunRecord
from reports.figures import (
    BEST,
    COMPLETE,
    INK,
    MUTED,
    PAPER,
    PRUNED,
    draw_dots,
    legend,
    places_of,
    role_handle,
    special_trials,
    style,
    value_label,
)
from reports.found_tables import by_importance
from reports.scales import Scale, scale_of
from reports.summary import Summary
from reports.tables import parameter_values
from reports.text import clean

MOST_AXES = 12
MOST_LINES = 150
BANDS = 5

_LOOKS: tuple[dict[str, Any], ...] = (  # of the bands of values, lowest first
    {"color": PRUNED, "alpha": 0.22, "linewidth": 0.7},
    {"color": PRUNED, "alpha": 0.38, "linewidth": 0.7},
    {"color": COMPLETE, "alpha": 0.30, "linewidth": 0.8},
    {"color": COMPLETE, "alpha": 0.5, "linewidth": 0.9},
    {"color": COMPLETE, "alpha": 0.85, "linewidth": 1.1},
)
_ROLE_LOOKS: dict[str, dict[str, Any]] = {
    "default": {"color": INK, "linewidth": 1.5, "linestyle": (0, (3.5, 1.5))},
    "best": {"color": BEST, "linewidth": 2.4, "linestyle": "-"},
}

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lines:
    """Complete trials as lines.

    Attributes
    ----------
    parameters : tuple of ParameterRecord
        Of the axes, most important first.
    scales : tuple of Scale
        Of these, and of the value in percent at the end.
    numbers : tuple of int
    places : array, shape (N, P + 1)
        Of each trial on each axis; NaN where it has no such parameter.
    bands : array, shape (N,)
        Fifth of the values that each is in, 0 the lowest.
    total : int
        Complete trials that there are.
    """

    parameters: tuple[ParameterRecord, ...]
    scales: tuple[Scale, ...]
    numbers: tuple[int, ...]
    places: Floats
    bands: NDArray[np.int64]
    total: int


def axes_of(run: RunRecord, importances: pd.DataFrame | None) -> list[ParameterRecord]:
    """Searched parameters by falling importance, those without one in their order; 12 at most."""
    ranked = [] if importances is None else by_importance(importances)
    ranks = {name: rank for rank, name in enumerate(ranked)}
    parameters = sorted(run.parameters, key=lambda p: ranks.get(p.path, len(ranks)))
    return parameters[:MOST_AXES]


def parallel_data(
    run: RunRecord, summary: Summary, importances: pd.DataFrame | None
) -> Lines | None:
    """Lines of the complete trials whose parameters stayed as they were; None for fewer than two.

    Of very many a seeded part, best and defaults always in it.
    """
    parameters = axes_of(run, importances)
    trials = run.trials
    used = (trials["state"] == "COMPLETE") & trials["value"].notna()
    used &= ~trials["number"].isin(list(run.recipes))
    if not parameters or used.sum() < 2:
        return None
    values = 100 * trials["value"].to_numpy(float)[used]
    numbers = trials["number"].to_numpy()[used]
    given = [_chosen(parameter_values(run, p), used) for p in parameters]
    scales = [*map(scale_of, parameters, given), _value_scale(values)]
    columns = [places_of(p, several) for p, several in zip(parameters, given, strict=True)]
    places = np.array(
        [[scale.place(v) for v in column] for scale, column in
         zip(scales, [*columns, values.tolist()], strict=True)]
    ).T  # fmt: skip
    kept = _drawn(numbers, summary)
    return Lines(
        tuple(parameters), tuple(scales), tuple(numbers[kept].tolist()), places[kept],
        _bands(values)[kept], len(numbers),
    )  # fmt: skip


def _chosen(values: Sequence[Any], used: "pd.Series[bool]") -> list[Any]:
    return [value for value, is_used in zip(values, used, strict=True) if is_used]


def _value_scale(values: Floats) -> Scale:
    record = ParameterRecord(
        "", "float", "linear", float(values.min()), float(values.max()), None, None, ""
    )
    return scale_of(record, ())


def _drawn(numbers: NDArray[Any], summary: Summary) -> NDArray[np.bool_]:
    if len(numbers) <= MOST_LINES:
        return np.ones(len(numbers), bool)
    picked = np.random.default_rng(0).choice(len(numbers), MOST_LINES, replace=False)
    return np.isin(np.arange(len(numbers)), picked) | np.isin(
        numbers, list(special_trials(summary))
    )


def _bands(values: Floats) -> NDArray[np.int64]:
    """Fifth of each value by its rank; equal ones are in the same."""
    ranks = pd.Series(values).rank(method="average").to_numpy()
    return np.minimum((ranks - 0.5) / len(values) * BANDS, BANDS - 1).astype(np.int64)


def draw_parallel(
    run: RunRecord, summary: Summary, importances: pd.DataFrame | None, *, wide: bool
) -> Figure | None:
    """Complete trials through all parameters, coloured by their value."""
    lines = parallel_data(run, summary, importances)
    if lines is None:
        return None
    count = len(lines.scales)
    pitch = 0.44 if wide else 0.58
    size = (9.6 if wide else 3.7, pitch * count + (0.9 if wide else 1.5))
    with style():
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        axes.set(xlim=(-0.01, 1.01), ylim=(count - 1 + 0.45, -0.35 if wide else -0.5))
        axes.set_axis_off()
        for band in range(BANDS):
            _draw_lines(axes, lines, lines.bands == band, _LOOKS[band], 2 + 0.1 * band)
        special = special_trials(summary)
        for number in lines.numbers:
            _draw_special(axes, lines, number, special.get(number, ""))
        names = [clean(p.path, longest=34) for p in lines.parameters]
        for place, (scale, name) in enumerate(
            zip(lines.scales, [*names, value_label(summary)], strict=True)
        ):
            _draw_axis(axes, place, scale, name, wide=wide)
        legend(figure, _handles(lines, summary), size, 1)
    return figure


def _draw_lines(
    axes: Axes, lines: Lines, chosen: NDArray[np.bool_], look: dict[str, Any], order: float
) -> None:
    heights = np.arange(lines.places.shape[1], dtype=float)
    segments = [np.column_stack([one, heights]) for one in lines.places[chosen]]
    axes.add_collection(LineCollection(segments, zorder=order, **look))


def _draw_special(axes: Axes, lines: Lines, number: int, roles: str) -> None:
    if not roles:
        return
    own = lines.places[lines.numbers.index(number)]
    kind = "best" if "best" in roles else "default"
    heights = np.arange(len(own))
    if kind == "best":
        axes.plot(own, heights, color=INK, linewidth=3.4, zorder=5)
    axes.plot(own, heights, zorder=5.5 if kind == "best" else 5.2, **_ROLE_LOOKS[kind])
    for name in roles.split():
        draw_dots(axes, own[-1:], heights[-1:], name, 6)


def _draw_axis(axes: Axes, place: int, scale: Scale, name: str, *, wide: bool) -> None:
    axes.plot([0, 1], [place] * 2, color=MUTED, linewidth=0.8, zorder=3)
    box = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.6, "alpha": 0.8}
    for at, label in scale.ticks:
        axes.plot([at] * 2, [place - 0.05, place + 0.05], color=MUTED, linewidth=0.8, zorder=3)
        axes.annotate(
            label, (at, place), (0, -4), textcoords="offset points", ha="center", va="top",
            fontsize=7, color=MUTED, zorder=7, bbox=box,
        )  # fmt: skip
    if wide:
        axes.annotate(
            name, (0, place), (-8, 0), textcoords="offset points", ha="right", va="center",
            color=INK, fontsize=8.5,
        )  # fmt: skip
    else:
        axes.annotate(
            name, (0, place), (0, 3), textcoords="offset points", ha="left", va="bottom",
            color=INK, fontsize=8, zorder=7, bbox=box,
        )  # fmt: skip


def _handles(lines: Lines, summary: Summary) -> list[Line2D]:
    handles = [
        Line2D([], [], label=f"{word} fifth of the values", **_LOOKS[band])
        for word, band in (("lowest", 0), ("middle", 2), ("highest", BANDS - 1))
    ]
    for number, roles in special_trials(summary).items():
        for name in roles.split():
            if number in lines.numbers:
                handle = role_handle(number, name, summary)
                handle.set(**_ROLE_LOOKS[name])
                handles.append(handle)
    return handles


def parallel_caption(lines: Lines, searched: int, objective: str) -> str:
    """What is drawn, and what is left out."""
    part = ""
    if len(lines.numbers) < lines.total:
        part = (
            f" Of {lines.total:,} complete trials {MOST_LINES} are drawn, picked at random, and "
            "those that stand out."
        )
    cut = ""
    if searched > len(lines.parameters):
        cut = f" The {len(lines.parameters)} most important of {searched} parameters are shown."
    gap = ""
    if any(math.isnan(v) for v in lines.places.ravel().tolist()):
        gap = " A line is broken where a trial has no such parameter."
    return (
        "Each line is a complete trial, from the most important parameter down to its "
        f"{objective}; axes span what was searched, logarithmic where the search was.{gap}{cut}"
        f"{part}"
    )
