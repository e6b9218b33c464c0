"""`evolve status`."""

import json
import math
import shlex
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evolve.cli import complete
from evolve.cli.main import DONE, INTERRUPTED
from evolve.cli.screen import console, draws_live

if TYPE_CHECKING:
    from evolve.store.status import FinalStatus, RunningTrial, Status

MOST_RUNNING = 16
MOST_ON_FRONT = 8
WIDEST_REASON = 70


@click.command("status")
@click.argument("run", type=click.Path(path_type=Path), shell_complete=complete.run)
@click.option("--watch", is_flag=True, help="Go on until the run is done; Ctrl-C ends it.")
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How often --watch looks.",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable; a line an object.")
def command(run: Path, watch: bool, every: float, as_json: bool) -> int:
    """Say how far the run in folder RUN is, without touching it.

    With --watch on a terminal it is drawn anew until the run is done; elsewhere it is printed
    again whenever something has changed.

    \b
    evolve status runs/ga-mydata
    evolve status runs/ga-mydata --watch
    """  # noqa: D301
    from evolve.store.status import StatusReader

    reader = StatusReader(run)
    if not watch:
        click.echo(_text(reader.read(), run, as_json))
        return DONE
    statuses = _until_done(reader.read, every)
    try:
        if draws_live(sys.stdout) and not as_json:
            _draw(statuses, run)
        else:
            _print_changes(statuses, run, as_json)
    except KeyboardInterrupt:  # the run is another process
        click.echo("no longer watched; the run itself is left as it was", err=True)
        return INTERRUPTED
    return DONE


def _until_done(read: Any, every_s: float) -> "Iterator[Status]":
    """The status of a run again and again, until it is done."""
    while True:
        status: Status = read()
        yield status
        if status.state == "done":
            return
        time.sleep(every_s)


def _print_changes(statuses: "Iterator[Status]", run: Path, as_json: bool) -> None:
    before = None
    for status in statuses:
        if status.without_clock() != before:
            if before is not None and not as_json:
                click.echo("")
            before = status.without_clock()
            click.echo(_text(status, run, as_json))
            sys.stdout.flush()


def _draw(statuses: "Iterator[Status]", run: Path) -> None:
    from rich.live import Live

    with Live(auto_refresh=False, console=console(sys.stdout)) as live:
        for status in statuses:
            live.update(render(status, run), refresh=True)


