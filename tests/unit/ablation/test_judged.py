"""A judged table as people read it, and what is stored of it."""

import json
import math
from dataclasses import replace

import pandas as pd
import pytest

from evolve.ablation.costs import Costs, RowCost
from evolve.ablation.judged import judged_layout
from evolve.ablation.paper import load_paper_table
from evolve.ablation.record import StoredRow, StoredTable
from evolve.ablation.render import render_csv, render_markdown
from evolve.ablation.rows import plan_rows
from evolve.ablation.table import load_table
from evolve.ablation.terminal import render_text
from evolve.analysis.judged_rows import judge_table
from evolve.errors import StoreError

AP = {
    "base": (0.300, 0.310, 0.305),
    "S": (0.331, 0.339, 0.336),
    "M": (0.310, 0.318, 0.306),
    "bad": (0.29, None, None),
}


def a_row(key, marks=(), loss="MSE", paper_row=None, baseline="base"):
    return StoredRow(key, f"row {key}", (), marks, {"loss": loss}, baseline, paper_row)


TABLE = StoredTable(
    name="mine",
    title="Mine",
    description="",
    objective="AP",
    metrics=("AP", "AP50"),
    columns={"S": "S", "M": "Mosaic"},
    value_columns=("loss",),
    baseline="base",
    rows=(
        a_row("base", paper_row=1),
        a_row("S", ("S",), paper_row=2),
        a_row("M", ("M",), paper_row=3),
        a_row("bad", ("S", "M"), "CIoU"),
    ),
    paper=4,
)


def trainings():
    lines = []
    for row, values in AP.items():
        for seed, value in enumerate(values):
            ok = value is not None
            lines.append(
                {
                    "row": row,
                    "title": f"row {row}",
                    "seed_index": seed,
                    "state": "COMPLETE" if ok else "FAIL",
                    "reason": "" if ok else "oom: memory ran out",
                    "value_test": value if ok else math.nan,
                    "metrics": {"test/AP": value, "test/AP50": 1.5 * value} if ok else {},
                }
            )
    return pd.DataFrame(lines)


@pytest.fixture(scope="module")
def judged():
    return judge_table(trainings(), list(AP), "base", also=("AP", "AP50"))


def test_the_table_reads_as_the_papers_with_what_it_lacks(judged):
    text = render_text(judged_layout(TABLE, judged, split="test"), 100)
    lines = text.splitlines()
    assert lines[0] == "Mine (test)"
    assert lines[2].split() == [
        "S",
        "Mosaic",
        "loss",
        "AP",
        "AP50",
        "Δ",
        "AP",
        "±95",
        "%",
        "n",
        "verdict",
    ]
    base, first, second, bad = lines[4:8]
    assert base.split() == ["MSE", "30.5", "45.8", "3", "baseline"]
    assert first.split()[:5] == ["✓", "MSE", "33.5*", "50.3*", "+3.0"]
    assert first.endswith("helps")
    assert "undecided +" in second
    assert "undecided +n: about n more seeds are needed for a verdict" in text
    assert bad.split()[-2:] == ["1/3", "failedᵃ"]
    assert "oom: memory ran out" in text
    assert max(map(len, lines)) <= 100


def test_published_rows_stand_beside(judged):
    layout = judged_layout(TABLE, judged, split="test", paper=load_paper_table(4))
    groups = [column.group for column in layout.columns]
    place = groups.index("as published")
    cells = [[cell.text for cell in row.cells[place : place + 2]] for row in layout.rows]
    assert cells == [["38.0", ""], ["37.7", "\u22120.3"], ["39.1", "+1.1"], ["-", ""]]


def test_rows_that_marks_do_not_tell_apart_have_their_titles(judged):
    same = StoredTable(**{**TABLE.__dict__, "columns": {}})
    layout = judged_layout(same, judged, split="val")
    assert [row.cells[0].text for row in layout.rows] == [f"row {key}" for key in AP]


def test_markdown_and_csv(judged):
    layout = judged_layout(TABLE, judged, split="test")
    assert "| ✓ |" in render_markdown(layout)
    assert len(render_csv(layout).splitlines()) == 5


def test_what_is_stored_of_a_table_comes_back():
    for name in ("bof", "bos", "minibatch", "backbone", "classifier-resnext"):
        table = StoredTable.of_plan(plan_rows(load_table(name)))
        assert StoredTable.from_dict(json.loads(json.dumps(table.to_dict()))) == table
    minibatch = StoredTable.of_plan(plan_rows(load_table("minibatch")))
    assert len(minibatch.groups()) == 2
    assert sum(len(rows) for rows in minibatch.groups().values()) == 5
    assert StoredTable.of_plan(plan_rows(load_table("bof"))).row("all-CIoU").paper_row == 17


