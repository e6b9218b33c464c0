"""A table that has not been trained, in the layout of the paper: its rows and what they have."""

from collections.abc import Iterator

from evolve.ablation.layout import CHECK, Cell, Column, Layout, Note, Row
from evolve.ablation.record import StoredRow, StoredTable
from evolve.ablation.rows import TablePlan


def planned_layout(plan: TablePlan) -> Layout:
    """Rows of a plan with their marks and values, without any result."""
    table = StoredTable.of_plan(plan)
    return Layout(
        title=table.title,
        columns=tuple(_columns(table)),
        rows=tuple(Row(tuple(_cells(table, row))) for row in table.rows),
        notes=tuple(Note("", text) for text in _notes(plan, table)),
    )


def _columns(table: StoredTable) -> Iterator[Column]:
    yield Column("Row", whole=True)
    if table.needs_titles:
        yield Column("Title")
    for heading in table.columns.values():
        yield Column(heading, "center")
    for heading in table.value_columns:
        yield Column(heading)
    if _has_baselines(table):
        yield Column("baseline")


def _cells(table: StoredTable, row: StoredRow) -> Iterator[Cell]:
    yield Cell(row.key)
    if table.needs_titles:
        yield Cell(row.title)
    for key in table.columns:
        ticked = key in row.marks
        yield Cell(CHECK if ticked else "", value=int(ticked))
    for name in table.value_columns:
        yield Cell(row.values.get(name, ""))
    if _has_baselines(table):
        yield Cell(row.baseline if row.baseline != row.key else "")


def _has_baselines(table: StoredTable) -> bool:
    """Whether rows are compared with others than the table's baseline."""
    return any(row.baseline != table.baseline for row in table.rows)


def _notes(plan: TablePlan, table: StoredTable) -> Iterator[str]:
    models = ", ".join(dict.fromkeys(row.config.model for row in plan.rows))
    compared = "" if _has_baselines(table) else f" with '{table.baseline}'"
    yield f"{len(table.rows)} rows of {models}, compared{compared} in {table.objective}."
    if plan.design:
        ingredients = ", ".join(plan.design.ingredients)
        seeds = f", {plan.least_seeds} seeds or more" if plan.least_seeds > 1 else ""
        yield f"Made by the design {table.design} of {ingredients}{seeds}."
    first = sum(row.pretrain is not None for row in plan.rows)
    if first:
        yield f"{first} rows start from a classifier that is trained first, with the same seed."
    if table.description:
        yield table.description
