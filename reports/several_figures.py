"""Figures of several runs beside each other."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from evolve.findings.several import Line, Several
from reports.figures import BEST, COMPLETE, FAIL, INK, MUTED, PAPER, RUNNING, legend, style
from reports.found_figures import NARROW_IN, WIDE_IN
from reports.hover import note_points
from reports.text import clean, percent

MOST_LINES = 40
LOOKS = (
    (COMPLETE, "o", "-"),
    (FAIL, "s", (0, (5, 1.5))),
    (RUNNING, "D", (0, (1.2, 1.2))),
    (INK, "^", (0, (5, 1, 1, 1))),
    (BEST, "v", (0, (8, 2))),
    (MUTED, "P", (0, (2, 3))),
)
"""Colour, marker and dashes of each run in turn."""


def draw_lines(found: Several, *, wide: bool) -> Figure:
    """Every training of every line, and the means; the runs one below the other."""
    shown = found.lines[:MOST_LINES]
    size = (WIDE_IN if wide else NARROW_IN, 0.34 * len(shown) + 1.2)
    with style():
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        labels = [_label(line, 46 if wide else 22) for line in shown]
        axes.set_yticks(range(len(shown)), labels)
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x")
        axes.spines["left"].set_visible(False)
        for place, line in enumerate(shown):
            _draw_line(axes, place, line)
        axes.xaxis.set_major_locator(MaxNLocator(7 if wide else 4, steps=[1, 2, 2.5, 5, 10]))
        axes.margins(x=0.06)
        axes.set_xlabel(f"{clean(found.lines[0].protocol.metric)}, %")
        legend(figure, _run_handles(found), size, 1)
    return figure


def _label(line: Line, longest: int) -> str:
    return clean(line.title, longest=longest) + (f" {line.mark}" if line.mark else "")


def _draw_line(axes: Axes, place: int, line: Line) -> None:
    colour, marker, _ = LOOKS[line.run % len(LOOKS)]
    values = [100 * value for value in line.values]
    axes.scatter(values, [place] * len(values), s=24, marker=marker, facecolor=PAPER,
                 edgecolor=colour, linewidth=1.1, zorder=3)  # fmt: skip
    note_points(axes, values, [place] * len(values),
                [f"{clean(line.title)}: {value:.1f}" for value in values])  # fmt: skip
    if not math.isnan(line.mean):
        width = 3.2 if line.is_lead else 1.6
        axes.plot([100 * line.mean] * 2, [place - 0.3, place + 0.3], color=colour, lw=width)


def _run_handles(found: Several) -> list[Line2D]:
    handles = []
    for place, run in enumerate(found.runs):
        colour, marker, _ = LOOKS[place % len(LOOKS)]
        handles.append(
            Line2D([], [], ls="", marker=marker, ms=5, mfc=PAPER, mec=colour,
                   label=clean(run.name, longest=40))
        )  # fmt: skip
    return handles


def draw_histories(found: Several, *, wide: bool) -> Figure | None:
    """Best value so far of each evolution by trials; None where fewer than two have one."""
    with_one = [n for n, run in enumerate(found.runs) if not run.history.empty]
    if len(with_one) < 2:
        return None
    size = (WIDE_IN, 3.9) if wide else (NARROW_IN, 3.6)
    with style():
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        handles = []
        for place in with_one:
            run, (colour, _, dashes) = found.runs[place], LOOKS[place % len(LOOKS)]
            best = 100 * run.history["best"]
            axes.step(run.history["trial"], best, where="post", color=colour, ls=dashes, lw=1.7)
            name = clean(run.name, longest=40)
            labels = [f"{name}: {percent(v)}" for v in run.history["best"]]
            note_points(axes, run.history["trial"].tolist(), best.tolist(), labels)
            handles.append(Line2D([], [], color=colour, ls=dashes, lw=1.7, label=name))
        axes.xaxis.set_major_locator(MaxNLocator(8 if wide else 5, integer=True))
        metric = clean(found.lines[0].protocol.metric)
        axes.set(xlabel="trial", ylabel=f"best {metric} on val so far, %")
        legend(figure, handles, size, 1)
    return figure
