"""What `run` and `resume` share: watching, interrupts, and the last words."""

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from evolve.cli.invocation import as_prefix, works_in
from evolve.cli.listeners import Listeners
from evolve.cli.main import DONE, FAILED, Interrupted
from evolve.cli.on_end import calling_at_end
from evolve.cli.paths import shown_path
from evolve.cli.progress import (
    LiveWatcher,
    PlainWatcher,
    RunView,
    build_watcher,
    printable,
    remember_earlier,
)
from evolve.engine.interrupt import signals
from evolve.runs import RunRequest, start_run
from evolve.store.folder import RunFolder
from evolve.store.servers import keep_password
from evolve.tracking import tracked

Watcher = PlainWatcher | LiveWatcher


@contextmanager
def interruptible(out: Path, command: str = "") -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into an orderly end that says how to go on.

    Parameters
    ----------
    out : Path
        Run folder.
    command : str
        What goes on; `evolve resume` if it is not given.
    """
    again = command or f"evolve resume {shlex.quote(shown_path(out))}"
    works_in(out)
    words = f"interrupted; nothing finished is lost. Go on with:\n  {again}"
    try:
        with signals(lambda: click.echo(words, err=True)):
            yield
    except KeyboardInterrupt:
        raise Interrupted(words) from None


def watch(
    request: RunRequest,
    *,
    quiet: bool,
    on_end: Sequence[str] | None = None,
    mlflow: str | None = None,
) -> int:
    """Begin or continue a run under a watcher, report, say what was found; the exit code.

    Parameters
    ----------
    request : RunRequest
    quiet : bool
    on_end : sequence of str, optional
        Command that is run in the end, see `calling_at_end`.
    mlflow : str, optional
        Tracking URI of MLflow, where the run is noted too.
    """
    view = RunView(request.space.trials, request.workers or 1, request.space.objective)

    def watcher() -> Watcher:
        remember_earlier(request.out, view)
        return build_watcher(view, quiet=quiet)

    return watched(
        request.out,
        watcher,
        lambda listener: start_run(request, listener),
        lambda path: conclude(path, request.data.argument),
        on_end=on_end,
        mlflow=mlflow,
    )


def watched(
    out: Path,
    watcher: Callable[[], Watcher],
    start: Callable[[Listeners], RunFolder],
    last_words: Callable[[Path], tuple[int, str]],
    *,
    on_end: Sequence[str] | None = None,
    mlflow: str | None = None,
) -> int:
    """Do something that runs for long, under a watcher; the exit code.

    Parameters
    ----------
    out : Path
        Run folder.
    watcher : callable
        Makes who watches.
    start : callable
        Does it, and gives the run folder.
    last_words : callable
        Says in the end what was found in the folder; gives the exit code and a verdict.
    on_end, mlflow
        As for `watch`.
    """
    with calling_at_end(on_end, out) as outcome, interruptible(out):
        with tracked(mlflow, warn) as rest, watcher() as listener:
            folder = start(Listeners(listener, rest, warn))
        outcome.code, outcome.verdict = last_words(folder.path)
        return outcome.code


def as_typed(storage: str | None) -> tuple[str, str | None]:
    """The command line as it may be stored, and the URL of a storage without its password."""
    typed = " ".join(["evolve", *without(sys.argv[1:], ("--on-end", "--mlflow"))])
    typed = as_prefix(click.get_current_context(silent=True)) + typed
    if storage is None:
        return typed, None
    public = keep_password(storage)
    return typed.replace(storage, public), public


def without(arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    """Arguments without some options and their values: they may be secret, and are not stored."""
    kept, skip = [], False
    for argument in arguments:
        own, skip = skip, argument in options
        if not (own or skip or argument.startswith(tuple(f"{name}=" for name in options))):
            kept.append(argument)
    return kept


def warn(line: str) -> None:
    """Tell of something that does not stop the run."""
    click.echo(f"warning: {printable(line)}", err=True)


def conclude(path: Path, data: str | None = None) -> tuple[int, str]:
    """Write the report of a run and print what it found.

    The exit code, 1 if no trial was completed, and the verdict in a sentence.

    Parameters
    ----------
    path : Path
        Run folder.
    data : str, optional
        Where the data lie now, as for ``--data``.
    """
    from evolve.findings import find
    from evolve.findings.said import conclusion
    from evolve.store.read import read_run
    from reports.standing import make_report
    from reports.summary import summarise

    run = read_run(path)
    found = find(path, data, run)
    page = make_report(run, found)
    verdict = found.final.sentence if found.final else summarise(run).verdict
    for line in conclusion(path, found, verdict):
        click.echo(line)
    if (run.trials["state"] == "COMPLETE").any():
        click.echo(f"best configuration  {shown_path(RunFolder(path).best_config)}")
    if found.front and found.front.members:
        click.echo(f"front               {shown_path(RunFolder(path).front)}")
    click.echo(f"report              {shown_path(page)}")
    code = DONE if (run.trials["state"] == "COMPLETE").any() else FAILED
    return code, printable(verdict)
