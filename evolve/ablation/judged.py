"""A judged table in the layout of the paper: its columns, then deltas, intervals, verdicts."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, cast

from evolve.ablation.cost_columns import CostColumn, cost_columns
from evolve.ablation.costs import Costs
from evolve.ablation.layout import CHECK, MISSING, Align, Cell, Column, Layout, Note, Row
from evolve.ablation.paper import PaperTable
from evolve.ablation.record import StoredRow, StoredTable
from evolve.analysis.phrases import points
from evolve.analysis.row_sentences import MOST_SEEDS

if TYPE_CHECKING:
    import pandas as pd

Line = Mapping[str, Any]

PAPER = "as published"
_UNSURE = ("helps", "hurts", "no effect", "undecided")


def judged_layout(
    table: StoredTable,
    judged: "pd.DataFrame",
    *,
    split: str,
    paper: PaperTable | None = None,
    costs: Costs | None = None,
    train_s: Mapping[str, float] | None = None,
    notes: Sequence[str] = (),
    is_named: bool = False,
    is_provisional: bool = False,
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
    costs : Costs, optional
        Of the networks. What is the same for all rows is told once, below the table.
    train_s : mapping of row -> float, optional
        Seconds of a training; NaN where none is known.
    notes : sequence of str
        More lines below the table.
    is_named : bool
        Have a first column of keys, also where marks and values tell rows apart.
    is_provisional : bool
        Put the words in brackets, in a CSV too: no look at the table was due yet.
    """
    records = cast("list[dict[str, Any]]", judged.to_dict("records"))
    lines = {str(line["row"]): line for line in records}
    reasons = _reasons(table, lines)
    best = _best(table, lines)
    if is_provisional:
        lines = {key: {**line, "so_far": line["word"] in _UNSURE} for key, line in lines.items()}
    titles = _titles(table, is_named)
    shown, told = cost_columns(table, costs, train_s or {})
    rows = tuple(
        _row(table, row, titles, lines[row.key], reasons, best[row.key], paper, shown)
        for row in table.rows
    )
    below = [*_outlook_note(lines.values()), *_so_far_note(lines.values()), *told, *notes]
    return Layout(
        title=f"{table.title} ({split})",
        columns=(*titles.columns, *_columns(table, paper), *(each.column for each in shown)),
        rows=rows,
        notes=(
            *(Note(key, text) for text, key in reasons.items()),
            *(Note("", text) for text in below),
        ),
        bold_means="the highest of its column",
    )


def _outlook_note(lines: Iterable[Line]) -> Iterator[str]:
    if any(map(_more, lines)):
        yield "undecided +n: about n more seeds are needed for a verdict, if all stays as it is"


def _so_far_note(lines: Iterable[Line]) -> Iterator[str]:
    if any(line.get("so_far") and line["pairs"] for line in lines):
        yield "(in brackets): so far; verdicts are reached when all trainings have ended"


def _columns(table: StoredTable, paper: PaperTable | None) -> tuple[Column, ...]:
    name = table.objective
    return (
        *(Column(heading, "center") for heading in table.columns.values()),
        *(Column(heading, _align(table, heading)) for heading in table.value_columns),
        *(Column(metric, "right") for metric in table.metrics),
        *((Column(name, "right", PAPER), Column("\u0394", "right", PAPER)) if paper else ()),
        Column(f"\u0394 {name}", "right"),
        Column("\u00b195 %", "right"),
        Column("n", "right"),
        Column("verdict"),
    )


@dataclass(frozen=True)
class _Titles:
    """Columns that name the rows, and what stands in them."""

    columns: tuple[Column, ...]
    cells: Mapping[str, tuple[Cell, ...]]


def _titles(table: StoredTable, is_named: bool) -> _Titles:
    """Titles where marks and values do not tell rows apart; keys too if they are asked for."""
    needed = is_named or table.needs_titles
    columns = [Column("row")] * is_named + [Column("title" if is_named else "")] * needed
    return _Titles(
        tuple(columns),
        {
            row.key: (*[Cell(row.key)] * is_named, *[Cell(row.title)] * needed)
            for row in table.rows
        },
    )


def _align(table: StoredTable, column: str) -> Align:
    """Words to the left, where they can be wrapped."""
    values = [row.values.get(column, "") for row in table.rows]
    return "right" if all(value.isdecimal() for value in values if value) else "left"


