"""`evolve data stats`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evolve.cli import options

if TYPE_CHECKING:
    from evolve.datasets.stats import DataStats


@click.command("stats")
@click.argument("data")
@click.option(
    "--size",
    type=click.IntRange(32, 4096),
    default=416,
    show_default=True,
    help="Side of the network's input in pixels, to tell how large boxes are there.",
)
@options.data_format
@options.split_seed
@click.option(
    "--out", type=click.Path(path_type=Path), default=None, help="Folder for a page with figures."
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def command(
    data: str, size: int, format_: str | None, split_seed: int, out: Path | None, as_json: bool
) -> None:
    """Tell what DATA is made of: classes, images, and sizes and places of boxes.

    DATA is a data set of any format that 'evolve data import' reads, or 'digits'. What would be
    left out of a training is left out of the numbers.

    \b
    evolve data stats mydata --size 416
    evolve data stats mydata --out mydata-stats
    """  # noqa: D301
    import json

    from evolve.data_source import resolve_data
    from evolve.datasets.clean import clean
    from evolve.datasets.read import read_raw
    from evolve.datasets.stats import data_stats

    source = resolve_data(data)
    cleaned = clean(read_raw(source.path, format_, seed=split_seed))
    stats = data_stats(cleaned, source.name, size)
    if out is not None:
        from reports.data_page import render_data

        page = render_data(stats, cleaned.findings, out)[0]
        click.echo(f"page    {page}", err=as_json)
    click.echo(json.dumps(stats.to_dict()) if as_json else shown(stats))


def shown(stats: "DataStats") -> str:
    """Tables of splits and classes as plain text."""
    from reports.data_page import class_table, split_table

    tables = (split_table(stats), class_table(stats))
    return "\n\n".join("\n".join(_lines(table)) for table in tables)


def _lines(table: Any) -> list[str]:
    rows = [tuple(column.head for column in table.columns), *(row.cells for row in table.rows)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(table.columns))]
    return [
        f"{row[0]:<{widths[0]}}  "
        + "  ".join(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
