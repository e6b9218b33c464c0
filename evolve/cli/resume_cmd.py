"""`evolve resume`."""

from pathlib import Path
from typing import Literal

import click

from evolve.cli import options


@click.command("resume")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    default=None,
    help="Trials in all, if more are wanted than before.",
)
@options.confirm("as before")
@click.option("--data", default=None, help="Where the same data lie now, if they were moved.")
@click.option(
    "--engine", type=click.Choice(["ray", "inline"]), default=None, help="[default: as before]"
)
@options.workers
@options.gpus_per_trial
@options.address
@options.ship_data
@options.budget
@options.until_no_gain
@options.max_failures
@options.on_end
@options.mlflow
@click.pass_obj
def command(
    obj: dict[str, bool],
    run: Path,
    trials: int | None,
    confirm: str | None,
    data: str | None,
    engine: str | None,
    workers: int | None,
    gpus_per_trial: float | Literal["auto"],
    address: str | None,
    ship_data: bool,
    budget: str | None,
    until_no_gain: int | None,
    max_failures: int | None,
    on_end: tuple[str, ...] | None,
    mlflow: str | None,
) -> int:
    """Continue the run in folder RUN as if it had not stopped.

    Finished trials stay as they are; interrupted ones go on from their last checkpoint.
    """
    from evolve.cli.running import watch
    from evolve.data_source import resolve_data
    from evolve.runs import stored_request

    request = stored_request(
        run,
        trials=trials,
        confirm=confirm,
        data=resolve_data(data) if data else None,
        engine=engine,
        workers=workers,
        gpus_per_trial=gpus_per_trial,
        address=address,
        ship_data=ship_data,
        limits=options.limits(
            budget=budget, until_no_gain=until_no_gain, max_failures=max_failures
        ),
    )
    return watch(request, quiet=obj["quiet"], on_end=on_end, mlflow=mlflow)
