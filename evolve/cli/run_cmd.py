"""`evolve run`."""

from pathlib import Path
from typing import Any

import click

from evolve.cli import complete, options


@click.command("run")
@click.option(
    "--space",
    "space_name",
    default="ga.yaml",
    show_default=True,
    shell_complete=complete.space,
    help="Space file, or the name of one that comes with evolve.",
)
@options.data
@click.option(
    "--model",
    default=None,
    shell_complete=complete.model,
    help="Model of the zoo [default: the space's].",
)
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    default=None,
    help="Trials in all [default: the space's].",
)
@options.confirm("the space's, 3x3 if it says nothing")
@click.option(
    "--sampler",
    default=None,
    shell_complete=complete.sampler,
    help="genetic, tpe, cmaes, gp, nsga2, qmc or random.",
)
@click.option(
    "--scheduler",
    default=None,
    shell_complete=complete.scheduler,
    help="asha, hyperband, pbt, median, promote or none.",
)
@click.option(
    "--fidelity",
    type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True),
    default=None,
    metavar="PART",
    help="Search with this part of each training, then train the best in full: "
    "--scheduler promote [default: 0.1].",
)
@click.option(
    "--promote",
    type=click.IntRange(min=1),
    default=None,
    metavar="K",
    help="How many are trained in full then [default: 5].",
)
@options.budget
@options.until_no_gain
@options.max_failures
@options.seed
@options.machines
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="Run folder [default: runs/SPACE-DATA].",
)
@click.option(
    "--warm-start",
    "sources",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="RUN|CARD",
    shell_complete=complete.run,
    help="Begin with what an earlier run found, read from its folder or from a card of "
    "'evolve export-study'; may be repeated.",
)
@options.overrides
@options.on_end
@options.mlflow
@click.option("--trainer", default="detector", hidden=True)
@click.pass_obj
def command(
    obj: dict[str, bool],
    space_name: str,
    data: str | None,
    model: str | None,
    trials: int | None,
    confirm: str | None,
    sampler: str | None,
    scheduler: str | None,
    fidelity: float | None,
    promote: int | None,
    budget: str | None,
    until_no_gain: int | None,
    max_failures: int | None,
    seed: int,
    machines: dict[str, Any],
    out: Path | None,
    sources: tuple[Path, ...],
    overrides: tuple[str, ...],
    on_end: tuple[str, ...] | None,
    mlflow: str | None,
    trainer: str,
) -> int:
    """Evolve the hyperparameters of a detector on a data set.

    A run folder that exists is continued if it is the same run.

    \b
    evolve run --space ga.yaml
    evolve run --space ga.yaml --data mydata --model yolov4-nano --trials 30
    evolve run --space ga.yaml --set epochs=20 --set image_size=256
    evolve run --space ga.yaml --data mydata --budget 12h
    evolve run --space ga.yaml --data mydata --warm-start runs/ga-digits
    """  # noqa: D301
    from evolve.cli.running import as_typed, watch
    from evolve.requests import run_request

    typed, machines["storage"] = as_typed(machines["storage"])
    request = run_request(
        space_name,
        data,
        named={"model": model, "trials": trials, "sampler": sampler, "scheduler": scheduler},
        overrides=overrides,
        confirm=confirm,
        given={
            "budget": budget,
            "until_no_gain": until_no_gain,
            "max_failures": max_failures,
            "fidelity": fidelity,
            "promote": promote,
        },
        warm_start=sources,
        out=out,
        seed=seed,
        trainer=trainer,
        command=typed,
        **machines,
    )
    for one in request.warm_start:
        if not obj["quiet"]:
            click.echo(one.told(request.space), err=True)
    return watch(request, quiet=obj["quiet"], on_end=on_end, mlflow=mlflow)
