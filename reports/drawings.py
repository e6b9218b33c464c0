"""Figures of reports by their names, drawn when they are asked for; for notebooks."""

from collections.abc import Callable, Mapping

from matplotlib.figure import Figure

from evolve.analysis.ancestry import ancestry
from evolve.findings import Findings
from evolve.findings.table import TableFindings
from evolve.store.records import RunRecord
from reports import driven_figures, figures, found_figures
from reports.cost_figures import draw_spent
from reports.lineage_figures import draw_lineage
from reports.schedules import schedule_of
from reports.summary import Summary, summarise
from reports.table_report import TABLE_FIGURES, draw_table_figure
from reports.table_trainings import read_behind

Draw = Callable[[], Figure | None]
"""Draws a figure in the width of a page; None where there is nothing to show."""


def run_drawings(run: RunRecord, found: Findings) -> Mapping[str, Draw]:
    """Figures of the report of a run, as there; each draws itself when it is called."""
    if run.trials.empty:
        return {}
    summary = summarise(run, found)
    objective, final, path, audit = summary.objective, found.final, found.path, found.audit
    drawn: dict[str, Draw] = {
        "history": lambda: figures.draw_history(run, summary, figures.WIDE),
        "parameters": lambda: figures.draw_parameters(run, summary),
        "curves": lambda: figures.draw_curves(run, summary, figures.WIDE),
        "importance": lambda: found_figures.draw_importance(found.importances.frame, wide=True),
        "schedule": lambda: driven_figures.draw_schedule(
            run, schedule_of(run, summary), wide=True
        ),
        "lineage": lambda: _lineage(run, summary),
    }
    if final is not None and any(row.judged.count for row in final.rows):
        drawn["comparison"] = lambda: found_figures.draw_rows(final, objective, wide=True)
    if path is not None:
        drawn["path"] = lambda: found_figures.draw_path(path, objective, wide=True)
    if audit is not None:
        drawn["early"] = lambda: driven_figures.draw_audit(audit, objective, wide=True)
    if found.cost is not None and (spent := found.cost.spent) is not None:
        drawn["spent"] = lambda: draw_spent(spent, wide=True)
    return drawn


def _lineage(run: RunRecord, summary: Summary) -> Figure | None:
    if summary.best is None:
        return None
    return draw_lineage(run, summary, ancestry(run.trials, summary.best.number), wide=True)


def table_drawings(found: TableFindings) -> Mapping[str, Draw]:
    """Figures of the report of an ablation, as there; each draws itself when it is called."""

    def drawing(name: str) -> Draw:
        def draw() -> Figure | None:
            behind = read_behind(found, found.folder / "report")
            return draw_table_figure(name, found, behind, wide=True)

        return draw

    return {name: drawing(name) for name in TABLE_FIGURES}
