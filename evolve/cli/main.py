"""The `evolve` command: verbs are found by name and imported only when called.

Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted. Results go to stdout, progress and
messages to stderr. No traceback reaches a user unless ``--debug`` is given.
"""

import importlib
import logging
import sys

import click

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
    "data": "Make or look at data sets.",
    "spaces": "List the search spaces that come with evolve.",
    "tables": "List the ablation tables, or show one.",
    "ingredients": "List the freebies and specials that can be ablated.",
    "schema": "Write the JSON schema of a YAML file, for editors.",
    "import-cfg": "Turn a darknet cfg file into a training configuration.",
    "import-weights": "Make a checkpoint of darknet's weights.",
    "simulate-boxes": "Compare box losses in the experiment of the DIoU paper.",
}

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


class Interrupted(Exception):  # noqa: N818  (it is no error)
    """The user stopped a command; the message says how to go on."""


class Verbs(click.Group):
    """Commands of `evolve.cli`, one module each, imported when needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All verbs, in the order of use."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The verb's command, or None."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"evolve.cli.{cmd_name.replace('-', '_')}_cmd")
        command = module.command
        assert isinstance(command, click.Command)
        return command

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


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"evolve {version('evolve-yolo')}")
        ctx.exit()


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks and debug logs.")
@click.option("-q", "--quiet", is_flag=True, help="Show results and errors only.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
    help="Show the version and exit.",
)  # fmt: skip
@click.pass_context
def cli(ctx: click.Context, debug: bool, quiet: bool) -> None:
    """Evolve the hyperparameters of a YOLOv4 detector on your own data.

    \b
    evolve run --space ga.yaml                     the bundled digits, no GPU needed
    evolve run --space ga.yaml --data DIR          your own COCO data
    evolve ablate --table bof --data DIR           which freebies help on them
    evolve report runs/ga-digits                   tables and plots of a run
    """  # noqa: D301
    ctx.obj = {"debug": debug, "quiet": quiet}
    level = logging.DEBUG if debug else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s %(message)s")
    for handler in logging.getLogger().handlers:
        handler.setLevel(level)  # a trial's own log file asks its loggers for more


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    debug = "--debug" in (sys.argv[1:] if arguments is None else arguments)
    try:
        result = cli.main(args=arguments, prog_name="evolve", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as asked:
        click.echo(asked.format_message())
        sys.exit(BAD_INPUT)
    except click.ClickException as error:
        error.show()
        sys.exit(BAD_INPUT)
    except ModelError as error:
        if debug:
            raise
        click.echo(str(error), err=True)
        sys.exit(exit_code(error))
    except Interrupted as stopped:
        click.echo(str(stopped), err=True)
        sys.exit(INTERRUPTED)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(FAILED)
    except Exception as error:
        if debug:
            raise
        where = f"{type(error).__name__}: {error}"
        click.echo(f"evolve met an error of its own: {where}\n  mend run it again with "
                   "--debug and report what it shows", err=True)  # fmt: skip
        sys.exit(FAILED)
    sys.exit(result if isinstance(result, int) else DONE)


def exit_code(error: ModelError) -> int:
    """1 for what failed on the way, 2 for all that the user can mend in the input."""
    from evolve.errors import RunError, TrialError
    from model.errors import Diverged

    return FAILED if isinstance(error, (Diverged, RunError, TrialError)) else BAD_INPUT
