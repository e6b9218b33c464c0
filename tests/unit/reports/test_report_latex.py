"""Tables of evolution reports as LaTeX; tests/golden/test_latex_compiles.py compiles them."""

from made_up_run import make_run

from reports import tables
from reports.latex import as_layout, to_latex
from reports.summary import summarise
from reports.tables import Column, Row, Table
from tests.golden.read_tables import read_latex


def test_metrics_stand_in_line_with_the_best_bold() -> None:
    table = tables.metric_table(summarise(make_run(("COMPLETE",) * 2)))
    text = to_latex(table, caption="Metrics, 95 %", label="tab:metrics")
    assert r"\caption{Metrics, 95 \%}" in text
    rows = read_latex(text)
    assert [[cell[0] for cell in row] for row in rows] == [
        [text.replace("\u2212", "-") for text in row.cells] for row in table.rows
    ]
    assert [{cell[1] for cell in row} for row in rows] == [{True}, {False}, {False}]
    assert "the best" in text


def test_of_parameters_the_values_that_changed_are_bold() -> None:
    columns = (Column("parameter", "Parameter", "name"), Column("best", "Best", "number"))
    rows = (Row(("lr_0", "0.01"), "changed"), Row(("mosaic", "--")))
    layout = as_layout(Table(columns, rows), "Values")
    assert [[cell.bold for cell in row.cells] for row in layout.rows] == [
        [False, True],
        [False, False],
    ]
    assert layout.bold_means == "values that differ from the default"
    text = to_latex(Table(columns, rows), caption="Values", label="tab:values")
    assert r"lr\_0 & \bfseries 0.01 \\" in text
    assert r"mosaic & {-{}-} \\" in text


def test_trials_tell_their_marks_and_keep_their_order() -> None:
    run = make_run(("COMPLETE", "FAIL", "PRUNED", "COMPLETE"))
    table = tables.trial_table(run, summarise(run))
    layout = as_layout(table, "Trials")
    assert [row.cells[0].text for row in layout.rows] == [
        f"{i} {row.mark}".strip() for i, row in enumerate(table.rows)
    ]
    assert [column.align for column in layout.columns][:3] == ["right", "left", "right"]
    assert "params." not in to_latex(table, caption="Trials", label="tab:trials")
