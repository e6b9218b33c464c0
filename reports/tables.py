"""Frames in, tables out: as rows for a page, as Markdown, as CSV."""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import pandas as pd
from markupsafe import Markup
from pandas.api.types import is_float_dtype

from evolve.store.records import ParameterRecord, RunRecord
from reports.summary import DEFAULT_NUMBER, METRICS, STATE_WORDS, Score, Summary
from reports.text import (
    EN_DASH,
    MISSING,
    clean,
    clean_lines,
    duration,
    is_missing,
    markdown,
    markdown_name,
    number,
    percent,
    points,
    spreadsheet,
)

EDGE = 0.05
MOST_ROWS = 2_000  # of trials in a page: a browser takes long over more
LISTED = 200  # the best and the last of more


@dataclass(frozen=True)
class Column:
    """A column: `key` for style and code, `head` for people; `kind` is text, number or name."""

    key: str
    head: str
    kind: str = "text"


@dataclass(frozen=True)
class Row:
    """Cells in the order of the columns; `mark` holds any of best, default and changed.

    `target` is the id in the page of what the row's numbers come from.
    """

    cells: tuple[str, ...]
    mark: str = ""
    target: str = ""


@dataclass(frozen=True)
class Table:
    """A table without a format; all cells are clean text, not yet escaped."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def metric_table(summary: Summary) -> Table:
    """COCO metrics of the best and the default trial in percent, and their difference."""
    columns = (
        Column("trial", "Trial"),
        *(Column(name, name, "number") for name in METRICS),
        Column("epochs", "Epochs", "number"),
        Column("seed", "Seed", "number"),
    )
    best, default = summary.best, summary.default
    if best is not None and default is not None and best.number == default.number:
        return Table(columns, (_metric_row(f"Best = defaults ({best.number})", best, "best"),))
    rows = []
    if best is not None:
        rows.append(_metric_row(f"Best ({best.number})", best, "best"))
    if default is not None:
        state = "" if default.is_valid else f", {STATE_WORDS[default.state]}"
        rows.append(_metric_row(f"Defaults ({default.number}{state})", default, "default"))
    if best is not None and default is not None and default.is_valid:
        gains = [points(best.metrics[m] - default.metrics[m]) for m in METRICS]
        rows.append(Row(("Difference, points", *gains, "", ""), "difference"))
    return Table(columns, tuple(rows))


def _metric_row(label: str, score: Score, mark: str) -> Row:
    metrics = [percent(score.metrics[name]) for name in METRICS]
    cells = (label, *metrics, f"{score.epochs_done}/{score.epochs}", str(score.seed))
    return Row(cells, mark, trial_anchor(score.number))


def trial_anchor(trial: int) -> str:
    """Id in the page of what is told of a trial."""
    return f"trial-{trial}"


def row_anchor(place: int) -> str:
    """Id in the page of what is told of a row of the final comparison."""
    return f"row-{place}"


def parameter_table(run: RunRecord, summary: Summary) -> Table:
    """Each searched parameter: its range, the default, the value of the best, and the why."""
    columns = (
        Column("parameter", "Parameter", "name"),
        Column("range", "Searched"),
        Column("default", "Default", "number"),
        Column("best", summary.role.capitalize(), "number"),
        Column("why", "Why"),
    )
    best = None if summary.best is None else trial_row(run, summary.best.number)
    recipe = None if summary.best is None else run.recipes.get(summary.best.number)
    return Table(columns, tuple(_parameter_row(p, best, recipe) for p in run.parameters))


def _parameter_row(
    parameter: ParameterRecord,
    best: "pd.Series[Any] | None",
    recipe: Mapping[str, Any] | None,
) -> Row:
    value = None if best is None else parameter_value(parameter, best)
    shown = number(value) if recipe is None else over_time(recipe, parameter.path)
    changed = shown != MISSING and shown != number(parameter.default)
    cells = (
        clean(parameter.path),
        range_text(parameter),
        number(parameter.default),
        shown,
        clean(parameter.why),
    )
    return Row(cells, "changed" if changed else "")


def range_text(parameter: ParameterRecord) -> str:
    """Tell what was searched: the bounds with the scale, or the choices; and when."""
    if parameter.choices is not None:
        text = ", ".join(number(choice) for choice in parameter.choices)
        text += ", in this order" if parameter.kind == "ordinal" else ""
    else:
        text = f"{number(parameter.low)} {EN_DASH} {number(parameter.high)}"
        text += ", log" if parameter.scale == "log" else ""
    conditions = (
        f"{clean(parent)} is {' or '.join(number(value) for value in values)}"
        for parent, values in parameter.when.items()
    )
    return text + (f"; when {' and '.join(conditions)}" if parameter.when else "")


def trial_row(run: RunRecord, trial: int) -> "pd.Series[Any]":
    """Row of the trial with this number."""
    return run.trials[run.trials["number"] == trial].iloc[0]


def parameter_value(parameter: ParameterRecord, row: "pd.Series[Any]") -> Any:
    """Value of `parameter` in a trial, an int again where a frame made it a float; or None."""
    value = row.get(f"params.{parameter.path}")
    if value is None or is_missing(value):
        return None
    return int(value) if parameter.kind == "int" else value


def at_edge(run: RunRecord, summary: Summary) -> list[str]:
    """Parameters whose best value lies in the outer 5 % of its range (on its scale).

    Near a lower end of 0 there is nothing to widen: what is weighed or drawn has no less.
    """
    if summary.best is None or summary.best.number in run.recipes:
        return []
    best = trial_row(run, summary.best.number)
    return [clean(p.path) for p in run.parameters if _is_at_edge(p, parameter_value(p, best))]


def _is_at_edge(parameter: ParameterRecord, value: Any) -> bool:
    low, high = parameter.low, parameter.high
    if value is None or low is None or high is None or low == high:
        return False
    scale = _log if parameter.scale == "log" and low > 0 else float
    place = (scale(float(value)) - scale(low)) / (scale(high) - scale(low))
    return place >= 1 - EDGE or (place <= EDGE and low != 0)


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def trial_table(run: RunRecord, summary: Summary) -> Table:
    """Every trial in the order of its number: state, values, cost, origin, parameters, reason."""
    extra = "AP" if summary.objective == "AP50" else "AP50"
    columns = (
        Column("number", "Trial", "number"),
        Column("state", "State", "state"),
        Column("value", summary.objective, "number"),
        Column("extra", extra, "number"),
        Column("epochs", "Epochs", "number"),
        Column("time", "Time", "number"),
        Column("seed", "Seed", "number"),
        Column("origin", "Origin"),
        Column("parents", "Parents"),
        *(Column(f"params.{p.path}", clean(p.path), "name number") for p in run.parameters),
        Column("reason", "Reason"),
    )
    frame = run.trials
    reasons = zip(frame["number"], frame["reason"], strict=True)
    cells = (
        [str(n) for n in frame["number"]],
        [STATE_WORDS[s] for s in frame["state"]],
        [percent(v) for v in frame["value"]],
        [percent(v) for v in frame[extra]],
        _epochs(frame),
        [duration(t) for t in frame["wall_time_s"]],
        [str(s) for s in frame["seed"]],
        [clean(o) for o in frame["origin"]],
        [", ".join(str(p) for p in parents) for parents in frame["parents"]],
        *(_shown_values(run, p) for p in run.parameters),
        [reason_text(run, int(n), r) for n, r in reasons],
    )
    marks = [_trial_mark(int(n), summary) for n in frame["number"]]
    rows = zip(zip(*cells, strict=True), marks, strict=True)
    targets = (trial_anchor(int(n)) for n in frame["number"])
    made = (Row(row, mark, target) for (row, mark), target in zip(rows, targets, strict=True))
    return Table(columns, tuple(made))


def _shown_values(run: RunRecord, parameter: ParameterRecord) -> list[str]:
    """Values of a parameter; of trials that took over another's training first and last."""
    given = zip(run.trials["number"], parameter_values(run, parameter), strict=True)
    return [
        over_time(run.recipes[n], parameter.path) if n in run.recipes else number(value)
        for n, value in given
    ]


