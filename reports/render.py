"""A stored run as a report: one page that needs nothing else, Markdown, tables and figures."""

import base64
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from evolve.errors import ReportError
from evolve.findings import Findings
from evolve.store.records import ParameterRecord, RunRecord
from model.files import write_atomically
from reports import driven_figures, figures, found_tables, method, schedules, tables
from reports.driven import driven_context, driven_files
from reports.found import FOUND_TITLES, found_caption, found_context, found_drawings
from reports.front_tables import front_context, front_files
from reports.summary import STATE_WORDS, STATES, Summary, reasons, summarise, time_text
from reports.svg import inline_svg
from reports.tables import LISTED
from reports.text import (
    clean,
    duration,
    listed,
    markdown,
    markdown_name,
    percent,
    plural,
    points,
)

GENERATOR = "evolve report"
MARKDOWN_ROWS = 200
_OURS = {"index.html", "report.md", "tables", "figures"}
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Picture:
    """One figure: files, and for the page a wide and a narrow drawing."""

    name: str
    title: str
    caption: str
    files: dict[str, bytes]
    wide: Markup
    narrow: Markup


@dataclass(frozen=True)
class Panel:
    """One parameter's plot in the page."""

    path: str
    svg: Markup


def render_report(run: RunRecord, out: Path, found: Findings | None = None) -> list[Path]:
    """Make or replace the report of `run` in the folder `out`.

    Everything is made in a folder beside `out` and put in place at the end, so `out` holds
    a whole report or is as it was. The same run gives the same bytes.

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
    _check_place(out)
    files = _make_files(run, found)
    with _put_in_place(out) as folder:
        for name, content in files.items():
            _write(folder / name, content)
    return [out / name for name in files]


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


def _check_place(out: Path) -> None:
    if not out.exists():
        return
    if out.is_dir():
        names = {path.name for path in out.iterdir()}
        if not names or (names <= _OURS and _is_report(out / "index.html")):
            return
    raise ReportError(
        "the place of the report holds something else",
        clean(out),
        "name another folder; only a folder that holds nothing but a report is replaced",
    )


def _is_report(page: Path) -> bool:
    if not page.is_file():
        return False
    with page.open("rb") as file:
        return f'name="generator" content="{GENERATOR}"'.encode() in file.read(2000)


def _make_files(run: RunRecord, found: Findings | None) -> dict[str, bytes]:
    summary = summarise(run, found)
    pictures = _draw(run, summary, found)
    context = _context(run, summary, pictures, found)
    panels = [_panel(run, summary, p, index) for index, p in enumerate(run.parameters)]
    style = (_TEMPLATES / "style.css").read_text(encoding="utf-8").strip()
    page = _render("index.html.j2", context, panels=panels, style=style, hash=_csp_hash(style))
    files = {
        "index.html": page.encode(),
        "report.md": _render("report.md.j2", context).encode(),
        "tables/trials.csv": tables.to_csv(run).encode(),
    }
    if found is not None:
        files |= _found_files(found, context)
    if run.recipes:
        files["tables/schedules.json"] = schedules.schedules_file(run).encode()
    for picture in pictures.values():
        files |= {f"figures/{picture.name}{end}": data for end, data in picture.files.items()}
    return files


def _found_files(found: Findings, context: dict[str, Any]) -> dict[str, bytes]:
    texts = found_tables.csv_files(found) | driven_files(found) | front_files(found)
    for name in ("comparison", "front", "luck", "importance", "path"):
        if context[name] is not None:
            texts[f"{name}.md"] = f"{tables.to_markdown(context[name])}\n"
    return {f"tables/{name}": text.encode() for name, text in texts.items()}


def _context(
    run: RunRecord, summary: Summary, pictures: dict[str, Picture], found: Findings | None
) -> dict[str, Any]:
    final = None if found is None else found.final
    return {
        "summary": summary,
        "pictures": pictures,
        "generator": GENERATOR,
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


def _render(name: str, context: dict[str, Any], **more: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "percent": percent,
        "points": points,
        "duration": duration,
        "listed": listed,
        "md": markdown,
        "md_name": markdown_name,
        "md_table": tables.to_markdown,
    }
    environment.globals["plural"] = plural
    return environment.get_template(name).render(context | more)


def _csp_hash(style: str) -> str:
    digest = hashlib.sha256(style.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


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
            made[name] = _picture(name, caption, wide, rest[0] if rest else None)
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


def _picture(name: str, caption: str, wide: Figure, narrow: Figure | None) -> Picture:
    svg = figures.to_svg(wide)
    in_page = name != "parameters"
    return Picture(
        name=name,
        title=_TITLES[name],
        caption=caption,
        files={".svg": svg.encode(), ".png": figures.to_png(wide)},
        wide=_inline(svg, f"{name}-w", caption) if in_page else Markup(""),
        narrow=_inline(figures.to_svg(narrow), f"{name}-n", caption) if narrow else Markup(""),
    )


def _panel(run: RunRecord, summary: Summary, parameter: ParameterRecord, index: int) -> Panel:
    path = clean(parameter.path)
    svg = figures.to_svg(figures.draw_parameter(run, summary, parameter))
    label = f"{summary.objective} on val against {path}"
    return Panel(path, _inline(svg, f"p{index}", label))


def _inline(svg: str, prefix: str, label: str) -> Markup:
    return inline_svg(svg, prefix, label, figures.VARIABLES)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, lambda file: file.write(content))


@contextmanager
def _put_in_place(out: Path) -> Iterator[Path]:
    """Give a new folder beside `out` that takes its place at the end; on failure `out` stays."""
    out.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    new, old = room / "new", room / "old"
    try:
        new.mkdir()
        yield new
        _swap(new, out, old)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _swap(new: Path, out: Path, old: Path) -> None:
    had_one = out.exists()
    if had_one:
        out.rename(old)
    try:
        new.rename(out)
    except BaseException:
        if had_one:
            old.rename(out)
        raise
