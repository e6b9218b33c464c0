"""The report of a front of latency and AP: one page, Markdown, tables and figures."""

import json
import math
from pathlib import Path
from typing import Any

from evolve.ablation.render import csv_text
from evolve.pareto.records import COLUMNS, Pareto
from evolve.pareto.words import ms
from reports.page import render_page, render_text
from reports.paper_figure import draw_published
from reports.pareto_figure import MOST_BOXES, REAL_TIME_MS, Axis, draw_front
from reports.pictures import Picture, make_picture, picture_files
from reports.place import put_report
from reports.tables import Column, Row, Table
from reports.text import EN_DASH, MISSING, clean, is_missing, number, percent, upper_first

_HEADS = (
    *(("point", "Detector", "text"), ("size", "Size, px", "number")),
    *(("ap", "{metric}, %", "number"), ("interval", "95 %", "number"), ("n", "n", "number")),
    *(("ms", "Median, ms", "number"), ("p95", "p95, ms", "number"), ("fps", "FPS", "number")),
    *(("bflops", "BFLOPs", "number"), ("parameters", "Params, M", "number")),
    *(("front", "Front", "text"), ("chance", "Chance", "number")),
)


def render_pareto(
    pareto: Pareto, out: Path, *, axis: Axis = "latency", anchors: bool | None = None
) -> list[Path]:
    """Make or replace the report of a front in the folder `out`.

    Parameters
    ----------
    pareto : Pareto
    out : Path
    axis : str
        What the figure has from left to right: latency or fps.
    anchors : bool, optional
        The figure of the paper's own points: with these beside it, or not at all; default: alone.

    Returns
    -------
    list of Path
        The files, the page first.

    Raises
    ------
    ReportError
        If `out` holds something other than a report.
    """
    return put_report(out, pareto_files(pareto, axis=axis, anchors=anchors))


def pareto_files(
    pareto: Pareto, *, axis: Axis = "latency", anchors: bool | None = None
) -> dict[str, bytes]:
    """The files of the report by their names, the page first."""
    pictures = _draw(pareto, axis, anchors)
    context = {
        "title": clean(pareto.title) or "Latency and AP",
        "created": "",
        "sentence": clean(pareto.sentence),
        "pictures": pictures,
        "points": point_table(pareto),
        "facts": _facts(pareto),
        "notes": [f"{upper_first(clean(note))}." for note in pareto.notes],
        "metric": pareto.metric,
    }
    stored = json.dumps(pareto.to_dict(), indent=1, ensure_ascii=False)
    return {
        "index.html": render_page("pareto.html.j2", context),
        "report.md": render_text("pareto.md.j2", context).encode(),
        "tables/pareto.csv": _csv(pareto).encode(),
        "tables/pareto.json": f"{stored}\n".encode(),
        **picture_files(pictures.values()),
    }


def _draw(pareto: Pareto, axis: Axis, anchors: bool | None) -> dict[str, Picture]:
    found: dict[str, Picture] = {}
    wide = draw_front(pareto, wide=True, axis=axis)
    if wide is not None:
        narrow = draw_front(pareto, wide=False, axis=axis)
        title = f"{pareto.metric} and latency"
        found["pareto"] = make_picture("pareto", title, caption(pareto), wide, narrow)
    if anchors is not False:
        beside = pareto if anchors else None
        found["paper"] = make_picture(
            "pareto-paper", "What the paper published", _paper_caption(beside),
            draw_published(wide=True, beside=beside), draw_published(wide=False, beside=beside),
        )  # fmt: skip
    return found


# -- words -------------------------------------------------------------------------------------


def caption(pareto: Pareto) -> str:
    """What the figure shows, with the hypervolume."""
    alone = "" if len(pareto.points) <= MOST_BOXES else " of points on the front"
    return (
        f"{pareto.metric} on {pareto.split} of {clean(pareto.data)} against the median latency on "
        f"{clean(pareto.device)}. Lines{alone} reach over the 95 % interval of {pareto.metric} "
        f"and from the median to the 95th percentile of passes; the step line is the front, with "
        f"boxes for both. {_volume(pareto)} {_zone(pareto)}"
    ).strip()


