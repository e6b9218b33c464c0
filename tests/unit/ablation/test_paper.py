import math
from pathlib import Path

import pytest

from evolve.ablation.paper import (
    LOGS,
    NAMES,
    load_paper_table,
    paper_tables,
    read_paper_table,
)
from evolve.errors import TableError

GOOD = """\
number: 4
name: mine
title: A table
source: hand
confirmation: none
columns:
- {key: S, heading: S, kind: mark}
- {key: loss, heading: loss, kind: text}
- {key: AP, heading: AP, kind: number, suffix: '%'}
rows:
- {row: 1, marks: [S], cells: [MSE, 38.0], checked_by: authors_log}
- {row: 2, cells: [CIoU, null], checked_by: nothing}
notes:
- {text: from the paper alone, rows: [2], cells: [AP], confirmed: false}
"""


def read(tmp_path, old="", new=""):
    assert old in GOOD
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD.replace(old, new, 1))
    return read_paper_table(path)


def test_a_file_is_read(tmp_path):
    table = read(tmp_path)
    first, second = table.rows
    assert table.mark_keys == ("S",)
    assert first.marks == ("S",)
    assert table.cells(first) == {"loss": "MSE", "AP": 38.0}
    assert table.fractions(first) == {"AP": 0.38}
    assert math.isnan(table.fractions(second)["AP"])
    assert table.is_confirmed(first, "AP")
    assert table.is_confirmed(second, "loss")
    assert not table.is_confirmed(second, "AP")


@pytest.mark.parametrize(
    ("old", "new", "what", "place"),
    [
        ("title:", "titel:", "unknown key 'titel'", "mine.yaml:3:1"),
        ("kind: text", "kind: words", "'kind' cannot be 'words'", "mine.yaml:8:30"),
        ("marks: [S]", "mark: [S]", "unknown key 'mark'", "mine.yaml:11:12"),
        ("[MSE, 38.0]", "[38.0]", "row 1 has 1 cell for 2 columns", "mine.yaml:11:24"),
        ("[MSE, 38.0]", "[MSE, 1, 2]", "row 1 has 3 cells for 2 columns", "mine.yaml:11:24"),
        ("38.0", "'38'", "'38' is no number, as 'AP' wants", "mine.yaml:11:37"),
        ("38.0", "yes", "yes", "mine.yaml:11:37"),
        ("marks: [S]", "marks: [M]", "no column of marks 'M'", "mine.yaml:11:20"),
        ("row: 2", "row: 3", "row 3 is the file's row 2", "mine.yaml:12:4"),
        ("key: AP", "key: S", "there are two columns 'S'", "mine.yaml:9:3"),
        ("rows: [2]", "rows: [3]", "there is no row 3", "mine.yaml:14:39"),
        ("cells: [AP]", "cells: [APs]", "there is no column 'APs'", "mine.yaml:14:51"),
        ("by: nothing", "by: hope", "'checked_by' cannot be 'hope'", "mine.yaml:12:33"),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path, old, new, what, place):
    with pytest.raises(TableError) as raised:
        read(tmp_path, old, new)
    told = str(raised.value)
    assert what in told
    assert place in told


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(TableError, match=r"there is no file 'none\.yaml'"):
        read_paper_table(tmp_path / "none.yaml")


def test_every_table_has_its_number_and_name():
    told = {table.name: table.number for table in paper_tables()}
    assert told == {name: number for number, name in NAMES.items()} | dict.fromkeys(LOGS)


@pytest.mark.parametrize("name", [4, "4", "table4", "Table 4", "bof", " BoF "])
def test_a_table_has_several_names_and_is_read_once(name):
    assert load_paper_table(name) is load_paper_table("bof")


@pytest.mark.parametrize("name", ["bfo", "table11", 0, "", "../paper/table4", "04"])
def test_an_unknown_name_is_told_with_what_is_known(name):
    with pytest.raises(TableError, match="no table") as raised:
        load_paper_table(name)
    assert "bof" in raised.value.mend


def test_metrics_are_fractions_of_one():
    table = load_paper_table("bof")
    assert table.fractions(table.rows[16]) == {"AP": 0.424, "AP50": 0.644, "AP75": 0.459}
    volta = load_paper_table("volta")
    assert [*volta.fractions(volta.rows[0])] == ["AP", "AP50", "AP75", "APs", "APm", "APl"]
    for each in paper_tables():
        for row in each.rows:
            for name, value in each.fractions(row).items():
                low, high = (0.6, 1.0) if name.startswith("top") else (0.05, 0.7)
                assert math.isnan(value) or low < value < high


def test_headings_hold_for_the_rows_below_them():
    table = load_paper_table("maxwell")
    assert table.heading(table.rows[2]).startswith("YOLOv4: ")
    assert table.heading(table.rows[3]).startswith("Learning Rich Features")
    assert load_paper_table("bof").heading(load_paper_table("bof").rows[0]) == ""


def test_rows_that_nothing_confirms_have_a_note_that_says_so():
    for table in paper_tables():
        for row in table.rows:
            if row.checked_by == "nothing":
                assert not table.is_confirmed(row, "AP")


def test_the_page_names_every_table_and_shows_a_row_as_it_is():
    root = Path(__file__).parents[3]
    page = (root / "docs" / "tables.md").read_text(encoding="utf-8")
    for name in (*NAMES.values(), *LOGS):
        assert f"`{name}`" in page
    (shown,) = [line for line in page.splitlines() if line.startswith("- {row: ")]
    assert shown in (root / "search_spaces/paper/table4.yaml").read_text(encoding="utf-8")
