"""`evolve explain`."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from evolve.cli import complete, options

if TYPE_CHECKING:
    from evolve.findings import Findings
    from evolve.runs import RunRequest


@click.command("explain")
@click.argument("run", type=click.Path(path_type=Path), shell_complete=complete.run)
@click.option(
    "--retrain",
    is_flag=True,
    help="Train the configuration after every step of the path, and measure the gains.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Trainings of every configuration.",
)
@click.option("--data", default=None, help="Where the same data lie now, if they were moved.")
@options.engine_as_before
@options.workers
@options.gpus_per_trial
@options.address
@options.ship_data
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@click.pass_obj
def command(
    obj: dict[str, bool],
    run: Path,
    retrain: bool,
    seeds: int,
    data: str | None,
    engine: str | None,
    workers: int | None,
    gpus_per_trial: float | Literal["auto"],
    address: str | None,
    ship_data: bool,
    as_json: bool,
) -> None:
    """Say which parameters mattered in the run in folder RUN.

    The importance of each parameter, and the path from the defaults to the winner, one change
    after the other. Gains along it are estimates from the search, unless the path is trained; an
    interrupted training of it is continued by the same command.

    \b
    evolve explain runs/ga-mydata
    evolve explain runs/ga-mydata --retrain --seeds 5
    """  # noqa: D301
    from evolve.findings import find

    if retrain:
        from evolve.data_source import resolve_data
        from evolve.runs import stored_request

        request = stored_request(
            run,
            data=resolve_data(data) if data else None,
            engine=engine,
            workers=workers,
            gpus_per_trial=gpus_per_trial,
            address=address,
            ship_data=ship_data,
        )
        _retrain(request, seeds, quiet=obj["quiet"])
    found = find(run, data)
    if as_json:
        click.echo(json.dumps(found.to_dict()))
        return
    for line in told(found):
        click.echo(line)
    if retrain:
        _report(run, found)


def _retrain(request: "RunRequest", seeds: int, *, quiet: bool) -> None:
    from evolve.cli.paths import shown_path
    from evolve.cli.progress import RunView, build_watcher
    from evolve.cli.running import interruptible
    from evolve.retrain import retrain_path

    view = RunView(request.space.trials, request.workers or 1, request.space.objective)
    again = f"evolve explain {shlex.quote(shown_path(request.out))} --retrain"
    with interruptible(request.out, again), build_watcher(view, quiet=quiet) as watcher:
        retrain_path(request, seeds, watcher)


def _report(run: Path, found: "Findings") -> None:
    from evolve.cli.paths import shown_path
    from evolve.store.read import read_run
    from reports.standing import make_report

    click.echo(f"report  {shown_path(make_report(read_run(run), found))}")


def told(found: "Findings") -> list[str]:
    """Importance, path, words and what early stopping was worth, for a terminal."""
    from evolve.analysis.phrases import plural
    from evolve.cli.progress import printable

    lines = [*_importance(found), "", *_path(found)]
    lines += ["", found.words] if found.words else []
    if found.moved:
        left = plural(found.moved, "complete trial")
        lines += ["", f"left out: {left} whose parameters changed during the training"]
    if found.audit is not None:
        lines += ["", found.audit.sentence]
    return [printable(line) for line in lines]


def _importance(found: "Findings") -> list[str]:
    from evolve.analysis.phrases import drawn_of

    given, frame = found.importances, found.importances.frame
    if frame.empty:
        return [f"importance  none: {given.reason}"]
    methods = list(dict.fromkeys(frame["method"]))
    rows = [["parameter", *(text for method in methods for text in (method, "95 %", "chance"))]]
    by_place = frame.set_index(["parameter", "method"])
    for name in dict.fromkeys(frame.sort_values("rank", kind="stable")["parameter"]):
        rows.append([name])
        for method in methods:
            if (name, method) not in by_place.index:
                rows[-1] += ["-", "-", "-"]
                continue
            one = by_place.loc[(name, method)]
            shares = [f"{100 * one[key]:.0f}" for key in ("importance", "low", "high", "chance")]
            rows[-1] += [shares[0], f"{shares[1]} to {shares[2]}", shares[3]]
    head = f"importance in percent, from {drawn_of(given.trials, given.of)}"
    return [head, *_columns(rows)]


def _path(found: "Findings") -> list[str]:
    path = found.path
    if path is None:
        return [f"path  none: {found.no_path}"]
    if not path.steps:
        return ["path  none: the defaults are the winner"]
    rows = [["", "step", "estimated", "95 %", *(["measured", "95 %"] if path.trained else [])]]
    for number, step in enumerate(path.steps, start=1):
        reach = 1.96 * step.gain_sd
        rows.append([str(number), step.title, _points(step.gain),
                     _span(step.gain - reach, step.gain + reach)])  # fmt: skip
        if path.trained:
            delta = path.trained[number - 1]
            rows[-1] += [_points(delta.mean), _span(delta.low, delta.high)]
    head = f"path from the defaults to trial {path.trial}, gains in {found.objective} points"
    head += f" (measured on {path.split})" if path.trained else ""
    return [head, *_columns(rows), *([path.training] if path.training else [])]


def _points(fraction: float) -> str:
    from evolve.analysis.phrases import points

    return "-" if fraction != fraction else points(fraction)


def _span(low: float, high: float) -> str:
    return "-" if low != low else f"{_points(low)} to {_points(high)}"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines with aligned columns."""
    from evolve.cli.progress import printable

    clean = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in clean) for i in range(len(clean[0]))]
    return [
        "  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in clean
    ]
