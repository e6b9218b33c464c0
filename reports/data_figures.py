"""Figures of what a data set is made of, in the look of `reports.figures`."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    MaxNLocator,
    NullLocator,
    PercentFormatter,
)
from numpy.typing import NDArray

from evolve.datasets.stats import MEDIUM_PX, SMALL_PX, DataStats
from reports.figures import BEST, COMPLETE, FAIL, GRID, INK, MUTED, PAPER, RUNNING, style
from reports.text import clean

MOST_CLASSES = 24
_COLOURS = (COMPLETE, BEST, RUNNING, FAIL)
_BINS = 36
_HEAT = LinearSegmentedColormap.from_list("heat", [PAPER, COMPLETE])
_NAME = 18  # characters of a class


def draw_classes(stats: DataStats, *, wide: bool) -> Figure:
    """Boxes of each class in each split, the most frequent first, on a log axis."""
    with style():
        order = shown_classes(stats)
        height = 1.1 + 0.19 * len(order) * max(2, len(stats.splits)) / 2
        figure = Figure(figsize=(9.6 if wide else 3.7, max(1.8, height)), layout="constrained")
        axes = figure.add_subplot()
        counts = stats.boxes_by_class[order]
        thick = 0.8 / len(stats.splits)
        for index, split in enumerate(stats.splits):
            places = np.arange(len(order)) + (index - (len(stats.splits) - 1) / 2) * thick
            axes.barh(places, np.maximum(counts[:, index], 0.8), 0.86 * thick,
                      color=_COLOURS[index], label=split)  # fmt: skip
        axes.set(xscale="log", xlabel="boxes", xlim=(0.8, 2 * max(2, counts.max(initial=1))))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_yticks(range(len(order)), [_named(stats, index) for index in order])
        axes.invert_yaxis()
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")
        figure.legend(loc="outside upper right", ncols=len(stats.splits))
        return figure


def shown_classes(stats: DataStats) -> list[int]:
    """Classes that figures show: all, or the most frequent of very many."""
    totals = stats.boxes_by_class.sum(1)
    order: list[int] = np.argsort(-totals, kind="stable")[:MOST_CLASSES].tolist()
    return order


def draw_boxes(stats: DataStats, *, wide: bool) -> Figure:
    """Sizes and shapes of boxes, and how many an image has."""
    with style():
        figure, panels = _panels(3, wide=wide)
        _draw_sides(panels[0], stats)
        _draw_aspects(panels[1], stats)
        _draw_per_image(panels[2], stats)
        return figure


def draw_places(stats: DataStats, *, wide: bool) -> Figure:
    """Where centres of boxes lie, and which classes are seen together."""
    with style():
        figure, panels = _panels(2, wide=wide, height=3.9)
        _draw_centres(panels[0], stats)
        _draw_together(panels[1], stats)
        return figure


def _panels(count: int, *, wide: bool, height: float = 2.9) -> tuple[Figure, list[Axes]]:
    size = (9.6, height) if wide else (3.7, height * count)
    figure = Figure(figsize=size, layout="constrained")
    shape = (1, count) if wide else (count, 1)
    return figure, list(figure.subplots(*shape).ravel())


def _draw_sides(axes: Axes, stats: DataStats) -> None:
    """Histograms at the size of the images and of the network's input, with COCO's ranges."""
    drawn = (("in the images", stats.box_side_px, MUTED),
             (f"at {stats.size_px} px", stats.trained_side_px, COMPLETE))  # fmt: skip
    both = np.concatenate([sides for _, sides, _ in drawn] or [np.ones(1)])
    low, high = (both.min(), both.max()) if len(both) else (1.0, 100.0)
    bins = np.geomspace(low / 1.05, high * 1.05, _BINS)
    for label, sides, colour in drawn:
        axes.stairs(_shares(sides, bins), bins, color=colour, linewidth=1.6, label=label)
    for bound in (SMALL_PX, MEDIUM_PX):
        if bins[0] < bound < bins[-1]:
            axes.axvline(bound, ymax=0.76, color=INK, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set_xscale("log")
    ticks = [t for t in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
             if bins[0] <= t <= bins[-1]]  # fmt: skip
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set(title="size", xlabel="square root of the area, px", ylabel="boxes")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylim(0, 1.3 * axes.get_ylim()[1])
    axes.legend(loc="upper left", ncols=1, handlelength=1.4)


def _draw_aspects(axes: Axes, stats: DataStats) -> None:
    turns = np.log2(stats.box_aspect)
    most = max(1.0, float(np.abs(turns).max(initial=1.0)))
    bins = np.linspace(-most, most, _BINS)
    axes.stairs(_shares(turns, bins), bins, color=COMPLETE, fill=True)
    ticks = np.arange(-math.floor(most), math.floor(most) + 1, max(1, round(most / 3)))
    axes.xaxis.set_major_locator(FixedLocator(ticks.tolist()))
    axes.xaxis.set_major_formatter(FuncFormatter(_ratio))
    axes.set(title="shape", xlabel="width : height")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _ratio(turns: float, _: object) -> str:
    return f"{2**turns:.0f}:1" if turns >= 0 else f"1:{2**-turns:.0f}"


def _draw_per_image(axes: Axes, stats: DataStats) -> None:
    counts = stats.boxes_per_image
    most = int(counts.max(initial=1))
    step = max(1, math.ceil((most + 1) / _BINS))
    bins = np.arange(0, most + 1 + step, step) - 0.5
    axes.stairs(_shares(counts, bins), bins, color=COMPLETE, fill=True)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set(title="number", xlabel="boxes of an image", ylabel="images")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _draw_centres(axes: Axes, stats: DataStats) -> None:
    across, down = stats.centres.T
    grid, _, _ = np.histogram2d(down, across, bins=20, range=[[0, 1], [0, 1]])
    axes.imshow(grid, cmap=_HEAT, extent=(0, 1, 1, 0), aspect="equal", vmin=0)
    axes.set(title="centres of boxes", xlabel="left to right", ylabel="bottom to top")
    axes.xaxis.set_major_locator(FixedLocator([0, 0.5, 1]))
    axes.yaxis.set_major_locator(FixedLocator([0, 0.5, 1]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda place, _: f"{1 - place:g}"))
    axes.grid(visible=False)


def _draw_together(axes: Axes, stats: DataStats) -> None:
    """Of the images with the class of the row, the share that has the one of the column too."""
    order = shown_classes(stats)
    both = stats.images_with_both[np.ix_(order, order)].astype(float)
    alone = np.diag(both)[:, None]
    shares = np.divide(both, alone, out=np.zeros_like(both), where=alone > 0)
    axes.imshow(shares, cmap=_HEAT, vmin=0, vmax=1, aspect="equal")
    names = [_named(stats, index) for index in order]
    places = range(len(names))
    axes.set_xticks(places, names, rotation=90 if len(names) > 4 else 0)
    axes.set_yticks(places, names)
    axes.set(title="images of the row's class that show the column's too")
    axes.grid(visible=False)
    if len(names) <= 10:
        for row, line in enumerate(shares):
            for column, value in enumerate(line):
                axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center",
                          color=PAPER if value > 0.6 else INK, fontsize=8)  # fmt: skip
    axes.spines[:].set_color(GRID)


def _named(stats: DataStats, index: int) -> str:
    return clean(stats.classes[index], longest=_NAME)


def _shares(values: NDArray[Any], bins: NDArray[Any]) -> NDArray[np.float64]:
    counts: NDArray[np.float64] = np.histogram(values, bins)[0] / max(1, len(values))
    return counts
