"""Where the time of workers went, as bars."""

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports.figures import BEST, COMPLETE, FAIL, INK, PAPER, PRUNED, RUNNING, legend, style
from reports.tables import Column, Row, Table
from reports.text import duration, upper_first

WORDS = {
    "train": "training",
    "evaluate": "evaluation",
    "start": "starting and saving",
    "held": "trainings",
    "lost": "lost",
    "idle": "idle",
}
_ON_BEST = "#16191d"  # of no variable: that colour is bright in light and dark
_PLAIN: dict[str, Any] = {"edgecolor": PAPER, "linewidth": 0.6}
_LOOKS: dict[str, dict[str, Any]] = {
    "train": {"facecolor": COMPLETE},
    "evaluate": {"facecolor": RUNNING},
    "start": {"facecolor": BEST},
    "held": {"facecolor": COMPLETE},
    "lost": {"facecolor": FAIL, "hatch": "////", "edgecolor": PAPER},
    "idle": {"facecolor": PAPER, "edgecolor": PRUNED, "linewidth": 1.0},
}


@dataclass(frozen=True)
class Part:
    """One piece of a bar, in seconds of workers; `share` of the bar in [0, 1]."""

    kind: str
    start_s: float
    seconds: float
    share: float


def bar_parts(spent: pd.DataFrame) -> dict[str, list[Part]]:
    """Pieces of the bar of each part of a run, in their order, without empty ones."""
    bars: dict[str, list[Part]] = {}
    for name, own in spent.groupby("part", sort=False):
        known = own[own["seconds"] > 0]
        total, at = float(known["seconds"].sum()), 0.0
        parts = []
        for kind, seconds in zip(known["kind"], known["seconds"].tolist(), strict=True):
            parts.append(Part(str(kind), at, seconds, seconds / total))
            at += seconds
        bars[str(name)] = parts
    return {name: parts for name, parts in bars.items() if parts}


def draw_spent(spent: pd.DataFrame, *, wide: bool) -> Figure | None:
    """What workers did, one bar for the search and one for the comparison."""
    bars = bar_parts(spent)
    if not bars:
        return None
    size = (9.6 if wide else 3.7, 0.55 * len(bars) + (1.0 if wide else 1.6))
    longest_s = max(parts[-1].start_s + parts[-1].seconds for parts in bars.values())
    unit, word = next(
        (s, w) for s, w in ((3600, "hours"), (60, "minutes"), (1, "seconds")) if
        longest_s >= 2 * s or s == 1
    )  # fmt: skip
    with style():
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        for place, parts in enumerate(bars.values()):
            for part in parts:
                _draw_part(axes, place, part, unit, longest_s)
        names = [upper_first(name).replace(" ", "\n") for name in bars]
        axes.set_yticks(range(len(bars)), names, color=INK)
        axes.set(ylim=(len(bars) - 0.5, -0.5), xlim=(0, longest_s / unit))
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x")
        axes.xaxis.set_major_locator(MaxNLocator(6 if wide else 4, steps=[1, 2, 2.5, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlabel(f"{word} of workers")
        legend(figure, _handles(bars), size, 2)
    return figure


def _draw_part(axes: Axes, place: int, part: Part, unit: float, longest_s: float) -> None:
    look = _PLAIN | _LOOKS[part.kind]
    axes.barh(place, part.seconds / unit, left=part.start_s / unit, height=0.6, zorder=2, **look)
    if part.seconds / longest_s < 0.09:
        return
    middle = (part.start_s + part.seconds / 2) / unit
    axes.text(
        middle, place, f"{100 * part.share:.0f} %", ha="center", va="center", fontsize=8, zorder=3,
        color={"idle": INK, "start": _ON_BEST}.get(part.kind, PAPER),
    )  # fmt: skip


def _handles(bars: dict[str, list[Part]]) -> list[Patch]:
    used = {part.kind for parts in bars.values() for part in parts}
    return [Patch(**(_PLAIN | _LOOKS[k]), label=word) for k, word in WORDS.items() if k in used]


def spent_table(spent: pd.DataFrame) -> Table:
    """Seconds of workers by what they did, and their shares."""
    columns = (
        Column("part", "Part"),
        Column("kind", "Spent on"),
        Column("time", "Time of workers", "number"),
        Column("share", "Share", "number"),
    )
    rows = [
        Row((upper_first(name), WORDS[part.kind], duration(part.seconds),
             f"{100 * part.share:.1f} %"))
        for name, parts in bar_parts(spent).items()
        for part in parts
    ]  # fmt: skip
    return Table(columns, tuple(rows))


def idle_is_known(spent: pd.DataFrame) -> bool:
    """Whether it is known how many workers there were."""
    idle = spent.loc[spent["kind"] == "idle", "seconds"].tolist()
    return not any(math.isnan(seconds) for seconds in idle)
