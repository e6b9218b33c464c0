"""`evolve train`."""

import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from evolve.cli import options

SHOWN = ("AP", "AP50", "AP75", "APs", "APm", "APl")


@click.command("train")
@options.data
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    default=None,
    help="Training configuration in YAML, such as best.yaml of a run.",
)
@click.option("--model", default=None, help="Model of the zoo [default: yolov4-nano].")
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
@click.pass_obj
def command(
    obj: dict[str, bool],
    data: str | None,
    config_file: Path | None,
    model: str | None,
    epochs: int | None,
    overrides: tuple[str, ...],
    seed: int | None,
    split_seed: int,
    out: Path | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Train one detector.

    The same command again continues a training that was interrupted.

    \b
    evolve train --epochs 10                       the embedded digits
    evolve train --data mydata --config runs/ga-mydata/best.yaml
    evolve train --data mydata --set optimizer.lr=0.02 --set image_size=256
    """  # noqa: D301
    from evolve.data_source import open_data
    from evolve.store.folder import to_line
    from evolve.train_one import (
        Origin,
        best_row,
        build_config,
        check_trainable,
        prepare_folder,
        train,
    )

    named = {"model": model, "epochs": epochs, "seed": seed}
    config = build_config(config_file, named, overrides)
    path, name, dataset = open_data(data, split_seed)
    check_trainable(config, dataset)
    origin = Origin(str(path), dataset.digest, split_seed)
    folder = prepare_folder(out or Path("runs") / f"train-{name}", config, origin)
    last = _follow(train(folder, config, origin, threads), folder.path, config.epochs, **obj)
    best = best_row(folder)
    result = {"folder": str(folder.path), "last": last, "best": best}
    click.echo(to_line(result) if as_json else _table(result), nl=not as_json)


def _follow(
    rows: Iterable[dict[str, Any]], folder: Path, epochs: int, *, quiet: bool, debug: bool
) -> dict[str, Any]:
    """Show each epoch as it ends; the last one."""
    from evolve.cli.main import Interrupted

    bar = _Bar(epochs) if sys.stderr.isatty() and not quiet and not debug else None
    row: dict[str, Any] = {}
    try:
        for row in rows:
            if bar:
                bar.show(row)
            elif not quiet:
                click.echo(_line(row), err=True)
    except KeyboardInterrupt:
        message = f"interrupted; the same command continues the training in {folder}"
        raise Interrupted(message) from None
    finally:
        if bar:
            bar.stop()
    return row


def _line(row: dict[str, Any]) -> str:
    from evolve.cli.progress import duration, percent

    metrics = row["metrics"]
    width = len(str(row["epochs"]))
    spent = duration(metrics["train_time_s"] + metrics["eval_time_s"])
    return (
        f"epoch {row['epoch']:>{width}} of {row['epochs']}  loss {metrics['loss']:8.3f}  "
        f"AP {percent(metrics['AP']):>5}  AP50 {percent(metrics['AP50']):>5}  {spent}"
    )


class _Bar:
    """Progress on a terminal: one line for each epoch, and a bar below them."""

    def __init__(self, epochs: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = ("epoch", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), "left")
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._task = self._progress.add_task("", total=epochs)
        self._progress.start()

    def show(self, row: dict[str, Any]) -> None:
        """Show an epoch that has ended."""
        self._progress.console.print(_line(row), highlight=False)
        self._progress.update(self._task, completed=row["epoch"])

    def stop(self) -> None:
        """Leave the terminal in order."""
        self._progress.stop()


def _table(result: dict[str, Any]) -> str:
    """Both kept weights with COCO's six APs, in percent."""
    lines = [f"{'weights':<9}{'epoch':>6}" + "".join(f"{name:>7}" for name in SHOWN)]
    for which in ("last", "best"):
        row = result[which]
        values = (row["metrics"].get(name, math.nan) for name in SHOWN)
        shown = "".join(f"{'-' if math.isnan(v) else f'{100 * v:.1f}':>7}" for v in values)
        lines.append(f"{which + '.pt':<9}{row['epoch']:>6}{shown}")
    return "\n".join([*lines, f"in percent, on val; files in {result['folder']}"])
