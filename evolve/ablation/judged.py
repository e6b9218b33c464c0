"""A judged table in the layout of the paper: its columns, then deltas, intervals, verdicts."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, cast

from evolve.ablation.costs import Costs
from evolve.ablation.layout import CHECK, MISSING, Cell, Column, Layout, Note, Row
from evolve.ablation.paper import PaperTable
from evolve.ablation.record import StoredRow, StoredTable
from evolve.analysis.phrases import points
from evolve.units import duration

if TYPE_CHECKING:
    import pandas as pd

Line = Mapping[str, Any]

PAPER = "as published"
COST = "cost"


def judged_layout(
    table: StoredTable,
    judged: "pd.DataFrame",
    *,
    split: str,
    paper: PaperTable | None = None,
    costs: Costs | None = None,
    train_s: Mapping[str, float] | None = None,
    notes: Sequence[str] = (),
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
    """
    records = cast("list[dict[str, Any]]", judged.to_dict("records"))
    lines = {str(line["row"]): line for line in records}
    reasons = _reasons(table, lines)
    best = _best(table, lines)
    shown, told = _costs(table, costs, train_s or {})
    rows = tuple(
        _row(table, row, lines[row.key], reasons, best[row.key], paper, shown)
        for row in table.rows
    )
    below = [*_outlook_note(lines.values()), *told, *notes]
    return Layout(
        title=f"{table.title} ({split})",
        columns=(*_columns(table, paper), *(each.column for each in shown)),
        rows=rows,
        notes=(
            *(Note(key, text) for text, key in reasons.items()),
            *(Note("", text) for text in below),
        ),
        bold_means="the highest of its column",
    )


def _outlook_note(lines: Iterable[Line]) -> Iterator[str]:
    if any(line["word"] == "undecided" and _more(line) for line in lines):
        yield "undecided +n: about n more seeds are needed for a verdict"


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
    costs: Sequence["_CostColumn"],
) -> Row:
    cells = [Cell(row.title)] if _titled(table) else []
    cells += [Cell(CHECK if key in row.marks else "") for key in table.columns]
    cells += [Cell(row.values.get(name, "")) for name in table.value_columns]
    cells += [_mean(line, metric, metric in best) for metric in table.metrics]
    cells += _published(table, row, paper) if paper else []
    cells += [_delta(line), _span(line), _count(line), _verdict(line, reasons)]
    cells += [each.cell(row.key) for each in costs]
    return Row(tuple(cells))


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
    word, more = str(line["word"]), _more(line)
    text = f"{word} +{more}" if word == "undecided" and more else word
    return Cell(text, note=reasons.get(str(line["reason"]), ""), value=word)


def _more(line: Line) -> int:
    """Seeds that a verdict would take; 0 where none would do."""
    return 0 if math.isnan(line["more_seeds"]) else int(line["more_seeds"])


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
        Cell("" if math.isnan(change) else signed(round(change, 4))),
    ]


def _paper_value(row: StoredRow, paper: PaperTable, metric: str) -> float:
    if row.paper_row is None:
        return math.nan
    return paper.fractions(paper.rows[row.paper_row - 1]).get(metric, math.nan)


# -- costs ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _CostColumn:
    """One cost of every row.

    Attributes
    ----------
    heading : str
    values : mapping of row -> float
    show : callable
        A value with its unit.
    unit : str
        What follows it in a sentence.
    scale : float
        Of what a CSV holds.
    """

    heading: str
    values: Mapping[str, float]
    show: Callable[[float], str]
    unit: str = ""
    scale: float = 1.0

    @property
    def column(self) -> Column:
        return Column(self.heading, "right", COST)

    @property
    def is_known(self) -> bool:
        return any(not math.isnan(value) for value in self.values.values())

    def same(self) -> str:
        """What all rows share, as printed; empty if they differ."""
        texts = {self.cell(key).text for key in self.values}
        return f"{texts.pop()}{self.unit}" if len(texts) == 1 and len(self.values) > 1 else ""

    def cell(self, key: str) -> Cell:
        value = self.values[key]
        if math.isnan(value):
            return Cell(MISSING)
        return Cell(self.show(value), value=round(value / self.scale, 4))


def _costs(
    table: StoredTable, costs: Costs | None, train_s: Mapping[str, float]
) -> tuple[list[_CostColumn], list[str]]:
    """Columns of costs in which rows differ, and notes on them and on what rows share."""
    each = {row.key: (costs or Costs("", "", {})).row(row.key) for row in table.rows}
    device = f" on {costs.device}" if costs and costs.device else ""
    network = [
        _CostColumn("params", {key: one.parameters for key, one in each.items()}, _millions,
                    " parameters", 1e6),
        _CostColumn("BFLOPs", {key: one.bflops for key, one in each.items()}, _digits, " BFLOPs"),
        _CostColumn("ms", {key: one.latency_ms for key, one in each.items()}, _digits,
                    f" ms{device}"),
    ]  # fmt: skip
    network = [one for one in network if one.is_known]
    shared = [text for one in network if (text := one.same())]
    shown = [one for one in network if not one.same()]
    notes = [f"{', '.join(shared)} for all rows"] if shared else []
    if costs and any(one.heading == "ms" for one in network):
        is_told = any(one.heading == "ms" for one in shown)
        said = [f"ms: median{device}"] if is_told else []
        notes += ["; ".join([*said, *([costs.protocol] if costs.protocol else [])])]
    seconds = {row.key: train_s.get(row.key, math.nan) for row in table.rows}
    training = _CostColumn("train", seconds, duration)
    if training.is_known:
        shown.append(training)
        notes.append("train: time of one training with its evaluations, mean of the seeds")
    return shown, [note for note in notes if note]


def _millions(count: float) -> str:
    return f"{_digits(count / 1e6)} M"


def _digits(value: float) -> str:
    """With one decimal below 10, whole above."""
    return f"{value:.1f}" if abs(value) < 9.95 else f"{value:.0f}"