def _volume(pareto: Pareto) -> str:
    volume = pareto.volume
    span = "" if math.isnan(volume.low) else (
        f" (95 % interval {100 * volume.low:.1f} to {100 * volume.high:.1f})"
    )  # fmt: skip
    return (
        f"Hypervolume from {volume.reference.latency_ms:g} ms and 0 %: "
        f"{100 * volume.value:.4g} %\u00b7ms, which is {100 * volume.share:.1f} %{span} "
        f"on average over all budgets up to {volume.reference.latency_ms:g} ms."
    )


def _zone(pareto: Pareto) -> str:
    speeds = pareto.points["latency_ms"].dropna()
    if speeds.empty or float(speeds.min()) > REAL_TIME_MS:
        return "No point is in the real-time zone of 30 FPS and more."
    inside = int((speeds <= REAL_TIME_MS).sum())
    return "" if inside < len(speeds) else "All points are in the real-time zone of 30 FPS."


def _paper_caption(beside: Pareto | None) -> str:
    own = "" if beside is None else (
        " Points measured here stand in a panel of their own: hardware, data and classes are "
        "others, so no axis is shared."
    )  # fmt: skip
    return (
        "AP on COCO test-dev 2017 by FPS as published in Tables 8 to 10 of the YOLOv4 paper "
        "(arXiv:2004.10934): other hardware and data than above, batch 1, without TensorRT." + own
    )


def _facts(pareto: Pareto) -> list[tuple[str, str]]:
    images = "" if pareto.images is None else f", {pareto.images:,} images"
    protocol = pareto.accuracy
    rules = [
        f"{name} {number(protocol[key])}"
        for key, name in (("nms_iou", "NMS at IoU"), ("score_threshold", "scores from"),
                          ("max_detections", "detections an image up to"))
        if not is_missing(protocol.get(key))
    ]  # fmt: skip
    return [
        ("Measured on", clean(pareto.device)),
        ("Data", f"{clean(pareto.data)}: {pareto.split}{images}"),
        ("Latency", upper_first(clean(pareto.timing))),
        (pareto.metric, "; ".join([*rules, f"protocol {clean(protocol.get('hash'))}"])),
    ]


# -- tables ------------------------------------------------------------------------------------


def point_table(pareto: Pareto) -> Table:
    """All points by latency."""
    columns = (Column(key, head.format(metric=pareto.metric), kind) for key, head, kind in _HEADS)
    ordered = pareto.points.sort_values("latency_ms", kind="stable").to_dict("records")
    chosen = pareto.choice.key if pareto.choice is not None else ""
    rows = (Row(_cells(one), "best" if one["key"] == chosen and chosen else "") for one in ordered)
    return Table(tuple(columns), tuple(rows))


def _cells(one: dict[Any, Any]) -> tuple[str, ...]:
    speeds = (one["latency_ms"], one["latency_p95_ms"])
    return (
        clean(one["title"], longest=60) + one["mark"],
        str(one["size"]),
        percent(one["ap"]),
        _interval(one),
        str(one["seeds"]),
        *(MISSING if is_missing(value) else ms(value).removesuffix(" ms") for value in speeds),
        MISSING if is_missing(one["fps"]) else f"{one['fps']:.1f}",
        f"{one['bflops']:.3g}",
        f"{one['parameters'] / 1e6:.3g}",
        "yes" if one["on_front"] else "",
        MISSING if is_missing(one["p_front"]) else f"{one['p_front']:.2f}",
    )


def _interval(one: dict[Any, Any]) -> str:
    if is_missing(one["ap_low"]):
        return MISSING
    low, high = (min(max(100 * one[end], 0.0), 100.0) for end in ("ap_low", "ap_high"))
    return f"{low:.1f} {EN_DASH} {high:.1f}"


def _csv(pareto: Pareto) -> str:
    """Every point with full precision; empty where nothing is known."""
    lines = pareto.points[list(COLUMNS)].itertuples(index=False, name=None)
    cells = ([_plain(value) for value in line] for line in lines)
    return csv_text([list(COLUMNS), *cells])


def _plain(value: Any) -> str | float:
    if is_missing(value):
        return ""
    return str(value) if isinstance(value, bool | str) else value
