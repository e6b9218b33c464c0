"""A judged table in the layout of the paper: its columns, then deltas, intervals, verdicts."""

import math
from collections.abc import Mapping
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, cast

from evolve.ablation.layout import CHECK, MISSING, Cell, Column, Layout, Note, Row
from evolve.ablation.paper import PaperTable
from evolve.ablation.record import StoredRow, StoredTable
from evolve.analysis.phrases import points

if TYPE_CHECKING:
    import pandas as pd

Line = Mapping[str, Any]

PAPER = "as published"


def judged_layout(
    table: StoredTable,
    judged: "pd.DataFrame",
    *,
    split: str,
    paper: PaperTable | None = None,
) -> Layout:
    """The table as people read it.

    Parameters
    ----------
    table : StoredTable
    judged : DataFrame
        A line a row, from `evolve.analysis.judged_rows.judge_table`, with `metrics` as columns.
    split : str
        That was judged on.
    paper : PaperTable, optional
        Published rows to stand beside.
    """
    records = cast("list[dict[str, Any]]", judged.to_dict("records"))
    lines = {str(line["row"]): line for line in records}
    reasons = _reasons(table, lines)
    best = _best(table, lines)
    rows = tuple(
        _row(table, row, lines[row.key], reasons, best[row.key], paper) for row in table.rows
    )
    return Layout(
        title=f"{table.title} ({split})",
        columns=_columns(table, paper),
        rows=rows,
        notes=tuple(Note(key, text) for text, key in reasons.items()),
        bold_means="the highest of its column",
    )


def _columns(table: StoredTable, paper: PaperTable | None) -> tuple[Column, ...]:
    name = table.objective
    return (
        *((Column(""),) if _titled(table) else ()),
        *(Column(heading, "center") for heading in table.columns.values()),
        *(Column(heading, "right") for heading in table.value_columns),
        *(Column(metric, "right") for metric in table.metrics),
        *((Column(name, "right", PAPER), Column("\u0394", "right", PAPER)) if paper else ()),
        Column(f"\u0394 {name}", "right"),
        Column("95 %", "right"),
        Column("n", "right"),
        Column("verdict"),
    )


def _titled(table: StoredTable) -> bool:
    """Whether rows need their titles: marks and values do not tell them apart."""
    shown = [(row.marks, tuple(row.values.values())) for row in table.rows]
    return not table.columns or len(set(shown)) < len(shown)


def _row(
    table: StoredTable,
    row: StoredRow,
    line: Line,
    reasons: Mapping[str, str],
    best: frozenset[str],
    paper: PaperTable | None,
) -> Row:
    cells = [Cell(row.title)] if _titled(table) else []
    cells += [Cell(CHECK if key in row.marks else "") for key in table.columns]
    cells += [Cell(row.values.get(name, "")) for name in table.value_columns]
    cells += [_mean(line, metric, metric in best) for metric in table.metrics]
    cells += _published(table, row, paper) if paper else []
    cells += [_delta(line), _span(line), _count(line), _verdict(line, reasons)]
    return Row(tuple(cells))


def _mean(line: Line, metric: str, bold: bool) -> Cell:
    value = float(line.get(metric, math.nan))
    if math.isnan(value):
        return Cell(MISSING)
    return Cell(f"{100 * value:.1f}", bold=bold, value=round(100 * value, 4))


def _delta(line: Line) -> Cell:
    if line["word"] == "baseline" or math.isnan(line["delta"]):
        return Cell("" if line["word"] == "baseline" else MISSING)
    return Cell(_signed(line["delta"]), value=round(100 * line["delta"], 4))


def _signed(value: float) -> str:
    text = points(value)
    return f"+{text}" if value > 0 and text != "0.0" else text


def _span(line: Line) -> Cell:
    if line["word"] == "baseline":
        return Cell("")
    if math.isnan(line["low"]):
        return Cell(MISSING)
    return Cell(f"{points(line['low'])} to {points(line['high'])}")


def _count(line: Line) -> Cell:
    """Complete trainings; of how many, where some are missing."""
    n, planned = int(line["n"]), int(line["planned"])
    return Cell(str(n) if n == planned else f"{n}/{planned}", value=n)


def _verdict(line: Line, reasons: Mapping[str, str]) -> Cell:
    word, more = str(line["word"]), line["more_seeds"]
    if word == "undecided" and not math.isnan(more):
        word += f", about {int(more)} more seed{'' if more == 1 else 's'}"
    return Cell(word, note=reasons.get(str(line["reason"]), ""))


def _reasons(table: StoredTable, lines: Mapping[str, Line]) -> dict[str, str]:
    """Why trainings failed, each reason with the key of its note."""
    texts = (str(lines[row.key]["reason"]) for row in table.rows)
    return dict(zip(dict.fromkeys(text for text in texts if text), ascii_lowercase, strict=False))


def _best(table: StoredTable, lines: Mapping[str, Line]) -> dict[str, frozenset[str]]:
    """Metrics in which each row is the highest as printed, ties all."""
    found: dict[str, set[str]] = {row.key: set() for row in table.rows}
    for metric in table.metrics:
        shown = {key: round(100 * float(line.get(metric, math.nan)), 1)
                 for key, line in lines.items()}  # fmt: skip
        highest = max((value for value in shown.values() if not math.isnan(value)), default=None)
        for row in table.rows:
            if shown[row.key] == highest:
                found[row.key].add(metric)
    return {key: frozenset(metrics) for key, metrics in found.items()}


def _published(table: StoredTable, row: StoredRow, paper: PaperTable) -> list[Cell]:
    """The paper's own value, and its difference to the paper's value of the baseline."""
    own = _paper_value(row, paper, table.objective)
    base = _paper_value(table.row(row.baseline), paper, table.objective)
    if math.isnan(own):
        return [Cell(MISSING), Cell("")]
    change = math.nan if row.key == row.baseline else own - base
    return [
        Cell(f"{100 * own:.1f}", value=round(100 * own, 1)),
        Cell("" if math.isnan(change) else _signed(round(change, 4))),
    ]


def _paper_value(row: StoredRow, paper: PaperTable, metric: str) -> float:
    if row.paper_row is None:
        return math.nan
    return paper.fractions(paper.rows[row.paper_row - 1]).get(metric, math.nan)
