"""A stored ablation as a report: a page that needs nothing else, Markdown, tables, figures."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from evolve.ablation.files import table_files
from evolve.ablation.html import render_html
from evolve.ablation.layout import Layout
from evolve.ablation.render import render_markdown
from evolve.ablation.shown import classes_layout, effects_layout, table_layout
from evolve.findings.table import TableFindings
from reports import table_figures, table_maps
from reports.method import data_text, model_text, typed_path
from reports.page import render_page, render_text
from reports.pictures import Picture, make_picture, picture_files
from reports.place import FORMATS, check_place, put_report
from reports.table_method import describe_table_method, references
from reports.table_summary import (
    Line,
    caveat,
    has_complete,
    lines_of,
    next_steps,
    tiles,
    verdict,
)
from reports.table_trainings import MOST_CURVES, Behind, anchors, read_behind
from reports.tables import Column, Row, Table
from reports.text import MISSING, clean, duration, is_missing, number, percent, plural, points

LOG_LINES, LONGEST_LINE = 12, 300
MOST_LOGS = 6


def render_table_report(
    found: TableFindings,
    out: Path,
    behind: Behind | None = None,
    *,
    formats: Sequence[str] = FORMATS,
    living: bool = False,
) -> list[Path]:
    """Make or replace the report of an ablation in the folder `out`.

    `out` holds a whole report or is as it was. The same findings give the same bytes.

    Parameters
    ----------
    found : TableFindings
    out : Path
    behind : Behind, optional
        Of `read_behind`, for this folder; read if it is not given.
    formats : sequence of str
        As for `put_report`.
    living : bool
        The page loads itself again, while trainings are to come.

    Returns
    -------
    list of Path
        The files, the page first.

    Raises
    ------
    ReportError
        If `out` holds something other than a report.
    """
    check_place(out)
    behind = behind or read_behind(found, out)
    return put_report(out, _make_files(found, behind, reload=living), formats)


def _make_files(found: TableFindings, behind: Behind, *, reload: bool) -> dict[str, bytes]:
    pictures = _draw(found, behind)
    context = _context(found, behind, pictures)
    texts = {f"tables/{name}": text.encode() for name, text in table_files(found).items()}
    return {
        "index.html": render_page(
            "table.html.j2",
            context | {"html": _tables(found)},
            reload=reload and bool(found.unfinished),
        ),
        "report.md": render_text("table.md.j2", context | {"markdown": _markdown(found)}).encode(),
        **texts,
        **picture_files(pictures.values()),
    }


def _context(
    found: TableFindings, behind: Behind, pictures: Mapping[str, Picture]
) -> dict[str, Any]:
    manifest, table = found.manifest, found.table
    lines = {line["row"]: line for line in lines_of(found)}
    return {
        "title": clean(table.title),
        "description": clean(table.description),
        "verdict": verdict(found),
        "caveat": caveat(found),
        "unfinished": clean(found.unfinished),
        "tiles": tiles(found),
        "steps": next_steps(found),
        "facts": _facts(found),
        "rows": [(row, _said_of(lines[row.key], found)) for row in behind.rows],
        "sentences": [clean(one) for one in found.sentences],
        "objective": clean(found.objective),
        "judged_on": clean(found.judged_on),
        "pictures": pictures,
        "no_effects": clean(found.no_effects),
        "costs": _cost_table(found),
        "measured": _measured(found),
        "failures": _failure_table(found),
        "failed": int((found.trainings["state"] == "FAIL").sum()),
        "total": len(found.trainings),
        "logs": _logs(found),
        "method": describe_table_method(found),
        "references": references(found),
        "created": clean(manifest.get("created")),
        "folder": typed_path(found.folder),
        "any_complete": has_complete(found),
    }


def _tables(found: TableFindings) -> dict[str, Any]:
    """Tables of the page, of which the first leads to what is behind its values."""
    layout = table_layout(found)
    layouts = {"effects": effects_layout(found), "classes": classes_layout(found)}
    made = {name: render_html(one, id=name) for name, one in layouts.items() if one is not None}
    return made | {"table": render_html(layout, id="table", links=_links(found, layout))}


def _links(found: TableFindings, layout: Layout) -> dict[tuple[int, int], str]:
    """From the metrics of each row to its trainings."""
    table, names = found.table, anchors(found)
    first = int(table.needs_titles) + len(table.columns) + len(table.value_columns)
    return {
        (place, column): f"#{names[row.key]}"
        for place, row in enumerate(table.rows)
        for column in range(first, first + len(table.metrics))
        if layout.rows[place].cells[column].value is not None
    }


def _markdown(found: TableFindings) -> dict[str, Any]:
    layouts = {
        "table": table_layout(found),
        "effects": effects_layout(found),
        "classes": classes_layout(found),
    }
    return {name: render_markdown(one) for name, one in layouts.items() if one is not None}


def _facts(found: TableFindings) -> list[tuple[str, str]]:
    states = found.trainings.drop_duplicates(["row", "seed_index"])["state"].value_counts()
    words = {"COMPLETE": "complete", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}
    said = [f"{states[key]:,} {word}" for key, word in words.items() if states.get(key)]
    facts = [
        ("Trainings", ", ".join(said)),
        ("Rows", f"{len(found.table.rows)}, judged on {clean(found.judged_on)}"),
        ("Data", data_text(found.manifest)),
        ("Model", model_text(found.manifest)),
    ]
    return [(term, text) for term, text in facts if text]


def _said_of(line: Line, found: TableFindings) -> str:
    """A row in a few words, beside its title."""
    mean = percent(line["mean"])
    parts = [] if mean == MISSING else [f"{clean(found.objective)} {mean}"]
    if line["word"] != "baseline" and not math.isnan(line["delta"]):
        parts.append(points(line["delta"]))
    parts.append(f"{line['n']} of {plural(int(line['planned']), 'training')}")
    if line["failed"]:
        parts.append(f"{line['failed']} failed")
    return "; ".join([*parts, str(line["word"])] if line["n"] else parts)


# -- figures -------------------------------------------------------------------------------


def _draw(found: TableFindings, behind: Behind) -> dict[str, Picture]:
    made: dict[str, Picture] = {}
    for name, title in _TITLES.items():
        wide, narrow = (draw_table_figure(name, found, behind, wide=w) for w in (True, False))
        if wide is not None:
            heading = _ROAD if name == "roadmap" and table_figures.is_road(found) else title
            made[name] = make_picture(name, heading, _caption(name, found), wide, narrow)
    return made


def draw_table_figure(
    name: str, found: TableFindings, behind: Behind, *, wide: bool
) -> Figure | None:
    """Figure of one of the names of `TABLE_FIGURES`; None where there is nothing to show."""
    if name == "curves":
        return table_maps.draw_curves(
            behind.curves, found.objective, found.table.baseline, wide=wide
        )
    draw = {
        "roadmap": table_figures.draw_bars,
        "trainings": table_figures.draw_trainings,
        "effects": table_maps.draw_effects,
        "interactions": table_maps.draw_pairs,
    }[name]
    return draw(found, wide=wide)


_ROAD = "From the baseline to the last row"
_TITLES = {
    "roadmap": "What each row changes",
    "trainings": "Every training",
    "effects": "What the design estimates",
    "interactions": "Interactions",
    "curves": "Learning curves",
}
TABLE_FIGURES = tuple(_TITLES)


def _caption(name: str, found: TableFindings) -> str:
    objective, split = clean(found.objective), clean(found.judged_on)
    several = len(found.table.groups()) > 1
    own = " Rows have baselines of their own: see the notes of the table." if several else ""
    captions = {
        "roadmap": (
            f"Difference to the baseline in {objective} points on {split}, with 95 % intervals. "
            f"Solid: helps; hatched: hurts; outlined: has no effect, or undecided (dashed).{own}"
        ),
        "trainings": (
            f"{objective} on {split} of every complete training. What a seed "
            "does to all rows alike is not in their differences, which are paired by seed."
        ),
        "effects": (
            f"In {objective} points on {split}, with 95 % intervals; solid or hatched where it is "
            "sure after Holm's correction over all of them."
        ),
        "interactions": (
            f"How many {objective} points two ingredients together give beyond what each gives "
            "by itself. Bold and framed: sure after Holm's correction."
        ),
        "curves": (
            f"{objective} on val after each epoch, of the complete trainings: mean over the seeds "
            f"of a row, least to most, and the mean of the baseline.{_part(found)}"
        ),
    }
    if name == "roadmap" and table_figures.is_road(found):
        return (
            f"Difference to the baseline in {objective} points on {split}, with 95 % intervals. "
            "Grey is what the rows before had reached; solid adds to it, hatched takes from it, "
            "outlined: the difference to the baseline has no effect or is undecided (dashed)."
        )
    return captions[name]


def _part(found: TableFindings) -> str:
    rows = len(found.table.rows)
    if rows <= MOST_CURVES:
        return ""
    return (
        f" Of {rows} rows {MOST_CURVES} are drawn: the baselines, and those that differ most from "
        "them."
    )


# -- costs and failures --------------------------------------------------------------------


def _cost_table(found: TableFindings) -> Table | None:
    """What a row's network costs, and its training; None where nothing is known."""
    columns = (
        Column("row", "Row"),
        Column("parameters", "Parameters, M", "number"),
        Column("bflops", "BFLOPs", "number"),
        Column("latency", "Latency, ms", "number"),
        Column("p95", "95th percentile, ms", "number"),
        Column("time", "Training", "number"),
    )
    rows = []
    for row in found.table.rows:
        cost = None if found.costs is None else found.costs.row(row.key)
        values = (
            ()
            if cost is None
            else (cost.parameters / 1e6, cost.bflops, cost.latency_ms, cost.latency_p95_ms)
        )
        cells = [number(value) for value in values] or [MISSING] * 4
        rows.append((clean(row.title), *cells, duration(found.train_s[row.key])))
    known = [n for n in range(len(columns)) if n == 0 or any(r[n] != MISSING for r in rows)]
    if len(known) < 2:
        return None
    return Table(
        tuple(columns[n] for n in known), tuple(Row(tuple(r[n] for n in known)) for r in rows)
    )


