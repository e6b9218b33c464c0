import csv
import io

import pytest

from evolve.ablation.layout import Cell, Column, Layout, Note, Row, paper_layout
from evolve.ablation.paper import load_paper_table
from evolve.ablation.render import clean, render_csv, render_markdown
from evolve.ablation.terminal import render_text


def layout(**changes):
    """What an ablation of a user's own will look like."""
    given = {
        "title": "Ours",
        "columns": (
            Column("Row"),
            Column("M", "center"),
            Column("AP", "right", group="paper"),
            Column("AP", "right", group="ours"),
            Column("delta", "right", group="ours"),
        ),
        "rows": (
            Row((Cell("base"), Cell(), Cell("38.0"), Cell("9.5"), Cell("-"))),
            Row(
                (
                    Cell("M"),
                    Cell("✓"),
                    Cell("39.1"),
                    Cell("11.5", bold=True),
                    Cell("+2.0", note="a"),
                )
            ),
            Row((Cell("IT"), Cell(), Cell("36.9"), Cell("-"), Cell("-")), state="failed"),
        ),
        "notes": (Note("a", "95 % interval 0.5 to 3.5"), Note("", "three seeds")),
        "bold_means": "the highest of its column",
    }
    return Layout(**(given | changes))


def test_text_of_own_rows_with_groups_and_a_state():
    assert render_text(layout()).splitlines() == [
        "Ours",
        "",
        "         paper  ─── ours ───",
        "Row   M     AP    AP   delta  State",
        "────  ─  ─────  ─────  ─────  ──────",
        "base      38.0   9.5      -",
        "M     ✓   39.1  11.5*  +2.0ᵃ",
        "IT        36.9     -      -   failed",
        "",
        "* the highest of its column",
        "ᵃ 95 % interval 0.5 to 3.5",
        "three seeds",
    ]


def test_text_without_signs_has_letters():
    lines = render_text(layout(), encoding="ascii").splitlines()
    assert all(line.isascii() for line in lines)
    assert lines[6].split() == ["M", "x", "39.1", "11.5*", "+2.0^a"]
    assert "^a 95 % interval 0.5 to 3.5" in lines


def test_bold_is_an_escape_sequence_on_a_terminal_and_a_star_elsewhere():
    assert "\x1b[1m11.5\x1b[0m" in render_text(layout(), ansi=True)
    assert "Bold: the highest of its column" in render_text(layout(), ansi=True)
    assert "11.5*" in render_text(layout())
    assert "\x1b" not in render_text(layout())
    assert "highest" not in render_text(layout(bold_means=""))


@pytest.mark.parametrize("width", [60, 80, 100])
def test_long_text_is_wrapped_where_that_makes_it_fit(width):
    columns = (Column("Model"), Column("Why"), Column("AP", "right"))
    rows = (Row((Cell("short"), Cell("many words " * 12), Cell("38.0"))),)
    lines = render_text(layout(columns=columns, rows=rows), width).splitlines()
    assert max(map(len, lines)) <= width
    assert sum("many words" in line for line in lines) > 1


def test_several_columns_share_what_has_to_be_wrapped_but_none_that_is_whole():
    columns = (Column("Key", whole=True), Column("Model"), Column("Why"), Column("AP", "right"))
    rows = (Row((Cell("k" * 14), Cell("model " * 5), Cell("words " * 6), Cell("38.0"))),)
    lines = render_text(layout(columns=columns, rows=rows), 60).splitlines()
    assert 58 <= max(map(len, lines)) <= 60
    assert lines[4].startswith(f"{'k' * 14}  model model ")
    assert abs(len(lines[3].split()[1]) - len(lines[3].split()[2])) <= 1


def test_text_that_cannot_be_made_to_fit_is_left_as_it_is():
    columns = (Column("Key", whole=True), Column("Why"))
    rows = (Row((Cell("k" * 55), Cell("many words"))),)
    lines = render_text(layout(columns=columns, rows=rows), 60).splitlines()
    assert lines[4] == f"{'k' * 55}  many words"


def test_numbers_are_never_wrapped():
    lines = render_text(paper_layout(load_paper_table("volta")), 60).splitlines()
    assert any("YOLOv4           CSPDarknet-53" in line and "56.0%" in line for line in lines)


def test_wide_characters_keep_the_columns_in_line():
    rows = (Row((Cell("物体"), Cell("1"))), Row((Cell("abcd"), Cell("2"))))
    lines = render_text(layout(columns=(Column("a"), Column("b")), rows=rows)).splitlines()
    assert lines[4:6] == ["物体  1", "abcd  2"]


