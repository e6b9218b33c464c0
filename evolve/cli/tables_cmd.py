"""`evolve tables`."""

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evolve.ablation.layout import Layout
    from evolve.ablation.paper import PaperTable

WIDEST, NARROWEST = 120, 60
FORMATS = ("text", "md", "csv")


@click.command("tables")
@click.option("--show", "shown", metavar="TABLE", help="One of the paper: bof, table4 or 4.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="Text is the default.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def command(shown: str | None, form: str | None, as_json: bool) -> None:
    """List the ablation tables, or show one as the paper prints it.

    Figures that no record but the paper confirms have a note that says so.
    """
    if as_json and form:
        raise click.UsageError("give --json or --format, not both")
    from evolve.ablation.paper import load_paper_table, paper_tables

    if as_json:
        import json

        told = [_summary(t) for t in paper_tables()] if shown is None else _in_full(shown)
        click.echo(json.dumps(told))
        return
    from evolve.ablation.layout import paper_layout

    if shown is not None:
        click.echo(_drawn(paper_layout(load_paper_table(shown)), form))
        return
    # tables that can be trained go before those of the paper
    layouts = [_list_of_paper(paper_tables())]
    click.echo("\n\n".join(_drawn(layout, form) for layout in layouts))
    if form in (None, "text"):
        click.echo("\nevolve tables --show bof  shows one")


def _drawn(layout: "Layout", form: str | None) -> str:
    from evolve.ablation.render import render_csv, render_markdown
    from evolve.ablation.terminal import render_text

    if form == "md":
        return render_markdown(layout)
    if form == "csv":
        return render_csv(layout)
    width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))
    ansi = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return render_text(layout, width, ansi=ansi, encoding=sys.stdout.encoding or "ascii")


def _list_of_paper(tables: "Iterable[PaperTable]") -> "Layout":
    from evolve.ablation.layout import MISSING, Cell, Column, Layout, Row

    return Layout(
        title="Tables of the YOLOv4 paper (arXiv:2004.10934) and its authors' logs, as published",
        columns=(
            Column("Table", "right"),
            Column("Name"),
            Column("Title"),
            Column("Rows", "right"),
        ),
        rows=tuple(
            Row((
                Cell(str(table.number or MISSING), value=table.number),
                Cell(table.name),
                Cell(table.title),
                Cell(str(len(table.rows)), value=len(table.rows)),
            ))
            for table in tables
        ),
    )  # fmt: skip


def _summary(table: "PaperTable") -> dict[str, Any]:
    header = table.model_dump(include={"number", "name", "title", "source", "confirmation"})
    return header | {"rows": len(table.rows)}


def _in_full(name: str) -> dict[str, Any]:
    """A table with its cells by the key of their column."""
    from evolve.ablation.paper import load_paper_table

    table = load_paper_table(name)
    keys = [column.key for column in table.columns]
    rows = [
        {
            "row": row.row,
            "heading": table.heading(row),
            "marks": row.marks,
            **{"cells": table.cells(row), "settings": row.settings, "checked_by": row.checked_by},
            "unconfirmed": [key for key in keys if not table.is_confirmed(row, key)],
        }
        for row in table.rows
    ]
    return table.model_dump(mode="json") | {"rows": rows}
