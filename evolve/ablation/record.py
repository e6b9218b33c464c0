"""What must be stored of a table so that its results can be shown without its file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from evolve.ablation.rows import TablePlan, TableRow
from evolve.errors import StoreError


@dataclass(frozen=True)
class StoredRow:
    """A row as it is shown.

    Attributes
    ----------
    key, title : str
    on : tuple of str
        Ingredients that the training has on, sorted.
    marks : tuple of str
        Columns with a check mark.
    values : dict of column -> str
    baseline : str
        Key of the row that its delta is taken to.
    paper_row : int or None
    """

    key: str
    title: str
    on: tuple[str, ...]
    marks: tuple[str, ...]
    values: dict[str, str]
    baseline: str
    paper_row: int | None = None


@dataclass(frozen=True)
class StoredTable:
    """A table as it is shown.

    Attributes
    ----------
    name, title, description : str
    objective : str
    metrics : tuple of str
    columns : dict of ingredient -> str
        Columns of check marks, and what stands above them.
    value_columns : tuple of str
    baseline : str
    rows : tuple of StoredRow
    design : str
        Kind of the plan that made the rows; empty for rows by hand.
    paper : int or None
        Table of the paper whose rows these stand beside.
    """

    name: str
    title: str
    description: str
    objective: str
    metrics: tuple[str, ...]
    columns: dict[str, str]
    value_columns: tuple[str, ...]
    baseline: str
    rows: tuple[StoredRow, ...]
    design: str = ""
    paper: int | None = None

    @classmethod
    def of_plan(cls, plan: TablePlan) -> "StoredTable":
        """What is stored of a plan."""
        table = plan.table
        return cls(
            name=table.name,
            title=table.file.title,
            description=table.file.description,
            objective=table.objective,
            metrics=tuple(table.metrics),
            columns=dict(plan.columns),
            value_columns=tuple(table.file.values),
            baseline=plan.baseline,
            rows=tuple(map(_stored, plan.rows)),
            design=plan.design.kind if plan.design else "",
            paper=table.file.paper,
        )

    @property
    def needs_titles(self) -> bool:
        """Whether marks and values alone do not tell the rows apart."""
        shown = {(row.marks, tuple(row.values.values())) for row in self.rows}
        return not self.columns or len(shown) < len(self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any], where: str = "") -> "StoredTable":
        """The table of `to_dict`.

        Raises
        ------
        StoreError
            If it is none.
        """
        try:
            rows = tuple(_row(row) for row in tree["rows"])
            lists = {name: tuple(tree[name]) for name in ("metrics", "value_columns")}
            return cls(**{**tree, **lists, "rows": rows})
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"the stored table cannot be understood: {error}",
                where,
                "restore manifest.json from a copy, or run the table anew with --out",
            ) from error

    def row(self, key: str) -> StoredRow:
        """The row of a key; a KeyError if there is none."""
        for row in self.rows:
            if row.key == key:
                return row
        raise KeyError(key)

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Keys of the rows that are judged against each baseline, in the order of the table.

        A baseline stands with its rows.
        """
        found: dict[str, list[str]] = {}
        for row in self.rows:
            if row.key != row.baseline:
                found.setdefault(row.baseline, [row.baseline]).append(row.key)
        return {key: tuple(rows) for key, rows in found.items()}


def _stored(row: TableRow) -> StoredRow:
    return StoredRow(
        key=row.key,
        title=row.title,
        on=tuple(sorted(row.on)),
        marks=row.marks,
        values=dict(row.values),
        baseline=row.baseline,
        paper_row=row.paper_row,
    )


def _row(tree: Mapping[str, Any]) -> StoredRow:
    lists = {name: tuple(tree[name]) for name in ("on", "marks")}
    return StoredRow(**{**tree, **lists})
