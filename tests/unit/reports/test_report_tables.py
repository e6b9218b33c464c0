import csv
import io
import math
from dataclasses import replace

import pandas as pd
import pytest
from made_up_run import METRICS, PARAMETERS, make_run, with_trials

from evolve.store.records import ParameterRecord, RunRecord
from reports import tables
from reports.summary import summarise
from reports.text import MISSING


def read_csv(run: RunRecord) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(tables.to_csv(run))))


def test_metrics_of_best_and_defaults_with_difference() -> None:
    run = make_run(("COMPLETE",) * 2)
    cells = {m: {0: 0.301, 1: 0.352} for m in METRICS[:5]}
    run = with_trials(run, value=cells["AP"], **cells)
    best, default, difference = tables.metric_table(summarise(run)).rows
    assert best.cells[:2] == ("Best (1)", "35.2")
    assert best.cells[6] == "--"
    assert default.cells == (
        *("Defaults (0)", "30.1", "30.1", "30.1", "30.1", "30.1", "--"),
        *("10/10", "1000"),
    )
    assert difference.cells[:2] == ("Difference, points", "+5.1")
    assert difference.cells[6] == "--"


def test_no_difference_to_defaults_that_failed() -> None:
    rows = tables.metric_table(summarise(make_run(("FAIL", "COMPLETE")))).rows
    assert [row.cells[0] for row in rows] == ["Best (1)", "Defaults (0, failed)"]


def test_one_row_where_the_defaults_are_best() -> None:
    rows = tables.metric_table(summarise(make_run(("COMPLETE",)))).rows
    assert [row.cells[0] for row in rows] == ["Best = defaults (0)"]


def test_parameters_mark_what_changed() -> None:
    run = with_trials(
        make_run(("COMPLETE",) * 2),
        value={0: 0.1, 1: 0.2},
        params__batch_size={1: 16},
        params__optimizer__lr={1: 0.02},
    )
    rows = {row.cells[0]: row for row in tables.parameter_table(run, summarise(run)).rows}
    lr = rows["optimizer.lr"]
    assert lr.cells[1:4] == ("0.0001 \u2013 0.1, log", "0.01", "0.02")
    assert lr.mark == "changed"
    assert rows["batch_size"].cells[3] == "16"
    assert rows["batch_size"].mark == ""
    assert rows["loss.box"].cells[1] == "mse, iou, giou, diou, ciou"


def test_without_a_best_trial_the_best_column_is_empty() -> None:
    run = make_run(("FAIL",))
    rows = tables.parameter_table(run, summarise(run)).rows
    assert {row.cells[3] for row in rows} == {"--"}


@pytest.mark.parametrize(
    ("value", "expected"), [(0.09, True), (0.01, False), (1.1e-4, True), (0.05, False)]
)
def test_at_edge_measures_on_the_scale(value: float, expected: bool) -> None:
    run = make_run(("COMPLETE",) * 2, parameters=PARAMETERS[:1])
    run = with_trials(run, value={0: 0.1, 1: 0.2}, params__optimizer__lr={1: value})
    assert tables.at_edge(run, summarise(run)) == (["optimizer.lr"] if expected else [])


def test_near_a_lower_end_of_zero_there_is_nothing_to_widen() -> None:
    smoothing = replace(
        PARAMETERS[0], path="loss.label_smoothing", low=0.0, high=0.1, scale="linear"
    )
    for value, expected in ((0.001, []), (0.099, ["loss.label_smoothing"])):
        run = make_run(("COMPLETE",) * 2, parameters=(smoothing,))
        run = with_trials(run, value={0: 0.1, 1: 0.2}, params__loss__label_smoothing={1: value})
        assert tables.at_edge(run, summarise(run)) == expected


def test_every_trial_has_a_row_and_special_ones_a_mark() -> None:
    run = make_run()
    summary = summarise(run)
    table = tables.trial_table(run, summary)
    assert [row.cells[0] for row in table.rows] == [str(n) for n in range(12)]
    assert table.rows[0].mark == "default"
    assert summary.best is not None
    assert table.rows[summary.best.number].mark == "best"
    assert {len(row.cells) for row in table.rows} == {len(table.columns)}
    assert table.rows[11].cells[1:4] == ("running", "--", "--")


def test_an_int_stays_an_int_where_the_frame_holds_floats() -> None:
    run = with_trials(make_run(("COMPLETE",) * 2), params__batch_size={1: 8})
    frame = run.trials.copy()
    frame["params.batch_size"] = pd.Series([16.0, math.nan])
    run = replace(run, trials=frame)
    batch = next(p for p in run.parameters if p.path == "batch_size")
    assert tables.parameter_values(run, batch) == [16, None]


def test_a_parameter_without_a_column_is_missing() -> None:
    run = make_run(("COMPLETE",))
    run = replace(run, trials=run.trials.drop(columns="params.loss.box"))
    assert tables.parameter_values(run, PARAMETERS[-1]) == [None]


def test_failures_keep_the_lines_of_their_reason() -> None:
    run = with_trials(make_run(("COMPLETE", "FAIL")), reason={1: "error: x\n  line 2\x1b[0m"})
    (row,) = tables.failure_table(run).rows
    assert row.cells[3] == "error: x\n  line 2[0m"


