"""Figures of what detectors saw: precision against recall, and confusions of classes.

They look as those of `reports.figures` do. The data behind each drawing are tested by value.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from evolve.analysis.image_bootstrap import RECALLS
from evolve.findings.seen_records import Seen, SeenRow
from reports.figures import COMPLETE, INK, MUTED, legend, style
from reports.text import clean, upper_first

WIDE_IN, NARROW_IN = 9.6, 3.7

_LONGEST = 16  # characters of a class name on an axis
_DARKEST = 0.62  # what text can still be read on, in light and dark
_SEEN = 0.1  # percent of precision
_MOST_SHARES = 6  # classes whose cells have room for a share beside the count

Floats = NDArray[np.float64]
_IOU_WORDS = ("IoU 0.50", "IoU 0.75")
_STRONG: tuple[dict[str, Any], ...] = (  # the defaults, then the winner
    {"color": INK, "linestyle": (0, (3.5, 1.5)), "linewidth": 1.5},
    {"color": COMPLETE, "linestyle": "-", "linewidth": 2.1},
)
_FAINT: tuple[dict[str, Any], ...] = (
    {"color": INK, "linestyle": (0, (1, 1.4)), "linewidth": 1.2},
    {"color": COMPLETE, "linestyle": (0, (6, 1.2, 1, 1.2)), "linewidth": 1.3},
)


@dataclass(frozen=True, eq=False)
class PrLine:
    """Precision of one row at one IoU over `RECALLS`, in percent, and where its trainings lie."""

    row: int
    iou: int
    precision: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, eq=False)
class PrPanel:
    """Lines of the mean over the classes, or of one class."""

    title: str
    lines: tuple[PrLine, ...]


def pr_data(seen: Seen) -> list[PrPanel]:
    """Panels: the mean first, then the classes that have curves."""
    names = ["Mean over the classes", *(_name(seen, place) for place in seen.panels)]
    if not seen.panels:
        names = [_name(seen, place) for place, count in enumerate(seen.truths) if count][:1]
    panels = []
    for number, name in enumerate(names):
        lines = (
            PrLine(place, iou, *(100 * row.curves[number, iou]))
            for iou in range(len(_IOU_WORDS))
            for place, row in enumerate(seen.rows)
        )
        panels.append(PrPanel(name, tuple(lines)))
    return panels


def _name(seen: Seen, place: int) -> str:
    return clean(seen.classes[place], longest=30)


def draw_precision_recall(seen: Seen, *, wide: bool) -> Figure | None:
    """Precision against recall at two IoUs, of defaults and winner, mean and class by class."""
    panels = pr_data(seen)
    if not seen.rows or not panels:
        return None
    columns = _columns(len(panels), wide=wide)
    rows = -(-len(panels) // columns)
    height = (2.5 if wide else 2.1 if columns == 1 else 1.8) * rows + (0.75 if wide else 1.2)
    with style():
        size = (WIDE_IN if wide else NARROW_IN, height)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for number, (axes, panel) in enumerate(zip(grid.flat, panels, strict=False)):
            _draw_panel(axes, panel, seen, narrow=not wide and columns > 1)
            below = number + columns >= len(panels)
            axes.tick_params(labelbottom=below)
            axes.set_xlabel("recall, %" if below else "")
            axes.set_ylabel("precision, %" if number % columns == 0 else "")
        legend(figure, _pr_handles(seen), size, 1)
    return figure


def _columns(panels: int, *, wide: bool) -> int:
    if not wide:
        return 1 if panels < 3 else 2
    return panels if panels in (2, 4) else min(3, panels)


def _draw_panel(axes: Axes, panel: PrPanel, seen: Seen, *, narrow: bool) -> None:
    for line in panel.lines:
        look = _look(line, seen)
        if seen.rows[line.row].trainings > 1:
            kept = thinned(line.low) | thinned(line.high)
            band = (100 * RECALLS[kept], line.low[kept], line.high[kept])
            axes.fill_between(*band, color=look["color"], alpha=0.13, lw=0)
        kept = thinned(line.precision)
        axes.plot(100 * RECALLS[kept], line.precision[kept], zorder=3 + line.row, **look)
    axes.set(xlim=(0, 100), ylim=(0, 103))
    axes.set_xticks(range(0, 101, 50 if narrow else 25))
    axes.set_yticks(range(0, 101, 25))
    axes.grid(visible=True, axis="both")
    axes.set_title(panel.title, color=INK)


def thinned(values: Floats) -> NDArray[np.bool_]:
    """Points that a line needs: all others lie on it, and none follows where it has ended at 0.

    Values in percent; a tenth of a percent cannot be seen.
    """
    kept = np.zeros(len(values), bool)
    end = int(np.flatnonzero(values)[-1]) + 2 if values.any() else 1
    last = min(end, len(values)) - 1
    kept[[0, last]] = True
    pending = [(0, last)]
    while pending:
        start, stop = pending.pop()
        between = np.linspace(values[start], values[stop], stop - start + 1)
        apart = np.abs(values[start : stop + 1] - between)
        worst = int(apart.argmax())
        if apart[worst] > _SEEN:
            kept[start + worst] = True
            pending += [(start, start + worst), (start + worst, stop)]
    return kept


def _look(line: PrLine, seen: Seen) -> dict[str, Any]:
    place = line.row if len(seen.rows) > 1 else 1
    return (_STRONG, _FAINT)[line.iou][place]


def _pr_handles(seen: Seen) -> list[Line2D | Patch]:
    lines = pr_data(seen)[0].lines
    handles: list[Line2D | Patch] = [
        Line2D([], [], label=f"{row_title(seen, line.row)}, {_IOU_WORDS[line.iou]}",
               **_look(line, seen))
        for line in sorted(lines, key=lambda line: line.row)
    ]  # fmt: skip
    if any(row.trainings > 1 for row in seen.rows):
        handles.append(Patch(color=MUTED, alpha=0.3, lw=0, label="lowest to highest training"))
    return handles


def row_title(seen: Seen, place: int) -> str:
    """Name of a row as figures and tables have it."""
    return upper_first(clean(seen.rows[place].title, longest=28))


# -- confusion -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """One cell of a confusion: its place, mean count, and share of its row in [0, 1]."""

    row: int
    column: int
    count: float
    share: float


def confusion_data(row: SeenRow) -> list[Cell]:
    """Cells with a count, row by row; each row of a class sums to its truths."""
    counts = row.confusion
    sums = counts.sum(axis=1)
    return [
        Cell(i, j, float(counts[i, j]), float(counts[i, j] / sums[i]))
        for i, j in np.argwhere(counts > 0).tolist()
    ]


def draw_confusion(seen: Seen, *, wide: bool) -> Figure | None:
    """Confusion of the classes, of defaults and winner; colours are shares of a row."""
    shown = [(n, row) for n, row in enumerate(seen.rows) if not math.isnan(row.score)]
    if not shown:
        return None
    names = [clean(name, longest=_LONGEST) for name in seen.confused_names]
    side = len(names) + 1
    share = len(names) <= _MOST_SHARES
    with style():
        if wide:
            height = min(5.6, max(3.3, 0.36 * side + 1.3))
            figure = Figure(figsize=(WIDE_IN, height), layout="constrained")
            grid = figure.subplots(1, 2, squeeze=False)
        else:
            height = (3.2 if share else 3.5) * len(shown)
            figure = Figure(figsize=(NARROW_IN, height), layout="constrained")
            grid = figure.subplots(len(shown), 1, squeeze=False)
        for axes in grid.flat[len(shown) :]:
            axes.set_axis_off()
        small = side > (9 if wide else 6)
        for axes, (place, row) in zip(grid.flat, shown, strict=False):
            _set_matrix(axes, names)
            for cell in confusion_data(row):
                _draw_cell(axes, cell, share=share, small=small)
            axes.set_title(f"{row_title(seen, place)}, score from {row.score:.2f}", color=INK)
    return figure


def _set_matrix(axes: Axes, names: list[str]) -> None:
    side = len(names) + 1
    axes.set(xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5), aspect="equal")
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    size = 7.5 if side > 6 else 8.5
    axes.set_yticks(range(side), [*names, "nothing there"], color=INK, fontsize=size)
    axes.set_xticks(range(side), [*names, "missed"], color=INK, fontsize=size)
    axes.tick_params(length=0)
    if sum(len(name) for name in names) > 24 or side > 5:
        for text in axes.get_xticklabels():
            text.set(rotation=40, ha="right", rotation_mode="anchor")
    axes.set(xlabel="found", ylabel="truth")
    edges = [place - 0.5 for place in range(side + 1)]
    axes.hlines(edges, -0.5, side - 0.5, color=MUTED, lw=0.3, alpha=0.5, zorder=1)
    axes.vlines(edges, -0.5, side - 0.5, color=MUTED, lw=0.3, alpha=0.5, zorder=1)
    axes.hlines(side - 1.5, -0.5, side - 0.5, color=INK, lw=0.9, zorder=3)
    axes.vlines(side - 1.5, -0.5, side - 0.5, color=INK, lw=0.9, zorder=3)


def _draw_cell(axes: Axes, cell: Cell, *, share: bool, small: bool) -> None:
    box = Rectangle(
        (cell.column - 0.5, cell.row - 0.5), 1, 1, facecolor=COMPLETE, alpha=_DARKEST * cell.share,
        linewidth=0, zorder=2,
    )  # fmt: skip
    axes.add_patch(box)
    text = count_text(cell.count)
    if share:
        text += f"\n{100 * cell.share:.0f} %"
    axes.text(
        cell.column, cell.row, text, ha="center", va="center", zorder=4,
        color=INK, fontsize=6 if small else 8,
        linespacing=1.15,
    )  # fmt: skip


def count_text(count: float) -> str:
    """A mean count: with a decimal where it is small and no whole number."""
    return f"{count:.1f}" if count < 9.95 and abs(count - round(count)) > 0.04 else f"{count:,.0f}"
