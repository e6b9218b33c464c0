"""`evolve eval`."""

import math
from pathlib import Path

import click

from evolve.cli import options


@click.command("eval")
@options.weights
@options.data
@click.option(
    "--split",
    type=click.Choice(["val", "test", "train"]),
    default="val",
    show_default=True,
    help="Images to measure on.",
)
@options.split_seed
@click.option(
    "--batch", type=click.IntRange(min=1), default=32, show_default=True, help="Images at once."
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable; metrics from 0 to 1.")
def command(
    weights: Path, data: str | None, split: str, split_seed: int, batch: int, as_json: bool
) -> None:
    """Measure a detector on a split with COCO's metrics.

    \b
    evolve eval --weights runs/train-mydata/best.pt --data mydata --split test
    """  # noqa: D301
    from evolve.data_source import find_weights, open_data
    from evolve.store.folder import to_line
    from model.detect import evaluate_split, load_detector

    detector = load_detector(find_weights(weights))
    path, name, dataset = open_data(data, split_seed)
    scores = evaluate_split(detector, dataset, split, batch)
    if dataset.digest != detector.data_digest:
        click.echo(
            f"note: these weights were trained on other data, or another split, than {path}: "
            "images of their training may be among the measured",
            err=True,
        )
    result = {
        "weights": str(weights),
        "data": str(path),
        "split": split,
        "images": len(dataset.splits[split]),
        "metrics": scores.metrics,
        "class_ap": scores.class_ap,
    }
    if as_json:
        click.echo(to_line(result), nl=False)
        return
    click.echo(f"{weights} on {split} of {name}, {result['images']} images, in percent\n")
    for group in (scores.metrics, scores.class_ap):
        click.echo(_columns(group))


def _columns(values: dict[str, float]) -> str:
    """A name and a percentage on each line."""
    width = max(map(len, values))
    shown = {k: "-" if math.isnan(v) else f"{100 * v:.1f}" for k, v in values.items()}
    return "\n".join(f"  {key:<{width}}  {text:>5}" for key, text in shown.items()) + "\n"
