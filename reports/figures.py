"""Figures of a run's trials, and the look of all figures.

Beside `found_figures` and `driven_figures` the only place that draws with matplotlib.

The data behind a figure and its drawing are apart: `history_data`, `parameter_data` and
`curve_data` are tested by value, the `draw_` functions turn them into a `Figure`. Drawing is
deterministic: nothing in a file depends on time, process or machine.
"""

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray
from PIL import Image

from evolve.store.records import ParameterRecord, RunRecord
from reports.hover import note_points
from reports.summary import STATE_WORDS, STATES, Summary
from reports.tables import parameter_values, trial_anchor
from reports.text import clean, number

INK, MUTED, GRID, PAPER = "#1d2228", "#5d6670", "#dfe3e7", "#fefefe"
COMPLETE, PRUNED, FAIL, RUNNING, BEST = "#0072b2", "#7b848d", "#d55e00", "#008f68", "#e69f00"
VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "rule",
    PAPER: "paper",
    COMPLETE: "complete",
    PRUNED: "pruned",
    FAIL: "failed",
    RUNNING: "running",
    BEST: "best",
}

RASTER_FROM = 400
MOST_DRAWN = 2_000
MOST_IN_PANEL = 1_000  # of more than MOST_DRAWN: the panel of a parameter is small
COLUMNS = 3
DPI = 160
PALETTE = 96
_ALIKE = 8  # Pillow takes colours that differ by less for the same
_STEPS = [1, 2, 2.5, 5, 10]
WIDE, NARROW, PANEL = (9.6, 3.9), (3.7, 3.5), (3.1, 2.35)

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "evolve",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.width": 0.7,
    "ytick.major.size": 0,
    "xtick.minor.size": 2,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 2.4,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.4,
    "legend.borderpad": 0.2,
}

_MARKERS: dict[str, dict[str, Any]] = {
    "PRUNED": {"marker": "v", "s": 26, "facecolor": PAPER, "edgecolor": PRUNED, "linewidth": 1.1},
    "COMPLETE": {
        "marker": "o",
        "s": 27,
        "facecolor": COMPLETE,
        "edgecolor": PAPER,
        "linewidth": 0.6,
    },
    "RUNNING": {
        "marker": "D",
        "s": 22,
        "facecolor": PAPER,
        "edgecolor": RUNNING,
        "linewidth": 1.3,
    },
    "FAIL": {"marker": "x", "s": 26, "color": FAIL, "linewidth": 1.5},
    "default": {"marker": "s", "s": 82, "facecolor": "none", "edgecolor": INK, "linewidth": 1.4},
    "best": {"marker": "*", "s": 150, "facecolor": BEST, "edgecolor": INK, "linewidth": 0.7},
}
_LINES: dict[str, dict[str, Any]] = {
    "PRUNED": {"color": PRUNED, "linewidth": 0.8, "alpha": 0.5},
    "FAIL": {"color": FAIL, "linewidth": 0.9, "alpha": 0.7},
    "RUNNING": {"color": RUNNING, "linewidth": 1.0, "alpha": 0.8},
    "COMPLETE": {"color": COMPLETE, "linewidth": 0.9, "alpha": 0.5},
}
_LOSS_LOOKS: dict[str, tuple[str, str, Any]] = {  # name, colour, dashes
    "iou": ("IoU", INK, (0, (1, 1))),
    "giou": ("GIoU", FAIL, (0, (6, 1.5))),
    "diou": ("DIoU", COMPLETE, (0, (6, 1, 1, 1))),
    "ciou": ("CIoU", RUNNING, "-"),
}
_SPECIAL_LINES: dict[str, dict[str, Any]] = {
    "best": {"color": COMPLETE, "linewidth": 2.4, "linestyle": "-"},
    "default": {"color": INK, "linewidth": 1.7, "linestyle": (0, (3.5, 1.5))},
}


@dataclass(frozen=True)
class Curve:
    """AP in percent per epoch of one trial."""

    number: int
    state: str
    epochs: NDArray[np.float64]
    values: NDArray[np.float64]


