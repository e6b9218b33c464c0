"""Reports from run folders: of one run, of several, and of one that still goes on."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evolve.errors import ReportError
from evolve.findings import find
from evolve.findings.several import find_several
from evolve.findings.table import find_table
from evolve.store.folder import RunFolder
from evolve.store.manifest import ABLATION, kind_of
from evolve.store.read import read_manifest, read_run
from evolve.store.status import Status, StatusReader
from reports.place import FORMATS
from reports.standing import make_report, make_table_report

LONGEST_NAME = 80


def make_run_report(
    run: Path,
    out: Path | None = None,
    data: str | None = None,
    formats: Sequence[str] = FORMATS,
    *,
    living: bool = False,
) -> Path:
    """Make or replace the report of one run; its page, or another file where there is none.

    Parameters
    ----------
    run : Path
        Folder of the run.
    out : Path, optional
        Folder of the report; default: `report` in the run folder.
    data : str, optional
        Where the data lie now, as for ``--data``.
    formats : sequence of str
        Of html, md and tex.
    living : bool
        The page loads itself again while the run is unfinished.

    Raises
    ------
    StoreError
        If the folder holds no run, or what it holds cannot be read.
    ReportError
        If there is nothing to report, or the place holds something else.
    """
    is_table = kind_of(read_manifest(RunFolder.open(run))) == ABLATION
    is_usual = out is None and tuple(formats) == FORMATS and not living
    if is_table:
        table = find_table(run, data)
        if is_usual:
            return make_table_report(table)
        from reports.table_report import render_table_report

        place = out or RunFolder(run).report
        return render_table_report(table, place, formats=formats, living=living)[0]
    record = read_run(run)
    found = find(run, data, record)
    if is_usual:
        return make_report(record, found)
    from reports.render import render_report

    place = out or RunFolder(run).report
    return render_report(record, place, found, formats=formats, living=living)[0]


def make_several_report(
    runs: Sequence[Path],
    out: Path | None = None,
    data: str | None = None,
    formats: Sequence[str] = FORMATS,
) -> Path:
    """Make or replace the page of several runs, by default in `runs/compare-NAMES`.

    Raises
    ------
    StoreError, ReportError
        As `evolve.findings.several.find_several`, and as `make_run_report`.
    """
    from reports.several import render_several

    found = find_several(runs, data)
    names = "-".join(run.resolve().name for run in runs)
    return render_several(found, out or Path("runs") / f"compare-{names}"[:LONGEST_NAME], formats)[
        0
    ]


def living_reports(
    run: Path,
    every_s: float,
    *,
    out: Path | None = None,
    data: str | None = None,
    formats: Sequence[str] = FORMATS,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Path]:
    """Make the report whenever a training has ended, until the run is done; each page.

    A run without a single trial is waited for.
    """
    reader = StatusReader(run)
    before: Any = None
    while True:
        status = reader.read()
        is_over = status.state == "done"
        if is_over or ended_trainings(status) != before:
            before = ended_trainings(status)
            page = _try(run, out, data, formats, is_over=is_over)
            if page is not None:
                yield page
        if is_over:
            return
        sleep(every_s)


def _try(
    run: Path, out: Path | None, data: str | None, formats: Sequence[str], *, is_over: bool
) -> Path | None:
    """The page; None where an unfinished run has nothing to tell yet."""
    try:
        return make_run_report(run, out, data, formats, living=not is_over)
    except ReportError:
        if is_over:
            raise
        return None


def ended_trainings(status: Status) -> Mapping[str, Any]:
    """What makes a report another one when it changes: what ended, of search and comparison."""
    final = status.final
    return {
        "states": dict(status.states),
        "final": None if final is None else (final.ended, dict(final.states)),
        "phase": status.phase,
    }