def over_time(recipe: Mapping[str, Any], path: str) -> str:
    """First and last value of a parameter that changed on the way; the one of another."""
    first = last = recipe["params"].get(path)
    for epoch in sorted(recipe["changes"], key=int):
        last = recipe["changes"][epoch].get(path, last)
    same = number(first) == number(last)
    return number(first) if same else f"{number(first)} \u2192 {number(last)}"


def reason_text(run: RunRecord, trial: int, reason: Any) -> str:
    """Why a trial failed or was stopped, and which try it is if not the first."""
    said = clean(reason, longest=90)
    attempts = run.attempts.get(trial, ())
    if not attempts:
        return said
    kinds = dict.fromkeys(clean(one.get("type", "error"), longest=20) for one in attempts)
    tried = f"{ordinal(len(attempts) + 1)} try, after {', '.join(kinds)}"
    return f"{said} ({tried})" if said else tried


def ordinal(count: int) -> str:
    """1st, 2nd, 3rd, 4th."""
    last = count % 100
    ending = "th" if 10 < last < 20 else {1: "st", 2: "nd", 3: "rd"}.get(last % 10, "th")
    return f"{count}{ending}"


def listed_trials(run: RunRecord) -> RunRecord:
    """The run with the trials that a page lists: all, or of many the best and the last.

    The defaults and those that run are always in it.
    """
    frame = run.trials
    if len(frame) <= MOST_ROWS:
        return run
    best = frame[frame["state"] == "COMPLETE"].nlargest(LISTED, "value").index
    last = frame.index[-LISTED:]
    fixed = frame.index[(frame["state"] == "RUNNING") | (frame["number"] == DEFAULT_NUMBER)]
    return replace(run, trials=frame.loc[best.union(last).union(fixed)])