def history_data(run: RunRecord) -> pd.DataFrame:
    """Frame of number, state, value and best so far over complete trials, both in percent."""
    frame = run.trials[["number", "state"]].copy()
    frame["value"] = 100 * run.trials["value"].astype(float)
    frame["best_so_far"] = frame["value"].where(frame["state"] == "COMPLETE").cummax().ffill()
    return frame.reset_index(drop=True)


def parameter_data(run: RunRecord, parameter: ParameterRecord) -> pd.DataFrame:
    """Frame of number, state, value in percent and place on the axis of `parameter`.

    The place of a categorical is the index of its choice. Trials that have none (no value
    stored, an unknown choice, a number a log axis cannot hold) are left out, and so are those
    whose parameters changed on the way: no one place is theirs.
    """
    frame = history_data(run)[["number", "state", "value"]]
    frame["place"] = places_of(parameter, parameter_values(run, parameter))
    frame = frame[~frame["number"].isin(list(run.recipes))]
    return frame.dropna(subset=["place"]).reset_index(drop=True)


def places_of(parameter: ParameterRecord, values: Sequence[Any]) -> list[float]:
    """Where values stand on the axis of a parameter; NaN for those without a place."""
    if parameter.choices is not None:
        known = reversed([*enumerate(parameter.choices)])  # the first of those that read alike
        indices = {str(choice): float(n) for n, choice in known}
        return [math.nan if v is None else indices.get(str(v), math.nan) for v in values]
    least = 0.0 if parameter.scale == "log" else -math.inf
    return [math.nan if v is None or v <= least else float(v) for v in values]


def drawn_trials(run: RunRecord, summary: Summary, most: int = MOST_DRAWN) -> frozenset[int]:
    """Numbers of the trials that are drawn: all, or of very many `most` picked at random.

    Those that stand out and those that run are always in it.
    """
    numbers = run.trials["number"].to_numpy()
    if len(numbers) <= MOST_DRAWN:
        return frozenset(numbers.tolist())
    picked = np.random.default_rng(0).choice(numbers, most, replace=False)
    running = run.trials.loc[run.trials["state"] == "RUNNING", "number"]
    return frozenset((*picked.tolist(), *running.tolist(), *special_trials(summary)))


def curve_data(run: RunRecord, drawn: frozenset[int] | None = None) -> list[Curve]:
    """One curve for each trial that reported at least one AP, ordered by number.

    Of the trials in `drawn` if it is given.
    """
    if run.epochs.empty:
        return []
    frame = run.epochs[["number", "epoch", "AP"]].dropna()
    if drawn is not None:
        frame = frame[frame["number"].isin(drawn)]
    frame = frame.sort_values(["number", "epoch"])
    numbers, first = np.unique(frame["number"].to_numpy(), return_index=True)
    epochs = np.split(frame["epoch"].to_numpy(float), first[1:])
    values = np.split(100 * frame["AP"].to_numpy(float), first[1:])
    states = dict(zip(run.trials["number"], run.trials["state"], strict=True))
    return [
        Curve(number, str(states[number]), *curve)
        for number, *curve in zip(numbers.tolist(), epochs, values, strict=False)
        if number in states
    ]


def draw_history(run: RunRecord, summary: Summary, size: tuple[float, float]) -> Figure:
    """Value by trial number, a marker and colour for each state, and the best so far."""
    frame = history_data(run)
    with style():
        figure, axes = _one_axes(size)
        rug = set_value_axis(axes, frame["value"])
        axes.step(
            frame["number"],
            frame["best_so_far"],
            where="post",
            color=INK,
            linewidth=1.1,
            zorder=2,
        )
        shown = frame[frame["number"].isin(drawn_trials(run, summary))]
        _scatter(axes, shown.rename(columns={"number": "place"}), shown["number"], rug, summary)
        axes.set_xlim(-0.6, max(frame["number"].max(), 1) + 0.6)
        axes.xaxis.set_major_locator(MaxNLocator(8 if size == WIDE else 5, integer=True))
        axes.set(xlabel="trial", ylabel=value_label(summary))
        handles = _handles(set(frame["state"]), summary)
        if summary.best is not None:
            handles.append(Line2D([], [], color=INK, linewidth=1.1, label="best so far"))
        legend(figure, handles, size)
    return figure


