"""The `evolve` command: verbs are found by name and imported only when called.

Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted. Results go to stdout, progress and
messages to stderr. No traceback reaches a user unless ``--debug`` is given.
"""

import functools
import importlib
import os
import sys
import traceback

import click

from evolve.cli.invocation import Invocation, dressed, variable_of, with_told
from evolve.cli.screen import asked_colours, screened
from model.errors import ModelError, nearest

VERBS = {
    "run": "Evolve the hyperparameters of a detector on a data set.",
    "ablate": "Train the rows of an ablation table and judge them.",
    "resume": "Continue an interrupted run.",
    "status": "Say how far a run is.",
    "report": "Make the report of a run from its stored results.",
    "pareto": "Find the detectors that none beats in both latency and AP.",
    "explain": "Say which parameters mattered in a run, and train the path to its winner.",
    "train": "Train one detector.",
    "eval": "Measure a detector on a split with COCO's metrics.",
    "detect": "Detect objects in images and draw them.",
    "speed": "Measure the latency of a detector on this machine.",
    "export": "Write a trained detector as an ONNX file.",
    "export-study": "Write what a run found as a card that other runs can begin with.",
    "data": "Make, import or look at data sets.",
    "spaces": "List the search spaces that come with evolve.",
    "tables": "List the ablation tables, or show one.",
    "ingredients": "List the freebies and specials that can be ablated.",
    "schema": "Write the JSON schema of a YAML file, for editors.",
    "import-cfg": "Turn a darknet cfg file into a training configuration.",
    "import-weights": "Make a checkpoint of darknet's weights.",
    "simulate-boxes": "Compare box losses in the experiment of the DIoU paper.",
    "completion": "Print what lets a shell complete evolve's commands.",
}

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
COMPLETE = "_EVOLVE_COMPLETE"  # set where a shell asks


class Interrupted(Exception):  # noqa: N818  (it is no error)
    """The user stopped a command; the message says how to go on."""


class Verbs(click.Group):
    """Commands of `evolve.cli`, one module each, imported when needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All verbs, in the order of use."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The verb's command, or None."""
        return _verb(cmd_name) if cmd_name in VERBS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest verb named in the error."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            ctx.fail(f"no such command '{args[0]}'; {nearest(args[0], VERBS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@functools.cache
def _verb(name: str) -> click.Command:
    module = importlib.import_module(f"evolve.cli.{name.replace('-', '_')}_cmd")
    command = module.command
    assert isinstance(command, click.Command)
    return dressed(command, (name,))


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"evolve {version('evolve-yolo')}")
        ctx.exit()


@with_told
@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
    help="Show the version and exit.",
)  # fmt: skip
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Evolve the hyperparameters of a YOLOv4 detector on your own data.

    \b
    evolve run --space ga.yaml                     the bundled digits, no GPU needed
    evolve run --space ga.yaml --data DIR          your own COCO data
    evolve ablate --table bof --data DIR           which freebies help on them
    evolve report runs/ga-digits                   tables and plots of a run
    """  # noqa: D301
    ctx.color = asked_colours()


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    call = Invocation()
    if COMPLETE in os.environ:
        from evolve.cli import completion

        completion.use()
        cli.main(args=arguments, prog_name="evolve", obj=call)
    with screened():
        try:
            result = cli.main(args=arguments, prog_name="evolve", standalone_mode=False, obj=call)
        except BaseException as error:
            sys.exit(_told(error, call))
    sys.exit(result if isinstance(result, int) else DONE)


def _told(error: BaseException, call: Invocation) -> int:
    """Say why a command ended before its end; the exit code."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message())
        return BAD_INPUT
    if isinstance(error, click.ClickException):
        error.show()
        _tell_variables(call, error)
        return BAD_INPUT
    if isinstance(error, (KeyboardInterrupt, click.Abort, Interrupted)):
        click.echo(str(error) if isinstance(error, Interrupted) else "interrupted", err=True)
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()
        return FAILED
    if call["debug"]:
        traceback.print_exception(error)
    if isinstance(error, ModelError):
        click.echo(str(error), err=True)
        code = exit_code(error)
        if code == BAD_INPUT:
            _tell_variables(call)
        return code
    if not isinstance(error, Exception):
        raise error
    from evolve.cli.crash import told_crash

    for line in told_crash(error, call, sys.argv):
        click.echo(line, err=True)
    return FAILED


def _tell_variables(call: Invocation, error: click.ClickException | None = None) -> None:
    """Name the variables of the environment that bad input may have come from."""
    found = call.from_environment()
    param = getattr(error, "param", None)
    if param is not None:
        name = variable_of(param)
        found = {name: found[name]} if name in found else {}
    if found:
        taken = " ".join(f"{name}={value}" for name, value in found.items())
        click.echo(f"  from the environment: {taken}", err=True)


def exit_code(error: ModelError) -> int:
    """1 for what failed on the way, 2 for all that the user can mend in the input."""
    from evolve.errors import RunError, TrialError
    from model.errors import Diverged

    return FAILED if isinstance(error, (Diverged, RunError, TrialError)) else BAD_INPUT
