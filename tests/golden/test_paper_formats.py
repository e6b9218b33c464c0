"""Tables 2 to 10 in every format, read back and compared cell by cell with what is printed."""

import json
import re
from pathlib import Path

import pytest

from evolve.ablation.html import render_html
from evolve.ablation.latex import render_latex
from evolve.ablation.layout import paper_layout
from evolve.ablation.paper import load_paper_table
from evolve.ablation.render import render_markdown
from evolve.ablation.terminal import render_text
from tests.golden.read_tables import read_html, read_latex, read_markdown, read_text

FIRST = json.loads((Path(__file__).parent / "paper_tables.json").read_text(encoding="utf-8"))
FORMATS = {
    "text": lambda layout: read_text(render_text(layout, 400)),
    "markdown": lambda layout: read_markdown(render_markdown(layout)),
    "html": lambda layout: read_html(render_html(layout, id="t")),
    "latex": lambda layout: read_latex(render_latex(layout, label="t")),
}
# keys of our columns -> those of the first transcription; what is not here has the same key
THEIRS = {"AP": "ap", "AP50": "ap50", "AP75": "ap75", "APs": "ap_s", "APm": "ap_m", "APl": "ap_l"}
REAL_TIME_FPS = 30


def printed(number):
    """What the transcription says stands in each row, as pairs of value and whether it is bold."""
    table, theirs = load_paper_table(number), FIRST[f"table{number}"]["rows"]
    columns = [(column.key, THEIRS.get(column.key, column.key)) for column in table.columns]
    best = {key: max(row[key] for row in theirs) for _, key in columns
            if number < 8 and isinstance(theirs[0].get(key), float)}  # fmt: skip
    heading = None
    for row in theirs:
        if row.get("paper") != heading:
            heading = row["paper"]
            yield heading
        cells = []
        for ours, key in columns:
            if ours in FIRST[f"table{number}"].get("mark_columns", ()):
                cells.append((ours in row["marks"], False))
            elif key == "fps":
                cells.append(((row["fps"], row["gpu"]), row["fps"] >= REAL_TIME_FPS))
            else:
                cells.append((row[key], key in best and row[key] == best[key]))
        yield cells


def value(text, like):
    """What a drawn cell says, in the type of what it should say."""
    if isinstance(like, bool):
        return {"": False, "\u2713": True}[text]
    if like is None:
        return {"-": None}[text]
    if isinstance(like, tuple):
        number, gpu = re.fullmatch(r"([\d.]+) \((\w)\)", text).groups()
        return float(number), gpu
    if isinstance(like, int):
        return int(re.fullmatch(r"(\d+)(x\1)?", text)[1])
    return float(text.removesuffix("%")) if isinstance(like, float) else text


@pytest.mark.parametrize("number", range(2, 11))
@pytest.mark.parametrize("form", FORMATS)
def test_every_cell_is_as_printed(form, number):
    rows = FORMATS[form](paper_layout(load_paper_table(number)))
    expected = list(printed(number))
    assert len(rows) == len(expected)
    for row, theirs in zip(rows, expected, strict=True):
        if isinstance(theirs, str):
            assert row == [theirs]
            continue
        found = [(value(text, like), bold)
                 for (text, bold, _), (like, _) in zip(row, theirs, strict=True)]  # fmt: skip
        assert found == theirs


@pytest.mark.parametrize("number", range(1, 11))
@pytest.mark.parametrize("form", FORMATS)
def test_all_formats_draw_the_same_cells_and_notes(form, number):
    layout = paper_layout(load_paper_table(number))
    expected = [[(c.text, c.bold, c.note) for c in row.cells] for row in layout.rows]
    rows = FORMATS[form](layout)
    assert [row for row in rows if len(row) > 1] == expected


@pytest.mark.parametrize("form", FORMATS)
def test_cells_that_were_looked_at_in_the_paper(form):
    rows = {
        number: FORMATS[form](paper_layout(load_paper_table(number))) for number in (4, 8, 9, 10)
    }
    texts = {number: [[c[0] for c in row] for row in table if len(row) > 1]
             for number, table in rows.items()}  # fmt: skip
    tick, none = "\u2713", ""
    assert texts[4][0] == [none] * 9 + ["MSE", "38.0%", "60.0%", "40.8%"]
    assert texts[4][13] == [none, tick, none, tick] + [none] * 4 + [
        tick,
        "CIoU",
        "36.1%",
        "56.5%",
        "38.4%",
    ]
    assert [c[1] for c in rows[4][16]] == [False] * 10 + [True] * 3
    assert texts[8][0][3] == "38 (M)"
    assert texts[8][23][7] == "12%"
    assert texts[9][3][2:6] == ["600x", "50.0 (P)", "30.2%", "-"]
    assert texts[10][0][:4] == ["YOLOv4", "CSPDarknet-53", "416", "96 (V)"]
    assert texts[10][7][0] == "YOLOv3 + ASFF*"
    assert texts[10][17][1:4] == ["-", "800x600", "25.3 (V)"]
    assert rows[8][0] == ["YOLOv4: Optimal Speed and Accuracy of Object Detection"]