def parameter_values(run: RunRecord, parameter: ParameterRecord) -> list[Any]:
    """List the values of `parameter` over all trials, None where a trial has none."""
    name = f"params.{parameter.path}"
    if name not in run.trials:
        return [None] * len(run.trials)
    values = run.trials[name].astype(object).tolist()
    if parameter.kind == "int":
        return [None if is_missing(value) else int(value) for value in values]
    return [None if is_missing(value) else value for value in values]


def _epochs(frame: pd.DataFrame) -> list[str]:
    pairs = zip(frame["epochs_done"], frame["epochs"], strict=True)
    return [f"{done}/{planned}" for done, planned in pairs]


def _trial_mark(trial: int, summary: Summary) -> str:
    scores = {"best": summary.best, "default": summary.default}
    return " ".join(m for m, score in scores.items() if score and score.number == trial)


def failure_table(run: RunRecord) -> Table:
    """Failed trials with their whole reason, line ends kept; of many the last."""
    columns = (
        Column("number", "Trial", "number"),
        Column("epochs", "Epochs", "number"),
        Column("time", "Time", "number"),
        Column("reason", "Reason", "lines"),
    )
    failed = run.trials[run.trials["state"] == "FAIL"]
    failed = failed.tail(LISTED if len(run.trials) > MOST_ROWS else len(failed))
    cells = (
        [str(n) for n in failed["number"]],
        _epochs(failed),
        [duration(t) for t in failed["wall_time_s"]],
        [clean_lines(r) or "no reason stored" for r in failed["reason"]],
    )
    targets = (trial_anchor(int(n)) for n in failed["number"])
    rows = zip(zip(*cells, strict=True), targets, strict=True)
    return Table(columns, tuple(Row(row, target=target) for row, target in rows))


def to_markdown(table: Table, shown: int | None = None) -> Markup:
    """`table` as a GitHub table, escaped, with its first `shown` rows; a marked row says so."""
    heads = [
        _markdown_cell(c.head, "name" in c.kind and c.key != "parameter") for c in table.columns
    ]
    rules = ["---:" if "number" in c.kind else "---" for c in table.columns]
    lines = [heads, rules, *(_markdown_row(table, row) for row in table.rows[:shown])]
    return Markup("\n".join(f"| {' | '.join(cells)} |" for cells in lines))


