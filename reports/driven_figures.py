"""Figures of early stopping and of parameters that changed; they look as all others do."""

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from evolve.analysis.fidelity import Audit
from evolve.store.records import ParameterRecord, RunRecord
from reports.driven import GROUPS
from reports.figures import (
    BEST,
    COMPLETE,
    FAIL,
    INK,
    MUTED,
    NARROW,
    PAPER,
    PRUNED,
    RUNNING,
    WIDE,
    legend,
    style,
)
from reports.schedules import Stretch, changed
from reports.text import clean

MOST_DRAWN = 1_000
MOST_PANELS = 9

LOOKS: dict[str, dict[str, Any]] = {
    "best": {"marker": "o", "s": 34, "facecolor": COMPLETE, "edgecolor": PAPER, "linewidth": 0.6},
    "by lot": {"marker": "^", "s": 44, "facecolor": PAPER, "edgecolor": FAIL, "linewidth": 1.5},
    "defaults": {"marker": "s", "s": 58, "facecolor": "none", "edgecolor": INK, "linewidth": 1.4},
    "spared": {"marker": "D", "s": 32, "facecolor": PAPER, "edgecolor": RUNNING, "linewidth": 1.4},
    "others": {"marker": "o", "s": 34, "facecolor": COMPLETE, "edgecolor": PAPER,
               "linewidth": 0.6},
}  # fmt: skip


def draw_audit(audit: Audit, objective: str, *, wide: bool) -> Figure | None:
    """Early against final value of the trials that were trained to their end."""
    shown = drawn_pairs(audit)
    if len(shown) < 2:
        return None
    with style():
        figure = Figure(figsize=WIDE if wide else NARROW, layout="constrained")
        axes = figure.add_subplot()
        axes.grid(visible=True, axis="both")
        groups = [name for name in LOOKS if (shown["group"] == name).any()]
        for name in groups:
            own = shown[shown["group"] == name]
            axes.scatter(100 * own["early"], 100 * own["final"], zorder=3, **LOOKS[name])
        best = shown[shown["number"] == audit.winner]
        axes.scatter(100 * best["early"], 100 * best["final"], marker="*", s=150, facecolor=BEST,
                     edgecolor=INK, linewidth=0.7, zorder=4)  # fmt: skip
        axes.margins(0.07)
        axes.set(
            xlabel=f"{clean(objective)} on val after epoch {audit.epoch}, %",
            ylabel=f"{clean(objective)} on val at the end, %",
        )
        handles = [_handle(GROUPS[name], LOOKS[name]) for name in groups]
        star = {"marker": "*", "s": 150, "facecolor": BEST, "edgecolor": INK, "linewidth": 0.7}
        handles.append(_handle(f"highest at the end (trial {audit.winner})", star))
        legend(figure, handles, (6.0 if wide else NARROW[0], 0), 1)
    return figure


def drawn_pairs(audit: Audit) -> pd.DataFrame:
    """The pairs that are drawn: all, or of very many a part picked at random.

    The highest at the end is always in it, and so are those that were not chosen for their values.
    """
    shown = audit.shown
    if len(shown) <= MOST_DRAWN:
        return shown
    picked = shown.index.isin(shown.sample(MOST_DRAWN, random_state=0).index)
    apart = ~shown["group"].isin(("best", "others")) | (shown["number"] == audit.winner)
    return shown[picked | apart]


def _handle(label: str, look: dict[str, Any]) -> Line2D:
    return Line2D(
        [], [], ls="", marker=look["marker"], markersize=math.sqrt(look["s"]),
        markerfacecolor=look["facecolor"], markeredgecolor=look["edgecolor"],
        markeredgewidth=look["linewidth"], label=label,
    )  # fmt: skip


def draw_schedule(run: RunRecord, found: list[Stretch], *, wide: bool) -> Figure | None:
    """Values of the parameters that changed during a training, epoch by epoch, as steps."""
    parameters = [p for p in changed(run, found) if _drawable(p)][:MOST_PANELS] if found else []
    if not parameters:
        return None
    columns = min(3, max(2, len(parameters))) if wide else 1
    rows = -(-len(parameters) // columns)
    width = WIDE[0] if wide else NARROW[0]
    with style():
        figure = Figure(figsize=(width, 2.1 * rows + 0.2), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(parameters) :]:
            axes.set_axis_off()
        for axes, parameter in zip(grid.flat, parameters, strict=False):
            _draw_steps(axes, parameter, found)
        for axes in grid[-1]:
            axes.set_xlabel("epoch")
    return figure


def _drawable(parameter: ParameterRecord) -> bool:
    return parameter.choices is None or all(
        isinstance(choice, int | float) for choice in parameter.choices
    )


def _draw_steps(axes: Axes, parameter: ParameterRecord, found: list[Stretch]) -> None:
    edges = [found[0].first - 1, *(one.last for one in found)]
    heights = [float(one.values[parameter.path]) for one in found]
    if parameter.scale == "log" and min(heights) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(FixedLocator(sorted({min(heights), max(heights)})))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.stairs(heights, edges, baseline=None, color=COMPLETE, linewidth=2.0, zorder=3)
    for edge in edges[1:-1]:
        axes.axvline(edge, color=PRUNED, linewidth=0.7, linestyle=(0, (2, 2)), zorder=1)
    axes.set_xlim(edges[0], edges[-1])
    axes.margins(y=0.15)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_title(clean(parameter.path, longest=34), color=INK)
    axes.tick_params(colors=MUTED)
