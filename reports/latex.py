"""Tables of evolution reports as LaTeX, drawn as those of ablations are."""

from evolve.ablation.latex import TEXT_WIDTH_PT, render_latex
from evolve.ablation.layout import Align, Cell, Layout
from evolve.ablation.layout import Column as LayoutColumn
from evolve.ablation.layout import Row as LayoutRow
from reports.tables import Column, Row, Table

BOLD_MEANS = {
    "best": "the best",
    "changed": "values that differ from the default",
}


def to_latex(table: Table, *, caption: str, label: str, width: float = TEXT_WIDTH_PT) -> str:
    """A file of LaTeX, as `evolve.ablation.latex.render_latex` writes it."""
    return render_latex(as_layout(table, caption), label=label, width=width)


def as_layout(table: Table, title: str) -> Layout:
    """The table without the style of the page.

    A row marked `best` is bold, and of one marked `changed` the value that did; the number of a
    trial is followed by its other marks, as in Markdown.
    """
    marks = dict.fromkeys(mark for row in table.rows for mark in row.mark.split())
    return Layout(
        title=title,
        columns=tuple(LayoutColumn(column.head, _align(column)) for column in table.columns),
        rows=tuple(LayoutRow(tuple(_cells(table, row))) for row in table.rows),
        bold_means="; ".join(BOLD_MEANS[mark] for mark in marks if mark in BOLD_MEANS),
    )


def _align(column: Column) -> Align:
    return "right" if "number" in column.kind else "left"


def _cells(table: Table, row: Row) -> list[Cell]:
    marks = row.mark.split()
    cells = []
    for column, text in zip(table.columns, row.cells, strict=True):
        bold = "best" in marks or ("changed" in marks and column.key == "best")
        shown = f"{text} {row.mark}".strip() if column.key == "number" else text
        cells.append(Cell(shown, bold=bold))
    return cells