def _markdown_row(table: Table, row: Row) -> list[str]:
    cells = zip(table.columns, row.cells, strict=True)
    first, *rest = (_markdown_cell(text, column.kind == "name") for column, text in cells)
    mark = f" {row.mark}" if table.columns[0].key == "number" and row.mark else ""
    return [first + mark, *rest]


def _markdown_cell(text: str, is_name: bool) -> str:
    return markdown_name(text) if is_name else markdown(text)


def to_csv(run: RunRecord) -> str:
    """Every trial as CSV: full precision, values in [0, 1], empty where there is none.

    ``params.*`` is what was proposed. Trials that went on from another's checkpoint are `moved`;
    where there are any, `began_as` has the trial that each training began as, and ``final.*``
    the parameters that it ended with, of all trials.
    """
    names = [*_CSV_COLUMNS, *METRICS, *(["cost"] if "cost" in run.trials else [])]
    columns = [_csv_cells(run.trials[name]) for name in names]
    for parameter in run.parameters:
        names.append(spreadsheet(f"params.{parameter.path}"))
        columns.append([_csv_cell(v) for v in parameter_values(run, parameter)])
    for name, values in _moves(run).items():
        names.append(spreadsheet(name))
        columns.append([_csv_cell(v) for v in values])
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(zip(*columns, strict=True))
    return file.getvalue()


def _moves(run: RunRecord) -> dict[str, list[Any]]:
    """What was really trained, by column."""
    recipes = [run.recipes.get(number) for number in run.trials["number"].tolist()]
    found: dict[str, list[Any]] = {"moved": [recipe is not None for recipe in recipes]}
    if not any(found["moved"]):
        return found
    numbers = zip(run.trials["number"].tolist(), recipes, strict=True)
    found["began_as"] = [recipe["root"] if recipe else number for number, recipe in numbers]
    last = [recipe and _last_values(recipe) for recipe in recipes]
    for parameter in run.parameters:
        own = zip(parameter_values(run, parameter), last, strict=True)
        path = parameter.path
        found[f"final.{path}"] = [
            value if values is None else values.get(path) for value, values in own
        ]
    return found


def _last_values(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters at the end of a training that changed hands."""
    values = dict(recipe["params"])
    for _, changes in sorted(recipe["changes"].items(), key=lambda item: int(item[0])):
        values |= changes
    return values


def frame_to_csv(frame: pd.DataFrame) -> str:
    """A frame of outside text and numbers as CSV: full precision, empty where there is none."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([spreadsheet(name) for name in frame])
    columns = [_csv_cells(frame[name]) for name in frame]
    writer.writerows(zip(*columns, strict=True))
    return file.getvalue()


def table_to_csv(table: Table) -> str:
    """A table as it is shown, as CSV."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([spreadsheet(column.head) for column in table.columns])
    writer.writerows([spreadsheet(text) for text in row.cells] for row in table.rows)
    return file.getvalue()


_CSV_COLUMNS = (
    "number",
    "state",
    "reason",
    "value",
    "epochs_done",
    "epochs",
    "seed",
    "wall_time_s",
    "started",
    "finished",
    "origin",
    "parents",
)


def _csv_cells(values: "pd.Series[Any]") -> list[str]:
    if is_float_dtype(values):  # most are, and have nothing else
        return ["" if math.isnan(value) else repr(value) for value in values.tolist()]
    return [_csv_cell(value) for value in values.astype(object).tolist()]


def _csv_cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(float(value))
    if isinstance(value, str):
        return _text_cell(value)
    if type(value) in (int, bool):
        return str(value)
    if isinstance(value, tuple | list):
        return " ".join(str(item) for item in value)
    if value is pd.NaT or is_missing(value):
        return ""
    if isinstance(value, pd.Timestamp):
        return str(value.isoformat())
    return spreadsheet(value)


@lru_cache(maxsize=10_000)
def _text_cell(text: str) -> str:
    """A cell of text, most of which is there again and again."""
    return spreadsheet(text)
