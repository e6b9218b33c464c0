"""The figure of a front of latency and AP, and that of the paper's published points.

They look as those of `reports.figures` do. What is drawn is worked out as plain records first.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from evolve.pareto.records import REAL_TIME_FPS, Pareto
from reports.figures import (
    BEST,
    COMPLETE,
    FAIL,
    INK,
    MUTED,
    PAPER,
    PRUNED,
    RUNNING,
    style,
)
from reports.label_drawing import Text, log_ticks, settle, write_labels
from reports.labels import RINGS, Point
from reports.text import clean

Axis = Literal["latency", "fps"]

WIDE, NARROW = (9.6, 5.2), (3.7, 4.4)
LOG_FROM = 6.0  # slowest over fastest
MOST_BOXES = 16
MOST_LABELLED = 24  # of points that are not on the front
NEAR = 14.0  # points of length: how far labels go where there are many
REAL_TIME_MS = 1000 / REAL_TIME_FPS

_LOOKS = tuple(
    zip((COMPLETE, FAIL, RUNNING, BEST, INK, COMPLETE, FAIL, RUNNING), "osD^vPXp", strict=True)
)
_GREY, _SINGLE = (PRUNED, "o"), (COMPLETE, "o")


@dataclass(frozen=True, eq=False)
class Line:
    """A detector at its sizes, drawn as a line.

    Attributes
    ----------
    title : str
    points : DataFrame
        Lines of `Pareto.points`, by latency.
    colour, marker : str
    is_named : bool
        Whether the legend has it; points of others bear its name.
    """

    title: str
    points: pd.DataFrame
    colour: str
    marker: str
    is_named: bool


def lines_of(pareto: Pareto) -> list[Line]:
    """Detectors as lines; those with several sizes and a point on the front first.

    Of many only the first get a colour and a shape of their own.
    """
    known = pareto.points[pareto.points["latency_ms"].notna() & pareto.points["ap"].notna()]
    groups = [(title, known[known["title"] == title].sort_values("latency_ms"))
              for title in dict.fromkeys(known["title"])]  # fmt: skip
    several = sorted((one for one in groups if len(one[1]) > 1),
                     key=lambda one: -int(one[1]["on_front"].any()))  # fmt: skip
    looks = {title: look for (title, _), look in zip(several, _LOOKS, strict=False)}
    found = []
    for title, points in groups:
        alone = _SINGLE if points["on_front"].any() else _GREY
        colour, marker = looks.get(title, alone)
        found.append(Line(title, points, colour, marker, title in looks))
    order = {title: place for place, (title, _) in enumerate(several)}
    return sorted(found, key=lambda line: order.get(line.title, len(order)))


def staircase(points: pd.DataFrame, slowest_ms: float) -> list[Point]:
    """Corners of the highest AP within each latency, in ms and percent, from the fastest on."""
    front = points[points["on_front"]].sort_values("latency_ms")
    corners: list[Point] = []
    for speed, value in zip(front["latency_ms"], 100 * front["ap"], strict=True):
        if corners:
            corners.append((float(speed), corners[-1][1]))
        corners.append((float(speed), float(value)))
    return [*corners, (max(slowest_ms, corners[-1][0]), corners[-1][1])] if corners else []


# -- the front ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Frame:
    """Where values stand: latency or frames a second, linear or log."""

    axis: Axis
    is_log: bool
    x: tuple[float, float]
    y: tuple[float, float]

    def place(self, latency_ms: float) -> float:
        return latency_ms if self.axis == "latency" else 1000 / latency_ms


def draw_front(pareto: Pareto, *, wide: bool, axis: Axis = "latency") -> Figure | None:
    """AP by latency with the front as a staircase; None where no point can be drawn.

    Parameters
    ----------
    pareto : Pareto
    wide : bool
    axis : str
        latency in milliseconds, or fps.
    """
    lines = lines_of(pareto)
    if not lines:
        return None
    points = pd.concat([line.points for line in lines])
    frame = _frame_of(points, pareto, axis)
    size = WIDE if wide else NARROW
    with style():
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        _set_axes(axes, frame, pareto, wide)
        zone = _draw_zone(axes, frame)
        limit = _draw_limit(axes, frame, pareto)
        corners = staircase(points, max(frame.x) if axis == "latency" else 1000 / frame.x[0])
        axes.plot(*_xy(corners, frame), color=INK, lw=1.3, zorder=2, solid_joinstyle="miter")
        boxed = points if len(points) <= MOST_BOXES else points[points["on_front"]]
        for line in lines:
            _draw_line(axes, line, frame, set(boxed["key"]))
        _draw_choice(axes, pareto, frame)
        _legend(figure, _handles(lines, pareto, zone=zone, limit=limit))
        settle(figure)
        _label(figure, axes, lines, frame, corners, wide)
    return figure


def _frame_of(points: pd.DataFrame, pareto: Pareto, axis: Axis) -> _Frame:
    speeds = [*points["latency_ms"], *points["latency_p95_ms"]]
    if pareto.choice is not None:
        speeds.append(pareto.choice.limit_ms)
    places = [1000 / v if axis == "fps" else v for v in speeds if v > 0]
    low, high = min(places), max(places)
    is_log = high / low > LOG_FROM
    if is_log:
        room = (high / low) ** 0.06
        x = (low / room, high * room)
    else:
        room = 0.07 * (high - low) or 0.2 * high
        x = (max(0.0, low - room), high + room)
    values = np.concatenate([points[name] for name in ("ap", "ap_low", "ap_high")])
    values = 100 * values[~np.isnan(values)].clip(0, 1)
    room = 0.07 * float(np.ptp(values)) or 1.0
    y = (max(0.0, float(values.min()) - room), min(100.0, float(values.max()) + 1.6 * room))
    return _Frame(axis, is_log, x, y)


def _set_axes(axes: Axes, frame: _Frame, pareto: Pareto, wide: bool) -> None:
    if frame.is_log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(log_ticks(*frame.x, most=9 if wide else 5)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(8 if wide else 5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.set(xlim=frame.x, ylim=frame.y)
    name = "latency, ms (median)" if frame.axis == "latency" else "FPS (of the median latency)"
    axes.set_xlabel(f"{name}{', log scale' if frame.is_log else ''}")
    axes.set_ylabel(f"{pareto.metric} on {pareto.split}, %")


def _xy(corners: Sequence[Point], frame: _Frame) -> tuple[list[float], list[float]]:
    return [frame.place(x) for x, _ in corners], [y for _, y in corners]


def _draw_zone(axes: Axes, frame: _Frame) -> bool:
    """Shade what is as fast as video; whether any of it is in sight."""
    edge = frame.place(REAL_TIME_MS)
    low, high = frame.x
    ends = (low, min(edge, high)) if frame.axis == "latency" else (max(edge, low), high)
    if ends[0] >= ends[1]:
        return False
    axes.axvspan(*ends, facecolor=RUNNING, alpha=0.09, edgecolor="none", zorder=0)
    if low < edge < high:
        axes.axvline(edge, color=RUNNING, lw=0.9, zorder=1)
    return True


def _draw_limit(axes: Axes, frame: _Frame, pareto: Pareto) -> bool:
    if pareto.choice is None:
        return False
    place = frame.place(pareto.choice.limit_ms)
    axes.axvline(place, color=INK, lw=1.0, ls=(0, (4, 2)), zorder=1)
    return True


def _draw_line(axes: Axes, line: Line, frame: _Frame, boxed: set[str]) -> None:
    points = line.points
    if len(points) > 1:
        xs = [frame.place(v) for v in points["latency_ms"]]
        axes.plot(xs, 100 * points["ap"], color=line.colour, lw=1.3, zorder=3, alpha=0.9)
    for one in points.to_dict("records"):
        if one["key"] in boxed:
            _draw_errors(axes, one, frame, line.colour)
        face = line.colour if one["on_front"] else PAPER
        axes.scatter(
            frame.place(one["latency_ms"]), 100 * one["ap"], s=30, marker=line.marker,
            facecolor=face, edgecolor=line.colour if not one["on_front"] else PAPER,
            linewidth=1.2 if not one["on_front"] else 0.6, zorder=5,
        )  # fmt: skip


def _draw_errors(axes: Axes, one: Mapping[Any, Any], frame: _Frame, colour: str) -> None:
    """The interval of AP, and what lies between median and 95th percentile; a box on the front."""
    ends = [frame.place(one[name]) for name in ("latency_ms", "latency_p95_ms")]
    look: dict[str, Any] = {"color": colour, "lw": 0.8, "alpha": 0.7, "zorder": 2}
    axes.plot(ends, [100 * one["ap"]] * 2, **look)
    if math.isnan(one["ap_low"]):
        return
    low, high = 100 * max(one["ap_low"], 0.0), 100 * min(one["ap_high"], 1.0)
    axes.plot(ends[:1] * 2, [low, high], **look)
    if one["on_front"]:
        box = Rectangle((min(ends), low), abs(ends[1] - ends[0]), high - low, facecolor=colour,
                        alpha=0.13, edgecolor="none", zorder=1.5)  # fmt: skip
        axes.add_patch(box)


def _draw_choice(axes: Axes, pareto: Pareto, frame: _Frame) -> None:
    if pareto.choice is None or not pareto.choice.key:
        return
    one = pareto.point(pareto.choice.key)
    axes.scatter(
        frame.place(one["latency_ms"]), 100 * one["ap"], s=150, facecolor="none", edgecolor=BEST,
        linewidth=2.0, zorder=6,
    )  # fmt: skip


def _handles(
    lines: Sequence[Line], pareto: Pareto, *, zone: bool, limit: bool
) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=line.colour, marker=line.marker, ms=5.5, lw=1.3,
               label=clean(line.title, longest=26))
        for line in lines if line.is_named
    ]  # fmt: skip
    single = [line for line in lines if not line.is_named]
    if any(line.points["on_front"].any() for line in single):
        handles.append(_dot(COMPLETE, PAPER, "on the front"))
    if any(not line.points["on_front"].all() for line in single):
        handles.append(_dot(PAPER, PRUNED, "beaten"))
    handles.append(Line2D([], [], color=INK, lw=1.3, label="front"))
    if zone:
        handles.append(Patch(facecolor=RUNNING, alpha=0.2, label="real time, \u2265 30 FPS"))
    if limit:
        assert pareto.choice is not None
        text = f"{pareto.choice.limit_ms:g} ms"
        handles.append(Line2D([], [], color=INK, lw=1.0, ls=(0, (4, 2)), label=f"limit {text}"))
        if pareto.choice.key:
            handles.append(Line2D([], [], ls="", marker="o", ms=10, mfc="none", mec=BEST, mew=2,
                                  label="best that fits"))  # fmt: skip
    return handles


def _legend(figure: Figure, handles: Sequence[Line2D | Patch]) -> None:
    """Above the axes, in as many columns as the longest label leaves room for."""
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = int(figure.get_figwidth() / (0.6 + 0.068 * longest))
    figure.legend(handles=list(handles), loc="outside upper left", ncols=max(1, columns))


def _dot(face: str, edge: str, label: str) -> Line2D:
    return Line2D([], [], ls="", marker="o", ms=5.5, mfc=face, mec=edge, mew=1.1, label=label)


# -- labels ------------------------------------------------------------------------------------


def _label(
    figure: Figure,
    axes: Axes,
    lines: Sequence[Line],
    frame: _Frame,
    corners: Sequence[Point],
    wide: bool,
) -> None:
    curves = [_xy(corners, frame)]
    curves += [([frame.place(v) for v in line.points["latency_ms"]], list(100 * line.points["ap"]))
               for line in lines if len(line.points) > 1]  # fmt: skip
    marks = [_at(one, frame) for line in lines for one in line.points.to_dict("records")]
    write_labels(figure, axes, list(_texts(lines, frame, wide)), marks, curves)


def _at(one: Mapping[Any, Any], frame: _Frame) -> Point:
    return frame.place(one["latency_ms"]), 100 * one["ap"]


def _texts(lines: Sequence[Line], frame: _Frame, wide: bool) -> Iterator[Text]:
    """Of points on the front first, then of the most accurate ones."""
    sizes = {int(size) for line in lines for size in line.points["size"]}
    each = [(line, one) for line in lines for one in line.points.to_dict("records")]
    front = [pair for pair in each if pair[1]["on_front"]]
    others = sorted((pair for pair in each if not pair[1]["on_front"]),
                    key=lambda pair: -pair[1]["ap"])  # fmt: skip
    is_crowded = len(each) > (MOST_BOXES if wide else MOST_BOXES // 2)
    for line, one in [*front, *others[:MOST_LABELLED]]:
        name = "" if line.is_named else clean(line.title, longest=24 if wide else 15)
        size = str(one["size"]) if line.is_named else f"{one['size']} px" * (len(sizes) > 1)
        text = ", ".join(part for part in (name, size) if part) + str(one["mark"])
        colour = INK if one["on_front"] else MUTED
        reach = NEAR if is_crowded and not one["on_front"] else RINGS[-1]
        yield Text(text, _at(one, frame), colour, reach)