def _measured(found: TableFindings) -> str:
    """How costs were measured, and what all trainings took."""
    said = []
    if found.costs is not None and found.costs.device:
        protocol = clean(found.costs.protocol).rstrip(".")
        said.append(f"Latency on {clean(found.costs.device)}{': ' if protocol else ''}{protocol}.")
    done = {line["row"]: int(line["n"]) for line in lines_of(found)}
    spent = [n * found.train_s[key] for key, n in done.items() if n]
    total = math.fsum(value for value in spent if not is_missing(value))
    if total:
        said.append(
            f"The complete trainings of the rows, with their evaluations, took {duration(total)}."
        )
    if found.run.tuned:
        said.append(f"GA has {clean(found.run.tuned)}.")
    return " ".join(said)


def _failure_table(found: TableFindings) -> Table:
    columns = (
        Column("row", "Row"),
        Column("seed", "Seed", "number"),
        Column("why", "Why", "lines"),
    )
    failed = found.trainings[found.trainings["state"] == "FAIL"]
    each = zip(failed["title"], failed["seed"], failed["reason"], strict=True)
    return Table(
        columns,
        tuple(
            Row((clean(title), str(seed), clean(why, longest=400))) for title, seed, why in each
        ),
    )


def _logs(found: TableFindings) -> list[tuple[str, str]]:
    """Last log lines before failures, of each reason those of its last training."""
    failed = found.trainings[found.trainings["state"] == "FAIL"]
    logs: dict[str, tuple[str, str]] = {}
    for one in failed.to_dict("records"):
        lines = [clean(line, longest=LONGEST_LINE) for line in one["log"] or ()]
        if lines:
            name = f"{clean(one['title'], longest=60)}, seed {one['seed']}"
            logs[str(one["reason"])] = name, "\n".join(lines[-LOG_LINES:])
    return list(logs.values())[:MOST_LOGS]
