"""`evolve data import`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evolve.cli import options

if TYPE_CHECKING:
    from evolve.datasets.raw import RawDataset
    from evolve.datasets.write import Written

_SHOWN_KINDS = 20


@click.command("import")
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder to make; it must be new or empty.",
)
@options.data_format
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the split of data that have none.",
)
@click.option(
    "--copy", is_flag=True, help="Copy the images; without it they are hard links where possible."
)
@options.processes
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@click.pass_context
def command(
    ctx: click.Context,
    source: Path,
    out: Path,
    format_: str | None,
    seed: int,
    copy: bool,
    processes: int | None,
    as_json: bool,
) -> None:
    """Turn the data set SRC into clean COCO that --data takes.

    SRC is a folder, or the file that describes it. Formats are COCO as published, of CVAT and of
    Roboflow; YOLO with or without data.yaml; Pascal VOC; darknet's .data. What cannot be trained
    on is left out or mended, and each change is a line of import-log.csv. Every picture is decoded
    once: one that is cut short is found here, not in the third epoch.

    \b
    evolve data import VOCdevkit --out voc-coco
    evolve data import mydata/data.yaml --out mydata-coco
    evolve run --space ga.yaml --data mydata-coco
    """  # noqa: D301
    import json

    from evolve.cli.data_check_cmd import told_pictures
    from evolve.datasets.clean import clean
    from evolve.datasets.decoded import without_undecodable
    from evolve.datasets.read import read_raw
    from evolve.datasets.write import check_out, write_coco

    check_out(out)
    raw = read_raw(source.expanduser(), format_, seed=seed)
    whole = without_undecodable(clean(raw), processes=processes, tell=told_pictures(ctx))
    written = write_coco(whole, out, copy=copy)
    facts = _facts(raw, written)
    click.echo(json.dumps(facts) if as_json else _shown(facts))


def _facts(raw: "RawDataset", written: "Written") -> dict[str, Any]:
    from evolve.datasets.write import LOG

    return {
        "source": str(raw.root),
        "format": raw.format,
        "reason": raw.reason,
        "path": str(written.path),
        "classes": list(written.classes),
        "splits": {
            split: {"images": count, "boxes": written.boxes[split]}
            for split, count in written.images.items()
        },
        "changes": [
            {"outcome": outcome, "kind": kind, "count": count, "example": example}
            for outcome, kind, count, example in written.changes
        ],
        "log": str(written.path / LOG),
    }


def _shown(facts: dict[str, Any]) -> str:
    lines = [f"read    {facts['format']}: {facts['reason']}", f"wrote   {facts['path']}"]
    for split, counts in facts["splits"].items():
        lines.append(f"        {split:<6} {counts['images']:>7} images {counts['boxes']:>8} boxes")
    lines.append(f"classes {len(facts['classes'])}: {_few(facts['classes'])}")
    changes = facts["changes"]
    if changes:
        lines += ["", f"{'':>8} {'':<8} changed"]
    for change in changes[:_SHOWN_KINDS]:
        lines.append(f"{change['count']:>8} {change['outcome']:<8} {change['kind']}: "
                     f"{change['example']}")  # fmt: skip
    if len(changes) > _SHOWN_KINDS:
        lines.append(f"         and {len(changes) - _SHOWN_KINDS} kinds more")
    told = f"each change is a line of {facts['log']}" if changes else "nothing had to be changed"
    return "\n".join([*lines, "", told])


def _few(names: list[str], count: int = 12) -> str:
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
