"""`evolve tables`."""

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from evolve.cli import complete
from evolve.cli.screen import unfiltered
from evolve.cli.terminal import terminal_of

if TYPE_CHECKING:
    from evolve.ablation.layout import Layout
    from evolve.ablation.paper import PaperTable

FORMATS = ("text", "md", "csv", "latex", "html")
ONE_TABLE = ("csv", "latex")  # formats of which two in a row are no file
HINTS = """
evolve tables --show bof         shows one as published
evolve tables --show bof --rows  shows what would be trained
evolve ablate --table bof        trains it"""


@click.command("tables")
@click.option(
    "--show",
    "shown",
    metavar="TABLE",
    shell_complete=complete.shown_table,
    help="One of the paper (bof, 4) or a file.",
)
@click.option("--rows", "rows", is_flag=True, help="With --show: what would be trained.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="Text is the default.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def command(shown: str | None, rows: bool, form: str | None, as_json: bool) -> None:
    """List the ablation tables, or show one.

    A table of the paper is shown as published, with notes on figures that no other record
    confirms, and with --rows as it would be trained. So is a table file of your own.

    \b
    evolve tables --show bof
    evolve tables --show my.yaml
    """  # noqa: D301
    if as_json and form:
        raise click.UsageError("give --json or --format, not both")
    if rows and shown is None:
        raise click.UsageError("--rows goes with --show TABLE")
    if shown is None:
        _tell_list(form, as_json=as_json)
        return
    from evolve.ablation.paper import names_paper_table

    if rows or not names_paper_table(shown):
        _tell_rows(shown, form, as_json=as_json)
    else:
        _tell_published(shown, form, as_json=as_json)


def _tell_list(form: str | None, *, as_json: bool) -> None:
    from evolve.ablation.listing import list_layouts, trainable_tables
    from evolve.ablation.paper import paper_tables

    if as_json:
        runnable = [one.to_dict() for one in trainable_tables()]
        _tell_json({"runnable": runnable, "paper": [_summary(t) for t in paper_tables()]})
        return
    layouts = list_layouts(as_one=form in ONE_TABLE)
    drawn = (_drawn(layout, form, f"tables-{i}") for i, layout in enumerate(layouts, 1))
    click.echo("\n\n".join(drawn), file=unfiltered(sys.stdout))
    if form in (None, "text"):
        click.echo(HINTS)


def _tell_published(shown: str, form: str | None, *, as_json: bool) -> None:
    from evolve.ablation.layout import paper_layout
    from evolve.ablation.paper import load_paper_table

    if as_json:
        _tell_json(_in_full(shown))
    else:
        table = load_paper_table(shown)
        click.echo(_drawn(paper_layout(table), form, table.name), file=unfiltered(sys.stdout))


def _tell_rows(shown: str, form: str | None, *, as_json: bool) -> None:
    from evolve.ablation.listing import plan_shown
    from evolve.ablation.paper import names_paper_table
    from evolve.ablation.planned import planned_layout
    from evolve.ablation.record import StoredTable

    plan = plan_shown(shown)
    if as_json:
        models = {row.key: row.config.model for row in plan.rows}
        tree = StoredTable.of_plan(plan).to_dict()
        rows = [row | {"model": models[row["key"]]} for row in tree["rows"]]
        _tell_json({**tree, "task": plan.table.file.task, "rows": rows})
        return
    drawn = _drawn(planned_layout(plan), form, plan.table.name)
    click.echo(drawn, file=unfiltered(sys.stdout))
    if form in (None, "text"):
        name = plan.table.name if names_paper_table(shown) else shlex.quote(shown)
        click.echo(f"\nevolve ablate --table {name}  trains it")


def _tell_json(tree: Any) -> None:
    import json

    click.echo(json.dumps(tree))


def _drawn(layout: "Layout", form: str | None, name: str) -> str:
    from evolve.ablation.html import render_html
    from evolve.ablation.latex import render_latex
    from evolve.ablation.render import render_csv, render_markdown
    from evolve.ablation.terminal import render_text

    if form == "md":
        return render_markdown(layout)
    if form == "csv":
        return render_csv(layout)
    if form == "latex":
        return render_latex(layout, label=f"tab:{name}").rstrip("\n")
    if form == "html":  # a part of a page, whose encoding is not known
        return render_html(layout, id=name).encode("ascii", "xmlcharrefreplace").decode("ascii")
    return render_text(layout, **terminal_of(sys.stdout))


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
