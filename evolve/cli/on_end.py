"""`--on-end`: a command of the user's that is run when a run has ended, however it ended."""

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click

from evolve.cli.main import DONE, FAILED, INTERRUPTED, Interrupted, exit_code
from model.errors import ModelError

LIMIT_S = 60.0


@dataclass
class Outcome:
    """How a run ended: the exit code that follows, and what was found, if anything was."""

    code: int = FAILED
    verdict: str = ""

    @property
    def status(self) -> str:
        """One word: done, failed or interrupted."""
        return {DONE: "done", INTERRUPTED: "interrupted"}.get(self.code, "failed")


def parse(_ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    """Callback of the option: the words of the command, whose program must be there."""
    if text is None:
        return None
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise click.BadParameter(f"{error} in {text!r}", param=param) from error
    if not words:
        raise click.BadParameter("the command is empty", param=param)
    if shutil.which(words[0]) is None:
        raise click.BadParameter(f"no such program: {words[0]}", param=param)
    return words


@contextmanager
def calling_at_end(command: Sequence[str] | None, run: Path) -> Iterator[Outcome]:
    """Run a command when the block has ended, whose outcome it neither changes nor hides.

    Parameters
    ----------
    command : sequence of str or None
        Program and arguments; no shell sees them.
    run : Path
        Run folder.
    """
    outcome = Outcome()
    try:
        yield outcome
    except BaseException as error:
        outcome.code = _code(error)
        raise
    finally:
        if command:
            _call(command, run, outcome)


def _code(error: BaseException) -> int:
    if isinstance(error, (Interrupted, KeyboardInterrupt, click.Abort)):
        return INTERRUPTED
    return exit_code(error) if isinstance(error, ModelError) else FAILED


def _call(command: Sequence[str], run: Path, outcome: Outcome) -> None:
    told = {
        "EVOLVE_RUN": str(run.absolute()),
        "EVOLVE_STATUS": outcome.status,
        "EVOLVE_EXIT_CODE": str(outcome.code),
        **({"EVOLVE_VERDICT": outcome.verdict} if outcome.verdict else {}),
    }
    inherited = {key: value for key, value in os.environ.items() if key != "EVOLVE_VERDICT"}
    try:
        fault = _fault(command, inherited | told)
    except (OSError, ValueError) as error:
        fault = str(error)
    except KeyboardInterrupt:
        fault = "stopped by Ctrl-C"
    if fault:
        click.echo(f"warning: --on-end {command[0]}: {fault}", err=True)


def _fault(command: Sequence[str], environment: dict[str, str]) -> str:
    """Run a command, with what it prints on stderr; what went wrong, empty if nothing."""
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=2,
        start_new_session=True,  # its own children end with it, and Ctrl-C is ours
    ) as process:
        try:
            code = process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            return f"stopped, it took more than {LIMIT_S:g} s"
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    return f"exit code {code}" if code else ""
