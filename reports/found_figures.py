"""Figures of what a run found; they look as those of `reports.figures` do.

The data behind each drawing are lists of plain records, tested by value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from evolve.analysis.deltas import Delta
from evolve.findings import AblationPath, Final
from reports.figures import (
    BEST,
    COMPLETE,
    FAIL,
    GRID,
    INK,
    MUTED,
    PAPER,
    PRUNED,
    legend,
    style,
)
from reports.found_tables import by_importance, title_of
from reports.text import clean, points

MOST_PARAMETERS = 20
WIDE_IN, NARROW_IN = 9.6, 3.7

_Z = 1.96


@dataclass(frozen=True)
class Dots:
    """One row of a comparison: values in percent, difference in points; NaN where unknown."""

    title: str
    values: tuple[float, ...]
    mean: float
    delta: float
    low: float
    high: float
    is_winner: bool


def dot_data(final: Final) -> list[Dots]:
    """Rows of a comparison in their order."""
    found = []
    for row in final.rows:
        delta = row.delta or Delta(math.nan, math.nan, 0, "none")
        found.append(
            Dots(
                title=clean(title_of(row), longest=28),
                values=tuple(100 * v for v in row.values if not math.isnan(v)),
                mean=100 * row.judged.mean,
                delta=100 * delta.mean,
                low=100 * delta.low,
                high=100 * delta.high,
                is_winner=row.key == final.winner,
            )
        )
    return found


def draw_rows(final: Final, objective: str, *, wide: bool) -> Figure:
    """Every training of a comparison, and the differences to the defaults with their intervals."""
    rows = dot_data(final)
    height = 0.42 * len(rows)
    with style():
        if wide:
            figure = Figure(figsize=(WIDE_IN, height + 1.1), layout="constrained")
            left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1))
        else:
            figure = Figure(figsize=(NARROW_IN, 2 * height + 1.9), layout="constrained")
            left, right = figure.subplots(2, 1)
        row_axis(left, [row.title for row in rows])
        row_axis(right, [row.title for row in rows])
        for place, row in enumerate(rows):
            _draw_values(left, place, row)
            _draw_delta(right, place, row)
        left.set_xlabel(f"{objective} on {clean(final.judged_on)}, %")
        right.set_xlabel("difference to the defaults, points")
        right.axvline(0, color=INK, linewidth=0.8, zorder=1)
        keep_zero_in_sight(right)
        legend(figure, _row_handles(), (figure.get_figwidth(), 0), 2)
    return figure


def row_axis(axes: Axes, labels: Sequence[str]) -> None:
    """Set up an axis of numbers over rows that are named at the left, the first on top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.margins(x=0.06)


def _draw_values(axes: Axes, place: int, row: Dots) -> None:
    count = len(row.values)
    heights = [place + 0.16 * (k - (count - 1) / 2) / max(1, count - 1) for k in range(count)]
    look: dict[str, Any] = {"facecolor": COMPLETE, "edgecolor": PAPER, "linewidth": 0.6}
    axes.scatter(row.values, heights, s=27, zorder=3, **look)
    if not math.isnan(row.mean):
        colour = BEST if row.is_winner else INK
        axes.plot([row.mean] * 2, [place - 0.28, place + 0.28], color=colour, lw=2.2, zorder=2)


def _draw_delta(axes: Axes, place: int, row: Dots) -> None:
    if math.isnan(row.delta):
        return
    colour = COMPLETE if row.low > 0 else FAIL if row.high < 0 else PRUNED
    if not math.isnan(row.low):
        axes.plot([row.low, row.high], [place] * 2, color=colour, lw=1.6, zorder=3,
                  solid_capstyle="butt")  # fmt: skip
    face = colour if not math.isnan(row.low) else PAPER
    axes.scatter([row.delta], [place], s=36, marker="D", facecolor=face, edgecolor=colour,
                 linewidth=1.1, zorder=4)  # fmt: skip


