"""Which tables there are: those that can be trained, and those of the paper."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from evolve.ablation.layout import MISSING, Cell, Column, Layout, Row
from evolve.ablation.paper import (
    LOGS,
    NAMES,
    load_paper_table,
    names_paper_table,
    paper_tables,
)
from evolve.ablation.rows import TablePlan, plan_rows
from evolve.ablation.table import bundled_tables, find_table_file, load_table
from evolve.errors import TableError

_GROUPS = {"detect": "Detectors to train", "classify": "Classifiers to train", "": "As published"}
_COLUMNS = {
    "number": Column("Table", "right"),
    "name": Column("Name"),
    "title": Column("Title"),
    "rows": Column("Rows", "right"),
    "models": Column("Model"),
    "beside": Column("Paper's table", "right"),
}
_TRAINED = ("name", "title", "rows", "models", "beside")
_PUBLISHED = ("number", "name", "title", "rows")
_ALL = (*_PUBLISHED, "models")


@dataclass(frozen=True)
class Listed:
    """A line of the list.

    Attributes
    ----------
    name, title : str
    rows : int
    number : int or None
        Table of the paper that it is, or stands beside.
    task : str
        Empty for published figures, which are not trained.
    models : tuple of str
        Of its rows.
    """

    name: str
    title: str
    rows: int
    number: int | None
    task: str = ""
    models: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What is told of a table that can be trained, as JSON types."""
        return {
            "name": self.name,
            "title": self.title,
            "task": self.task,
            "rows": self.rows,
            "models": list(self.models),
            "paper": self.number,
        }

    def cells(self) -> dict[str, Cell]:
        """What may stand in a column."""
        number = Cell(str(self.number or MISSING), value=self.number)
        return {
            "number": number,
            "name": Cell(self.name),
            "title": Cell(self.title),
            "rows": Cell(str(self.rows), value=self.rows),
            "models": Cell(", ".join(self.models)),
            "beside": number,
        }


def trainable_tables() -> list[Listed]:
    """Tables that come with evolve and can be trained: detectors, then classifiers."""
    found = map(_trainable, (plan_rows(load_table(path)) for path in bundled_tables()))
    order = list(_GROUPS)
    return sorted(found, key=lambda one: (order.index(one.task), one.number or 99, one.name))


def _trainable(plan: TablePlan) -> Listed:
    file = plan.table.file
    models = tuple(dict.fromkeys(row.config.model for row in plan.rows))
    return Listed(plan.table.name, file.title, len(plan.rows), file.paper, file.task, models)


def published_tables() -> list[Listed]:
    """Tables of the paper, and its authors' logs."""
    return [Listed(one.name, one.title, len(one.rows), one.number) for one in paper_tables()]


def list_layouts(*, as_one: bool = False) -> list[Layout]:
    """Both lists, or one of all tables, in which groups tell them apart."""
    trainable, published = trainable_tables(), published_tables()
    if as_one:
        return [_layout("Ablation tables", [*trainable, *published], _ALL)]
    of_paper = "Tables of the YOLOv4 paper (arXiv:2004.10934) and its authors' logs, as published"
    return [
        _layout("Tables that can be trained", trainable, _TRAINED),
        _layout(of_paper, published, _PUBLISHED),
    ]


def _layout(title: str, listed: Sequence[Listed], columns: Sequence[str]) -> Layout:
    return Layout(
        title=title,
        columns=tuple(_COLUMNS[key] for key in columns),
        rows=tuple(_rows(listed, columns)),
    )


def _rows(listed: Sequence[Listed], columns: Sequence[str]) -> Iterator[Row]:
    """Rows with the headings of their groups, if there are several."""
    several = len({one.task for one in listed}) > 1
    for task, members in groupby(listed, key=lambda one: one.task):
        heading = _GROUPS[task] if several else ""
        for one in members:
            yield Row(tuple(one.cells()[key] for key in columns), heading=heading)
            heading = ""


def plan_shown(name: str) -> TablePlan:
    """Rows of a table that was named to be shown; as `evolve ablate` would train them.

    Parameters
    ----------
    name : str
        A name or a file, or the number of a table of the paper that can be trained.

    Raises
    ------
    TableError
        If there is no such table, its file has faults, or the paper's has nothing to train.
    """
    if not names_paper_table(name):
        return plan_rows(load_table(find_table_file(name, [*NAMES.values(), *LOGS])))
    own = load_paper_table(name).name
    trained = [path.stem for path in bundled_tables()]
    if own not in trained:
        what = f"'{own}' of the paper is published figures alone, with no rows to train"
        raise TableError(what, name, f"these can be trained: {', '.join(trained)}")
    return plan_rows(load_table(own))
