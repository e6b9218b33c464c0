"""Tables of what a run found: its comparison, importances, and the path to its winner."""

import math
from collections.abc import Mapping

import pandas as pd

from evolve.analysis.deltas import Delta
from evolve.analysis.phrases import change, probability
from evolve.analysis.verdict import RowValues
from evolve.findings import AblationPath, Final, Findings, RowFinding
from reports.summary import METRICS
from reports.tables import Column, Row, Table, frame_to_csv, row_anchor
from reports.text import MISSING, PLUS_MINUS, clean, percent, points, upper_first

LONGEST_TITLE = 80


def csv_files(found: Findings) -> dict[str, str]:
    """CSV files of all that was found, by name."""
    files = {}
    if found.final is not None:
        files["comparison.csv"] = frame_to_csv(_comparison_frame(found.final))
        files["trainings.csv"] = frame_to_csv(_training_frame(found.final))
    if not found.importances.frame.empty:
        files["importance.csv"] = frame_to_csv(found.importances.frame)
    if found.path is not None and found.path.steps:
        files["path.csv"] = frame_to_csv(found.path.frame().reset_index())
    return files


def _comparison_frame(final: Final) -> pd.DataFrame:
    none = Delta(math.nan, math.nan, 0, "none")
    rows = []
    for row in final.rows:
        delta = row.delta or none
        rows.append(
            {
                "row": row.key,
                "title": row.title,
                "winner": row.key == final.winner,
                "search_value": row.search_value,
                "val_mean": row.val.mean,
                "val_sd": row.val.sd,
                "mean": row.judged.mean,
                "sd": row.judged.sd,
                "seeds": row.judged.count,
                "delta": delta.mean,
                "low": delta.low,
                "high": delta.high,
                "p_better": delta.p_better,
                "pairs": delta.pairs,
                "interval_over": delta.source,
            }
        )
    return pd.DataFrame(rows).assign(judged_on=final.judged_on)


def _training_frame(final: Final) -> pd.DataFrame:
    rows = [
        (row.key, row.title, index, value)
        for row in final.rows
        for index, value in enumerate(row.values)
    ]
    return pd.DataFrame(rows, columns=["row", "title", "seed_index", final.judged_on])


def comparison_table(final: Final, objective: str) -> Table:
    """Each row on the split that is judged on, and its difference to the defaults."""
    columns = (
        Column("row", "Row"),
        Column("searched", f"{objective}, search", "number"),
        Column("judged", f"{objective}, {clean(final.judged_on)}", "number"),
        Column("seeds", "Seeds", "number"),
        Column("delta", "Difference", "number"),
        Column("interval", "95 % interval", "number"),
        Column("better", "P(better)", "number"),
    )
    rows = enumerate(final.rows)
    return Table(columns, tuple(_comparison_row(row, final, place) for place, row in rows))


def _comparison_row(row: RowFinding, final: Final, place: int) -> Row:
    cells = (
        f"{title_of(row)} (winner)" if row.key == final.winner else title_of(row),
        percent(row.search_value),
        spread_text(row.judged),
        _seeds(row, final),
        *delta_cells(row.delta),
    )
    return Row(cells, _mark(row, final), row_anchor(place))


def _mark(row: RowFinding, final: Final) -> str:
    marks = {"best": row.key == final.winner, "default": row.delta is None}
    return " ".join(mark for mark, holds in marks.items() if holds)


def title_of(row: RowFinding) -> str:
    """A row's title, as it stands at the start of a line."""
    return upper_first(clean(row.title, longest=LONGEST_TITLE))


def spread_text(values: RowValues) -> str:
    """Mean and standard deviation in percent."""
    if math.isnan(values.sd):
        return percent(values.mean)
    return f"{percent(values.mean)} {PLUS_MINUS} {percent(values.sd)}"


def _seeds(row: RowFinding, final: Final) -> str:
    return f"{row.judged.count} of {final.seeds}"


def delta_cells(delta: Delta | None) -> tuple[str, str, str]:
    """Difference in points, its interval, and the probability that it is above 0."""
    if delta is None:
        return "", "", ""
    better = MISSING if math.isnan(delta.p_better) else probability(delta.p_better)
    return points(delta.mean), span_text(delta.low, delta.high), better


def span_text(low: float, high: float) -> str:
    """An interval in points, with signs."""
    if math.isnan(low) or math.isnan(high):
        return MISSING
    return f"{points(low)} to {points(high)}"


