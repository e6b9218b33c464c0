"""A stored run as a report: one page that needs nothing else, Markdown, tables and figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from evolve.errors import ReportError
from evolve.findings import Findings
from evolve.store.records import ParameterRecord, RunRecord
from reports import driven_figures, figures, found_tables, method, schedules, tables
from reports.citations import bibtex, used_works
from reports.detection import detection_sections
from reports.driven import driven_context, driven_files
from reports.found import FOUND_TITLES, found_caption, found_context, found_drawings
from reports.front_tables import front_context, front_files
from reports.laid_out import LaidSection, lay_out, section_files
from reports.latex import to_latex
from reports.next_step import next_step
from reports.origins import row_origins, trial_origins, untold
from reports.page import render_page, render_text
from reports.pictures import Picture, inline, make_picture, picture_files
from reports.place import FORMATS, check_place, put_report
from reports.search import (
    interaction_section,
    lineage_section,
    parallel_section,
    spent_section,
)
from reports.summary import STATE_WORDS, STATES, Summary, reasons, summarise, time_text
from reports.tables import LISTED
from reports.text import clean, listed, plural

MARKDOWN_ROWS = 200
SEEN = ("seen", "precision-recall", "confusion", "examples")
"""Keys of the sections of what detectors saw."""


@dataclass(frozen=True)
class Panel:
    """One parameter's plot in the page."""

    path: str
    svg: Markup


def render_report(
    run: RunRecord,
    out: Path,
    found: Findings | None = None,
    *,
    formats: Sequence[str] = FORMATS,
    living: bool = False,
) -> list[Path]:
    """Make or replace the report of `run` in the folder `out`.

    Everything is made in a folder beside `out` and put in place at the end, so `out` holds
    a whole report or is as it was. The same run gives the same bytes. A page that is `living`
    loads itself again, while the run goes on.

    Returns
    -------
    list of Path
        The files, the page first.

    Raises
    ------
    ReportError
        If the run holds no trial, or `out` holds something other than a report.
    """
    _check_run(run)
    out = out.resolve()
    check_place(out)
    return put_report(out, _make_files(run, found, out, living), formats)


def _check_run(run: RunRecord) -> None:
    if run.trials.empty:
        raise ReportError(
            "the run holds no trial, so there is nothing to report",
            clean(run.folder),
            "let at least one trial start: `evolve resume` continues the run",
        )
    unknown = sorted({clean(state) for state in run.trials["state"]} - set(STATES))
    if unknown:
        raise ReportError(
            f"unknown trial state {listed(unknown)}",
            clean(run.folder),
            f"known: {', '.join(STATES)}; the run may come from a newer evolve",
        )


def _make_files(
    run: RunRecord, found: Findings | None, out: Path, living: bool
) -> dict[str, bytes]:
    summary = summarise(run, found)
    pictures = _draw(run, summary, found)
    sections = _sections(run, summary, found)
    context = _context(run, summary, pictures, found) | _trail(run, summary, found, out)
    context |= {"sections": sections, "seen_keys": [key for key in SEEN if key in sections]}
    panels = [_panel(run, summary, p, index) for index, p in enumerate(run.parameters)]
    files = {
        "index.html": render_page(
            "run.html.j2", context | {"panels": panels}, reload=living and bool(summary.unfinished)
        ),
        "report.md": render_text("run.md.j2", context).encode(),
        "tables/trials.csv": tables.to_csv(run).encode(),
        "tables/references.bib": context["bibtex"].encode(),
        **_latex_files(context),
    }
    if found is not None:
        files |= _found_files(found, context)
    if run.recipes:
        files["tables/schedules.json"] = schedules.schedules_file(run).encode()
    return files | picture_files(pictures.values()) | section_files(sections.values())


def _sections(run: RunRecord, summary: Summary, found: Findings | None) -> dict[str, LaidSection]:
    """Sections that are made apart from the page, drawn."""
    return lay_out(
        (
            *detection_sections(found),
            lineage_section(run, summary),
            parallel_section(run, summary, found),
            interaction_section(run, summary, found),
            spent_section(found),
        )
    )


