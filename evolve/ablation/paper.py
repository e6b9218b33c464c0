"""The tables of the YOLOv4 paper as data: what it prints, and what another record confirms.

The files are in `search_spaces/paper/`. Values are as printed, so AP is in percent there and in
the cells here; `PaperTable.fractions` gives it in [0, 1].
"""

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

import evolve
from evolve.errors import TableError, nearest
from evolve.yaml_marks import Fault, MarkedYaml, gather, raise_faults, read_marked

METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "top1", "top5")
NAMES = {
    1: "networks",
    2: "classifier-resnext",
    3: "classifier-darknet",
    4: "bof",
    5: "bos",
    6: "backbone",
    7: "minibatch",
    8: "maxwell",
    9: "pascal",
    10: "volta",
}
"""What `--table` calls each table of the paper, by its number."""

LOGS = ("authors-bof", "authors-bos")
"""The authors' own logs, from which Tables 4 and 5 were made."""

Value = str | int | float | None
CheckedBy = Literal["authors_log", "cfg_files", "paper_layout", "nothing"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PaperColumn(_Part):
    """A column: numbers are drawn as written, with `suffix`, and `None` as a dash.

    `best` marks the highest values bold, `bold_from` all from a threshold on.
    """

    key: str
    heading: str
    kind: Literal["mark", "text", "number"]
    align: Literal["left", "center", "right"] | None = None
    suffix: str = ""
    best: bool = False
    bold_from: float | None = None


class PaperRow(_Part):
    """A row: the mark columns that are ticked, and the cells of the other columns in order.

    `heading` is printed above the row. `checked_by` is the record, other than the copy that was
    transcribed, in which the row was found. `settings` says for programs what the cells say in
    words.
    """

    row: int
    heading: str = ""
    marks: tuple[str, ...] = ()
    cells: tuple[Value, ...]
    checked_by: CheckedBy
    settings: dict[str, str | bool | int | float] = {}


class PaperNote(_Part):
    """A note on cells of some rows, on cells of all rows, or, naming neither, on all cells.

    Cells under a note with `confirmed: false` are in no record but the paper.
    """

    text: str
    rows: tuple[int, ...] = ()
    cells: tuple[str, ...] = ()
    confirmed: bool = True

    def covers(self, row: int, key: str) -> bool:
        """Whether the note is about this cell."""
        return row in (self.rows or (row,)) and key in (self.cells or (key,))


class PaperTable(_Part):
    """A published table; `number` is None for a log of the authors."""

    number: int | None = None
    name: str
    title: str
    source: str
    confirmation: str
    columns: tuple[PaperColumn, ...]
    rows: tuple[PaperRow, ...]
    notes: tuple[PaperNote, ...] = ()

    @property
    def mark_keys(self) -> tuple[str, ...]:
        """Keys of the columns of marks."""
        return tuple(column.key for column in self.columns if column.kind == "mark")

    @property
    def cell_keys(self) -> tuple[str, ...]:
        """Keys of the other columns, in the order of a row's cells."""
        return tuple(column.key for column in self.columns if column.kind != "mark")

    def cells(self, row: PaperRow) -> dict[str, Value]:
        """Cells of a row by the key of their column."""
        return dict(zip(self.cell_keys, row.cells, strict=True))

    def fractions(self, row: PaperRow) -> dict[str, float]:
        """Metrics of a detector or classifier in [0, 1]; NaN where the paper prints a dash."""
        cells = {key: cell for key, cell in self.cells(row).items() if key in METRICS}
        return {
            key: round(cell / 100, 6) if isinstance(cell, int | float) else math.nan
            for key, cell in cells.items()
        }

    def is_confirmed(self, row: PaperRow, key: str) -> bool:
        """Whether a cell is also in a record other than the paper."""
        return all(note.confirmed or not note.covers(row.row, key) for note in self.notes)

    def heading(self, row: PaperRow) -> str:
        """Heading under which a row stands; empty if there is none."""
        above = [each.heading for each in self.rows[: row.row] if each.heading]
        return above[-1] if above else ""


def paper_tables() -> tuple[PaperTable, ...]:
    """All tables of the paper by number, then the authors' logs."""
    return tuple(load_paper_table(name) for name in (*NAMES.values(), *LOGS))


def load_paper_table(number_or_name: int | str) -> PaperTable:
    """Table of the paper by its number or name: ``4``, ``"table4"``, ``"bof"``.

    Raises
    ------
    TableError
        If the paper has none of that name; names the nearest.
    """
    stem = _stem_of(number_or_name)
    if stem is None:
        what = f"the paper has no table '{number_or_name}'"
        word = str(number_or_name).strip().lower()
        raise TableError(what, "", f"{nearest(word, [*NAMES.values(), *LOGS])}, or 1 to 10")
    return _load(stem)


def names_paper_table(number_or_name: int | str) -> bool:
    """Whether `load_paper_table` knows a table by this."""
    return _stem_of(number_or_name) is not None


def _stem_of(number_or_name: int | str) -> str | None:
    word = str(number_or_name).strip().lower()
    if word in LOGS:
        return word
    digits = word.removeprefix("table").strip(" -_")
    by_word = {name: number for number, name in NAMES.items()}
    by_word |= {str(number): number for number in NAMES}
    number = by_word.get(word, by_word.get(digits))
    return None if number is None else f"table{number}"


@cache
def _load(stem: str) -> PaperTable:
    return read_paper_table(_folder() / f"{stem}.yaml")


def _folder() -> Path:
    return Path(evolve.__file__).parent.parent / "search_spaces" / "paper"


def read_paper_table(path: Path) -> PaperTable:
    """Table from its file.

    Raises
    ------
    TableError
        Once, for all faults of the file, each with its line and column.
    """
    marked = read_marked(path, TableError)
    table, faults = gather(marked, PaperTable)
    faults += marked.faults
    if table is not None:
        faults += _misfits(table, marked)
    raise_faults(faults, path, TableError)
    assert table is not None
    return table


def _misfits(table: PaperTable, marked: MarkedYaml) -> Iterator[Fault]:
    """What is wrong between the parts of a table, each of which is right by itself."""
    keys = [column.key for column in table.columns]
    for i, key in enumerate(keys):
        if key in keys[:i]:
            yield marked.fault(f"there are two columns '{key}'", ("columns", i), "rename one")
    for i, row in enumerate(table.rows):
        if row.row != i + 1:
            yield marked.fault(f"row {row.row} is the file's row {i + 1}", ("rows", i, "row"))
        yield from _misfits_of_row(table, i, marked)
    for i, note in enumerate(table.notes):
        for j, number in enumerate(note.rows):
            if not 1 <= number <= len(table.rows):
                mend = f"rows are 1 to {len(table.rows)}"
                yield marked.fault(f"there is no row {number}", ("notes", i, "rows", j), mend)
        for j, key in enumerate(note.cells):
            if key not in keys:
                where = ("notes", i, "cells", j)
                yield marked.fault(f"there is no column '{key}'", where, nearest(key, keys))


def _misfits_of_row(table: PaperTable, i: int, marked: MarkedYaml) -> Iterator[Fault]:
    row = table.rows[i]
    for j, mark in enumerate(row.marks):
        if mark not in table.mark_keys:
            where = ("rows", i, "marks", j)
            yield marked.fault(
                f"no column of marks '{mark}'", where, nearest(mark, table.mark_keys)
            )
    columns = [column for column in table.columns if column.kind != "mark"]
    if len(row.cells) != len(columns):
        cells = f"{len(row.cells)} cell{'' if len(row.cells) == 1 else 's'}"
        what = f"row {row.row} has {cells} for {len(columns)} columns"
        mend = f"write one each for {', '.join(table.cell_keys)}; null for a dash"
        yield marked.fault(what, ("rows", i, "cells"), mend)
        return
    for j, (column, cell) in enumerate(zip(columns, row.cells, strict=True)):
        if column.kind == "number" and isinstance(cell, str):
            what = f"'{cell}' is no number, as '{column.key}' wants"
            yield marked.fault(what, ("rows", i, "cells", j), "write a number, or null for a dash")