def render(status: "Status", run: Path) -> Any:
    """The status for a terminal: its lines, and what runs as bars."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    from evolve.cli.progress import percent, printable

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for one, note in _shown(status):
        table.add_row(
            Text(printable(one.name)),
            ProgressBar(total=max(one.epochs, 1), completed=one.epoch, width=20),
            Text(f"{one.epoch} of {one.epochs}"),
            Text(f"{status.objective} {percent(one.value)}"),
            Text(note, "dim"),
        )
    head, *rest = _head_lines(status, run)
    lines = [Text(head, "bold"), *(Text(line, overflow="ellipsis", no_wrap=True) for line in rest)]
    more = [Text(line, "dim") for line in _hidden(status)]
    return Group(*lines, *([table] if table.row_count else []), *more)


def _text(status: "Status", run: Path, as_json: bool) -> str:
    if as_json:
        return json.dumps(status.to_dict(), allow_nan=False)
    running = [_running_line(one, note, status.objective) for one, note in _shown(status)]
    return "\n".join((*_head_lines(status, run), *running, *_hidden(status)))


def _shown(status: "Status") -> list[tuple["RunningTrial", str]]:
    """What runs, then what waits, of many the first."""
    running = [(one, "") for one in status.running]
    return [*running, *((one, "paused") for one in status.paused)][:MOST_RUNNING]


def _hidden(status: "Status") -> list[str]:
    hidden = len(status.running) + len(status.paused) - MOST_RUNNING
    return [f"         and {hidden} more"] if hidden > 0 else []


def _running_line(one: "RunningTrial", note: str, objective: str | None) -> str:
    from evolve.cli.progress import percent, printable

    value = f", {objective} {percent(one.value)}" if one.epoch else ""
    note = f", {note}" if note else ""
    return f"         {printable(one.name)}: epoch {one.epoch} of {one.epochs}{value}{note}"


def _head_lines(status: "Status", run: Path) -> list[str]:
    """All but what runs, a line a fact."""
    from evolve.cli.progress import percent, printable
    from evolve.units import duration

    counts = _counts(status)
    best = percent(math.nan if status.best is None else status.best)
    by = "" if status.best_trial is None else f" (trial {status.best_trial})"
    warm = (
        f"warm     start from {prior['name']} ({prior['trials']} trials)"
        for prior in status.warm_start
    )
    search = [
        f"trials   {counts}, of {status.asked}",
        *_closed_line(status),
        *warm,
        f"best     {status.objective} {best}{by}",
        *_front_lines(status),
    ]
    is_table = status.kind == "ablation"
    lines = [
        f"{'table' if is_table else 'run':<9}{status.run}, {status.phase}{_driver(status, run)}",
        *([] if is_table else search),
        *_final_line(status.pretrain, "before"),
        *(_final_line(status.final, "rows") if is_table else []),
        *_failure_lines(status),
        *_retry_lines(status),
        *([] if is_table else _final_line(status.final, "final")),
        f"trained  {duration(status.trial_seconds)}",
        *_pace_line(status),
    ]
    return [printable(line) for line in lines]


def _front_lines(status: "Status") -> list[str]:
    """Trials that no other dominates, where there are two objectives."""
    from evolve.cli.progress import percent
    from evolve.objectives import cost_text

    if not status.cost:
        return []
    shown = [
        f"trial {one.trial} {percent(one.value)} at {cost_text(status.cost, one.cost)}"
        for one in status.front[:MOST_ON_FRONT]
    ]
    more = len(status.front) - len(shown)
    rest = [f"and {more} more"] if more > 0 else []
    return [f"front    {', '.join([*shown, *rest]) or 'empty'}"]


def _counts(status: "Status") -> str:
    """Trials by state; those that wait are not called running."""
    states = dict(status.states)
    if status.paused:
        states["RUNNING"] = states.get("RUNNING", 0) - len(status.paused)
        states["PAUSED"] = len(status.paused)
    shown = (f"{n} {state.lower()}" for state, n in sorted(states.items()) if n)
    return ", ".join(shown) or "none"


def _closed_line(status: "Status") -> list[str]:
    if not status.search_closed:
        return []
    over = "is ending" if status.phase == "search" else "ended"
    return [f"search   {over}: {status.search_closed}"]


def _retry_lines(status: "Status") -> list[str]:
    lines = []
    for one in status.retries:
        remedies = ", ".join(f"{name} {count}" for name, count in one.remedies.items())
        trials = "1 trial" if one.count == 1 else f"{one.count} trials"
        lines.append(
            f"retried  {trials} after {one.type}: {remedies} (last, trial {one.last_trial}: "
            f"{_short(one.last)})"
        )
        lines += _log_lines(one.log)
    return lines


def _log_lines(log: tuple[str, ...]) -> list[str]:
    return [f"         | {_short(line)}" for line in log]


def _short(text: str) -> str:
    from evolve.cli.progress import printable

    shown = printable(text)
    return shown if len(shown) <= WIDEST_REASON else f"{shown[: WIDEST_REASON - 1]}…"


def _driver(status: "Status", run: Path) -> str:
    if status.state == "running":
        where = "" if status.here or not status.pid else ", not on this machine"
        return f"; running (pid {status.pid or 'unknown'}{where})"
    if status.state == "interrupted":
        return f"; interrupted: evolve resume {shlex.quote(str(run))}"
    return ""


def _failure_lines(status: "Status") -> list[str]:
    lines = []
    for one in status.failures:
        last = f"last, trial {one.last_trial}" if one.count > 1 else f"trial {one.last_trial}"
        lines.append(f"failed   {one.count} {one.type} ({last}: {_short(one.last)})")
        lines += _log_lines(one.log)
    return lines


def _final_line(final: "FinalStatus | None", title: str) -> list[str]:
    if final is None:
        return []
    failed = f", {n} failed" if (n := final.states.get("FAIL", 0)) else ""
    return [
        f"{title:<9}{final.ended} of {final.trainings} trainings{failed}, "
        f"judged on {final.judged_on}{f'; ended: {final.closed}' if final.closed else ''}"
    ]


def _pace_line(status: "Status") -> list[str]:
    from evolve.units import duration

    if status.epochs_per_hour is None:
        return []
    pace = f"pace     {status.epochs_per_hour:,.0f} epochs an hour"
    if status.seconds_left is None:
        return [pace]
    end = datetime.now().astimezone() + timedelta(seconds=status.seconds_left)
    day = "" if end.date() == datetime.now().astimezone().date() else f"{end:%Y-%m-%d} "
    return [f"{pace}; the {status.phase} ends in {duration(status.seconds_left)}, at "
            f"{day}{end:%H:%M}"]  # fmt: skip