def metric_table(final: Final) -> Table:
    """COCO metrics of the winner and the defaults in percent, means over the seeds."""
    columns = (Column("row", "Row"), *(Column(name, name, "number") for name in METRICS))
    default, winner = final.rows[0], final.row(final.winner) if final.winner else None
    if winner is None or winner.key == default.key:
        return Table(columns, (_metric_row(title_of(default), default.metrics, "default"),))
    gains = [points(_metric(winner, m) - _metric(default, m)) for m in METRICS]
    rows = (
        _metric_row(title_of(winner), winner.metrics, "best"),
        _metric_row(title_of(default), default.metrics, "default"),
        Row(("Difference, points", *gains), "difference"),
    )
    return Table(columns, rows)


def _metric(row: RowFinding, name: str) -> float:
    return row.metrics.get(name, math.nan)


def _metric_row(label: str, metrics: Mapping[str, float], mark: str) -> Row:
    return Row((label, *(percent(metrics.get(name, math.nan)) for name in METRICS)), mark)


def luck_table(final: Final, objective: str) -> Table:
    """Values on val: from the search, and from fresh seeds; then their gains to the defaults."""
    columns = (
        Column("row", f"{objective} on val"),
        Column("searched", "Search", "number"),
        Column("fresh", "Fresh seeds", "number"),
        Column("luck", "Change", "number"),
    )
    rows = [_luck_row(row) for row in final.rows if row.key in (final.rows[0].key, final.winner)]
    luck = final.luck
    if luck is not None and final.winner != final.rows[0].key:
        gains = (points(luck.searched), points(luck.confirmed.mean), points(-luck.luck))
        rows.append(Row(("Gain, points", *gains), "difference"))
    return Table(columns, tuple(rows))


def _luck_row(row: RowFinding) -> Row:
    cells = (percent(row.search_value), spread_text(row.val))
    return Row((title_of(row), *cells, points(row.val.mean - row.search_value)))


def importance_table(found: Findings) -> Table:
    """Share of each parameter by each method, in percent, with interval and level of chance."""
    frame = found.importances.frame
    methods = list(dict.fromkeys(frame["method"])) if len(frame) else []
    heads = [
        (f"{method}{key}", f"{head}") for method in methods for key, head in (
            ("", clean(method)), (" interval", "95 % interval"), (" chance", "Chance"))
    ]  # fmt: skip
    columns = (
        Column("parameter", "Parameter", "name"),
        *(Column(key, head, "number") for key, head in heads),
    )
    rows = [
        Row((clean(name), *(cell for m in methods for cell in _share(frame, name, m))))
        for name in by_importance(frame)
    ]
    return Table(columns, tuple(rows))


def by_importance(frame: pd.DataFrame) -> list[str]:
    """Parameters by falling mean importance over the methods."""
    if frame.empty:
        return []
    means = frame.groupby("parameter", sort=False)["importance"].mean()
    return [str(name) for name in means.sort_values(ascending=False, kind="stable").index]


def _share(frame: pd.DataFrame, name: str, method: str) -> tuple[str, str, str]:
    own = frame[(frame["parameter"] == name) & (frame["method"] == method)]
    if own.empty:
        return MISSING, MISSING, MISSING
    one = own.iloc[0]
    low, high = percent(one["low"]), percent(one["high"])
    return percent(one["importance"]), f"{low} to {high}", percent(one["chance"])


def path_table(path: AblationPath) -> Table:
    """Each change on the way to the winner, its estimated gain, and the measured one."""
    columns = [
        Column("step", "Step", "number"),
        Column("parameter", "Parameter", "name"),
        Column("change", "Change"),
        Column("gain", "Estimated gain, points", "number"),
        Column("reach", "95 % interval", "number"),
    ]
    if path.trained:
        columns += [
            Column("measured", f"Measured on {clean(path.split)}, points", "number"),
            Column("interval", "95 % interval", "number"),
            Column("pairs", "Seeds", "number"),
        ]
    return Table(tuple(columns), tuple(_path_rows(path)))


def _path_rows(path: AblationPath) -> list[Row]:
    rows = []
    for number, step in enumerate(path.steps, start=1):
        reach = 1.96 * step.gain_sd
        numbers = [points(step.gain), span_text(step.gain - reach, step.gain + reach)]
        if path.trained:
            delta = path.trained[number - 1]
            numbers += [points(delta.mean), span_text(delta.low, delta.high), str(delta.pairs)]
        for place, name in enumerate(step.parameters):
            changed = clean(change(step.old.get(name), step.new.get(name)), longest=LONGEST_TITLE)
            shown = numbers if place == 0 else [""] * len(numbers)
            rows.append(Row((str(number), clean(name), changed.replace("->", "→"), *shown)))
    return rows
