"""`evolve status`."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from evolve.store.comparison import ComparisonRecord


@click.command("status")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def command(run: Path, as_json: bool) -> None:
    """Say how far the run in folder RUN is, without touching it."""
    from evolve.cli.progress import percent, printable
    from evolve.store.comparison import read_comparison
    from evolve.store.read import read_run
    from evolve.units import duration

    record = read_run(run)
    trials = record.trials
    states = {str(state): int(n) for state, n in trials["state"].value_counts().items()}
    final = _final(read_comparison(run))
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
        "phase": _phase(states, record.manifest.get("trials"), final),
        "final": final,
        "warm_start": _warm_start(record.manifest),
    }
    if as_json:
        click.echo(json.dumps(status))
        return
    counts = ", ".join(f"{n} {state.lower()}" for state, n in sorted(states.items())) or "none"
    click.echo(f"run      {status['run']}, {status['phase']}")
    click.echo(f"trials   {counts}, of {status['asked']}")
    for prior in status["warm_start"]:
        click.echo(f"warm     start from {printable(prior['name'])} ({prior['trials']} trials)")
    shown = percent(math.nan if best is None else float(best["value"]))
    by = "" if best is None else f" (trial {int(best['number'])})"
    click.echo(f"best     {status['objective']} {shown}{by}")
    if final:
        done = f"{final['ended']} of {final['trainings']} trainings"
        click.echo(f"final    {done}, judged on {final['judged_on']}")
    click.echo(f"trained  {duration(float(trials['wall_time_s'].sum()))}")


def _warm_start(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Earlier studies that a run began with: names, and how many trials of them."""
    return [
        {"name": prior["name"], "trials": len(prior["trials"])}
        for prior in manifest.get("warm_start", ())
    ]


def _phase(states: dict[str, int], asked: int | None, final: dict[str, Any] | None) -> str:
    """What a run is at, or was when it was interrupted."""
    if sum(states.values()) - states.get("RUNNING", 0) < (asked or 0):
        return "search"
    if final is not None and final["ended"] < final["trainings"]:
        return "final comparison"
    return "done"


def _final(record: "ComparisonRecord | None") -> dict[str, Any] | None:
    """How far the final comparison is; None before it begins. Rows may share a training."""
    if record is None:
        return None
    trainings = record.trainings.drop_duplicates("training")
    states = {str(state): int(n) for state, n in trainings["state"].value_counts().items()}
    return {
        "judged_on": record.judged_on,
        "trainings": len(trainings),
        "ended": states.get("COMPLETE", 0) + states.get("FAIL", 0),
        "states": states,
    }
