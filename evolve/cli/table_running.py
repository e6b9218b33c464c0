"""What `ablate` and `resume` do with a table: watch it fill in, and print it in the end."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evolve.ablations import AblationRequest, start_ablation
from evolve.cli.main import DONE, FAILED
from evolve.cli.paths import shown_path
from evolve.cli.progress import LiveWatcher, PlainWatcher, RunView, printable
from evolve.cli.running import watched
from evolve.cli.screen import draws_live, unfiltered
from evolve.cli.terminal import terminal_of
from evolve.findings.table import TableFindings, find_table

if TYPE_CHECKING:
    from evolve.engine.director import Phase


def watch_table(
    request: AblationRequest,
    *,
    quiet: bool,
    on_end: Sequence[str] | None = None,
    mlflow: str | None = None,
    as_json: bool = False,
) -> int:
    """Begin or continue an ablation under a watcher, and print the table; the exit code.

    Parameters
    ----------
    request : AblationRequest
    quiet : bool
    on_end, mlflow
        As for `evolve.cli.running.watch`.
    as_json : bool
        Whether the table is printed as JSON.
    """
    view = RunView(0, request.workers or 1, request.table.objective)
    live = not quiet and draws_live()
    return watched(
        request.out,
        lambda: LiveTable(view, request.out) if live else PlainWatcher(view, quiet=quiet),
        lambda listener: start_ablation(request, listener),
        lambda path: conclude_table(path, request.data.argument, as_json=as_json),
        on_end=on_end,
        mlflow=mlflow,
    )


class LiveTable(LiveWatcher):
    """The table on the terminal, filling in while trainings end, above those that run.

    While it runs, intervals are over seeds, and over images where an earlier look has kept them:
    resampling takes long.

    Parameters
    ----------
    view : RunView
    folder : Path
        Of the run.
    """

    def __init__(self, view: RunView, folder: Path) -> None:
        self._folder, self._text = folder, ""  # first: it is drawn as soon as it is made
        self._terminal = terminal_of(sys.stderr)  # later something else stands in its place
        super().__init__(view)

    def on_phase(self, phase: "Phase") -> None:
        """Show what is there already."""
        super().on_phase(phase)
        self._read()

    def on_end(self, number: int, state: str, value: float | None, reason: str) -> None:
        """Fill in what a training found."""
        super().on_end(number, state, value, reason)
        self._read()

    def _read(self) -> None:
        from evolve.ablation.shown import table_layout
        from evolve.ablation.terminal import render_text

        found = find_table(self._folder, images=False)
        self._text = render_text(table_layout(found, is_brief=True), **self._terminal)

    def _render(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        table = [Text.from_ansi(self._text), Text("")] if self._text else []
        return Group(*table, super()._render())


def conclude_table(
    path: Path, data: str | None = None, *, as_json: bool = False
) -> tuple[int, str]:
    """Write the report of a table and print it; the exit code, 1 if nothing was completed.

    Returns the verdicts in a sentence, too.

    Parameters
    ----------
    path : Path
        Run folder.
    data : str, optional
        Where the data lie now, as for ``--data``.
    as_json : bool
    """
    from evolve.ablation.files import table_text
    from reports.standing import make_table_report

    found = find_table(path, data)
    page = make_table_report(found)
    if as_json:
        click.echo(json.dumps(found.to_dict(), allow_nan=False))
    else:
        text = table_text(found, **terminal_of(sys.stdout))
        click.echo(text, file=unfiltered(sys.stdout))
        click.echo(f"\nreport  {shown_path(page)}")
    return (DONE if _any_complete(found) else FAILED), printable(" ".join(found.sentences))


def _any_complete(found: TableFindings) -> bool:
    return found.record is not None and bool((found.record.trainings["state"] == "COMPLETE").any())