def keep_zero_in_sight(axes: Axes) -> None:
    """Widen the axis of numbers until 0 is on it, with some room."""
    low, high = axes.get_xlim()
    reach = 0.06 * (max(high, 0) - min(low, 0))
    axes.set_xlim(min(low, -reach), max(high, reach))


def _row_handles() -> list[Line2D]:
    dot = Line2D([], [], ls="", marker="o", ms=5, mfc=COMPLETE, mec=PAPER, label="one training")
    mean = Line2D([], [], ls="", marker="|", ms=10, mew=2.2, color=INK, label="mean")
    best = Line2D(
        [], [], ls="", marker="|", ms=10, mew=2.2, color=BEST, label="mean of the winner"
    )
    delta = Line2D([], [], marker="D", ms=5, color=COMPLETE, lw=1.6, label="difference, 95 %")
    return [dot, mean, best, delta]


def draw_importance(frame: pd.DataFrame, *, wide: bool) -> Figure | None:
    """Share of each parameter by each method, with intervals and the level of chance."""
    names = by_importance(frame)[:MOST_PARAMETERS]
    methods = list(dict.fromkeys(frame["method"])) if names else []
    if not methods:
        return None
    height = 0.27 * len(names)
    with style():
        if wide:
            figure = Figure(figsize=(WIDE_IN, height + 1.1), layout="constrained")
            grid = figure.subplots(1, len(methods), sharey=True, squeeze=False)
        else:
            size = (NARROW_IN, len(methods) * (height + 0.7) + 0.6)
            figure = Figure(figsize=size, layout="constrained")
            grid = figure.subplots(len(methods), 1, squeeze=False)
        for axes, method in zip(grid.flat, methods, strict=True):
            row_axis(axes, [clean(name, longest=30) for name in names])
            own = frame[frame["method"] == method].set_index("parameter")
            _draw_shares(axes, own.reindex(names))
            axes.set_title(clean(method))
            axes.set_xlabel("share, %")
        legend(figure, _importance_handles(), (figure.get_figwidth(), 0), 2)
    return figure


def _draw_shares(axes: Axes, rows: pd.DataFrame) -> None:
    for place, one in enumerate(rows.itertuples()):
        share, low, high, chance = (
            100 * float(str(getattr(one, name)))
            for name in ("importance", "low", "high", "chance")
        )
        if math.isnan(share):
            continue
        colour = COMPLETE if share > chance else PRUNED
        axes.barh(place, share, height=0.62, color=colour, alpha=0.85, zorder=2)
        axes.plot([low, high], [place] * 2, color=INK, lw=1.0, zorder=3)
        axes.plot([chance] * 2, [place - 0.4, place + 0.4], color=FAIL, lw=1.6, zorder=4)
    axes.set_xlim(left=0)


def _importance_handles() -> list[Patch | Line2D]:
    return [
        Patch(color=COMPLETE, alpha=0.85, label="above chance"),
        Patch(color=PRUNED, alpha=0.85, label="not above it"),
        Line2D([], [], color=INK, lw=1.0, label="95 % of resamples"),
        Line2D([], [], ls="", marker="|", ms=9, mew=1.6, color=FAIL, label="level of chance"),
    ]


@dataclass(frozen=True)
class Bar:
    """One step of a path: from where to where, in points above the defaults."""

    label: str
    start: float
    gain: float
    low: float
    high: float


def bar_data(path: AblationPath, *, measured: bool = False) -> list[Bar]:
    """Steps of a path as a waterfall; `low` and `high` are ends of the gain's 95 % interval.

    A step without a measured gain leaves the level where it is.
    """
    level, bars = 0.0, []
    for number, step in enumerate(path.steps):
        reach = _Z * step.gain_sd
        ends = (step.gain, step.gain - reach, step.gain + reach)
        if measured:
            delta = path.trained[number]
            ends = (delta.mean, delta.low, delta.high)
        gain, low, high = (100 * end for end in ends)
        bars.append(Bar(clean(step.title.replace("->", "→"), longest=90), level, gain, low, high))
        level += 0.0 if math.isnan(gain) else gain
    return bars


