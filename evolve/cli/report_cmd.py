"""`evolve report`."""

from pathlib import Path

import click


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder of the report [default: RUN/report].",
)
@click.option(
    "--data", default=None, help="Where the data of the run lie now, if they were moved."
)
def command(run: Path, out: Path | None, data: str | None) -> None:
    """Make the report of the run in folder RUN, finished or not, from its stored results.

    Of an evolution it tells what the search found, of an ablation the judged table.
    """
    from evolve.cli.paths import shown_path
    from evolve.findings import find
    from evolve.store.folder import RunFolder
    from evolve.store.manifest import ABLATION, kind_of
    from evolve.store.read import read_manifest, read_run
    from reports.standing import make_report

    if kind_of(read_manifest(RunFolder.open(run))) == ABLATION:
        click.echo(shown_path(_report_table(run, out, data)))
        return
    record = read_run(run)
    found = find(run, data, record)
    if out is None:
        page = make_report(record, found)
    else:
        from reports.render import render_report

        page = render_report(record, out, found)[0]
    click.echo(shown_path(page))


def _report_table(run: Path, out: Path | None, data: str | None) -> Path:
    """Page of an ablation's report."""
    from evolve.findings.table import find_table
    from reports.standing import make_table_report

    found = find_table(run, data)
    if out is None:
        return make_table_report(found)
    from reports.table_report import render_table_report

    return render_table_report(found, out)[0]
