"""`evolve status`."""

import json
import math
from pathlib import Path

import click


@click.command("status")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def command(run: Path, as_json: bool) -> None:
    """Say how far the run in folder RUN is, without touching it."""
    from evolve.cli.progress import duration, percent
    from evolve.store.read import read_run

    record = read_run(run)
    trials = record.trials
    states = {str(state): int(n) for state, n in trials["state"].value_counts().items()}
    complete = trials[trials["state"] == "COMPLETE"].sort_values("value", ascending=False)
    best = complete.iloc[0] if len(complete) else None
    status = {
        "run": record.manifest.get("name", run.name),
        "objective": record.manifest.get("objective"),
        "asked": record.manifest.get("trials"),
        "states": states,
        "best": None if best is None else float(best["value"]),
        "best_trial": None if best is None else int(best["number"]),
        "trial_seconds": round(float(trials["wall_time_s"].sum()), 1),
    }
    if as_json:
        click.echo(json.dumps(status))
        return
    counts = ", ".join(f"{n} {state.lower()}" for state, n in sorted(states.items())) or "none"
    click.echo(f"run      {status['run']}")
    click.echo(f"trials   {counts}, of {status['asked']}")
    shown = percent(math.nan if best is None else float(best["value"]))
    by = "" if best is None else f" (trial {int(best['number'])})"
    click.echo(f"best     {status['objective']} {shown}{by}")
    click.echo(f"trained  {duration(float(trials['wall_time_s'].sum()))}")
