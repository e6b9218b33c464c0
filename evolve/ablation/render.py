"""Layouts as Markdown and as CSV; `evolve.ablation.terminal` draws them for people.

Text in a layout may come from files that somebody else wrote: it is freed of what moves a cursor
or turns the direction of writing, and then escaped as its format wants.
"""

import csv
import io
from collections.abc import Iterable, Iterator

from evolve.ablation.layout import MISSING, Align, Cell, Layout, Row
from evolve.ablation.paper import Value
from evolve.outside_text import escape_formula, escape_markdown, is_harmless

_RULES: dict[Align, str] = {"left": ":---", "center": ":---:", "right": "---:"}


def clean(text: str) -> str:
    """`text` as one line without control, surrogate and direction characters."""
    harmless = "".join(" " if c.isspace() else c for c in text if c.isspace() or is_harmless(c))
    return " ".join(harmless.split())


def render_markdown(layout: Layout) -> str:
    """A GitHub table below its title, with the notes below it."""
    layout = layout.with_states()
    heads = [
        escaped(f"{column.group} {column.heading}".strip()) + _sup(column.note)
        for column in layout.columns
    ]
    lines = [heads, [_RULES[column.align] for column in layout.columns]]
    for row in layout.rows:
        if row.heading:
            lines.append([f"*{escaped(row.heading)}*", *[""] * (len(heads) - 1)])
        lines.append([_markdown_cell(cell) for cell in row.cells])
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    notes = [f"Bold: {escaped(layout.bold_means)}"] if layout.has_bold else []
    notes += [f"{_sup(note.key)} {escaped(note.text)}".strip() for note in layout.notes]
    title = f"**{escaped(layout.title)}**{_sup(layout.note)}"
    return "\n\n".join([title, table, *notes])


def _markdown_cell(cell: Cell) -> str:
    text = escaped(cell.text)
    return (f"**{text}**" if cell.bold and text else text) + _sup(cell.note)


def _sup(note: str) -> str:
    return f"<sup>{escaped(note)}</sup>" if note else ""


def escaped(text: str) -> str:
    """Text from outside as one line that Markdown shows as it is."""
    return escape_markdown(clean(text))


def render_csv(layout: Layout) -> str:
    """Values with a heading line: 1 and 0 for marks, empty for a dash, notes in a last column."""
    layout = layout.with_states()
    has_headings = any(row.heading for row in layout.rows)
    has_notes = bool(_noted(layout))
    head = [f"{column.group} {column.heading}".strip() for column in layout.columns]
    lines: list[list[Value]] = [[*["Group"] * has_headings, *head, *["Notes"] * has_notes]]
    group = ""
    for row in layout.rows:
        group = row.heading or group
        values = [_value(cell) for cell in row.cells]
        notes = [_row_notes(layout, row)] if has_notes else []
        lines.append([*[group] * has_headings, *values, *notes])
    return csv_text(lines).rstrip("\n")


def csv_text(lines: Iterable[Iterable[Value]]) -> str:
    """Lines of a CSV file in which no cell is a formula."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(map(_csv_cell, line) for line in lines)
    return file.getvalue()


def _value(cell: Cell) -> Value:
    if cell.value is not None:
        return cell.value
    return "" if cell.text == MISSING else cell.text


def _noted(layout: Layout) -> str:
    """Keys of all notes that anything refers to."""
    cells = (cell.note for row in layout.rows for cell in row.cells)
    return "".join((layout.note, *(column.note for column in layout.columns), *cells))


def _row_notes(layout: Layout, row: Row) -> str:
    """Notes on a row in words, each with the columns that it is about."""
    return "; ".join(_told(layout, row))


def _told(layout: Layout, row: Row) -> Iterator[str]:
    for note in layout.notes:
        if note.key and note.key in layout.note:
            yield note.text
            continue
        about = [
            column.heading
            for column, cell in zip(layout.columns, row.cells, strict=True)
            if note.key and note.key in column.note + cell.note
        ]
        if about:
            yield f"{', '.join(about)}: {note.text}"


def _csv_cell(value: Value) -> Value:
    """A cell that no spreadsheet takes for a formula."""
    return escape_formula(clean(value)) if isinstance(value, str) else value
