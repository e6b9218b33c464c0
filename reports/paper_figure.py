"""The speed and accuracy of detectors as the YOLOv4 paper published them, like its Fig. 8."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from evolve.ablation.paper import PaperTable, load_paper_table
from evolve.pareto.records import REAL_TIME_FPS, Pareto
from reports.figures import COMPLETE, MUTED, PAPER, PRUNED, RUNNING, legend, style
from reports.label_drawing import Text, log_ticks, settle, write_labels
from reports.labels import RINGS, Point
from reports.pareto_figure import lines_of
from reports.text import clean

TABLES = (8, 9, 10)
WIDE_IN, NARROW_IN = 9.6, 3.7
OURS = "YOLOv4"

_NEAR = 22.0  # points of length: how far the others' names go
_GENERATIONS = {8: "Maxwell GPUs", 9: "Pascal GPUs", 10: "Volta GPUs"}


@dataclass(frozen=True)
class PublishedPoint:
    """One row: the size as printed, frames a second and AP in percent."""

    size: str
    fps: float
    ap: float


@dataclass(frozen=True)
class Published:
    """A detector with one backbone, at the sizes that a table has, fastest last."""

    name: str
    points: tuple[PublishedPoint, ...]

    @property
    def is_ours(self) -> bool:
        """Whether it is YOLOv4."""
        return self.name == OURS


def published(table: PaperTable, metric: str = "AP") -> list[Published]:
    """Families of a table that has a speed, in its order; rows without the metric are left out.

    The backbone is in the name where a method has several.
    """
    rows = [table.cells(row) for row in table.rows]
    backbones: dict[str, set[str]] = {}
    for row in rows:
        backbones.setdefault(str(row["method"]), set()).add(str(row["backbone"]))
    families: dict[str, list[PublishedPoint]] = {}
    for row in rows:
        speed, value = row["fps"], row[metric]
        if not isinstance(speed, int | float) or not isinstance(value, int | float):
            continue
        name = str(row["method"])
        if len(backbones[name]) > 1:
            name = f"{name}, {row['backbone']}"
        point = PublishedPoint(str(row["size"]), float(speed), float(value))
        families.setdefault(name, []).append(point)
    return [
        Published(name, tuple(sorted(points, key=lambda one: one.fps)))
        for name, points in families.items()
    ]


def draw_published(*, wide: bool, beside: Pareto | None = None) -> Figure:
    """AP by FPS of the paper's Tables 8 to 10, a panel for each generation of GPUs.

    Parameters
    ----------
    wide : bool
    beside : Pareto, optional
        Own points, in a panel of their own: on other hardware and data they share no axis.
    """
    count = len(TABLES) + (beside is not None)
    columns = (2 if count == 4 else 3) if wide else 1
    rows = -(-count // columns)
    size = (WIDE_IN, (4.4 if columns == 3 else 3.3) * rows + 0.5) if wide else (
        NARROW_IN, 3.1 * rows + 0.8)  # fmt: skip
    with style():
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        panels = list(zip(grid.flat, TABLES, strict=False))
        for axes, number in panels:
            _draw_panel(axes, published(load_paper_table(number)), wide)
            axes.set_title(f"{_GENERATIONS[number]}, as published")
        if beside is not None:
            _draw_own(grid.flat[count - 1], beside, wide)
        for axes in grid.flat[count:]:
            axes.set_axis_off()
        legend(figure, _handles(), size, 2)
        settle(figure)
        for axes, number in panels:
            families = published(load_paper_table(number))
            marks = [(point.fps, point.ap) for one in families for point in one.points]
            curves = [_curve(one) for one in families]
            write_labels(figure, axes, _names(families), marks, curves, radius=2.6)
        if beside is not None:
            _name_own(figure, grid.flat[count - 1], beside)
    return figure


def _draw_panel(axes: Axes, families: Sequence[Published], wide: bool) -> None:
    speeds = [point.fps for one in families for point in one.points]
    _set_axes(axes, speeds, "AP on COCO test-dev, %", wide)
    for one in families:
        xs, ys = _curve(one)
        colour = COMPLETE if one.is_ours else PRUNED
        order = 4 if one.is_ours else 3
        axes.plot(xs, ys, color=colour, lw=2.0 if one.is_ours else 0.9, zorder=order)
        axes.scatter(xs, ys, s=26 if one.is_ours else 13, zorder=order + 1, linewidth=0.9,
                     facecolor=colour if one.is_ours else PAPER, edgecolor=colour)  # fmt: skip


def _set_axes(axes: Axes, speeds: Sequence[float], label: str, wide: bool) -> None:
    low, high = min(speeds) / 1.25, max(speeds) * 1.25
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(log_ticks(low, high, 6 if wide else 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set(xlim=(low, high), xlabel="FPS, log scale", ylabel=label)
    axes.margins(y=0.08)
    if high > REAL_TIME_FPS:
        start = max(low, REAL_TIME_FPS)
        axes.axvspan(start, high, facecolor=RUNNING, alpha=0.09, edgecolor="none", zorder=0)


def _curve(one: Published) -> tuple[list[float], list[float]]:
    return [point.fps for point in one.points], [point.ap for point in one.points]


def _names(families: Sequence[Published]) -> list[Text]:
    """YOLOv4 with its sizes first, then the others by AP, each at its most accurate point."""
    texts = []
    for one in sorted(families, key=lambda f: (not f.is_ours, -max(p.ap for p in f.points))):
        top = max(one.points, key=lambda point: point.ap)
        for point in one.points if one.is_ours else (top,):
            name = f"{one.name} " if point is top else ""
            text = f"{name}{point.size}" if one.is_ours else clean(one.name, longest=24)
            at: Point = (point.fps, point.ap)
            colour, reach = (COMPLETE, RINGS[-1]) if one.is_ours else (MUTED, _NEAR)
            texts.append(Text(text, at, colour, reach))
    return texts


def _draw_own(axes: Axes, pareto: Pareto, wide: bool) -> None:
    lines = lines_of(pareto)
    speeds = [fps for line in lines for fps in line.points["fps"]]
    _set_axes(axes, speeds, f"{pareto.metric} on {pareto.split} of {clean(pareto.data, 24)}, %",
              wide)  # fmt: skip
    axes.set_title(clean(f"measured here: {pareto.device}", longest=44))
    for line in lines:
        axes.plot(line.points["fps"], 100 * line.points["ap"], color=line.colour, lw=1.3,
                  marker=line.marker, ms=5, mec=PAPER, mew=0.6, zorder=4)  # fmt: skip


def _name_own(figure: Figure, axes: Axes, pareto: Pareto) -> None:
    texts: list[Text] = []
    marks: list[Point] = []
    for line in lines_of(pareto):
        each = line.points.to_dict("records")
        marks += [(one["fps"], 100 * one["ap"]) for one in each]
        top = max(each, key=lambda one: one["ap"])
        texts.append(Text(clean(line.title, longest=24), (top["fps"], 100 * top["ap"]),
                           line.colour))  # fmt: skip
    write_labels(figure, axes, texts, marks)


def _handles() -> list[Line2D | Patch]:
    return [
        Line2D([], [], color=COMPLETE, marker="o", ms=5, lw=2.0, label="YOLOv4"),
        Line2D([], [], color=PRUNED, marker="o", mfc=PAPER, ms=4, lw=0.9, label="other detectors"),
        Patch(facecolor=RUNNING, alpha=0.2, label="real time, \u2265 30 FPS"),
    ]