def draw_curves(run: RunRecord, summary: Summary, size: tuple[float, float]) -> Figure | None:
    """AP per epoch of every trial, best and defaults in front; None where none reported."""
    curves = curve_data(run, drawn_trials(run, summary))
    if not curves:
        return None
    special = special_trials(summary)
    with style():
        figure, axes = _one_axes(size)
        for state in _LINES:
            _draw_group(axes, state, [c for c in curves if c.state == state], len(curves))
        for curve in curves:
            if curve.number in special:
                _draw_special(axes, curve, special[curve.number])
        axes.margins(x=0.02, y=0.06)
        axes.xaxis.set_major_locator(MaxNLocator(8 if size == WIDE else 5, integer=True))
        axes.set(xlabel="epoch", ylabel="AP on val, %")
        legend(figure, _curve_handles(curves, summary), size)
    return figure


def draw_parameter(run: RunRecord, summary: Summary, parameter: ParameterRecord) -> Figure:
    """Value against one parameter, for a cell of a grid in the page; the page has the title."""
    with style():
        figure = Figure(figsize=PANEL)
        bottom = 0.34 if _are_turned(parameter) else 0.12
        axes = figure.add_axes((0.125, bottom, 0.835, 0.97 - bottom))
        _draw_panel(axes, run, summary, parameter)
    return figure


