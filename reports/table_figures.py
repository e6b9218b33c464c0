"""Figures of a table's rows; they look as those of `reports.figures` do.

The data behind each drawing are lists of plain records, tested by value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from evolve.findings.table import TableFindings
from reports.figures import BEST, COMPLETE, FAIL, GRID, INK, MUTED, PAPER, PRUNED, legend, style
from reports.found_figures import NARROW_IN, WIDE_IN, keep_zero_in_sight, row_axis
from reports.hover import note_points
from reports.table_summary import best_of, lines_of, others_of
from reports.table_trainings import anchors
from reports.text import MISSING, clean, points

MOST_JOINED = 15  # rows whose dots are joined by lines of seeds: of more they are a thicket
LONGEST, LONGEST_NARROW = 34, 46

HATCH = "////"
_NO_WORD = "undecided"


@dataclass(frozen=True)
class RowBar:
    """A row's difference to its baseline in points; NaN where unknown.

    In tables whose rows build on each other, `start` is where the row before it stands, and
    `step` the difference to that. `anchor` is the row's id in the page.
    """

    title: str
    word: str
    delta: float
    low: float
    high: float
    start: float = 0.0
    step: float = 0.0
    anchor: str = ""


def is_road(found: TableFindings) -> bool:
    """Whether each row adds something to the one before it."""
    return found.table.design == "cumulative" and len(found.table.groups()) == 1


def bar_data(found: TableFindings) -> list[RowBar]:
    """Rows that have a baseline, in the order of the table."""
    level, bars, road, ids = 0.0, [], is_road(found), anchors(found)
    for line in others_of(found):
        delta, low, high = (100 * float(line[name]) for name in ("delta", "low", "high"))
        start = level if road else 0.0
        step = delta - start if road else 0.0
        said = (clean(line["title"]), str(line["word"]), delta, low, high)
        bars.append(RowBar(*said, start, step, ids[line["row"]]))
        level = level if math.isnan(delta) else delta
    return bars


def draw_bars(found: TableFindings, *, wide: bool) -> Figure | None:
    """Each row's difference with its interval: solid helps, hatched hurts, outlined neither."""
    bars = bar_data(found)
    if all(math.isnan(bar.delta) for bar in bars):
        return None
    height = (0.29 if wide else 0.44) * len(bars)
    with style():
        figure = Figure(figsize=(WIDE_IN if wide else NARROW_IN, height + 1.1),
                        layout="constrained")  # fmt: skip
        axes = figure.add_subplot()
        row_axis(axes, [_short(bar.title, LONGEST) if wide else "" for bar in bars])
        axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
        for place, bar in enumerate(bars):
            _draw_bar(axes, bar, place if wide else place + 0.16, 0.6 if wide else 0.42)
            if not wide:
                _label_above(axes, bar.title, place)
        if is_road(found):
            _join_levels(axes, bars, 0.0 if wide else 0.16)
        axes.set_xlabel(f"{clean(found.objective)} points above the baseline")
        axes.margins(x=0.1)
        keep_zero_in_sight(axes)
        _note_bars(axes, bars, 0.0 if wide else 0.16)
        legend(figure, _bar_handles(bars), (figure.get_figwidth(), 0), 2)
    return figure


def _note_bars(axes: Axes, bars: Sequence[RowBar], shift: float) -> None:
    """What is said of each bar under the pointer, and the row that it leads to."""
    note_points(
        axes,
        [0.0 if math.isnan(bar.delta) else bar.delta for bar in bars],
        [place + shift for place in range(len(bars))],
        [f"{bar.title}: {_said_under_pointer(bar)}" for bar in bars],
        [bar.anchor for bar in bars],
    )


def _said_under_pointer(bar: RowBar) -> str:
    if math.isnan(bar.delta):
        return "failed" if bar.word == "failed" else "not yet trained"
    ends = [points(end / 100) for end in (bar.low, bar.high)]
    interval = "" if MISSING in ends else f" (95 % interval {ends[0]} to {ends[1]})"
    return f"{_said_of(bar)}{interval}, {bar.word}"


