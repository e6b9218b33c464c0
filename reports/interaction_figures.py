"""Which pairs of parameters interact: a map of all, and what the forest expects over some."""

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch, Rectangle
from matplotlib.path import Path
from numpy.typing import NDArray

from evolve.analysis.interactions import Interactions, Surface
from evolve.store.records import ParameterRecord, RunRecord
from reports.figures import (
    COMPLETE,
    FAIL,
    INK,
    MUTED,
    PAPER,
    draw_dots,
    legend,
    places_of,
    role_handle,
    special_trials,
    style,
)
from reports.scales import Scale, scale_of
from reports.summary import Summary
from reports.tables import Column, Row, Table, parameter_values
from reports.text import clean

MOST_IN_MAP = 10
MOST_PAIRS = 30  # rows of the table
LEVELS = 6

_MOST_DOTS = 200
_DARKEST = 0.62
_LAYER = 0.14  # opacity of each level of a surface, one above the other

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairCell:
    """One pair in the map, by the places of its parameters; `share` in [0, 1]."""

    row: int
    column: int
    share: float
    is_above: bool


def map_data(found: Interactions) -> tuple[list[str], list[PairCell]]:
    """Parameters of the strongest pairs, by their largest share; and the cells below the diagonal.

    Ten parameters at most.
    """
    names: dict[str, None] = {}
    for first, second in found.frame[["first", "second"]].to_numpy().tolist():
        if len(names.keys() | {first, second}) <= MOST_IN_MAP:
            names |= {first: None, second: None}
    order = {name: place for place, name in enumerate(names)}
    cells = []
    for row in found.frame.to_dict("records"):
        if row["first"] in order and row["second"] in order:
            low, high = sorted((order[row["first"]], order[row["second"]]))
            above = row["share"] > row["chance"]
            cells.append(PairCell(high, low, float(row["share"]), bool(above)))
    return list(names), cells


def draw_map(found: Interactions, *, wide: bool) -> Figure | None:
    """Shares of all pairs; None where none is above chance."""
    if found.above_chance.empty:
        return None
    names, cells = map_data(found)
    side = len(names)
    size = (9.6, 0.36 * side + 1.0) if wide else (3.7, 0.36 * side + 1.2)
    top = max(cell.share for cell in cells)
    with style():
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        axes.set(xlim=(-0.5, side - 1.5), ylim=(side - 0.5, 0.5))
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        labels = [f"{clean(name, longest=26)}  {n}" for n, name in enumerate(names, start=1)]
        axes.set_yticks(range(1, side), labels[1:], color=INK)
        axes.set_xticks(range(side - 1), [str(n) for n in range(1, side)], color=INK)
        axes.tick_params(length=0)
        for cell in cells:
            _draw_cell(axes, cell, top)
        axes.set_xlabel(f"1 is {clean(names[0], longest=30)}", color=INK)
        legend(figure, _map_handles(), size, 1)
    return figure


def _draw_cell(axes: Axes, cell: PairCell, top: float) -> None:
    corner = (cell.column - 0.5, cell.row - 0.5)
    axes.add_patch(
        Rectangle(corner, 1, 1, facecolor=COMPLETE, alpha=_DARKEST * cell.share / top, lw=0)
    )
    axes.add_patch(Rectangle(corner, 1, 1, facecolor="none", edgecolor=MUTED, lw=0.3, alpha=0.6))
    if cell.is_above:
        inner = (corner[0] + 0.06, corner[1] + 0.06)
        axes.add_patch(
            Rectangle(inner, 0.88, 0.88, facecolor="none", edgecolor=FAIL, lw=1.8, zorder=3)
        )
    if cell.share >= 0.005:
        axes.text(
            cell.column, cell.row, f"{100 * cell.share:.0f}", ha="center", va="center",
            fontsize=8, color=INK, zorder=4,
        )  # fmt: skip


def _map_handles() -> list[Patch]:
    return [
        Patch(facecolor=COMPLETE, alpha=_DARKEST, lw=0, label="share of the variance, %"),
        Patch(facecolor="none", edgecolor=FAIL, lw=1.8, label="above chance"),
    ]


# -- surfaces ------------------------------------------------------------------------------


def draw_surfaces(
    run: RunRecord, summary: Summary, found: Interactions, *, wide: bool
) -> Figure | None:
    """What the forest expects over the strongest pairs, and the trials; None without a pair."""
    known = {parameter.path: parameter for parameter in run.parameters}
    surfaces = [s for s in found.surfaces if s.first in known and s.second in known]
    if not surfaces:
        return None
    count = len(surfaces)
    columns = max(2, count) if wide else 1
    size = (9.6, 3.6) if wide else (3.7, 3.1 * count + 0.9)
    shares = {(r["first"], r["second"]): r["share"] for r in found.frame.to_dict("records")}
    with style():
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(1 if wide else count, columns, squeeze=False)
        for axes in grid.flat[count:]:
            axes.set_axis_off()
        for axes, surface in zip(grid.flat, surfaces, strict=False):
            pair = known[surface.first], known[surface.second]
            _draw_surface(axes, run, summary, surface, pair)
            low, high = 100 * surface.values.min(), 100 * surface.values.max()
            share = 100 * shares[surface.first, surface.second]
            axes.set_title(
                f"{share:.0f} % of the variance; {summary.objective} {low:.1f} to {high:.1f} %",
                color=INK, fontsize=8,
            )  # fmt: skip
        legend(figure, _surface_handles(summary), size, 2)
    return figure