def draw_parameters(run: RunRecord, summary: Summary) -> Figure | None:
    """All parameters in one figure, for a file; None where nothing was searched."""
    count = len(run.parameters)
    if not count:
        return None
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    with style():
        figure = Figure(figsize=(PANEL[0] * columns, 2.5 * rows + 0.4), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[count:]:
            axes.set_axis_off()
        for index, (axes, parameter) in enumerate(zip(grid.flat, run.parameters, strict=False)):
            _draw_panel(axes, run, summary, parameter)
            axes.set_title(clean(parameter.path, longest=40))
            if index % columns == 0:
                axes.set_ylabel(value_label(summary))
        legend(figure, _handles(set(run.trials["state"]), summary), (PANEL[0] * columns, 0))
    return figure


def draw_box_errors(frame: pd.DataFrame, marks: dict[int, str]) -> Figure:
    """Mean error of each box loss by iteration, on a log axis, named at the end of its line.

    Parameters
    ----------
    frame : DataFrame
        Columns iteration, loss, mean_error; a loss is drawn in the order it first appears.
    marks : dict of int to str
        What begins at some iterations.
    """
    with style():
        figure, axes = _one_axes(WIDE)
        axes.set_yscale("log")
        ends: dict[str, float] = {}
        for loss, rows in frame.groupby("loss", sort=False):
            _, color, dashes = _LOSS_LOOKS[str(loss)]
            axes.plot(rows["iteration"], rows["mean_error"], color=color, linestyle=dashes, lw=1.9)
            ends[str(loss)] = float(rows["mean_error"].iloc[-1])
        last = int(frame["iteration"].max())
        axes.set(xlim=(0, last), xlabel="iteration", ylabel="mean L1 error of (x, y, w, h)")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        _name_ends(axes, ends)
        for start, text in marks.items():
            axes.axvline(start, color=MUTED, lw=0.7, ls=(0, (2, 2)), zorder=1)
            axes.annotate(
                text, (start, 1), (3, -2), xycoords=("data", "axes fraction"),
                textcoords="offset points", va="top", fontsize=8, color=MUTED,
            )  # fmt: skip
    return figure


def _name_ends(axes: Axes, ends: dict[str, float]) -> None:
    """Name and end value of each line at its right, moved apart where they would touch."""
    low, high = np.log(axes.get_ylim())
    places = [(math.log(end) - low) / (high - low) for end in ends.values()]
    moved = spread(places, 0.06)
    for (loss, end), place, height in zip(ends.items(), places, moved, strict=True):
        name, color, _ = _LOSS_LOOKS[loss]
        leader = Line2D([1, 1.015, 1.025], [place, height, height], color=color, lw=0.8)
        leader.set(transform=axes.transAxes, clip_on=False)
        axes.add_artist(leader)
        axes.annotate(
            f"{name}  {number(end)}", (1.03, height), xycoords="axes fraction", va="center",
            color=color, fontweight="bold", annotation_clip=False,
        )  # fmt: skip


def spread(places: list[float], gap: float) -> list[float]:
    """Places moved up, as little as is needed, until all are at least `gap` apart."""
    moved: dict[int, float] = {}
    least = -math.inf
    for index in sorted(range(len(places)), key=lambda index: places[index]):
        moved[index] = max(places[index], least)
        least = moved[index] + gap
    return [moved[index] for index in range(len(places))]


def to_svg(figure: Figure) -> str:
    """Write the figure as an SVG file whose text stays text."""
    file = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with style():
        _settle(figure)
        figure.savefig(file, format="svg", dpi=150, metadata=nothing)
    return file.getvalue()


def to_png(figure: Figure) -> bytes:
    """Write the figure as a PNG file on white, with few colours to keep it small."""
    file = io.BytesIO()
    with style():
        _settle(figure)
        figure.savefig(file, format="rgba", dpi=DPI, facecolor="white")
    width, height = (int(DPI * side) for side in figure.get_size_inches())
    image = Image.frombuffer("RGBA", (width, height), file.getvalue(), "raw", "RGBA", 0, 1)
    few = _with_few_colours(image.convert("RGB"))
    small = io.BytesIO()
    few.save(small, format="PNG")  # optimized it takes six times as long, to save 3 %
    return small.getvalue()


def _with_few_colours(image: Image.Image) -> Image.Image:
    """The image with our own colours, however little of it has them, and those it has most of."""
    own = np.array([list(bytes.fromhex(name[1:])) for name in VARIABLES if name != PAPER])
    own = np.vstack([[255, 255, 255], own])
    room = PALETTE - len(own)
    seen = image.reduce(3).quantize(room, dither=Image.Dither.NONE).getpalette() or []
    most = np.reshape(seen[: 3 * room], (-1, 3))
    alike = np.abs(most[:, None] - own).max(axis=2).min(axis=1) < _ALIKE
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.vstack([own, most[~alike]]).ravel().tolist())
    return image.quantize(palette=palette, dither=Image.Dither.NONE)


