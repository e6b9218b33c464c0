"""`evolve resume`."""

from pathlib import Path
from typing import Any

import click

from evolve.cli import complete, options


@click.command("resume")
@click.argument("run", type=click.Path(path_type=Path), shell_complete=complete.run)
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    default=None,
    help="Trials in all, if more are wanted than before.",
)
@options.confirm("as before")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=None,
    help="Of every row of an ablation, if more are wanted than before.",
)
@click.option("--data", default=None, help="Where the same data lie now, if they were moved.")
@options.machines_as_before
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
    seeds: int | None,
    data: str | None,
    machines: dict[str, Any],
    budget: str | None,
    until_no_gain: int | None,
    max_failures: int | None,
    on_end: tuple[str, ...] | None,
    mlflow: str | None,
) -> int:
    """Continue the run or ablation in folder RUN as if it had not stopped.

    Finished trials stay as they are; interrupted ones go on from their last checkpoint.

    \b
    evolve resume runs/ga-mydata
    evolve resume runs/ga-mydata --trials 60
    evolve resume runs/ablate-bof --seeds 5
    """  # noqa: D301
    from evolve.data_source import resolve_data
    from evolve.store.folder import RunFolder
    from evolve.store.manifest import ABLATION, kind_of
    from evolve.store.read import read_manifest

    where = {"data": resolve_data(data) if data else None, **machines}
    limits = options.limits(budget=budget, until_no_gain=until_no_gain, max_failures=max_failures)
    if kind_of(read_manifest(RunFolder.open(run))) == ABLATION:
        from evolve.ablations import stored_ablation
        from evolve.cli.table_running import watch_table

        _refuse(trials=trials, confirm=confirm, until_no_gain=until_no_gain)
        table = stored_ablation(run, seeds=seeds, **where, **limits)
        return watch_table(table, quiet=obj["quiet"], on_end=on_end, mlflow=mlflow)
    from evolve.cli.running import watch
    from evolve.runs import stored_request

    if seeds is not None:
        raise click.UsageError("--seeds is for ablations; take --confirm here")
    request = stored_request(run, trials=trials, confirm=confirm, limits=limits, **where)
    return watch(request, quiet=obj["quiet"], on_end=on_end, mlflow=mlflow)


def _refuse(**given: Any) -> None:
    """Options of evolutions that say nothing to an ablation."""
    for name, value in given.items():
        if value is not None:
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{option} is for evolutions, and this folder holds a table")
