"""Options that several verbs share, told in the same words everywhere."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from evolve.cli import complete
from evolve.cli.on_end import parse as parse_on_end


def in_a_folder(_ctx: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
    """Callback of an option that names a file to write: its folder must be there."""
    if path is not None and not path.parent.is_dir():
        raise click.BadParameter(f"no such folder: {path.parent}")
    return path


data = click.option(
    "--data",
    envvar="EVOLVE_DATA",
    default=None,
    help="Folder or annotations file in COCO format; 'evolve data import' makes one of other "
    "formats [default: the embedded digits].",
)
PROTOCOL_REPEATS = 200
repeats = click.option(
    "--repeats",
    type=click.IntRange(min=1),
    default=PROTOCOL_REPEATS,
    show_default=True,
    help="Timed passes.",
)
split_seed = click.option(
    "--split-seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the split of a single annotations file.",
)
data_format = click.option(
    "--format",
    "format_",
    type=click.Choice(["coco", "yolo", "voc", "darknet"]),
    default=None,
    help="Format of the data [default: recognised by what lies there].",
)

processes = click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=None,
    help="Processes that decode pictures [default: one per core].",
)

weights = click.option(
    "--weights",
    shell_complete=complete.weights,
    type=click.Path(path_type=Path),
    required=True,
    help="best.pt or last.pt of a training.",
)
overrides = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=complete.setting,
    help="Set a key of the training configuration; may be repeated.",
)
task = click.option(
    "--task",
    type=click.Choice(["detect", "classify"]),
    default="detect",
    show_default=True,
    help="Detector, or a backbone as a classifier of classes' pictures or of boxes' contents.",
)
ingredients = click.option(
    "--ingredients",
    default=None,
    metavar="KEY,...",
    shell_complete=complete.ingredients,
    help="Start from the baseline with these on, or off with a minus in front; 'none' for the "
    "baseline itself. See 'evolve ingredients'.",
)
seed = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of all that is drawn: proposals, weights, order, augmentation.",
)
engine = click.option(
    "--engine",
    envvar="EVOLVE_ENGINE",
    type=click.Choice(["ray", "inline"]),
    default="ray",
    show_default=True,
    help="Ray Tune, or one trial at a time in this process.",
)
engine_as_before = click.option(
    "--engine", type=click.Choice(["ray", "inline"]), default=None, help="[default: as before]"
)
probe = click.option(
    "--probe/--no-probe",
    "probes",
    default=True,
    help="Measure a few steps of a training first, to tell time and memory [default: probe].",
)
storage = click.option(
    "--storage",
    envvar="EVOLVE_STORAGE",
    default=None,
    help="Optuna storage URL, e.g. postgresql+psycopg://USER@HOST/DB [default: study.db in the "
    "run folder]. A password in it is not stored.",
)
ga = click.option(
    "--ga",
    type=click.Path(path_type=Path),
    default=None,
    metavar="RUN",
    shell_complete=complete.run,
    help="Run whose winner gives the ingredient GA its values [default: the paper's].",
)
teacher = click.option(
    "--teacher",
    type=click.Path(path_type=Path),
    default=None,
    metavar="CKPT",
    shell_complete=complete.weights,
    help="Weights of the teacher of the ingredient KD.",
)
workers = click.option(
    "--workers",
    envvar="EVOLVE_WORKERS",
    type=click.IntRange(min=1),
    default=None,
    help="Trials at once [default: one per GPU, or per core without one; of all machines of a "
    "cluster].",
)
address = click.option(
    "--address",
    envvar="EVOLVE_ADDRESS",
    default=None,
    metavar="ADDRESS",
    help="Run on a Ray cluster that is there, and leave it running: auto, HOST:PORT, or "
    "ray://HOST:PORT from outside of it [default: this machine].",
)
ship_data = click.option(
    "--ship-data",
    is_flag=True,
    help="Send the data to the machines of the cluster, which need not have them.",
)


class _Share(click.ParamType[float | str]):
    """A number, or the word auto."""

    name = "auto|number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | str:
        """Part of a GPU."""
        if value == "auto":
            return "auto"
        try:
            return float(value)
        except ValueError:
            self.fail(f"'{value}' is no number; give one, or auto", param, ctx)


gpus_per_trial = click.option(
    "--gpus-per-trial",
    type=_Share(),
    default="auto",
    show_default=True,
    help="Below 1 trials share a GPU; auto puts as many on one as its memory holds.",
)


def _as_machines(**options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """One decorator for options by their names, whose values a command gets as `machines`."""

    def decorate(command: Callable[..., Any]) -> Any:
        @functools.wraps(command)
        def called(*args: Any, **values: Any) -> Any:
            own = {name: values.pop(name) for name in options}
            return command(*args, machines=own, **values)

        for option in reversed(options.values()):
            called = option(called)
        return called

    return decorate


_places = {
    "workers": workers,
    "gpus_per_trial": gpus_per_trial,
    "address": address,
    "ship_data": ship_data,
}
machines = _as_machines(engine=engine, **_places, probes=probe, storage=storage)
"""Where trials run, as keywords of a request."""
machines_as_before = _as_machines(engine=engine_as_before, **_places)
"""The same for a run that goes on where it was."""
budget = click.option(
    "--budget",
    default=None,
    metavar="TIME",
    help="Time for all of it, the final comparison included: 45m, 12h; 24gpuh, 96cpuh of what "
    "trials hold [default: as long as it takes].",
)
until_no_gain = click.option(
    "--until-no-gain",
    type=click.IntRange(min=0),
    default=None,
    metavar="N",
    help="Begin no trial after N that brought no better value; 0 never stops for that.",
)
max_failures = click.option(
    "--max-failures",
    type=click.IntRange(min=0),
    default=None,
    metavar="N",
    help="Stop the run when more than N trials have failed; divergence does not count.",
)


def limits(**given: Any) -> dict[str, Any]:
    """Those of a command's limits that were given, checked."""
    from evolve import requests

    return requests.limits(**given)


on_end = click.option(
    "--on-end",
    callback=parse_on_end,
    default=None,
    metavar="COMMAND",
    help="Run this when the run has ended, however: without a shell, for 60 s at most, with "
    "EVOLVE_RUN, EVOLVE_STATUS (done, failed, interrupted), EVOLVE_EXIT_CODE and EVOLVE_VERDICT "
    "in its environment. It is stored nowhere.",
)
mlflow = click.option(
    "--mlflow",
    envvar="EVOLVE_MLFLOW",
    default=None,
    metavar="URI",
    help="Note the run in MLflow too: file:./mlruns, sqlite:///mlflow.db, http://host:5000. Needs "
    "the 'mlflow' extra.",
)


def confirm(default: str) -> Callable[[Any], Any]:
    """Size of the final comparison; `default` is told in the help."""
    return click.option(
        "--confirm",
        default=None,
        metavar="KxN",
        help="In the end, train the K best candidates and the defaults with N fresh seeds each; "
        f"0 leaves it out [default: {default}].",
    )