def _latex_files(context: dict[str, Any]) -> dict[str, bytes]:
    """The tables that every run has, for a paper."""
    captions = {
        "metrics": "COCO metrics in percent, and their differences in points.",
        "parameters": "What was searched; bold: values that differ from the default.",
    }
    return {
        f"tables/{name}.tex": to_latex(context[name], caption=text, label=f"tab:{name}").encode()
        for name, text in captions.items()
        if context[name].rows
    }


def _found_files(found: Findings, context: dict[str, Any]) -> dict[str, bytes]:
    texts = found_tables.csv_files(found) | driven_files(found) | front_files(found)
    for name, caption in _CAPTIONS.items():
        if context[name] is not None:
            texts[f"{name}.md"] = f"{tables.to_markdown(context[name])}\n"
            texts[f"{name}.tex"] = to_latex(context[name], caption=caption, label=f"tab:{name}")
    return {f"tables/{name}": text.encode() for name, text in texts.items()}


_CAPTIONS = {
    "comparison": "The final comparison: mean and standard deviation over the fresh seeds, "
    "differences to the defaults in points.",
    "front": "Complete trials on the front, from the cheapest on, then the best of the others.",
    "luck": "What the search saw, and what fresh seeds give, on val.",
    "importance": "Importance of the parameters in percent, with 95 % intervals.",
    "path": "The path from the defaults to the winner.",
}


def _context(
    run: RunRecord, summary: Summary, pictures: dict[str, Picture], found: Findings | None
) -> dict[str, Any]:
    final = None if found is None else found.final
    return {
        "summary": summary,
        "pictures": pictures,
        "words": STATE_WORDS,
        "facts": _facts(run, summary, found),
        "states": [(s, STATE_WORDS[s], n) for s, n in summary.counts.items() if n],
        "metrics": tables.metric_table(summary)
        if final is None
        else found_tables.metric_table(final),
        "parameters": tables.parameter_table(run, summary),
        "edges": tables.at_edge(run, summary),
        "trials": tables.trial_table(tables.listed_trials(run), summary),
        "listed": _listed(run),
        "total": len(run.trials),
        "failures": tables.failure_table(run),
        "kinds": reasons(run.trials),
        "method": method.describe_method(run, found),
        "reuse": method.reuse_commands(run, summary, final),
        "created": clean(run.manifest.get("created")),
        "markdown_rows": MARKDOWN_ROWS,
        **found_context(found),
        **front_context(found),
        **driven_context(found, run),
        **schedules.schedules_context(run, summary),
    }


def _trail(run: RunRecord, summary: Summary, found: Findings | None, out: Path) -> dict[str, Any]:
    """What leads from the numbers of the page to the trainings behind them."""
    final = None if found is None else found.final
    trials, rows = trial_origins(run, summary, out), row_origins(run, final, out)
    return {
        "trial_origins": trials,
        "row_origins": rows,
        "anchors": frozenset(entry.anchor for entry in (*trials, *rows)),
        "untold": untold(run),
        "next": next_step(run, summary, found),
        "bibtex": bibtex(used_works(run.manifest, *_also_used(found))),
    }


def _also_used(found: Findings | None) -> list[str]:
    """Publications behind what was found."""
    if found is None:
        return []
    used = ["pedanova", "fanova"] if not found.importances.frame.empty else []
    return used + (["path"] if found.path is not None and found.path.steps else [])


def _listed(run: RunRecord) -> str:
    """Which trials the table of trials has; empty if all."""
    if len(run.trials) <= tables.MOST_ROWS:
        return ""
    return (
        f"Of {len(run.trials):,} trials the {LISTED} best and the last {LISTED}, the defaults and "
        "those that run are listed; tables/trials.csv has all."
    )


def _facts(run: RunRecord, summary: Summary, found: Findings | None) -> list[tuple[str, str]]:
    facts = [
        ("Search", _closed(run, found)),
        ("Device time", time_text(summary)),
        ("Data", method.data_text(run.manifest)),
        ("Model", method.model_text(run.manifest)),
    ]
    return [(term, text) for term, text in facts if text]


def _closed(run: RunRecord, found: Findings | None) -> str:
    """Why the search ended before all trials that were asked for."""
    if found is None or not found.closed:
        return ""
    asked = run.manifest.get("trials")
    before = f" before {asked:,} trials" if isinstance(asked, int) else ""
    return f"ended{before}: {clean(found.closed, longest=40)}"


