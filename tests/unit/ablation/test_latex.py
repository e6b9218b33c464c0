"""LaTeX tables as text; tests/golden/test_latex_compiles.py runs pdflatex on them."""

import re

import pytest

from evolve.ablation.latex import render_latex
from evolve.ablation.latex_columns import tex_column, width_pt
from evolve.ablation.latex_fit import SIZES, fitted
from evolve.ablation.latex_text import breakable, latex
from evolve.ablation.layout import Cell, Column, Layout, Note, Row


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\input{a}", r"\textbackslash{}input\{a\}"),
        ("100% & $x_1^2$ #~", r"100\% \& \$x\_1\textasciicircum{}2\$ \#\textasciitilde{}"),
        ("[50] *<a|b>", r"{[}50{]} {*}\textless{}a\textbar{}b\textgreater{}"),
        ("a--b ''c''", r"a-{}-b '{}'c'{}'"),
        ('"q" `b`', r"\textquotedblright{}q\textquotedblright{} \`{}b\`{}"),
        ("\u22122.0 \u00b1 0.3 \u00d7 \u0394", r"$-$2.0 $\pm$ 0.3 $\times$ $\Delta$"),
        ("a \u2192 b \u2026 \u2713", r"a $\rightarrow$ b \ldots{} \checkmark{}"),
        ("caf\xe9 e\u0301 \u0142 \xdf", r"caf\'{e} \'{e} \l{} \ss{}"),
        ("\u03b1\u03a9\u03bb \u0391", r"$\alpha$$\Omega$$\lambda$ {[}U+0391{]}"),
        ("m\xb2 x\u2083 \ufb01 \uff05", r"m\textsuperscript{2} x\textsubscript{3} fi \%"),
        ("\u7269\u4f53 \U0001f600", "{[}U+7269 U+4F53{]} {[}U+1F600{]}"),
        ("\u7269][U+1", "{[}U+7269{]}{]}{[}U+1"),
        ("a\x1b[2J\u202e\n\nb\ud800", "a{[}2J b"),
        ("", ""),
    ],
)
def test_latex_shows_just_the_text(text, expected):
    assert latex(text) == expected


def test_every_character_becomes_ascii_and_nothing_that_runs():
    drawn = latex("".join(map(chr, range(0x3000))))
    assert drawn.isascii()
    assert len(re.findall(r"(?<!\\)\{", drawn)) == len(re.findall(r"(?<!\\)\}", drawn))
    assert not re.findall(r"(?<!\\)[%&#~]|\^\^", drawn)
    assert len(re.findall(r"(?<!\\)\$", drawn)) % 2 == 0


def test_words_too_long_for_any_column_may_be_broken():
    assert breakable("short words") == "short words"
    assert breakable("x" * 30) == r"\allowbreak{}".join(["x" * 12, "x" * 12, "x" * 6])


def column(texts, align="right", **options):
    cells = [one if isinstance(one, Cell) else Cell(one) for one in texts]
    return tex_column(Column("AP", align, **options), cells)


def test_numbers_are_in_line_at_the_point():
    drawn = column(["9.5", "-", "", "+12.25", "\u22121"])
    assert drawn.kind == "S[table-format=+2.2]"
    assert drawn.cells == ("9.5", "{-}", "", "+12.25", "-1")
    assert drawn.heading == "{AP}"


def test_units_and_notes_stand_behind_and_have_room():
    drawn = column([Cell("38 (M)", bold=True), Cell("76.9 (M)", note="ab"), Cell("-", note="a")])
    assert drawn.kind == r"S[table-format=2.1{ (M)\textsuperscript{ab}}]"
    assert drawn.cells == (
        r"\bfseries 38{ (M)}",
        r"76.9{ (M)\textsuperscript{ab}}",
        r"{-\textsuperscript{a}}",
    )


def test_half_widths_of_intervals_are_in_line_too():
    drawn = column(["+1.2 \u00b10.4", "\u22120.3 \u00b1 10.1"])
    assert drawn.kind == r"S[table-format=+1.1{\,$\pm$\,10.1}]"
    assert drawn.cells == (r"+1.2{\,$\pm$\,\phantom{0}0.4}", r"-0.3{\,$\pm$\,10.1}")


@pytest.mark.parametrize(
    "text", ["1/3", "512x512", "1m03s", "-0.5 to 0.6", "1e-05", "007", "<0.1"]
)
def test_what_is_no_single_number_stays_text(text):
    assert column(["1.0", text]).kind == "r"


@pytest.mark.parametrize(("align", "kind"), [("left", "l"), ("center", "c"), ("right", "r")])
def test_text_is_aligned_as_its_column(align, kind):
    own = Cell("b", align="center" if align == "left" else "left", bold=True)
    drawn = column(["a", own], align)
    assert drawn.kind == kind
    assert drawn.cells[1] == rf"\multicolumn{{1}}{{{own.align[0]}}}{{\textbf{{b}}}}"