def test_text_from_outside_moves_no_cursor():
    rows = (Row((Cell("a\x1b[2Jb\u202e\nc\x9b"), Cell("\ud800"))),)
    columns = (Column("x\x07"), Column("y"))
    text = render_text(layout(title="t\x1b]0;x\x07", columns=columns, rows=rows, notes=()))
    assert not set(text) & set("\x1b\x07\x9b\u202e\ud800")
    assert "a[2Jb c" in text
    assert clean(" a\t b\r\n") == "a b"


def test_markdown_of_own_rows():
    assert render_markdown(layout()).splitlines() == [
        "**Ours**",
        "",
        "| Row | M | paper AP | ours AP | ours delta | State |",
        "| :--- | :---: | ---: | ---: | ---: | :--- |",
        "| base |  | 38.0 | 9.5 | - |  |",
        "| M | ✓ | 39.1 | **11.5** | +2.0<sup>a</sup> |  |",
        "| IT |  | 36.9 | - | - | failed |",
        "",
        "Bold: the highest of its column",
        "",
        "<sup>a</sup> 95 % interval 0.5 to 3.5",
        "",
        "three seeds",
    ]


def test_markdown_shows_what_is_given_and_nothing_else():
    rows = (Row((Cell("a|b"), Cell("<img> *x* `y` [z](u)\n| # h"))),)
    text = render_markdown(layout(columns=(Column("a"), Column("b")), rows=rows, notes=()))
    expected = r"| a\|b | &lt;img&gt; \*x\* \`y\` \[z\](u) \| \# h |"
    assert text.splitlines()[-1] == expected


def test_csv_of_own_rows():
    assert list(csv.reader(io.StringIO(render_csv(layout())))) == [
        ["Row", "M", "paper AP", "ours AP", "ours delta", "State", "Notes"],
        ["base", "", "38.0", "9.5", "", "", ""],
        ["M", "✓", "39.1", "11.5", "+2.0", "", "delta: 95 % interval 0.5 to 3.5"],
        ["IT", "", "36.9", "", "", "failed", ""],
    ]


@pytest.mark.parametrize("text", ["=1+1", "@x", "+cmd", "-cmd", " =1"])
def test_no_cell_is_a_formula(text):
    columns, rows = (Column(text),), (Row((Cell(text),)), Row((Cell("-1.5"),)))
    lines = list(csv.reader(io.StringIO(render_csv(Layout("", columns, rows)))))
    assert lines == [[f"'{text.strip()}"], [f"'{text.strip()}"], ["-1.5"]]


def test_csv_has_numbers_and_tells_what_is_not_confirmed():
    text = render_csv(paper_layout(load_paper_table("bof")))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert (rows[12]["M"], rows[12]["LS"], rows[12]["AP"]) == ("1", "0", "41.5")
    assert rows[0]["Notes"].startswith("AP, AP75: Not confirmed: ")
    assert rows[1]["Notes"] == ""
    volta = list(csv.DictReader(io.StringIO(render_csv(paper_layout(load_paper_table(10))))))
    assert {row["Notes"].split(":")[0] for row in volta} == {"Not confirmed"}
    assert volta[1]["Group"].startswith("YOLOv4: ")
    assert (volta[0]["FPS"], volta[4]["FPS"], volta[13]["AP50"]) == ("96", "50.0", "")


def bold_rows(name):
    rows = paper_layout(load_paper_table(name)).rows
    return [i for i, row in enumerate(rows, 1) if all(cell.bold for cell in row.cells[-2:])]


def test_the_best_of_a_column_is_bold_and_so_are_ties():
    assert bold_rows("bof") == [16, 17]
    assert bold_rows("bos") == [3]
    assert bold_rows("backbone") == [5]
    assert bold_rows("classifier-resnext") == [10]
    assert bold_rows("networks") == []


def test_real_time_detectors_are_bold():
    layout = paper_layout(load_paper_table("volta"))
    fast = [row.cells[3].text for row in layout.rows if row.cells[3].bold]
    assert fast[:3] == ["96 (V)", "83 (V)", "62 (V)"]
    assert len(fast) == sum(float(r.cells[3].text.split()[0]) >= 30 for r in layout.rows)
    assert layout.bold_means == "30 FPS or more, highlighted in the paper"


def test_notes_stand_where_they_belong():
    table = paper_layout(load_paper_table("bof"))
    assert [cell.note for cell in table.rows[0].cells[-3:]] == ["a", "", "a"]
    assert table.note == ""
    assert paper_layout(load_paper_table("minibatch")).note == "a"
    assert [c.note for c in paper_layout(load_paper_table("networks")).columns][-2:] == ["", "a"]
