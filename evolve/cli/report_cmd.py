"""`evolve report`."""

from pathlib import Path
from typing import Any

import click

from evolve.cli import complete
from evolve.cli.main import DONE, INTERRUPTED
from model.errors import nearest

FORMATS = ("html", "md", "tex")


def _formats(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[str, ...]:
    """The formats of a list with commas."""
    asked = tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
    unknown = [part for part in asked if part not in FORMATS]
    if unknown or not asked:
        if not unknown:
            raise click.BadParameter(f"give one or more of {', '.join(FORMATS)}")
        raise click.BadParameter(f"no format '{unknown[0]}'; {nearest(unknown[0], FORMATS)}")
    return asked


@click.command("report")
@click.argument(
    "runs",
    type=click.Path(path_type=Path),
    nargs=-1,
    required=True,
    metavar="RUN...",
    shell_complete=complete.run,
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder of the report [default: RUN/report; of several runs runs/compare-NAMES].",
)
@click.option(
    "--data", default=None, help="Where the data of the run lie now, if they were moved."
)
@click.option(
    "--format",
    "formats",
    default=",".join(FORMATS),
    show_default=True,
    callback=_formats,
    metavar="LIST",
    help="Which of the page, Markdown and LaTeX tables; CSV files and figures are always there.",
)
@click.option(
    "--watch",
    is_flag=True,
    help="Make it anew as trials end, until the run is done; an open page reloads itself.",
)
@click.option(
    "--every",
    type=click.FloatRange(min=0.5),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How often --watch looks.",
)
def command(
    runs: tuple[Path, ...],
    out: Path | None,
    data: str | None,
    formats: tuple[str, ...],
    watch: bool,
    every: float,
) -> int:
    """Make the report of the run in folder RUN, finished or not, from its stored results.

    Of an evolution it tells what the search found, of an ablation the judged table. Several runs
    stand beside each other on one page, where they were measured alike.

    \b
    evolve report runs/ga-digits
    evolve report runs/ga-digits --watch
    evolve report runs/first runs/second --out both
    """  # noqa: D301
    from evolve.cli.paths import shown_path
    from reports.making import make_run_report, make_several_report

    if len(runs) > 1:
        if watch:
            raise click.UsageError("--watch follows one run; name one")
        click.echo(shown_path(make_several_report(runs, out, data, formats)))
        return DONE
    if watch:
        return _watch(runs[0], every, out=out, data=data, formats=formats)
    click.echo(shown_path(make_run_report(runs[0], out, data, formats)))
    return DONE


def _watch(run: Path, every_s: float, **how: Any) -> int:
    """Make the report anew whenever the run has moved on; Ctrl-C ends it."""
    from evolve.cli.paths import shown_path
    from reports.making import living_reports

    told = False
    try:
        for page in living_reports(run, every_s, **how):
            if not told:
                click.echo(shown_path(page))
                told = True
    except KeyboardInterrupt:  # the run is another process
        click.echo("no longer watched; the run itself is left as it was", err=True)
        return INTERRUPTED
    return DONE
