"""Labels written into axes at the places that `reports.labels` finds, and round ticks."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reports.figures import MUTED
from reports.labels import RINGS, Box, Label, Placed, Point, place_labels

FONT = 7.5

_STEPS = ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))
_LINE_HEIGHT = 1.2  # of letters
_SPARE = 1.05  # letters are not as wide at every resolution


@dataclass(frozen=True)
class Text:
    """A text, the mark that it belongs to in data units, and its colour.

    `reach` is the longest way to it from its mark, in points.
    """

    text: str
    at: Point
    colour: str
    reach: float = RINGS[-1]


def settle(figure: Figure) -> None:
    """Give the parts of a figure their places, on which those of labels depend."""
    FigureCanvasAgg(figure)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)


def write_labels(
    figure: Figure,
    axes: Axes,
    texts: Sequence[Text],
    marks: Sequence[Point] = (),
    curves: Sequence[tuple[Sequence[float], Sequence[float]]] = (),
    radius: float = 4.2,
) -> list[Box]:
    """Write texts beside their marks where they cover nothing; some may find no place.

    Parameters
    ----------
    figure : Figure
        Settled.
    axes : Axes
    texts : sequence of Text
        The most important first.
    marks : sequence of (x, y)
        All marks, in data units.
    curves : sequence of (xs, ys)
        Lines in data units to keep off where it can be.
    radius : float
        Of the marks, in points.

    Returns
    -------
    list of Box
        What the texts cover, in points from the lower left corner of the figure.
    """
    scale = figure.dpi / 72
    labels = [
        Label(_in_points(axes, one.at, scale), *_measure(figure, one.text), radius, one.reach)
        for one in texts
    ]
    places = (_in_points(axes, mark, scale) for mark in marks)
    around = [Box(x - radius, y - radius, x + radius, y + radius) for x, y in places]
    corners = np.array(axes.get_window_extent().extents) / scale
    segments = [
        pair for curve in curves for pair in _segments(axes, list(zip(*curve, strict=True)), scale)
    ]
    placed = place_labels(labels, Box(*corners.tolist()), around, segments)
    for one, place in zip(texts, placed, strict=True):
        if place is not None:
            _write(axes, one, place, scale)
    return [place.box for place in placed if place is not None]


def _in_points(axes: Axes, at: Point, scale: float) -> Point:
    x, y = axes.transData.transform(at) / scale
    return float(x), float(y)


def _segments(axes: Axes, curve: Sequence[Point], scale: float) -> list[tuple[Point, Point]]:
    points = [_in_points(axes, one, scale) for one in curve]
    return list(itertools.pairwise(points))


def _measure(figure: Figure, text: str) -> Point:
    """Width and height of a label in points."""
    drawn = figure.text(0, 0, text, fontsize=FONT)
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    width = drawn.get_window_extent(canvas.get_renderer()).width  # type: ignore[no-untyped-call]
    drawn.remove()
    return _SPARE * width * 72 / figure.dpi, _LINE_HEIGHT * FONT


def _write(axes: Axes, one: Text, place: Placed, scale: float) -> None:
    to_data, box = axes.transData.inverted(), place.box
    x, y = to_data.transform((box.x0 * scale, (box.y0 + box.y1) / 2 * scale))
    axes.text(x, y, one.text, fontsize=FONT, color=one.colour, va="center_baseline", zorder=7)
    if place.leader is not None:
        ends = to_data.transform(np.array(place.leader) * scale)
        axes.plot(ends[:, 0], ends[:, 1], color=MUTED, lw=0.6, zorder=4)


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between the ends of a log axis, as many as there is room for."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for steps in _STEPS:
        values = [step * 10.0**power for power in powers for step in steps]
        found = [value for value in values if low <= value <= high]
        if len(found) <= most:
            return found
    return found[:: -(-len(found) // most)]
