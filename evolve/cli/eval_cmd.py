"""`evolve eval`."""

import math
from pathlib import Path
from typing import Any

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
    """Measure a detector with COCO's metrics, or a classifier by how often it is right.

    \b
    evolve eval --weights runs/train-mydata/best.pt --data mydata --split test
    """  # noqa: D301
    from evolve.data_source import find_weights
    from evolve.outside_text import printable
    from evolve.store.folder import to_line
    from model.classifier import is_classifier

    measure = _measure_classifier if is_classifier(find_weights(weights)) else _measure_detector
    name, result = measure(weights, data, split, split_seed, batch)
    if as_json:
        click.echo(to_line({"weights": str(weights)} | result), nl=False)
        return
    head = f"{weights} on {split} of {name}, {result['images']} images, in percent"
    click.echo(f"{printable(head)}\n")
    for group in (result["metrics"], result.get("class_ap") or result["class_recall"]):
        click.echo(_columns(group))


def _measure_detector(
    weights: Path, data: str | None, split: str, split_seed: int, batch: int
) -> tuple[str, dict[str, Any]]:
    """Name of the data, and the result."""
    from evolve.data_source import open_data
    from model.detect import evaluate_split, load_detector

    detector = load_detector(weights)
    path, name, dataset = open_data(data, split_seed)
    scores = evaluate_split(detector, dataset, split, batch)
    _warn_of_other_data(dataset.digest != detector.data_digest, path)
    return name, {
        "data": str(path),
        "split": split,
        "images": len(dataset.splits[split]),
        "metrics": scores.metrics,
        "class_ap": scores.class_ap,
    }


def _measure_classifier(
    weights: Path, data: str | None, split: str, split_seed: int, batch: int
) -> tuple[str, dict[str, Any]]:
    """Name of the data, and the result; the images are pictures of classes or boxes' contents."""
    from evolve.data_source import open_class_data
    from model.classifier import evaluate_classes, load_classifier

    classifier = load_classifier(weights)
    path, name, dataset = open_class_data(data, split_seed)
    scores = evaluate_classes(classifier, dataset, split, batch)
    _warn_of_other_data(dataset.digest != classifier.data_digest, path)
    return name, {
        "data": str(path),
        "split": split,
        "images": len(dataset.splits[split]),
        "metrics": scores.metrics,
        "class_recall": scores.class_recall,
    }


def _warn_of_other_data(other: bool, path: Path) -> None:
    if other:
        click.echo(
            f"note: these weights were trained on other data, or another split, than {path}: "
            "images of their training may be among the measured",
            err=True,
        )


def _columns(values: dict[str, float]) -> str:
    """A name and a percentage on each line."""
    from evolve.outside_text import printable

    values = {printable(name): value for name, value in values.items()}
    width = max(map(len, values))
    shown = {k: "-" if math.isnan(v) else f"{100 * v:.1f}" for k, v in values.items()}
    return "\n".join(f"  {key:<{width}}  {text:>5}" for key, text in shown.items()) + "\n"
