"""From a table to the trainings of its rows, all checked before any of them begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evolve.ablation.columns import cells, choose_columns
from evolve.ablation.designs import Design
from evolve.ablation.overrides import read_overrides
from evolve.ablation.resolve import Check, Resolved, Resolver
from evolve.ablation.table import Table
from evolve.errors import TableError
from evolve.yaml_marks import raise_faults
from model.config import TrainConfig
from model.recipes import Values


@dataclass(frozen=True)
class TableRow:
    """One row of a table, ready to be trained.

    Attributes
    ----------
    key, title : str
    on : frozenset of str
        Ingredients of the catalogue that the training has on.
    config : TrainConfig
        Not yet resolved for the data; its seed does not count.
    pretrain : TrainConfig or None
        Classifier that is trained first, with the same seed, and whose backbone it starts from.
    marks : tuple of str
        Columns with a check mark.
    values : mapping of str -> str
        Other columns, and what stands in them.
    paper_row : int or None
        Row of the paper's table that it stands beside.
    baseline : str
        Key of the row that its delta is taken to.
    """

    key: str
    title: str
    on: frozenset[str]
    config: TrainConfig
    pretrain: TrainConfig | None = None
    marks: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    paper_row: int | None = None
    baseline: str = ""


@dataclass(frozen=True)
class TablePlan:
    """What is trained for a table, and how it is shown.

    Attributes
    ----------
    table : Table
    rows : tuple of TableRow
    baseline : str
        Key of the row that deltas are taken to, but for rows with another.
    columns : mapping of ingredient -> str
        Columns of check marks, in order, and what stands above them.
    given : mapping of key -> {key path: value}
        Values that were given to ingredients, by the table or the user.
    """

    table: Table
    rows: tuple[TableRow, ...]
    baseline: str
    columns: Mapping[str, str]
    given: Values

    @property
    def design(self) -> Design | None:
        """Where a plan made the rows."""
        return self.table.design

    @property
    def least_seeds(self) -> int:
        """Seeds that the method needs."""
        return self.design.least_seeds if self.design else 1


def plan_rows(
    table: Table,
    *,
    model: str = "",
    overrides: Sequence[str] = (),
    given: Values | None = None,
    check: Check | None = None,
) -> TablePlan:
    """Rows of a table, each with its training.

    Parameters
    ----------
    table : Table
    model : str
        Takes the place of the table's; rows with a model of their own take over its size.
    overrides : sequence of str
        ``key=value`` items for all rows, ``pretrain.key=value`` for the classifiers of a table
        of pre-trained backbones. They come before the ingredients of a row, which keep their own
        values.
    given : mapping of key -> {key path: value}, optional
        As for `model.recipes.with_ingredients`: what a stored run found, for GA; a teacher, for
        KD. It goes before what the table gives.
    check : callable of TrainConfig, optional
        Called with every configuration; raises where no network can be built. It is not looked
        for here, as only torch can tell.

    Raises
    ------
    TableError
        Once, for all faults of all rows, each with file, line, row and ingredient.
    """
    resolver = Resolver(table, model, read_overrides(overrides), given or {})
    resolved = resolver.rows(check)
    raise_faults(resolver.faults, table.path, TableError)
    columns = choose_columns(table.file, [row.on for row in resolved], table.design)
    rows = tuple(_shown(row, table, columns) for row in resolved)
    return TablePlan(table, rows, table.baseline, columns, resolver.given)


def check_seeds(plan: TablePlan, seeds: int) -> None:
    """Refuse fewer seeds than the method needs.

    Raises
    ------
    TableError
    """
    if seeds < plan.least_seeds:
        kind = plan.design.kind if plan.design else "a table"
        where = plan.table.marked.where(("plan", "design") if plan.design else ())
        raise TableError(
            f"{kind} needs {plan.least_seeds} seeds or more, not {seeds}",
            where,
            f"give --seeds {max(3, plan.least_seeds)}",
        )


def _shown(row: Resolved, table: Table, columns: Mapping[str, str]) -> TableRow:
    spec = row.spec
    return TableRow(
        key=spec.key,
        title=spec.title or spec.key,
        on=row.on,
        config=row.config,
        pretrain=row.pretrain,
        marks=tuple(key for key in columns if key in row.on),
        values=cells(table.file.values, row.on, row.config, row.pretrain),
        paper_row=spec.paper_row,
        baseline=spec.baseline or table.baseline,
    )
