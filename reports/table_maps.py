"""Figures of what a table's design estimates, and of how its rows learn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from evolve.findings.table import TableFindings
from reports.figures import COMPLETE, FAIL, GRID, INK, MUTED, PAPER, PRUNED, legend, style
from reports.found_figures import NARROW_IN, WIDE_IN, keep_zero_in_sight, row_axis
from reports.table_figures import HATCH
from reports.table_summary import others_of
from reports.table_trainings import RowCurve
from reports.text import clean, points

MOST_BARS = 40
MAP_IN = 6.4
_STRONGEST = 0.6  # of a colour behind a number


@dataclass(frozen=True)
class EffectBar:
    """An effect, interaction or Shapley value in points; `is_sure` after Holm."""

    name: str
    mean: float
    low: float
    high: float
    is_sure: bool


def effect_data(found: TableFindings) -> list[EffectBar]:
    """What the design estimates; of very many the largest, in their order."""
    bars = []
    for one in cast("list[dict[str, Any]]", found.effects.to_dict("records")):
        mean, low, high = (100 * float(one[name]) for name in ("mean", "low", "high"))
        name = clean(one.get("ingredient") or one.get("name"), longest=34)
        bars.append(EffectBar(name, mean, low, high, _is_sure(one, found)))
    largest = sorted(bars, key=lambda bar: -abs(bar.mean))[:MOST_BARS]
    return [bar for bar in bars if bar in largest]


def _is_sure(one: dict[str, Any], found: TableFindings) -> bool:
    return float(one["p_holm"]) <= found.run.alpha and not one["low"] <= 0 <= one["high"]


def draw_effects(found: TableFindings, *, wide: bool) -> Figure | None:
    """Estimates with their intervals; None where the design has none."""
    bars = effect_data(found)
    if not bars:
        return None
    with style():
        size = (WIDE_IN if wide else NARROW_IN, (0.29 if wide else 0.27) * len(bars) + 1.1)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        row_axis(axes, [bar.name if wide else clean(bar.name, longest=18) for bar in bars])
        axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
        for place, bar in enumerate(bars):
            axes.barh(place, bar.mean, height=0.6, linewidth=1.0, zorder=2, **_look(bar))
            ends = [0.0, bar.mean]
            if not math.isnan(bar.low):
                axes.plot([bar.low, bar.high], [place] * 2, color=INK, lw=1.0, zorder=4)
                ends += [bar.low, bar.high]
            axes.annotate(
                points(bar.mean / 100), (max(ends), place), (4, 0), textcoords="offset points",
                va="center", fontsize=7.5, color=INK, zorder=5,
            )  # fmt: skip
        axes.set_xlabel(f"{clean(found.objective)} points")
        axes.margins(x=0.1)
        keep_zero_in_sight(axes)
        legend(figure, _effect_handles(bars), (figure.get_figwidth(), 0), 2)
    return figure


def _look(bar: EffectBar) -> dict[str, Any]:
    if not bar.is_sure:
        return {"facecolor": PAPER, "edgecolor": PRUNED, "linestyle": (0, (3, 1.6))}
    if bar.mean > 0:
        return {"facecolor": COMPLETE, "edgecolor": COMPLETE}
    return {"facecolor": PAPER, "edgecolor": FAIL, "hatch": HATCH}


def _effect_handles(bars: Sequence[EffectBar]) -> list[Patch | Line2D]:
    kinds = {(bar.is_sure, bar.is_sure and bar.mean > 0): bar for bar in bars}
    words = {(True, True): "adds, surely", (True, False): "takes away, surely",
             (False, False): "may be chance"}  # fmt: skip
    handles: list[Patch | Line2D] = [
        Patch(**_look(kinds[kind]), label=word) for kind, word in words.items() if kind in kinds
    ]
    return [*handles, Line2D([], [], color=INK, lw=1.0, label="95 % interval")]


# -- interactions --------------------------------------------------------------------------


@dataclass(frozen=True)
class PairMap:
    """Interactions of pairs in points, and on the diagonal what each ingredient does alone."""

    names: tuple[str, ...]
    pairs: dict[tuple[int, int], tuple[float, bool]]
    alone: dict[int, tuple[float, bool]]


def pair_data(found: TableFindings) -> PairMap | None:
    """None where fewer than two pairs have an estimate."""
    if "ingredients" not in found.effects:
        return None
    lines = cast("list[dict[str, Any]]", found.effects.to_dict("records"))
    named = {tuple(one["ingredients"]): one for one in lines}
    pairs = {names: one for names, one in named.items() if len(names) == 2}
    if len(pairs) < 2:
        return None
    order = [one for one in found.table.columns if any(one in names for names in pairs)]
    order += sorted({one for names in pairs for one in names} - set(order))
    place = {name: number for number, name in enumerate(order)}
    alone = {names[0]: _value(one, found) for names, one in named.items() if len(names) == 1}
    alone = alone or _single_rows(found)
    return PairMap(
        tuple(clean(found.table.columns.get(name, name), longest=12) for name in order),
        {(min(place[a], place[b]), max(place[a], place[b])): _value(one, found)
         for (a, b), one in pairs.items()},
        {place[name]: value for name, value in alone.items() if name in place},
    )  # fmt: skip


def _value(one: dict[str, Any], found: TableFindings) -> tuple[float, bool]:
    return 100 * float(one["mean"]), _is_sure(one, found)


def _single_rows(found: TableFindings) -> dict[str, tuple[float, bool]]:
    """What the rows with one ingredient have found."""
    on = {row.key: row.on for row in found.table.rows}
    return {
        on[line["row"]][0]: (100 * float(line["delta"]), line["word"] in ("helps", "hurts"))
        for line in others_of(found)
        if len(on[line["row"]]) == 1 and not math.isnan(line["delta"])
    }


def draw_pairs(found: TableFindings, *, wide: bool) -> Figure | None:
    """A map of interactions: blue where two add more than each alone, orange where less."""
    data = pair_data(found)
    if data is None:
        return None
    count, width = len(data.names), MAP_IN if wide else NARROW_IN
    with style():
        figure = Figure(figsize=(width, width + 0.25), layout="constrained")
        axes = figure.add_subplot()
        strongest = max(abs(value) for value, _ in [*data.pairs.values(), *data.alone.values()])
        size = min(10.5, 46.0 * width / MAP_IN / count)
        for (one, two), found_value in data.pairs.items():
            _draw_cell(axes, (one, two), found_value, strongest, size, framed=False)
        for one, found_value in data.alone.items():
            _draw_cell(axes, (one, one), found_value, strongest, size, framed=True)
        axes.set_xticks(range(count), data.names, rotation=0 if count <= 8 else 45)
        axes.set_yticks(range(count), data.names)
        axes.tick_params(labelcolor=INK, length=0)
        axes.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5), aspect="equal")
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        legend(figure, _pair_handles(alone=bool(data.alone)), (width, 0), 2)
    return figure


def _draw_cell(
    axes: Axes, at: tuple[int, int], value: tuple[float, bool], strongest: float, size: float,
    *, framed: bool,
) -> None:  # fmt: skip
    mean, is_sure = value
    column, row = at
    share = _STRONGEST * abs(mean) / strongest if strongest else 0.0
    corner = (column - 0.47, row - 0.47)
    dashes = (0, (2, 1.5)) if framed and not is_sure else "-"
    axes.add_patch(Rectangle(corner, 0.94, 0.94, facecolor=COMPLETE if mean > 0 else FAIL,
                             alpha=share, edgecolor="none", zorder=2))  # fmt: skip
    edge = INK if is_sure else MUTED if framed else GRID
    axes.add_patch(Rectangle(corner, 0.94, 0.94, facecolor="none", edgecolor=edge, zorder=3,
                             linewidth=1.5 if is_sure else 0.8,
                             linestyle=dashes))  # fmt: skip
    weight = "bold" if is_sure else "normal"
    axes.text(column, row, points(mean / 100), ha="center", va="center", fontsize=size,
              fontweight=weight, color=INK, zorder=4)  # fmt: skip


def _pair_handles(*, alone: bool) -> list[Patch]:
    handles = [
        Patch(facecolor=COMPLETE, alpha=_STRONGEST, label="more together"),
        Patch(facecolor=FAIL, alpha=_STRONGEST, label="less together"),
        Patch(facecolor="none", edgecolor=INK, linewidth=1.5, label="sure"),
    ]
    if alone:
        handles.append(Patch(facecolor="none", edgecolor=MUTED, linestyle=(0, (2, 1.5)),
                             label="diagonal: alone"))  # fmt: skip
    return handles


# -- curves --------------------------------------------------------------------------------


def draw_curves(
    curves: Sequence[RowCurve], objective: str, baseline: str, *, wide: bool
) -> Figure | None:
    """A panel for each row: mean over its seeds with least and most, beside the baseline's."""
    if not curves:
        return None
    base = next((curve for curve in curves if curve.key == baseline), None)
    others = [curve for curve in curves if curve is not base] or list(curves)
    columns = min(len(others), 4 if wide else 2)
    rows = -(-len(others) // columns)
    width = WIDE_IN if wide else NARROW_IN
    with style():
        figure = Figure(figsize=(width, rows * (1.55 if wide else 1.4) + 0.8),
                        layout="constrained")  # fmt: skip
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axes in grid.flat[len(others) :]:
            axes.set_axis_off()
        for place, (axes, curve) in enumerate(zip(grid.flat, others, strict=False)):
            _draw_curve(axes, curve, base)
            axes.set_title(clean(curve.title, longest=26 if wide else 20), fontsize=8)
            if place + columns >= len(others):
                axes.tick_params(labelbottom=True)
        for axes in grid[:, 0]:
            axes.set_ylabel(f"{clean(objective)}, %", fontsize=8)
        figure.supxlabel("epoch", fontsize=9, color=INK)
        legend(figure, _curve_handles(base), (width, 0), 2)
    return figure


def _draw_curve(axes: Axes, curve: RowCurve, base: RowCurve | None) -> None:
    if base is not None and base is not curve:
        axes.plot(base.epochs, base.mean, color=INK, lw=1.0, ls=(0, (3.5, 1.5)), zorder=2)
    if curve.seeds > 1:
        axes.fill_between(curve.epochs, curve.low, curve.high, color=COMPLETE, alpha=0.2,
                          linewidth=0, zorder=1.5)  # fmt: skip
    axes.plot(curve.epochs, curve.mean, color=COMPLETE, lw=1.6, zorder=3)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(length=0)


def _curve_handles(base: RowCurve | None) -> list[Patch | Line2D]:
    handles: list[Patch | Line2D] = [
        Line2D([], [], color=COMPLETE, lw=1.6, label="mean over the seeds"),
        Patch(facecolor=COMPLETE, alpha=0.2, label="least to most"),
    ]
    if base is not None:
        handles.append(
            Line2D([], [], color=INK, lw=1.0, ls=(0, (3.5, 1.5)), label="mean of the baseline")
        )
    return handles