def test_csv_holds_every_trial_at_full_precision() -> None:
    run = make_run()
    rows = read_csv(run)
    assert [int(row["number"]) for row in rows] == list(range(12))
    assert float(rows[1]["value"]) == run.trials["value"][1]
    assert float(rows[1]["params.optimizer.lr"]) == run.trials["params.optimizer.lr"][1]
    assert rows[4]["value"] == ""
    assert rows[4]["state"] == "FAIL"
    assert rows[4]["reason"].startswith("diverged")
    assert rows[5]["parents"] == "1 2"
    assert rows[11]["finished"] == ""
    assert rows[0]["started"] == "2026-05-09T10:00:00+00:00"


def test_csv_says_what_moved_trials_really_trained() -> None:
    changes = {"4": {"optimizer.lr": 0.04}, "10": {"optimizer.lr": 0.05}}
    taken = {"optimizer.lr": 0.02, "optimizer.momentum": 0.7, "batch_size": 8, "loss.box": "iou"}
    recipe = {"root": 2, "params": taken, "changes": changes, "lineage": []}
    run = replace(make_run(), recipes={5: recipe})
    frame = pd.read_csv(io.StringIO(tables.to_csv(run)))
    assert frame["moved"].tolist() == [n == 5 for n in range(12)]
    assert frame["began_as"].tolist() == [*range(5), 2, *range(6, 12)]
    proposed = frame.filter(like="params.").rename(columns=lambda name: name[len("params.") :])
    final = frame.filter(like="final.").rename(columns=lambda name: name[len("final.") :])
    assert proposed["optimizer.lr"][5] == run.trials["params.optimizer.lr"][5]
    pd.testing.assert_frame_equal(final.drop(5), proposed.drop(5), check_dtype=False)
    assert final.loc[5, list(taken)].tolist() == [0.05, 0.7, 8, "iou"]
    assert math.isnan(final["augment.mosaic"][5])  # the trial that it began as had none


def test_csv_of_a_run_in_which_none_moved_repeats_no_parameters() -> None:
    rows = read_csv(make_run())
    assert {row["moved"] for row in rows} == {"False"}
    assert not [name for name in rows[0] if name.startswith(("final.", "began_as"))]


def test_csv_defuses_formulas_and_keeps_one_line_a_trial() -> None:
    run = make_run(("COMPLETE", "FAIL"))
    run = with_trials(run, reason={1: '=cmd|\n"x",y'}, origin={0: "@SUM(A1)"})
    rows = read_csv(run)
    assert rows[1]["reason"] == '\'=cmd| "x",y'
    assert rows[0]["origin"] == "'@SUM(A1)"
    assert len(tables.to_csv(run).splitlines()) == 3


def test_markdown_table_survives_hostile_cells() -> None:
    column = tables.Column("number", "Tri|al", "number")
    reason = tables.Column("reason", "Reason")
    rows = (tables.Row(("1", "a|b\nc <i>`d`"), "best"), tables.Row(("2", "")))
    lines = tables.to_markdown(tables.Table((column, reason), rows)).splitlines()
    assert lines == [
        r"| Tri\|al | Reason |",
        "| ---: | --- |",
        r"| 1 best | a\|b c &lt;i&gt;\`d\` |",
        "| 2 |  |",
    ]


def test_markdown_table_can_be_cut() -> None:
    run = make_run()
    text = tables.to_markdown(tables.trial_table(run, summarise(run)), 3)
    assert len(text.splitlines()) == 5


def test_range_of_choices() -> None:
    parameter = ParameterRecord("x", "categorical", "linear", None, None, (1, "b", 0.25), 1, "")
    assert tables.range_text(parameter) == "1, b, 0.25"


def test_range_of_ordered_choices_and_of_what_exists_at_times() -> None:
    ordinal = ParameterRecord("x", "ordinal", "linear", None, None, (2, 4), 2, "")
    assert tables.range_text(ordinal) == "2, 4, in this order"
    when = {"sat.kind": ("darknet", "fgsm"), "loss.ohem": (32,)}
    child = ParameterRecord("x", "float", "log", 0.1, 1.0, None, 0.5, "", when)
    assert tables.range_text(child) == (
        f"0.1 {tables.EN_DASH} 1, log; when sat.kind is darknet or fgsm and loss.ohem is 32"
    )


def test_a_parameter_that_a_trial_lacks_is_empty_in_every_table() -> None:
    run = with_trials(make_run(), params__loss__box={1: None}, params__optimizer__lr={1: math.nan})
    table = tables.trial_table(run, summarise(run))
    cells = dict(zip((c.key for c in table.columns), table.rows[1].cells, strict=True))
    assert cells["params.loss.box"] == cells["params.optimizer.lr"] == MISSING
    assert cells["params.batch_size"] != MISSING
    row = read_csv(run)[1]
    assert row["params.loss.box"] == row["params.optimizer.lr"] == ""


def test_the_best_trial_may_lack_a_parameter() -> None:
    every = dict.fromkeys(range(12))
    run = with_trials(make_run(), params__batch_size=every, params__loss__box=every)
    summary = summarise(run)
    rows = {row.cells[0]: row for row in tables.parameter_table(run, summary).rows}
    assert rows["batch_size"].cells[3] == rows["loss.box"].cells[3] == MISSING
    assert rows["batch_size"].mark == ""
    assert not {"batch_size", "loss.box"} & set(tables.at_edge(run, summary))
