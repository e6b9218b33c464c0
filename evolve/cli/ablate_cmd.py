"""`evolve ablate`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from evolve.cli import complete, options

if TYPE_CHECKING:
    from evolve.ablation.rows import TablePlan
    from evolve.ablations import AblationRequest, Ahead

MOST_POINTS = 50.0


class _Seeds(click.ParamType[int | str]):
    """A number of seeds, or the word auto."""

    name = "N|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Seeds of every row."""
        if value == "auto":
            return "auto"
        try:
            count = int(value)
        except ValueError:
            self.fail(f"'{value}' is no number; give one, or auto", param, ctx)
        if count < 1:
            self.fail(f"{count} seeds train nothing; give 1 or more, or auto", param, ctx)
        return count


@click.command("ablate")
@click.option(
    "--table",
    "table_name",
    required=True,
    shell_complete=complete.table,
    help="Table file, or the name of one that comes with evolve: see 'evolve tables'.",
)
@options.data
@click.option(
    "--model",
    default=None,
    shell_complete=complete.model,
    help="Model of the zoo [default: the table's].",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=None,
    help="Passes over the training images [default: the table's, else 20].",
)
@click.option(
    "--seeds",
    type=_Seeds(),
    default="3",
    show_default=True,
    help="Trainings of every row, all rows with the same seeds; auto adds some row by row until "
    "the verdicts stand.",
)
@click.option(
    "--region",
    type=click.FloatRange(0.0, MOST_POINTS, min_open=True),
    default=None,
    metavar="POINTS",
    help="Differences that are as good as none, in points of the metric [default: 0.2].",
)
@options.ga
@options.teacher
@click.option("--plan-only", is_flag=True, help="Say what would be trained, and stop.")
@click.option(
    "--reuse",
    "donors",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="RUN",
    shell_complete=complete.run,
    help="Take over the same trainings from another run, or say why it cannot be; may be "
    "repeated. Runs beside this one are looked through anyway.",
)
@click.option("--no-share", is_flag=True, help="Train all anew, whatever runs beside this have.")
@options.budget
@options.max_failures
@options.seed
@options.machines
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="Run folder [default: runs/TABLE-DATA].",
)
@options.overrides
@options.on_end
@options.mlflow
@click.option("--json", "as_json", is_flag=True, help="Machine-readable plan or table.")
@click.option("--trainer", default="detector", hidden=True)
@click.pass_obj
def command(
    obj: dict[str, bool],
    table_name: str,
    data: str | None,
    model: str | None,
    epochs: int | None,
    seeds: int | Literal["auto"],
    region: float | None,
    ga: Path | None,
    teacher: Path | None,
    plan_only: bool,
    donors: tuple[Path, ...],
    no_share: bool,
    budget: str | None,
    max_failures: int | None,
    seed: int,
    machines: dict[str, Any],
    out: Path | None,
    overrides: tuple[str, ...],
    on_end: tuple[str, ...] | None,
    mlflow: str | None,
    as_json: bool,
    trainer: str,
) -> int:
    """Train the rows of an ablation table, each with the same seeds, and judge them.

    Every difference to the baseline has an interval over seeds and images, and a verdict that
    allows for the number of rows. A folder that exists is continued if it is the same table.

    \b
    evolve ablate --table bof --data mydata --epochs 40
    evolve ablate --table bof --data mydata --plan-only
    evolve ablate --table mine.yaml --data mydata --seeds auto --budget 12h
    evolve ablate --table bof --data mydata --ga runs/ga-mydata
    """  # noqa: D301
    from evolve.cli.running import as_typed
    from evolve.cli.table_running import watch_table
    from evolve.requests import ablation_request, items_of

    if no_share and donors:
        raise click.UsageError("--no-share takes nothing from other runs; leave --reuse out")
    typed, machines["storage"] = as_typed(machines["storage"])
    request, plan = ablation_request(
        table_name,
        data,
        model=model,
        overrides=[*items_of(epochs=epochs), *overrides],
        seeds=seeds,
        region=None if region is None else region / 100,
        budget=budget,
        ga=ga,
        teacher=teacher,
        out=out,
        max_failures=max_failures,
        donors=donors,
        shares=not no_share,
        seed=seed,
        trainer=trainer,
        command=typed,
        **machines,
    )
    if plan_only:
        _tell_plan(request, plan, as_json=as_json)
        return 0
    return watch_table(request, quiet=obj["quiet"], on_end=on_end, mlflow=mlflow, as_json=as_json)


def _tell_plan(request: "AblationRequest", plan: "TablePlan", *, as_json: bool) -> None:
    """Print what would be trained."""
    from evolve.ablations import look_ahead
    from evolve.session import reached_cluster

    with reached_cluster(request) as cluster:
        ahead = look_ahead(request, cluster)
    if as_json:
        click.echo(json.dumps(_plan(ahead)))
        return
    from evolve.ablation.planned import planned_layout
    from evolve.ablation.terminal import render_text
    from evolve.cli.progress import describe
    from evolve.cli.screen import unfiltered
    from evolve.cli.terminal import terminal_of

    manifest = ahead.manifest | {"outlook": ahead.told()}
    manifest["workers"] = ahead.outlook.placement.workers
    for line in describe(manifest):
        click.echo(line)
    text = render_text(planned_layout(plan), **terminal_of(sys.stdout))
    click.echo(f"\n{text}", file=unfiltered(sys.stdout))


def _plan(ahead: "Ahead") -> dict[str, Any]:
    manifest = ahead.manifest
    keys = ("name", "table", "seeds", "looks", "alpha", "region", "objective", "judged_on")
    return {key: manifest[key] for key in keys} | {"data": manifest["data"]} | ahead.told()