def draw_path(path: AblationPath, objective: str, *, wide: bool) -> Figure | None:
    """Waterfall from the defaults to the winner: estimated, and measured where it was trained."""
    if not path.steps:
        return None
    estimated = bar_data(path)
    measured = bar_data(path, measured=True) if path.trained else []
    both = bool(measured)
    places = _places(both=both, wide=wide)
    with style():
        figure = Figure(
            figsize=(WIDE_IN if wide else NARROW_IN, places.pitch_in * len(estimated) + 1.1),
            layout="constrained",
        )
        axes = figure.add_subplot()
        row_axis(axes, [clean(bar.label, longest=46) if wide else "" for bar in estimated])
        axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
        _draw_bars(axes, estimated, places.estimated, places.thick, solid=False)
        if measured:
            _draw_bars(axes, measured, places.measured, places.thick, solid=True)
        if not wide:
            _label_above(axes, estimated, places)
        axes.set_xlabel(f"{objective} points above the defaults")
        keep_zero_in_sight(axes)
        legend(figure, _path_handles(both=both), (figure.get_figwidth(), 0), 2)
    return figure


@dataclass(frozen=True)
class _Places:
    """Where bars and the label lie in the strip of a step, whose height is 1."""

    pitch_in: float
    thick: float
    estimated: float
    measured: float = 0.0
    label: float = 0.0


def _places(*, both: bool, wide: bool) -> _Places:
    if wide:
        return _Places(0.37, 0.36, -0.2, 0.2) if both else _Places(0.29, 0.6, 0.0)
    return _Places(0.56, 0.26, -0.06, 0.26, -0.36) if both else _Places(0.42, 0.4, 0.16, 0, -0.28)


def _draw_bars(
    axes: Axes, bars: Sequence[Bar], shift: float, thick: float, *, solid: bool
) -> None:
    for place, bar in enumerate(bars):
        if math.isnan(bar.gain):
            continue
        colour, height = _colour(bar.gain), place + shift
        look: dict[str, Any] = {"facecolor": colour if solid else PAPER, "edgecolor": colour}
        axes.barh(height, bar.gain, left=bar.start, height=thick, linewidth=1.0, zorder=2, **look)
        if not math.isnan(bar.low):
            ends = [bar.start + bar.low, bar.start + bar.high]
            axes.plot(ends, [height] * 2, color=INK, lw=1.0, zorder=4)
        if place + 1 < len(bars):
            end = [bar.start + bar.gain] * 2
            axes.plot(end, [height, height + 1], color=GRID, lw=0.9, zorder=1)
        right = bar.start + max(bar.gain, 0.0, *(v for v in (bar.high,) if not math.isnan(v)))
        axes.annotate(
            points(bar.gain / 100), (right, height), (4, 0), textcoords="offset points",
            va="center", fontsize=7.5, color=MUTED if not solid else INK, zorder=5,
        )  # fmt: skip


def _colour(gain: float) -> str:
    """Of a gain in points, a loss, or what is written as 0.0."""
    if abs(gain) < 0.05:
        return PRUNED
    return COMPLETE if gain > 0 else FAIL


def _label_above(axes: Axes, bars: Sequence[Bar], places: _Places) -> None:
    for place, bar in enumerate(bars):
        axes.text(
            0.0, place + places.label, clean(bar.label, longest=52),
            transform=axes.get_yaxis_transform(), va="center", ha="left", fontsize=7.5, color=INK,
            zorder=6, bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip


def _path_handles(*, both: bool) -> list[Patch | Line2D]:
    handles: list[Patch | Line2D] = [
        Patch(facecolor=PAPER, edgecolor=COMPLETE, label="estimated gain"),
    ]
    if both:
        handles.append(Patch(color=COMPLETE, label="measured gain"))
    handles.append(Patch(color=FAIL, label="loss"))
    return [*handles, Line2D([], [], color=INK, lw=1.0, label="95 % interval")]
