"""Tables as data, without a format: what stands in which cell, and what is bold or noted.

`evolve.ablation.terminal` draws a `Layout` for people; `evolve.ablation.render` makes Markdown
and CSV of it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import Literal

from evolve.ablation.paper import PaperColumn, PaperNote, PaperRow, PaperTable, Value

Align = Literal["left", "center", "right"]

CHECK = "\u2713"
MISSING = "-"

_ALIGN: dict[str, Align] = {"mark": "center", "text": "left", "number": "right"}


@dataclass(frozen=True)
class Cell:
    """What is drawn in a cell.

    Attributes
    ----------
    text : str
        As drawn, not yet escaped.
    bold : bool
        Whether it is one of what `Layout.bold_means` says.
    note : str
        Key of a note, drawn raised behind the text.
    align : Align or None
        If it differs from its column's.
    value : str, int, float or None
        What a CSV holds in place of `text`.
    """

    text: str = ""
    bold: bool = False
    note: str = ""
    align: Align | None = None
    value: Value = None


@dataclass(frozen=True)
class Column:
    """A column; neighbours with the same `group` have it drawn once above their headings.

    The cells of a column that is `whole` are never wrapped, however narrow the terminal.
    """

    heading: str
    align: Align = "left"
    group: str = ""
    note: str = ""
    whole: bool = False


@dataclass(frozen=True)
class Row:
    """Cells in the order of the columns; `heading` stands in a line of its own above them.

    `state` is a word for a row that is not as the others, such as failed; a last column is drawn
    for it where any row has one.
    """

    cells: tuple[Cell, ...]
    heading: str = ""
    state: str = ""


@dataclass(frozen=True)
class Note:
    """A line below the table; `key` is what refers to it, empty if nothing does."""

    key: str
    text: str


@dataclass(frozen=True)
class Layout:
    """A table; `note` is the key of a note on all of it, drawn behind the title."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[Note, ...] = ()
    note: str = ""
    bold_means: str = ""

    @property
    def has_bold(self) -> bool:
        """Whether what bold means has to be told."""
        return bool(self.bold_means) and any(c.bold for row in self.rows for c in row.cells)

    def with_states(self) -> "Layout":
        """With a last column for the states of rows, if any has one."""
        if not any(row.state for row in self.rows):
            return self
        rows = (replace(row, cells=(*row.cells, Cell(row.state)), state="") for row in self.rows)
        return replace(self, columns=(*self.columns, Column("State")), rows=tuple(rows))


def paper_layout(table: PaperTable) -> Layout:
    """Layout of a published table as the paper prints it, with notes on what is not confirmed."""
    notes = dict(zip(ascii_lowercase, table.notes, strict=False))
    best = {c.key: _highest(table, c.key) for c in table.columns if c.best}
    return Layout(
        title=f"Table {table.number}: {table.title}" if table.number else table.title,
        columns=tuple(
            Column(c.heading, _align(c), note=_keys(notes, cell=c.key)) for c in table.columns
        ),
        rows=tuple(
            Row(tuple(_cells(table, row, best, notes)), heading=row.heading) for row in table.rows
        ),
        notes=(
            *(Note(key, note.text) for key, note in notes.items()),
            Note("", table.confirmation),
            Note("", f"Source: {table.source}"),
        ),
        note=_keys(notes),
        bold_means=_bold_means(table.columns),
    )


def _align(column: PaperColumn) -> Align:
    return column.align or _ALIGN[column.kind]


def _highest(table: PaperTable, key: str) -> Value:
    values = (table.cells(row)[key] for row in table.rows)
    return max((v for v in values if isinstance(v, int | float)), default=None)


def _bold_means(columns: Iterable[PaperColumn]) -> str:
    for column in columns:
        if column.bold_from is not None:
            return f"{column.bold_from:g} {column.heading} or more, highlighted in the paper"
        if column.best:
            return "the highest of its column"
    return ""


def _cells(
    table: PaperTable, row: PaperRow, best: dict[str, Value], notes: dict[str, PaperNote]
) -> Iterator[Cell]:
    values = table.cells(row)
    for column in table.columns:
        note = _keys(notes, row.row, column.key)
        if column.kind == "mark":
            ticked = column.key in row.marks
            yield Cell(CHECK if ticked else "", note=note, value=int(ticked))
            continue
        value = values[column.key]
        text = MISSING if value is None else f"{value}{column.suffix}"
        bold = value is not None and value == best.get(column.key)
        if column.bold_from is not None and isinstance(value, int | float):
            bold = value >= column.bold_from
        yield Cell(text, bold, note, value=value)


def _keys(notes: dict[str, PaperNote], row: int | None = None, cell: str | None = None) -> str:
    """Keys of the notes on just this: a cell, a whole column, or, with neither, all of a table."""
    return "".join(
        key
        for key, note in notes.items()
        if bool(note.rows) == (row is not None)
        and bool(note.cells or note.rows) == (cell is not None)
        and note.covers(row or 0, cell or "")
    )