def bar_look(word: str, step: float = 0.0) -> dict[str, Any]:
    """Face, edge and hatch of a bar, which tell its word also without colour.

    Of a row that builds on another, `step` tells whether it adds or takes away.
    """
    if step and word in ("helps", "hurts"):
        word = "helps" if step > 0 else "hurts"
    if word == "helps":
        return {"facecolor": COMPLETE, "edgecolor": COMPLETE}
    if word == "hurts":
        return {"facecolor": PAPER, "edgecolor": FAIL, "hatch": HATCH}
    dashes = (0, (3, 1.6)) if word == _NO_WORD else "-"
    return {"facecolor": PAPER, "edgecolor": PRUNED, "linestyle": dashes}


def _draw_bar(axes: Axes, bar: RowBar, height: float, thick: float) -> None:
    if math.isnan(bar.delta) or bar.word == "failed":
        word = "failed" if bar.word == "failed" else "not yet trained"
        axes.annotate(word, (0, height), (5, 0), textcoords="offset points", va="center",
                      fontsize=7.5, color=FAIL if bar.word == "failed" else MUTED)  # fmt: skip
        return
    if bar.start:
        axes.barh(height, bar.start, height=thick, color=GRID, zorder=1.5)
    look = bar_look(bar.word, bar.step)
    axes.barh(height, bar.delta - bar.start, left=bar.start, height=thick, linewidth=1.0,
              zorder=2, **look)  # fmt: skip
    ends = [bar.start, bar.delta]
    if not math.isnan(bar.low):
        axes.plot([bar.low, bar.high], [height] * 2, color=INK, lw=1.0, zorder=4)
        ends += [bar.low, bar.high]
    axes.annotate(
        _said_of(bar), (max(0.0, *ends), height), (4, 0), textcoords="offset points",
        va="center", fontsize=7.5, color=INK, zorder=5,
    )  # fmt: skip


def _said_of(bar: RowBar) -> str:
    """The difference; of a row that builds on others also its own step."""
    total = points(bar.delta / 100)
    return f"{total}, step {points(bar.step / 100)}" if bar.start else total


def _join_levels(axes: Axes, bars: Sequence[RowBar], shift: float) -> None:
    """Lines from the end of each row to the start of the next."""
    for place, bar in enumerate(bars[:-1]):
        level = bars[place + 1].start
        if not math.isnan(bar.delta):
            axes.plot([level] * 2, [place + shift, place + 1 + shift], color=MUTED, lw=0.7,
                      zorder=1.6)  # fmt: skip


def _label_above(axes: Axes, title: str, place: int) -> None:
    axes.text(
        0.0, place - 0.28, _short(title, LONGEST_NARROW), transform=axes.get_yaxis_transform(),
        va="center", ha="left", fontsize=7.5, color=INK, zorder=6,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.5},
    )  # fmt: skip


def _short(title: str, longest: int) -> str:
    return clean(title, longest=longest)


def _bar_handles(bars: Sequence[RowBar]) -> list[Patch | Line2D]:
    told = [bar for bar in bars if not math.isnan(bar.delta) and bar.word != "failed"]
    road = any(bar.start for bar in bars)
    steps = {"helps": "adds", "hurts": "takes away"} if road else {}
    drawn = [
        ("helps" if bar.step > 0 else "hurts") if bar.step and bar.word in steps else bar.word
        for bar in told
    ]
    handles: list[Patch | Line2D] = [
        Patch(**bar_look(word), label=steps.get(word, word))
        for word in ("helps", "hurts", "no effect", _NO_WORD)
        if word in drawn
    ]
    if road:
        handles.append(Patch(facecolor=GRID, label="what was there before"))
    if any(not math.isnan(bar.low) for bar in bars):
        handles.append(Line2D([], [], color=INK, lw=1.0, label="95 % interval"))
    return handles


# -- trainings -----------------------------------------------------------------------------


@dataclass(frozen=True)
class RowDots:
    """Values of a row in percent by seed, their mean, and how many trainings failed."""

    title: str
    values: dict[int, float]
    mean: float
    failed: int
    is_best: bool
    anchor: str = ""