@pytest.mark.parametrize("tree", [{}, {"rows": [{}]}, {**TABLE.to_dict(), "more": 1}])
def test_another_thing_is_refused(tree):
    with pytest.raises(StoreError, match="stored table cannot be understood"):
        StoredTable.from_dict(tree, "manifest.json")


def test_rows_are_named_by_keys_where_that_is_asked_for(judged):
    layout = judged_layout(TABLE, judged, split="test", is_named=True)
    assert [column.heading for column in layout.columns[:3]] == ["row", "title", "S"]
    assert [cell.text for cell in layout.rows[1].cells[:2]] == ["S", "row S"]
    line = render_csv(layout).splitlines()[2]
    assert line.startswith("S,row S,1,0,MSE,33.5333,50.3,3.0333,")


def test_a_row_of_which_nothing_is_known_has_no_verdict():
    waiting = trainings()
    waiting.loc[waiting["row"] == "M", ["state", "value_test"]] = ["WAITING", math.nan]
    table = judge_table(waiting, list(AP), "base", also=("AP", "AP50"))
    cells = judged_layout(TABLE, table, split="test").rows[2].cells
    assert [cell.text for cell in cells[-4:]] == ["-", "-", "0/3", "-"]


def test_only_words_that_may_change_are_in_brackets(judged):
    layout = judged_layout(TABLE, judged, split="test", is_provisional=True)
    base, first, second, bad = (row.cells[-1] for row in layout.rows)
    assert (first.text, first.value) == ("(helps)", "(helps)")
    assert second.text.startswith("(undecided +")
    assert second.text.endswith(")")
    assert second.value == "(undecided)"
    assert (base.text, bad.text) == ("baseline", "failed")  # nothing will change these
    (note,) = (one.text for one in layout.notes if "brackets" in one.text)
    assert "so far" in note


def test_words_stand_to_the_left_and_numbers_to_the_right(judged):
    rows = tuple(replace(row, values={"loss": str(i)}) for i, row in enumerate(TABLE.rows))
    for table, align in ((TABLE, "left"), (replace(TABLE, rows=rows), "right")):
        columns = judged_layout(table, judged, split="test").columns
        assert next(c for c in columns if c.heading == "loss").align == align


def test_nothing_is_bold_where_all_are_equal(judged):
    layout = judged_layout(TABLE, judged.assign(AP50=0.5), split="test")
    assert [row.cells[4].bold for row in layout.rows] == [False] * 4
    assert [row.cells[3].bold for row in layout.rows] == [False, True, False, False]


COST = RowCost(4_612_345, 1.23, 31.2, 33.0)


def costs(*, device="a GPU", protocol="batch 1", **changes):
    return Costs(device, protocol, {key: changes.get(key, COST) for key in AP})


def cost_cells(judged, given=None, train_s=None):
    layout = judged_layout(TABLE, judged, split="test", costs=given, train_s=train_s)
    at = [i for i, column in enumerate(layout.columns) if column.group == "cost"]
    heads = [layout.columns[i].heading for i in at]
    cells = [[row.cells[i].text for i in at] for row in layout.rows]
    return heads, cells, [note.text for note in layout.notes if not note.key]


def test_costs_that_all_rows_share_are_told_once(judged):
    heads, _, notes = cost_cells(judged, costs())
    assert heads == []
    assert "4.61 M parameters, 1.23 BFLOPs, 31 ms on a GPU for all rows" in notes
    assert "batch 1" in notes


def test_costs_in_which_rows_differ_have_columns(judged):
    given = costs(S=RowCost(12_000_000, 1.23, math.nan))
    heads, cells, notes = cost_cells(judged, given, {"base": 62.0, "S": 7320.0, "M": math.nan})
    assert heads == ["params", "ms", "train"]
    assert cells[:3] == [
        ["4.61 M", "31", "1m02s"],
        ["12.0 M", "-", "2h02m"],
        ["4.61 M", "31", "-"],
    ]
    assert "1.23 BFLOPs for all rows" in notes
    assert "ms: median of one image on a GPU" in notes
    assert "batch 1" in notes
    assert any(note.startswith("train: ") for note in notes)


def test_costs_that_nobody_measured_are_not_told(judged):
    nothing = Costs("", "", {})
    assert cost_cells(judged, nothing, dict.fromkeys(AP, math.nan)) == cost_cells(judged)
