"""Several runs on one page: what each ended with, and how far they are apart."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from evolve.findings.several import Apart, Line, OneRun, Several
from reports.found_tables import span_text
from reports.latex import to_latex
from reports.method import data_text, model_text
from reports.page import render_page, render_text
from reports.pictures import Picture, make_picture, picture_files
from reports.place import FORMATS, put_report
from reports.several_figures import MOST_LINES, draw_histories, draw_lines
from reports.tables import Column, Row, Table, frame_to_csv
from reports.text import MISSING, PLUS_MINUS, clean, duration, percent, plural, points

_SHAPES = (True, False)


def render_several(found: Several, out: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Make or replace the page of several runs in the folder `out`; as `render_report`."""
    return put_report(out, several_files(found), formats)


def several_files(found: Several) -> dict[str, bytes]:
    """The files of the page, by name."""
    pictures = _pictures(found)
    context: dict[str, Any] = {
        "title": " and ".join(_names(found)) if len(found.runs) == 2 else _many(found),
        "verdict": verdict_of(found),
        "unfinished": [(clean(r.name), clean(r.unfinished)) for r in found.runs if r.unfinished],
        "runs": run_table(found),
        "lines": line_table(found),
        "apart": apart_table(found),
        "notes": [clean(note) for note in found.notes],
        "pictures": pictures,
        "created": "",
        "anchors": frozenset(),
        "summary": None,
    }
    return {
        "index.html": render_page("several.html.j2", context),
        "report.md": render_text("several.md.j2", context).encode(),
        "tables/lines.csv": frame_to_csv(line_frame(found)).encode(),
        "tables/lines.tex": to_latex(
            context["lines"], caption="What was measured, in percent.", label="tab:lines"
        ).encode(),
        **picture_files(pictures.values()),
    }


def _names(found: Several) -> list[str]:
    return [clean(run.name, longest=60) for run in found.runs]


def _many(found: Several) -> str:
    return plural(len(found.runs), "run")


def verdict_of(found: Several) -> str:
    """The run that ended highest, and by how much, of those that were measured alike."""
    if not found.apart:
        return "No two of these runs ended with values that were measured alike."
    leads = {id(one): one for pair in found.apart for one in (pair.first, pair.second)}
    order = sorted(leads.values(), key=lambda line: -line.mean)
    first, second = order[:2]
    pair = next(p for p in found.apart if {id(p.first), id(p.second)} == {id(first), id(second)})
    low, high = (pair.low, pair.high) if pair.second is first else (-pair.high, -pair.low)
    head = (
        f"{_lead(first, found)} is highest, {percent(first.mean)} {first.protocol.metric} on "
        f"{first.protocol.split}, {points(first.mean - second.mean).lstrip('+')} points above "
        f"{_lead(second, found)}"
    )
    if math.isnan(low):
        return clean(f"{head}; with so few seeds no interval can be given.")
    word = "" if low > 0 else ", which chance alone may give"
    return clean(f"{head} (95 % interval {span_text(low, high)} over the seeds){word}.")


def _lead(line: Line, found: Several) -> str:
    return f"{found.runs[line.run].name} ({line.title})"


def run_table(found: Several) -> Table:
    """Each run in a line: what it is, on what, and what it took."""
    columns = (
        Column("run", "Run"),
        Column("kind", "Kind"),
        Column("data", "Data"),
        Column("model", "Model"),
        Column("how", "Search or table"),
        Column("trainings", "Trainings", "number"),
        Column("time", "Time in trainings", "number"),
    )
    return Table(columns, tuple(_run_row(run) for run in found.runs))


def _run_row(run: OneRun) -> Row:
    manifest = run.manifest
    how = _table_name(manifest) if run.kind == "ablation" else _search_name(manifest)
    cells = (
        clean(run.name, longest=60),
        run.kind,
        data_text(manifest),
        model_text(manifest),
        how,
        f"{run.trainings:,}",
        duration(run.device_s),
    )
    return Row(cells)


def _search_name(manifest: dict[str, Any]) -> str:
    return clean(f"{manifest.get('sampler', '')}, {manifest.get('scheduler', '')}", longest=60)