def _row(
    table: StoredTable,
    row: StoredRow,
    titles: _Titles,
    line: Line,
    reasons: Mapping[str, str],
    best: frozenset[str],
    paper: PaperTable | None,
    costs: Sequence[CostColumn],
) -> Row:
    cells = list(titles.cells[row.key])
    cells += [_mark(key in row.marks) for key in table.columns]
    cells += [Cell(row.values.get(name, "")) for name in table.value_columns]
    cells += [_mean(line, metric, metric in best) for metric in table.metrics]
    cells += _published(table, row, paper) if paper else []
    cells += [_delta(line), _reach(line), _count(line), _verdict(line, reasons)]
    cells += [each.cell(row.key) for each in costs]
    return Row(tuple(cells))


def _mark(is_on: bool) -> Cell:
    return Cell(CHECK if is_on else "", value=int(is_on))


def _mean(line: Line, metric: str, bold: bool) -> Cell:
    value = float(line.get(metric, math.nan))
    if math.isnan(value):
        return Cell(MISSING)
    return Cell(f"{100 * value:.1f}", bold=bold, value=round(100 * value, 4))


def _delta(line: Line) -> Cell:
    if line["word"] == "baseline" or math.isnan(line["delta"]):
        return Cell("" if line["word"] == "baseline" else MISSING)
    return Cell(signed(line["delta"]), value=round(100 * line["delta"], 4))


def signed(value: float) -> str:
    """A difference in points with its sign."""
    text = points(value)
    return f"+{text}" if value > 0 and text != "0.0" else text


def _reach(line: Line) -> Cell:
    """Half of the interval, which has the delta in its middle."""
    if line["word"] == "baseline":
        return Cell("")
    if math.isnan(line["low"]):
        return Cell(MISSING)
    reach = (line["high"] - line["low"]) / 2
    return Cell(points(reach), value=round(100 * reach, 4))


def _count(line: Line) -> Cell:
    """Complete trainings; of how many, where some are missing."""
    n, planned = int(line["n"]), int(line["planned"])
    return Cell(str(n) if n == planned else f"{n}/{planned}", value=n)


def _verdict(line: Line, reasons: Mapping[str, str]) -> Cell:
    is_open = line["word"] == "undecided" and not line["pairs"]
    word, more = MISSING if is_open else str(line["word"]), _more(line)
    text = f"{word} +{more}" if more else word
    if line.get("so_far") and not is_open:
        word, text = f"({word})", f"({text})"
    return Cell(text, note=reasons.get(str(line["reason"]), ""), value="" if is_open else word)


def _more(line: Line) -> int:
    """Seeds that an undecided row would take; 0 if none would do, or more than anybody trains."""
    if line["word"] != "undecided" or not line["pairs"] or math.isnan(line["more_seeds"]):
        return 0
    return int(line["more_seeds"]) if line["more_seeds"] <= MOST_SEEDS else 0


def _reasons(table: StoredTable, lines: Mapping[str, Line]) -> dict[str, str]:
    """Why trainings failed, each reason with the key of its note."""
    texts = (str(lines[row.key]["reason"]) for row in table.rows)
    return dict(zip(dict.fromkeys(text for text in texts if text), ascii_lowercase, strict=False))


def _best(table: StoredTable, lines: Mapping[str, Line]) -> dict[str, frozenset[str]]:
    """Metrics in which each row is the highest as printed, ties all; none where all are equal."""
    found: dict[str, set[str]] = {row.key: set() for row in table.rows}
    for metric in table.metrics:
        shown = {key: round(100 * float(line.get(metric, math.nan)), 1)
                 for key, line in lines.items()}  # fmt: skip
        known = {value for value in shown.values() if not math.isnan(value)}
        for row in table.rows:
            if len(known) > 1 and shown[row.key] == max(known):
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
        Cell("")
        if math.isnan(change)
        else Cell(signed(round(change, 4)), value=round(100 * change, 1)),
    ]


def _paper_value(row: StoredRow, paper: PaperTable, metric: str) -> float:
    if row.paper_row is None:
        return math.nan
    return paper.fractions(paper.rows[row.paper_row - 1]).get(metric, math.nan)