def test_a_note_does_not_move_a_check_mark():
    assert column([Cell("\u2713", note="b")], "center").cells == (
        r"\checkmark{}\rlap{\textsuperscript{b}}",
    )


def test_a_long_heading_has_lines_as_wide_as_its_cells():
    drawn = tex_column(Column("Average size of layer output", "right", note="a"), [Cell("1058")])
    assert drawn.heading == (
        r"{\begin{tabular}[b]{@{}c@{}}Average\\size of\\layer\\output\textsuperscript{a}"
        r"\end{tabular}}"
    )
    assert drawn.heading_lines == 4


def test_widths_are_those_of_the_font():
    assert width_pt("42.4%") == pytest.approx(26.1, abs=0.1)  # measured: 26.11
    assert width_pt("abcdefghijklmnopqrstuvwxyz") == pytest.approx(127.6, rel=0.02)
    assert width_pt("\u7269") > width_pt("\u0394") > 0


def narrow_columns(count, text="38.0%"):
    return [column([text] * 3) for _ in range(count)]


def test_the_letters_get_smaller_with_the_number_of_columns():
    sizes = [fitted(narrow_columns(count), [False] * 3, 345, 500).size for count in range(1, 13)]
    order = [SIZES.index(size) for size in sizes]
    assert order == sorted(order)
    assert sizes[0].name == "normalsize"
    assert {size.name for size in sizes} >= {"small", "footnotesize"}
    assert fitted(narrow_columns(14), [False] * 3, 345, 500).size.name == "scriptsize"
    assert fitted(narrow_columns(60), [False] * 3, 345, 500).size.name == "tiny"


def test_text_is_wrapped_before_a_table_gets_too_wide():
    words = column(["many words " * 20] * 3, "left")
    fit = fitted([words, *narrow_columns(3)], [False] * 3, 345, 500)
    assert fit.width_pt <= 345
    assert fit.text_pt[0] > 100
    assert fit.text_pt[1:] == (None, None, None)
    assert fit.lines[0] > 2 * fit.size.line_pt
    whole = column(["many words " * 20] * 3, "left", whole=True)
    assert fitted([whole, *narrow_columns(3)], [False] * 3, 345, 500).width_pt > 345


def test_rows_that_do_not_fit_on_a_page_go_on_the_next():
    rows = tuple(Row((Cell(f"row {i}"), Cell(f"{i}.5"))) for i in range(200))
    layout = Layout("Many", (Column("row"), Column("AP", "right")), rows, (Note("", "of all"),))
    text = render_latex(layout, label="many")
    pages = text.split(r"\begin{table}")[1:]
    assert len(pages) > 2
    assert [page.count(r"\label{many}") for page in pages] == [1] + [0] * (len(pages) - 1)
    assert all("(continued)" in page for page in pages[1:])
    assert [page.count("of all") for page in pages] == [0] * (len(pages) - 1) + [1]
    assert re.findall(r"row (\d+) &", text) == [str(i) for i in range(200)]


def test_a_published_number_is_not_that_of_the_paper_it_is_put_into():
    layout = Layout("Table 4: Bags", (Column("row"),), (Row((Cell("a"),)),))
    assert r"\caption{Bags}" in render_latex(layout, label="bof")
    assert r"\caption{Own}" in render_latex(layout, label="bof", caption="Own")


def test_groups_of_columns_are_ruled_and_states_have_a_column():
    columns = (Column("row"), Column("AP", "right", "ours"), Column("n", "right", "ours"))
    rows = (Row((Cell("a"), Cell("1.0"), Cell("3")), state="failed"),)
    text = render_latex(Layout("Own", columns, rows), label="own")
    assert " & \\multicolumn{2}{c}{ours} &  \\\\\n\\cmidrule(lr){2-3}\n" in text
    assert "row & {AP} & {n} & State \\\\" in text
    assert "a & 1.0 & 3 & failed \\\\" in text


def test_wide_tables_go_across_both_columns_of_a_paper():
    def kind(count):
        columns = tuple(Column(f"column {i}", "right") for i in range(count))
        rows = (Row((Cell("1.0"),) * count),)
        text = render_latex(Layout("Own", columns, rows), label="own")
        return re.findall(r"\\begin\{(table\*?)\}", text), "makebox" in text

    assert kind(2) == (["table"], False)
    assert kind(8) == (["table*"], False)
    assert kind(14) == (["table*"], True)  # into the margins


def test_labels_and_files_are_ascii_whatever_comes():
    layout = Layout("\u7269", (Column("\xe9"),), (Row((Cell("\u7269"),)),))
    text = render_latex(layout, label="tab:\u7269 }a_b")
    assert text.isascii()
    assert r"\label{tab:-a-b}" in text
