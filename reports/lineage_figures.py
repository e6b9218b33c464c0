"""The descent of the winner, through the trials it was bred from; and its table."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from evolve.analysis.ancestry import Ancestry
from evolve.store.records import RunRecord
from reports.figures import (
    BEST,
    COMPLETE,
    FAIL,
    INK,
    MUTED,
    PRUNED,
    RASTER_FROM,
    RUNNING,
    draw_dots,
    drawn_trials,
    history_data,
    legend,
    role_handle,
    set_value_axis,
    special_trials,
    style,
    value_label,
)
from reports.summary import STATE_WORDS, Summary
from reports.tables import Column, Row, Table
from reports.text import clean, percent

_SOLID, _DASHED, _DOTTED = "-", (0, (4, 1.5)), (0, (1, 1.2))
_OPERATORS: dict[str, tuple[str, Any]] = {
    "crossover": (COMPLETE, _SOLID),
    "recombination": (COMPLETE, _DASHED),
    "differential": (RUNNING, _SOLID),
    "correlated": (RUNNING, _DASHED),
    "mutation": (FAIL, _SOLID),
    "immigrant": (FAIL, _DASHED),
    "restart": (BEST, _SOLID),
}
_OTHER = (PRUNED, _DOTTED)


def edge_data(found: Ancestry) -> list[tuple[int, int, str, bool]]:
    """Parent, child, operator, and whether both are on the line; of trials that are shown."""
    shown = set(found.frame["number"])
    steps = set(zip(found.line[1:], found.line, strict=False))
    return [
        (parent, int(row["number"]), str(row["origin"]), (parent, row["number"]) in steps)
        for row in found.frame.to_dict("records")
        for parent in row["parents"]
        if parent in shown
    ]


def draw_lineage(
    run: RunRecord, summary: Summary, found: Ancestry, *, wide: bool
) -> Figure | None:
    """Trials by number, and lines from parents to offspring; None without any parent."""
    edges = edge_data(found)
    if not edges:
        return None
    size = (9.6, 4.2) if wide else (3.7, 4.0)
    frame = history_data(run)
    with style():
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        none_at = set_value_axis(axes, frame["value"])
        heights = dict(zip(frame["number"], frame["value"].fillna(none_at), strict=True))
        _draw_others(axes, run, summary, heights, set(found.frame["number"]))
        for parent, child, operator, on_line in edges:
            _draw_edge(axes, (parent, child), heights, operator, on_line=on_line)
        _draw_ancestors(axes, summary, found, heights)
        _name_line(axes, found, heights, wide=wide)
        axes.set_xlim(-0.6, max(frame["number"].max(), 1) + 0.6)
        axes.xaxis.set_major_locator(MaxNLocator(8 if wide else 5, integer=True))
        axes.set(xlabel="trial", ylabel=value_label(summary))
        legend(figure, _handles(summary, edges, found), size, 2)
    return figure


def _draw_others(
    axes: Axes, run: RunRecord, summary: Summary, heights: dict[int, float], shown: set[int]
) -> None:
    rest = [n for n in sorted(drawn_trials(run, summary)) if n not in shown]
    axes.scatter(
        rest, [heights[n] for n in rest], s=9, facecolor=PRUNED, alpha=0.4, linewidth=0,
        zorder=1.5, rasterized=len(rest) > RASTER_FROM,
    )  # fmt: skip


def _draw_edge(
    axes: Axes, ends: tuple[int, int], heights: dict[int, float], operator: str, *, on_line: bool
) -> None:
    colour, dashes = _OPERATORS.get(operator, _OTHER)
    axes.plot(
        ends, [heights[one] for one in ends], color=colour, linestyle=dashes,
        linewidth=2.2 if on_line else 0.9, alpha=1.0 if on_line else 0.55,
        zorder=3 if on_line else 2,
    )  # fmt: skip


def _draw_ancestors(
    axes: Axes, summary: Summary, found: Ancestry, heights: dict[int, float]
) -> None:
    for state, own in found.frame.groupby("state", sort=True):
        draw_dots(axes, own["number"], own["number"].map(heights), str(state), 4)
    for trial, roles in special_trials(summary).items():
        for name in roles.split():
            order = 6 if name == "default" else 5
            draw_dots(axes, [trial], [heights[trial]], name, order)


def _name_line(axes: Axes, found: Ancestry, heights: dict[int, float], *, wide: bool) -> None:
    """Numbers of the trials on the line, as long as there is room along the axis."""
    span = max(1, max(heights))
    room = span / (40 if wide else 14)
    last = np.inf
    for number in found.line:
        if last - number < room:
            continue
        axes.annotate(
            f"{number}", (number, heights[number]), (0, 7), textcoords="offset points",
            ha="center", fontsize=7.5, color=INK, zorder=7,
        )  # fmt: skip
        last = number


def _handles(
    summary: Summary, edges: list[tuple[int, int, str, bool]], found: Ancestry
) -> list[Line2D]:
    used = dict.fromkeys(operator for _, _, operator, _ in edges)
    known = [name for name in _OPERATORS if name in used]
    handles = [_operator_handle(name) for name in known]
    others = [clean(name, longest=20) or "unknown" for name in used if name not in _OPERATORS]
    if others:
        handles.append(_operator_handle(", ".join(others[:3])))
    for trial, roles in special_trials(summary).items():
        handles += [role_handle(trial, name, summary) for name in roles.split()]
    if len(found.line) > 1:
        handles.append(Line2D([], [], color=MUTED, lw=2.4, label="line of the best parents"))
    return handles


def _operator_handle(name: str) -> Line2D:
    colour, dashes = _OPERATORS.get(name, _OTHER)
    return Line2D([], [], color=colour, linestyle=dashes, lw=1.6, label=name)


def ancestry_table(found: Ancestry, objective: str) -> Table:
    """The trial and its ancestors: parents, operator, value."""
    columns = (
        Column("number", "Trial", "number"),
        Column("generation", "Steps back", "number"),
        Column("origin", "Operator"),
        Column("parents", "Parents"),
        Column("state", "State", "state"),
        Column("value", objective, "number"),
        Column("line", "Line of the best parents"),
    )
    rows = (
        Row(
            (
                str(row["number"]), str(row["generation"]),
                clean(row["origin"], longest=30) or "unknown",
                ", ".join(map(str, row["parents"])),
                STATE_WORDS.get(str(row["state"]), clean(row["state"])), percent(row["value"]),
                "yes" if row["on_line"] else "",
            )
        )
        for row in found.frame.to_dict("records")
    )  # fmt: skip
    return Table(columns, tuple(rows))
