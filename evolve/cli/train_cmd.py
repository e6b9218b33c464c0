"""`evolve train`."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evolve.cli import complete, options
from evolve.cli.invocation import works_in
from evolve.cli.screen import console, draws_live

if TYPE_CHECKING:
    from model.ingredient import Task

SHOWN = {
    "detect": {name: name for name in ("AP", "AP50", "AP75", "APs", "APm", "APl")},
    "classify": {"top1": "top-1", "top5": "top-5"},
}
"""Metrics of each task and what they are called on the screen."""


@click.command("train")
@options.data
@options.task
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    default=None,
    help="Training configuration in YAML, such as best.yaml of a run.",
)
@click.option(
    "--model",
    shell_complete=complete.model,
    default=None,
    help="Model of the zoo [default: yolov4-nano, of classifiers csdarknet53-nano].",
)
@options.ingredients
@options.ga
@options.teacher
@click.option(
    "--backbone-weights",
    type=click.Path(path_type=Path),
    default=None,
    metavar="CKPT",
    shell_complete=complete.weights,
    help="Start from the backbone of a trained classifier or detector.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=None,
    help="Passes over the training images [default: 20].",
)
@options.overrides
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=None,
    help="Seed of weights, order and augmentation [default: 0].",
)
@options.split_seed
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder of the training [default: runs/train-DATA].",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=None,
    help="Threads to compute with [default: one per core].",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable result.")
@click.pass_context
def command(
    ctx: click.Context,
    data: str | None,
    task: "Task",
    config_file: Path | None,
    model: str | None,
    ingredients: str | None,
    ga: Path | None,
    teacher: Path | None,
    backbone_weights: Path | None,
    epochs: int | None,
    overrides: tuple[str, ...],
    seed: int | None,
    split_seed: int,
    out: Path | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Train one detector, or a backbone as a classifier.

    A classifier learns from folders of pictures, one for each class (DATA/train/CLASS and
    DATA/val/CLASS, or DATA/CLASS to be split), or from the boxes of a detection data set. Its
    settings are darknet's, until others are given.

    The same command again continues a training that was interrupted.

    \b
    evolve train --epochs 10                       the embedded digits
    evolve train --data mydata --config runs/ga-mydata/best.yaml
    evolve train --data mydata --set optimizer.lr=0.02 --set image_size=256
    evolve train --data mydata --ingredients S,M,IT,CIoU
    evolve train --data pictures --task classify --out runs/classes
    evolve train --data mydata --backbone-weights runs/classes/best.pt
    """  # noqa: D301
    from evolve.data_source import find_weights
    from evolve.store.folder import to_line
    from evolve.train_config import build_config, given_values
    from evolve.train_one import best_row, open_for, prepare_folder, train

    named = {"model": model, "epochs": epochs, "seed": seed}
    if backbone_weights is not None:
        named["backbone.weights"] = str(find_weights(backbone_weights).resolve())
    asked = ctx.get_parameter_source("task") is not click.core.ParameterSource.DEFAULT
    config = build_config(
        config_file, named, overrides, task=task if asked else None, ingredients=ingredients,
        given=given_values(ingredients, ga, teacher),
    )  # fmt: skip
    config, name, origin = open_for(config, data, split_seed)
    kind = "train" if config.task == "detect" else config.task
    folder = prepare_folder(out or Path("runs") / f"{kind}-{name}", config, origin)
    works_in(folder.path)
    rows = train(folder, config, origin, threads)
    last = _follow(rows, folder.path, config.task, config.epochs, quiet=ctx.obj["quiet"])
    result = {"folder": str(folder.path), "last": last, "best": best_row(folder)}
    click.echo(to_line(result) if as_json else _table(result, config.task), nl=not as_json)


def _follow(
    rows: Iterable[dict[str, Any]],
    folder: Path,
    task: str,
    epochs: int,
    *,
    quiet: bool,
) -> dict[str, Any]:
    """Show each epoch as it ends; the last one."""
    from evolve.cli.main import Interrupted

    bar = _Bar(task, epochs) if not quiet and draws_live() else None
    row: dict[str, Any] = {}
    try:
        for row in rows:
            if bar:
                bar.show(row)
            elif not quiet:
                click.echo(_line(row, task), err=True)
    except KeyboardInterrupt:
        message = f"interrupted; the same command continues the training in {folder}"
        raise Interrupted(message) from None
    finally:
        if bar:
            bar.stop()
    return row


def _line(row: dict[str, Any], task: str) -> str:
    from evolve.cli.progress import percent
    from evolve.units import duration

    metrics = row["metrics"]
    width = len(str(row["epochs"]))
    spent = duration(metrics["train_time_s"] + metrics["eval_time_s"])
    first_two = list(SHOWN[task].items())[:2]
    scores = "  ".join(f"{title} {percent(metrics[name]):>5}" for name, title in first_two)
    return (
        f"epoch {row['epoch']:>{width}} of {row['epochs']}  loss {metrics['loss']:8.3f}  "
        f"{scores}  {spent}, waiting {_whole_percent(metrics.get('wait_share'))}"
    )


def _whole_percent(share: float | None) -> str:
    return "-" if share is None or math.isnan(share) else f"{100 * share:.0f} %"


class _Bar:
    """Progress on a terminal: one line for each epoch, and a bar below them."""

    def __init__(self, task: str, epochs: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = ("epoch", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), "left")
        self._of = task
        self._progress = Progress(*columns, console=console())
        self._task = self._progress.add_task("", total=epochs)
        self._progress.start()

    def show(self, row: dict[str, Any]) -> None:
        """Show an epoch that has ended."""
        self._progress.console.print(_line(row, self._of), highlight=False)
        self._progress.update(self._task, completed=row["epoch"])

    def stop(self) -> None:
        """Leave the terminal in order."""
        self._progress.stop()


def _table(result: dict[str, Any], task: str) -> str:
    """Both kept weights with the metrics of their task, in percent."""
    shown = SHOWN[task]
    lines = [f"{'weights':<9}{'epoch':>6}" + "".join(f"{title:>7}" for title in shown.values())]
    for which in ("last", "best"):
        row = result[which]
        values = (row["metrics"].get(name, math.nan) for name in shown)
        cells = "".join(f"{'-' if math.isnan(v) else f'{100 * v:.1f}':>7}" for v in values)
        lines.append(f"{which + '.pt':<9}{row['epoch']:>6}{cells}")
    return "\n".join([*lines, f"in percent, on val; files in {result['folder']}"])