def _draw_surface(
    axes: Axes,
    run: RunRecord,
    summary: Summary,
    surface: Surface,
    pair: tuple[ParameterRecord, ParameterRecord],
) -> None:
    used = run.trials["state"] == "COMPLETE"
    used &= run.trials["value"].notna() & ~run.trials["number"].isin(list(run.recipes))
    numbers = run.trials["number"].to_numpy()[used]
    scales, places = [], []
    for parameter in pair:
        values = [v for v, u in zip(parameter_values(run, parameter), used, strict=True) if u]
        scale = scale_of(parameter, values, most=4)
        scales.append(scale)
        places.append(np.array([scale.place(v) for v in places_of(parameter, values)]))
    for level in level_paths(surface.values):
        patch = PathPatch(level, facecolor=COMPLETE, alpha=_LAYER, lw=0, zorder=1)
        patch.set_clip_path(None)
        axes.add_patch(patch)
    _draw_trials(axes, summary, numbers, places)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.grid(visible=False)
    for scale, set_ticks in zip(scales, (axes.set_xticks, axes.set_yticks), strict=True):
        set_ticks([at for at, _ in scale.ticks], [label for _, label in scale.ticks])
    axes.set_xlabel(clean(pair[0].path, longest=34))
    axes.set_ylabel(clean(pair[1].path, longest=34))
    _turn_long(axes, scales[0])


def _turn_long(axes: Axes, scale: Scale) -> None:
    if sum(len(label) + 2 for _, label in scale.ticks) > 32:
        for text in axes.get_xticklabels():
            text.set(rotation=30, ha="right", rotation_mode="anchor")


def _draw_trials(
    axes: Axes, summary: Summary, numbers: NDArray[np.int64], places: list[Floats]
) -> None:
    shown = np.arange(len(numbers))
    if len(shown) > _MOST_DOTS:
        shown = np.random.default_rng(0).choice(shown, _MOST_DOTS, replace=False)
    axes.scatter(
        places[0][shown], places[1][shown], s=9, facecolor=INK, edgecolor=PAPER, linewidth=0.5,
        alpha=0.85, zorder=3, clip_on=False,
    )  # fmt: skip
    for trial, roles in special_trials(summary).items():
        for name in roles.split():
            own = numbers == trial
            draw_dots(axes, places[0][own], places[1][own], name, 6 if name == "default" else 5)


def level_paths(values: Floats) -> list[Path]:
    """Areas of the unit square where values (R, C) are above 1/7, 2/7, ... of all of them.

    Each lies in the one before, so that as layers of one colour they have no seams.
    """
    marks = np.quantile(values, np.arange(1, LEVELS + 1) / (LEVELS + 1))
    areas = [values > mark for mark in marks]
    return [_area(area) for area in areas if area.any()]


def _area(inside: NDArray[np.bool_]) -> Path:
    """Cells of a grid over the unit square as one path of rectangles."""
    rows, columns = inside.shape
    corners: list[tuple[float, float]] = []
    for left, right, low, high in _rectangles(inside):
        x0, x1, y0, y1 = left / columns, right / columns, low / rows, high / rows
        corners += [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return Path(np.array(corners).reshape(-1, 2), codes * (len(corners) // 5))


def _rectangles(inside: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """Cells as rectangles of columns and rows: those in a row as one, and equal rows as one."""
    found, since = [], dict[tuple[int, int], int]()
    for row in range(len(inside) + 1):
        runs = set()
        if row < len(inside):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], inside[row].astype(int), [0]])))
            runs = {(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)}
        for run in sorted(since.keys() - runs):
            found.append((*run, since.pop(run), row))
        since |= {run: row for run in runs if run not in since}
    return found


def _surface_handles(summary: Summary) -> list[Patch | Line2D]:
    darkest = 1 - math.pow(1 - _LAYER, LEVELS)
    handles: list[Patch | Line2D] = [
        Patch(facecolor=COMPLETE, alpha=darkest, lw=0, label="highest"),
        Patch(facecolor=COMPLETE, alpha=_LAYER, lw=0, label="low"),
        Line2D([], [], ls="", marker="o", ms=3.5, mfc=INK, mec=PAPER, mew=0.5,
               label="complete trial"),
    ]  # fmt: skip
    for trial, roles in special_trials(summary).items():
        handles += [role_handle(trial, name, summary) for name in roles.split()]
    return handles


def pair_table(found: Interactions) -> Table:
    """Share of each pair in percent, with interval and level of chance; the first of many."""
    columns = (
        Column("first", "Parameter", "name"),
        Column("second", "and parameter", "name"),
        Column("share", "Share", "number"),
        Column("interval", "95 % interval", "number"),
        Column("chance", "Chance", "number"),
        Column("above", "Above chance"),
    )
    rows = (
        Row(
            (
                clean(row["first"]), clean(row["second"]), f"{100 * row['share']:.1f}",
                f"{100 * row['low']:.1f} to {100 * row['high']:.1f}",
                f"{100 * row['chance']:.1f}", "yes" if row["share"] > row["chance"] else "",
            )
        )
        for row in found.frame.head(MOST_PAIRS).to_dict("records")
    )  # fmt: skip
    return Table(columns, tuple(rows))
