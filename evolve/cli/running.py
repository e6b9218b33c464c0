"""What `run` and `resume` share: watching, interrupts, and the last words."""

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from evolve.cli.main import FAILED, Interrupted
from evolve.cli.progress import RunView, build_watcher
from evolve.runs import RunRequest, shown_path, start_run
from evolve.store.folder import RunFolder


@contextmanager
def interruptible(out: Path) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into an orderly end that says how to go on."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        command = f"evolve resume {shlex.quote(shown_path(out))}"
        raise Interrupted(
            f"interrupted; nothing finished is lost. Go on with:\n  {command}"
        ) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def watch(request: RunRequest, *, quiet: bool) -> int:
    """Begin or continue a run under a watcher, report, say what was found; the exit code."""
    view = RunView(request.space.trials, request.workers or 1, request.space.objective)
    with interruptible(request.out):
        _remember_earlier(request.out, view)
        with build_watcher(view, quiet=quiet) as watcher:
            folder = start_run(request, watcher)
        return conclude(folder.path)


def _remember_earlier(out: Path, view: RunView) -> None:
    """Tell the view of trials that ended before this session."""
    from evolve.store.read import read_run

    if not RunFolder(out).manifest.is_file():
        return
    trials = read_run(out).trials
    for state, value in zip(trials["state"], trials["value"], strict=True):
        if state != "RUNNING":
            view.remember(state, value)


def conclude(path: Path) -> int:
    """Write the report of a run and print its verdict; 1 if no trial was completed."""
    from evolve.store.read import read_run
    from reports.render import render_report
    from reports.summary import summarise

    run = read_run(path)
    files = render_report(run, RunFolder(path).report)
    click.echo(summarise(run).verdict)
    for line in compared(path):
        click.echo(line)
    if (run.trials["state"] == "COMPLETE").any():
        click.echo(f"best configuration  {shown_path(RunFolder(path).best_config)}")
    click.echo(f"report              {shown_path(files[0])}")
    return 0 if (run.trials["state"] == "COMPLETE").any() else FAILED


def compared(path: Path) -> list[str]:
    """What the final comparison of a run found, a line a row; nothing if there was none."""
    from evolve.cli.progress import percent, printable
    from evolve.store.comparison import read_comparison

    record = read_comparison(path)
    if record is None:
        return []
    plan = record.plan
    lines = [f"{plan.title} on {plan.judged_on}, {plan.objective} in percent"]
    for row in record.rows:
        values = record.of_row(row.key)["value_test"]
        found = f"{percent(values.mean())} mean, {percent(values.std())} sd"
        lines.append(f"  {printable(row.title)}  {found}, {values.count()} of {len(values)} seeds")
    return lines