def dot_data(found: TableFindings) -> list[RowDots]:
    """All rows, in the order of the table."""
    best, rows, ids = best_of(found), [], anchors(found)
    done = found.trainings[
        (found.trainings["state"] == "COMPLETE") & found.trainings["value_test"].notna()
    ]
    for line in lines_of(found):
        own = done[done["row"] == line["row"]].sort_values("seed_index")
        seeds = own["seed_index"].astype(int).tolist()
        values = dict(zip(seeds, (100 * own["value_test"].astype(float)).tolist(), strict=True))
        mean = sum(values.values()) / len(values) if values else math.nan
        is_best = best is not None and best["row"] == line["row"] and best["delta"] > 0
        about = (clean(line["title"]), values, mean, int(line["failed"]), is_best)
        rows.append(RowDots(*about, ids[line["row"]]))
    return rows


def draw_trainings(found: TableFindings, *, wide: bool) -> Figure | None:
    """Every training as a dot, those of a seed joined, with the means of the rows."""
    rows = dot_data(found)
    if not any(row.values for row in rows):
        return None
    height = (0.3 if wide else 0.46) * len(rows)
    with style():
        figure = Figure(figsize=(WIDE_IN if wide else NARROW_IN, height + 1.1),
                        layout="constrained")  # fmt: skip
        axes = figure.add_subplot()
        row_axis(axes, [_short(row.title, LONGEST) if wide else "" for row in rows])
        shift = 0.0 if wide else 0.16
        if len(rows) <= MOST_JOINED:
            _join_seeds(axes, rows, shift)
        for place, row in enumerate(rows):
            _draw_dots(axes, row, place + shift)
            if not wide:
                _label_above(axes, row.title, place)
        axes.set_xlabel(f"{clean(found.objective)} on {clean(found.judged_on)}, %")
        legend(figure, _dot_handles(rows), (figure.get_figwidth(), 0), 2)
    return figure


def _draw_dots(axes: Axes, row: RowDots, height: float) -> None:
    if row.values:
        said = [f"{row.title}, seed {seed}: {value:.1f}" for seed, value in row.values.items()]
        places = [height] * len(said)
        note_points(axes, [*row.values.values()], places, said, [row.anchor] * len(said))
        axes.scatter([*row.values.values()], [height] * len(row.values), s=25, zorder=3,
                     facecolor=COMPLETE, edgecolor=PAPER, linewidth=0.6)  # fmt: skip
        axes.plot([row.mean] * 2, [height - 0.26, height + 0.26], lw=2.2, zorder=2.5,
                  color=BEST if row.is_best else INK)  # fmt: skip
    if row.failed:
        axes.annotate(
            f"{row.failed} failed", (1, height), (-2, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", ha="right", fontsize=7.5, color=FAIL,
        )  # fmt: skip


def _join_seeds(axes: Axes, rows: Sequence[RowDots], shift: float) -> None:
    """A line through the rows for each seed: what seeds have in common, pairs do not count."""
    for seed in sorted({seed for row in rows for seed in row.values}):
        path = [(row.values.get(seed, math.nan), n + shift) for n, row in enumerate(rows)]
        axes.plot(*zip(*path, strict=True), color=PRUNED, lw=0.7, alpha=0.6, zorder=1.5)


def _dot_handles(rows: Sequence[RowDots]) -> list[Line2D]:
    dot = Line2D([], [], ls="", marker="o", ms=5, mfc=COMPLETE, mec=PAPER, label="one training")
    mean = Line2D([], [], ls="", marker="|", ms=10, mew=2.2, color=INK, label="mean")
    best = Line2D([], [], ls="", marker="|", ms=10, mew=2.2, color=BEST, label="mean of the best")
    seed = Line2D([], [], color=PRUNED, lw=0.7, label="one seed")
    joined = len(rows) <= MOST_JOINED and any(len(row.values) for row in rows)
    return [
        dot,
        *([seed] if joined else []),
        mean,
        *([best] if any(r.is_best for r in rows) else []),
    ]
