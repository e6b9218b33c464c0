"""`evolve data`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evolve.cli import (
    data_anchors_cmd,
    data_check_cmd,
    data_import_cmd,
    data_split_cmd,
    data_stats_cmd,
    options,
)

if TYPE_CHECKING:
    from model.data.coco import Dataset


@click.group("data")
def command() -> None:
    """Make, import, check or look at data sets.

    \b
    evolve data check mydata
    evolve data import VOCdevkit --out mydata
    """  # noqa: D301


command.add_command(data_import_cmd.command)
command.add_command(data_check_cmd.command)
command.add_command(data_anchors_cmd.command)
command.add_command(data_split_cmd.command)
command.add_command(data_stats_cmd.command)


@command.command("make")
@click.argument("kind", type=click.Choice(["digits"]))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder to make; it must be new or empty.",
)
def make(kind: str, out: Path) -> None:  # noqa: ARG001  (there is one kind so far)
    """Make a copy of an embedded data set as a COCO folder.

    \b
    evolve data make digits --out mydigits
    """  # noqa: D301
    from model.data.digits import make_digits

    click.echo(make_digits(out))


@command.command("show")
@click.argument("data")
@options.split_seed
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def show(data: str, split_seed: int, as_json: bool) -> None:
    """Show classes, splits and boxes of DATA, a COCO folder, an annotations file or 'digits'.

    \b
    evolve data show mydata
    evolve data show annotations.json --split-seed 1
    """  # noqa: D301
    import json

    from evolve.data_source import open_data

    path, name, dataset = open_data(data, split_seed)
    facts = {
        "name": name,
        "path": str(path),
        "digest": dataset.digest,
        "classes": list(dataset.classes),
        "splits": {split: _facts(dataset, split) for split in dataset.splits},
        "notes": list(dataset.notes),
    }
    click.echo(json.dumps(facts) if as_json else _shown(facts))


@command.command("preview")
@options.data
@options.ingredients
@options.task
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    callback=options.in_a_folder,
    help="PNG file to write.",
)
@click.option(
    "--count", type=click.IntRange(1, 100), default=12, show_default=True, help="Images."
)
@click.option(
    "--columns",
    type=click.IntRange(1, 20),
    default=4,
    show_default=True,
    help="Images beside each other.",
)
@options.overrides
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    show_default=True,
    help="Seed of order and augmentation.",
)
@options.split_seed
def preview(
    data: str | None,
    ingredients: str | None,
    task: str,
    out: Path,
    count: int,
    columns: int,
    overrides: tuple[str, ...],
    seed: int,
    split_seed: int,
) -> None:
    """Draw training images with their boxes, as a training would see them.

    The images are those that a training with the same settings and seed begins with. Below each
    stands what was done to it. What acts on the network, such as SAT or CBN, is not seen.

    \b
    evolve data preview --out sheet.png
    evolve data preview --data mydata --ingredients M,GridMask --out sheet.png
    evolve data preview --set augment.rotate=15 --set augment.mosaic=0 --out sheet.png
    """  # noqa: D301
    from evolve.preview import write_preview

    values = {"task": task, "seed": seed}
    click.echo(
        write_preview(
            data, out, ingredients, values, overrides,
            count=count, columns=columns, split_seed=split_seed,
        )
    )  # fmt: skip


def _facts(dataset: "Dataset", split: str) -> dict[str, Any]:
    """Images and boxes of a split; a crowd region is no box."""
    records = dataset.splits[split]
    labels = [int(n) for r in records for n in r.labels[~r.crowd]]
    by_class = {name: labels.count(i) for i, name in enumerate(dataset.classes)}
    return {"images": len(records), "boxes": len(labels), "boxes_by_class": by_class}


def _shown(facts: dict[str, Any]) -> str:
    from evolve.outside_text import printable

    splits = facts["splits"]
    width = max(len("images"), *map(len, facts["classes"]))
    rows = [("", *splits), ("images", *(s["images"] for s in splits.values())),
            ("boxes", *(s["boxes"] for s in splits.values()))]  # fmt: skip
    for name in facts["classes"]:
        rows.append(
            (f"  {printable(name)}", *(s["boxes_by_class"][name] for s in splits.values()))
        )
    table = [f"{row[0]:<{width + 2}}" + "".join(f"{cell:>8}" for cell in row[1:]) for row in rows]
    head = [f"data    {printable(facts['path'])}", f"digest  {facts['digest'][:16]}", ""]
    notes = [f"note: {printable(note)}" for note in facts["notes"]]
    return "\n".join([*head, *table, *([""] if notes else []), *notes])