def _settle(figure: Figure) -> None:
    """Give all parts their places, once and for all files; it takes longer than drawing."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)


@contextmanager
def style() -> Iterator[None]:
    """What all figures have in common, while they are drawn and written."""
    with mpl.rc_context(cast(Any, _STYLE)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        yield


def _one_axes(size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.add_subplot()


def value_label(summary: Summary) -> str:
    """What an axis of values says."""
    return f"{summary.objective} on val, %"


def set_value_axis(axes: Axes, values: "pd.Series[float]") -> float:
    """Limits with room below for trials without a value; gives the height of that strip."""
    low, high = values.min(), values.max()
    if math.isnan(low):
        low, high = 0.0, 1.0
    pad = 0.08 * (high - low) or 1.0
    low, high = low - pad, high + pad
    strip = 0.16 * (high - low) if values.isna().any() else 0.0
    axes.set_ylim(low - strip, high)
    ticks = MaxNLocator(5, steps=_STEPS).tick_values(low, high)
    shown = [t for t in ticks if low <= t <= high] if values.notna().any() else []
    rug = low - 0.5 * strip
    labels = {t: f"{t:g}" for t in shown} | ({rug: "none"} if strip else {})
    axes.yaxis.set_major_locator(FixedLocator(list(labels)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda t, _: labels.get(t, "")))
    return rug


def _scatter(
    axes: Axes, frame: pd.DataFrame, numbers: "pd.Series[int]", rug: float, summary: Summary
) -> None:
    heights = frame["value"].fillna(rug)
    note_points(axes, frame["place"].tolist(), heights.tolist(), *_told(frame, numbers, summary))
    raster = len(frame) > RASTER_FROM
    for state in _LINES:
        chosen = frame["state"] == state
        if chosen.any():
            draw_dots(axes, frame["place"][chosen], heights[chosen], state, 3, raster=raster)
    for trial, role in special_trials(summary).items():
        for name in role.split():
            chosen = numbers == trial
            order = 6 if name == "default" else 5
            draw_dots(axes, frame["place"][chosen], heights[chosen], name, order)


def _told(
    frame: pd.DataFrame, numbers: "pd.Series[int]", summary: Summary
) -> tuple[list[str], list[str]]:
    """What is said of each trial under the pointer, and where the page tells more of it."""
    given = zip(numbers.tolist(), frame["state"], frame["value"].tolist(), strict=True)
    labels = [
        f"trial {n}: {STATE_WORDS[state]}"
        + ("" if math.isnan(value) else f", {summary.objective} {value:.1f}")
        for n, state, value in given
    ]
    return labels, [trial_anchor(n) for n in numbers.tolist()]


def draw_dots(axes: Axes, x: Any, y: Any, kind: str, order: int, *, raster: bool = False) -> None:
    """Draw the marker of a state, or of best or default, at some places."""
    look = _MARKERS[kind]
    if raster:
        look = look | {"s": 0.3 * look["s"], "linewidth": 0.8, "alpha": 0.5}
        look |= {"linewidth": 0} if kind == "COMPLETE" else {}
        look |= {"facecolor": "none"} if look.get("facecolor") == PAPER else {}
    axes.scatter(x, y, zorder=order, clip_on=False, rasterized=raster, **look)


def special_trials(summary: Summary) -> dict[int, str]:
    """Numbers of the trials to stand out: best, default, or both at once."""
    found: dict[int, str] = {}
    for role, score in (("best", summary.best), ("default", summary.default)):
        if score is not None:
            found[score.number] = f"{found.get(score.number, '')} {role}".strip()
    return found


def _draw_panel(axes: Axes, run: RunRecord, summary: Summary, parameter: ParameterRecord) -> None:
    frame = parameter_data(run, parameter)
    rug = set_value_axis(axes, history_data(run)["value"])
    _set_parameter_axis(axes, parameter, frame["place"])
    frame = frame[frame["number"].isin(drawn_trials(run, summary, MOST_IN_PANEL))]
    _scatter(axes, frame, frame["number"], rug, summary)


def _set_parameter_axis(axes: Axes, parameter: ParameterRecord, places: Any) -> None:
    if parameter.choices is not None:
        _set_choices(axes, parameter)
        return
    bounds = [b for b in (parameter.low, parameter.high) if b is not None]
    low, high = min([*bounds, *places]), max([*bounds, *places])
    if parameter.scale == "log" and low > 0:
        axes.set_xscale("log")
        _set_log_ticks(axes, low, high)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=_STEPS, integer=parameter.kind == "int"))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{t:.4g}"))
    if low < high:
        axes.set_xlim(low, high)


def choice_labels(parameter: ParameterRecord) -> list[str]:
    """Choices as an axis has room for them."""
    return [clean(number(choice), longest=12) for choice in parameter.choices or ()]


def _are_turned(parameter: ParameterRecord) -> bool:
    """Whether the labels of the choices are too long to stand side by side."""
    return sum(len(label) + 2 for label in choice_labels(parameter)) > 40


def _set_choices(axes: Axes, parameter: ParameterRecord) -> None:
    labels = choice_labels(parameter)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.set_xticks(range(len(labels)), labels)
    axes.tick_params(axis="x", length=0)
    if _are_turned(parameter):
        for text in axes.get_xticklabels():
            text.set(rotation=30, ha="right", rotation_mode="anchor")


def _set_log_ticks(axes: Axes, low: float, high: float) -> None:
    axes.xaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda t, _: power(t)))
    axes.xaxis.set_minor_locator(LogLocator(subs="all", numticks=30))
    axes.xaxis.set_minor_formatter(NullFormatter())


def log_ticks(low: float, high: float) -> list[float]:
    """Whole powers of ten within the bounds, at most six; 1, 2 and 5 where there are few."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    inside = [n for n in exponents if low * 0.999 <= 10.0**n <= high * 1.001]
    if len(inside) > 2:
        return [10.0**n for n in inside[:: -(-len(inside) // 6)]]
    ticks = [factor * 10.0**n for n in exponents for factor in (1, 2, 5)]
    return [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]


def power(value: float) -> str:
    """A tick of a log axis, small and large ones as 1e-4."""
    if 1e-3 <= value < 1e4:
        return f"{value:g}"
    factor, exponent = f"{value:.0e}".split("e")
    return f"{factor}e{int(exponent)}"


def _draw_group(axes: Axes, state: str, curves: list[Curve], total: int) -> None:
    if not curves:
        return
    raster = total > RASTER_FROM // 2
    lines = [np.column_stack([c.epochs, c.values]) for c in curves]
    look = _LINES[state]
    if raster:
        look = look | {"linewidth": 0.6, "alpha": max(0.06, look["alpha"] * 100 / total)}
    collection = LineCollection(lines, zorder=2, rasterized=raster, **look)
    axes.add_collection(collection)
    if state != "COMPLETE":
        ends = np.array([line[-1] for line in lines])
        draw_dots(axes, ends[:, 0], ends[:, 1], state, 3, raster=raster)


def _draw_special(axes: Axes, curve: Curve, role: str) -> None:
    kind = "best" if "best" in role else "default"
    axes.plot(curve.epochs, curve.values, zorder=5, **_SPECIAL_LINES[kind])
    for name in role.split():
        draw_dots(axes, curve.epochs[-1:], curve.values[-1:], name, 6)


def _handles(states: set[str], summary: Summary) -> list[Line2D]:
    handles = [_proxy(state, STATE_WORDS[state]) for state in STATES if state in states]
    return handles + [role_handle(trial, name, summary) for trial, name in _roles(summary)]


def _roles(summary: Summary) -> list[tuple[int, str]]:
    special = special_trials(summary)
    return [(trial, name) for trial, names in special.items() for name in names.split()]


def role_handle(trial: int, name: str, summary: Summary) -> Line2D:
    """Entry of a legend for best or default."""
    word = summary.role if name == "best" else "defaults"
    return _proxy(name, f"{word} (trial {trial})")


def _curve_handles(curves: list[Curve], summary: Summary) -> list[Line2D]:
    handles = []
    for state in (s for s in STATES if any(c.state == s for c in curves)):
        handle = _proxy(state, STATE_WORDS[state])
        handle.set(color=_LINES[state]["color"], linestyle="-", linewidth=1)
        if state == "COMPLETE":
            handle.set_marker("")
        handles.append(handle)
    drawn = {c.number for c in curves}
    for trial, name in _roles(summary):
        if trial in drawn:
            handle = role_handle(trial, name, summary)
            handle.set(**_SPECIAL_LINES[name])
            handles.append(handle)
    return handles


def _proxy(kind: str, label: str) -> Line2D:
    look = _MARKERS[kind]
    face = look.get("facecolor", look.get("color"))
    edge = look.get("edgecolor", look.get("color"))
    return Line2D(
        [],
        [],
        linestyle="",
        marker=look["marker"],
        markersize=math.sqrt(look["s"]) * 0.95,
        markerfacecolor=face,
        markeredgecolor=edge,
        markeredgewidth=look["linewidth"],
        label=label,
    )


def legend(
    figure: Figure, handles: Sequence[Artist], size: tuple[float, float], narrow_columns: int = 3
) -> None:
    """Put a legend above a figure of this size."""
    columns = max(1, int(size[0] / 1.32)) if size[0] > 4 else narrow_columns
    figure.legend(handles=list(handles), loc="outside upper left", ncols=columns)