def _table_name(manifest: dict[str, Any]) -> str:
    table = manifest.get("table")
    return clean(table.get("title") if isinstance(table, dict) else "", longest=60)


def line_table(found: Several) -> Table:
    """What every configuration was measured at, and its difference within its run."""
    metric = clean(found.lines[0].protocol.metric)
    columns = (
        Column("run", "Run"),
        Column("row", "Row"),
        Column("split", "On"),
        Column("value", metric, "number"),
        *(Column(name, name, "number") for name in ("AP50", "AP75") if name != metric),
        Column("seeds", "n", "number"),
        Column("delta", "Difference", "number"),
        Column("interval", "95 % interval", "number"),
        Column("word", "Verdict"),
        Column("protocol", "Protocol"),
    )
    return Table(columns, tuple(_line_row(line, found, metric) for line in found.lines))


def _line_row(line: Line, found: Several, metric: str) -> Row:
    spread = "" if math.isnan(line.sd) else f" {PLUS_MINUS} {percent(line.sd)}"
    delta = line.delta
    others = [percent(line.metrics.get(n, math.nan)) for n in ("AP50", "AP75") if n != metric]
    cells = (
        clean(found.runs[line.run].name, longest=60),
        clean(line.title, longest=80) + (" (its end)" if line.is_lead else ""),
        clean(line.protocol.split),
        f"{percent(line.mean)}{spread}{line.mark}",
        *others,
        str(len(line.values)),
        MISSING if delta is None else points(delta.mean),
        MISSING if delta is None or math.isnan(delta.low) else span_text(delta.low, delta.high),
        clean(line.word),
        f"{line.protocol.hash}{line.mark}",
    )
    return Row(cells, "best" if line.is_lead else "")


def apart_table(found: Several) -> Table | None:
    """How far apart the runs ended; None where no two were measured alike."""
    if not found.apart:
        return None
    columns = (
        Column("first", "From"),
        Column("second", "To"),
        Column("difference", "Difference", "number"),
        Column("interval", "95 % interval", "number"),
    )
    return Table(columns, tuple(_apart_row(pair, found) for pair in found.apart))


def _apart_row(pair: Apart, found: Several) -> Row:
    interval = MISSING if math.isnan(pair.low) else span_text(pair.low, pair.high)
    ends = (clean(_lead(line, found), longest=90) for line in (pair.first, pair.second))
    return Row((*ends, points(pair.difference), interval))


def line_frame(found: Several) -> pd.DataFrame:
    """A line a configuration, with full precision."""
    nothing = math.nan
    rows = [
        {
            "run": found.runs[line.run].name,
            "folder": run_folder(found.runs[line.run]),
            "row": line.key,
            "title": line.title,
            "lead": line.is_lead,
            "split": line.protocol.split,
            "metric": line.protocol.metric,
            "mean": line.mean,
            "sd": line.sd,
            "n": len(line.values),
            "delta": nothing if line.delta is None else line.delta.mean,
            "low": nothing if line.delta is None else line.delta.low,
            "high": nothing if line.delta is None else line.delta.high,
            "word": line.word,
            "protocol": line.protocol.hash,
        }
        for line in found.lines
    ]
    return pd.DataFrame(rows)


def run_folder(run: OneRun) -> str:
    """The folder of a run as one would type it."""
    folder = run.folder.resolve()
    return f"runs/{folder.name}" if folder.parent.name == "runs" else folder.as_posix()


def _pictures(found: Several) -> dict[str, Picture]:
    cut = "" if len(found.lines) <= MOST_LINES else f" The first {MOST_LINES} lines are drawn."
    drawn = {
        "lines": (
            "Every training",
            "Each training as a mark in the colour and shape of its run, and the mean of each "
            f"line; the means that a run ended with are wide.{cut}",
            draw_lines,
        ),
        "histories": (
            "Search histories",
            "The best value on val so far, by trials, of each evolution. Values of a search are "
            "picked for being high, and flatter it.",
            draw_histories,
        ),
    }
    made = {}
    for name, (title, caption, draw) in drawn.items():
        wide, narrow = (draw(found, wide=shape) for shape in _SHAPES)
        if wide is not None:
            made[name] = make_picture(name, title, caption, wide, narrow)
    return made