def _draw(run: RunRecord, summary: Summary, found: Findings | None) -> dict[str, Picture]:
    drawn: dict[str, tuple[Figure | None, ...]] = found_drawings(found, summary.objective) | {
        "history": tuple(figures.draw_history(run, summary, s) for s in _SIZES),
        "parameters": (figures.draw_parameters(run, summary),),
        "curves": tuple(figures.draw_curves(run, summary, s) for s in _SIZES),
        "schedule": _schedule(run, summary),
        "early": _early(found, summary),
    }
    made = {}
    for name, (wide, *rest) in drawn.items():
        if wide is not None:
            caption = _caption(name, summary, found, len(run.recipes)) + _part(name, run)
            narrow = rest[0] if rest else None
            in_page = name != "parameters"  # which has a panel each
            made[name] = make_picture(name, _TITLES[name], caption, wide, narrow, in_page=in_page)
    return made


def _schedule(run: RunRecord, summary: Summary) -> tuple[Figure | None, ...]:
    found = schedules.schedule_of(run, summary)
    return tuple(driven_figures.draw_schedule(run, found, wide=wide) for wide in (True, False))


def _early(found: Findings | None, summary: Summary) -> tuple[Figure | None, ...]:
    audit = None if found is None else found.audit
    if audit is None:
        return (None,)
    shapes = (True, False)
    return tuple(driven_figures.draw_audit(audit, summary.objective, wide=w) for w in shapes)


_SIZES = (figures.WIDE, figures.NARROW)
_TITLES = FOUND_TITLES | {
    "history": "Search history",
    "parameters": "Parameters",
    "curves": "Learning curves",
    "schedule": "Parameters over the training",
    "early": "Early and final values",
}


def _caption(name: str, summary: Summary, found: Findings | None, moved: int = 0) -> str:
    objective = summary.objective
    captions = {
        "history": (
            f"{objective} on val by trial number. The line is the best of the complete trials "
            "so far; a pruned trial stands at its last value before it was stopped; trials "
            "without a value stand at “none”."
        ),
        "parameters": (
            f"{objective} on val against each searched parameter, over its whole range. All "
            "parameters change at once, so a slope here is a hint and not an effect."
            f"{_moved(moved)}"
        ),
        "curves": (
            "AP on val after each epoch, one line a trial. Pruned and failed trials end at "
            "their mark."
        ),
        "schedule": (
            "What the parameters were in each epoch of the training behind the "
            f"{summary.role}, those that changed. Dotted lines are changes of hands."
        ),
        "early": (
            f"{objective} on val when others were stopped, against the value at the end, of each "
            f"trial that was trained to its end.{_part_of_pairs(found)}"
        ),
    }
    return captions[name] if name in captions else found_caption(name, objective, found)


def _moved(trials: int) -> str:
    """Why trials are missing where each must have one value of every parameter."""
    if not trials:
        return ""
    return f" Left out: {plural(trials, 'trial')} whose parameters changed on the way."


def _part_of_pairs(found: Findings | None) -> str:
    """What part of very many trials the picture of early and final values has."""
    pairs = 0 if found is None or found.audit is None else len(found.audit.shown)
    if pairs <= driven_figures.MOST_DRAWN:
        return ""
    return (
        f" Of {pairs:,} of them {driven_figures.MOST_DRAWN:,} are drawn, picked at random, and "
        "those that stand out."
    )


def _part(name: str, run: RunRecord) -> str:
    """What part of very many trials a picture has, as a sentence after its caption."""
    if name not in ("history", "parameters", "curves") or len(run.trials) <= figures.MOST_DRAWN:
        return ""
    line = "; the line is of all" if name == "history" else ""
    drawn = figures.MOST_IN_PANEL if name == "parameters" else figures.MOST_DRAWN
    return (
        f" Of {len(run.trials):,} trials {drawn:,} are drawn, picked at random, and "
        f"those that stand out{line}."
    )


def _panel(run: RunRecord, summary: Summary, parameter: ParameterRecord, index: int) -> Panel:
    path = clean(parameter.path)
    figure = figures.draw_parameter(run, summary, parameter)
    label = f"{summary.objective} on val against {path}"
    return Panel(path, inline(figures.to_svg(figure), f"p{index}", label, figure))
