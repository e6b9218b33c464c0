"""Tables of a report's page."""

import pytest

from evolve.ablation.html import render_html
from evolve.ablation.layout import Cell, Column, Layout, Note, Row
from tests.golden.read_tables import read_html

HOSTILE = '"><script>alert(1)</script>&<b onload=x>\x1b[2J'


def layout(**changes):
    given = {
        "title": "Ours",
        "columns": (
            Column("row"),
            Column("M", "center"),
            Column("AP", "right", group="ours"),
            Column("\u0394", "right", group="ours", note="a"),
        ),
        "rows": (
            Row((Cell("base"), Cell(value=0), Cell("38.0", value=38.04), Cell("-"))),
            Row(
                (
                    Cell("M"),
                    Cell("\u2713", value=1),
                    Cell("39.1", bold=True),
                    Cell("+1", note="ab"),
                ),
                heading="more",
                state="failed",
            ),
        ),
        "notes": (Note("a", "of all"), Note("", "three seeds")),
        "bold_means": "the highest",
    }
    return Layout(**(given | changes))


def test_a_table_of_own_rows():
    assert str(render_html(layout(), id="own")).splitlines() == [
        '<div class="scroll short" role="region" aria-labelledby="own-caption" tabindex="0">',
        '<table id="own">',
        '<caption><span id="own-caption">Ours</span></caption>',
        "<thead>",
        '<tr><td colspan="2"></td><th scope="colgroup" colspan="2" class="group">ours</th>'
        '<td colspan="1"></td></tr>',
        '<tr><th scope="col" class="text">row</th><th scope="col" class="tick">M</th>'
        '<th scope="col" class="number">AP</th><th scope="col" class="number">\u0394'
        '<sup><a href="#own-note-a">a</a></sup></th><th scope="col" class="text">State</th></tr>',
        "</thead>",
        "<tbody>",
        '<tr><th scope="row" class="text">base</th><td class="tick" data-value="0"></td>'
        '<td class="number" data-value="38.04">38.0</td><td class="number">-</td><td></td></tr>',
        "</tbody>",
        "<tbody>",
        '<tr class="rows"><th scope="rowgroup" colspan="5">more</th></tr>',
        '<tr><th scope="row" class="text">M</th><td class="tick" data-value="1">\u2713</td>'
        '<td class="number"><strong>39.1</strong></td>'
        '<td class="number">+1<sup><a href="#own-note-a">a</a>b</sup></td><td>failed</td></tr>',
        "</tbody>",
        "</table>",
        "</div>",
        '<ul class="notes">',
        "<li><strong>Bold</strong>: the highest</li>",
        '<li id="own-note-a"><sup>a</sup> of all</li>',
        "<li>three seeds</li>",
        "</ul>",
    ]


def test_a_table_without_notes_or_groups_has_neither():
    text = render_html(layout(columns=(Column("AP", "right"),), rows=(), notes=()), id="t")
    assert "notes" not in text
    assert "colgroup" not in text


@pytest.mark.parametrize("kind", ["short", "tall"])
def test_the_region_that_scrolls_is_of_a_kind(kind):
    assert f'<div class="scroll {kind}"' in render_html(layout(), id="t", kind=kind)


def test_what_comes_from_outside_is_shown_and_does_nothing():
    cell = Cell(HOSTILE, bold=True, note=HOSTILE, value=HOSTILE)
    columns = (Column(HOSTILE, note=HOSTILE, group=HOSTILE), Column("AP", "right"))
    rows = (Row((cell, cell), heading=HOSTILE, state=HOSTILE),)
    text = render_html(
        layout(title=HOSTILE, columns=columns, rows=rows, note=HOSTILE, bold_means=HOSTILE,
               notes=(Note(HOSTILE, HOSTILE), Note('"', HOSTILE))),
        id=HOSTILE,
    )  # fmt: skip
    assert "<script" not in text
    assert "<b " not in text
    assert "\x1b" not in text
    assert 'id="script-alert-1-script-b-onload-x-2J"' in text
    shown = HOSTILE.replace("\x1b", "")
    assert [row[0][0] if len(row[0]) == 3 else row[0] for row in read_html(text)] == [shown, shown]
