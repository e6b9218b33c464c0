"""`evolve data split`."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evolve.cli import options
from evolve.cli.data_check_cmd import told_pictures

if TYPE_CHECKING:
    from evolve.datasets.grouped_split import GroupedSplit
    from evolve.datasets.raw import RawImage
    from evolve.datasets.write import Written

NEAR_DUPLICATES = "near-duplicates"
Fractions = tuple[float, float, float]


def read_fractions(_ctx: click.Context, _param: click.Parameter, text: str) -> Fractions:
    """Three shares between commas that sum to 1; the last may be left out."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    values += [0.0] * (len(values) == 2)
    sound = len(values) == 3 and min(values) >= 0 and math.isclose(sum(values), 1)
    if not sound or min(values[:2]) <= 0:
        raise click.BadParameter(
            f"'{text}' is no train,val,test such as 0.7,0.15,0.15; they sum to 1"
        )
    return values[0], values[1], values[2]


def read_grouping(
    _ctx: click.Context, _param: click.Parameter, text: str | None
) -> re.Pattern[str] | str | None:
    """A pattern, or the word for near-duplicates."""
    if text is None or text == NEAR_DUPLICATES:
        return text
    try:
        return re.compile(text)
    except re.error as error:
        raise click.BadParameter(f"'{text}' is no regular expression: {error}") from None


@click.command("split")
@click.argument("source", metavar="SRC")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder to make; it must be new or empty.",
)
@click.option(
    "--fractions",
    callback=read_fractions,
    default="0.7,0.15,0.15",
    show_default=True,
    metavar="TRAIN,VAL[,TEST]",
    help="Shares of the splits.",
)
@click.option(
    "--group-by",
    callback=read_grouping,
    default=None,
    metavar="PATTERN",
    help="Images whose names have the same text in the first group of this regular expression "
    "stay together; 'near-duplicates': those that look the same do.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the split."
)
@options.data_format
@click.option(
    "--copy", is_flag=True, help="Copy the images; without it they are hard links where possible."
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@click.pass_context
def command(
    ctx: click.Context,
    source: str,
    out: Path,
    fractions: Fractions,
    group_by: re.Pattern[str] | str | None,
    seed: int,
    format_: str | None,
    copy: bool,
    as_json: bool,
) -> None:
    """Split SRC anew, so that images that belong together land in one split.

    Images of one video, patient or place are alike; where they are parted, scores on val and
    test flatter. SRC is of any format that 'evolve data import' reads; its own splits are put
    together first. Classes are shared out as evenly as the groups allow. What is written is COCO
    and as clean as after 'evolve data import'.

    \b
    evolve data split mydata --out mydata-split --group-by near-duplicates
    evolve data split frames --out frames-split --group-by '^(video\\d+)_'
    """  # noqa: D301
    import json

    from evolve.data_source import resolve_data
    from evolve.datasets.clean import clean
    from evolve.datasets.grouped_split import images_of, split_in_groups
    from evolve.datasets.read import read_raw
    from evolve.datasets.write import check_out, write_coco

    check_out(out)
    cleaned = clean(read_raw(resolve_data(source).path, format_, seed=seed))
    groups = _groups(images_of(cleaned.raw), group_by, told_pictures(ctx))
    split = split_in_groups(cleaned, fractions, groups, seed)
    written = write_coco(split.cleaned, out, copy=copy)
    facts = _facts(split, written)
    click.echo(json.dumps(facts) if as_json else _shown(facts))


def _groups(
    images: "Sequence[RawImage]",
    group_by: re.Pattern[str] | str | None,
    tell: Callable[[int, int], object],
) -> list[int]:
    from evolve.datasets.grouped_split import groups_by_looks, groups_by_name

    if isinstance(group_by, re.Pattern):
        return groups_by_name(images, group_by)
    if group_by is None:
        return list(range(len(images)))
    return groups_by_looks(images, tell=lambda done: tell(done, len(images)))


def _facts(split: "GroupedSplit", written: "Written") -> dict[str, Any]:
    return {
        "path": str(written.path),
        "groups": split.groups,
        "largest_group": split.largest,
        "splits": {
            name: {
                "images": written.images[name],
                "boxes": written.boxes[name],
                "shares": {
                    key: None if math.isnan(share) else share for key, share in shares.items()
                },
            }
            for name, shares in split.shares.items()
            if name in written.images
        },
    }


def _shown(facts: dict[str, Any]) -> str:
    from evolve.ablation.render import clean

    splits = facts["splits"]
    names = {key: clean(key) for part in splits.values() for key in part["shares"]}
    labels = {key: f"share of {name}" for key, name in names.items()}
    width = max(map(len, labels.values()))
    lines = [
        f"wrote   {facts['path']}",
        f"groups  {facts['groups']}, the largest of {facts['largest_group']} images",
        "",
        f"{'':<{width}}" + "".join(f"{name:>10}" for name in splits),
    ]
    for kind in ("images", "boxes"):
        lines.append(f"{kind:<{width}}" + "".join(f"{part[kind]:>10}" for part in splits.values()))
    for key, label in labels.items():
        shares = [part["shares"][key] for part in splits.values()]
        cells = ["--" if share is None else f"{100 * share:.1f} %" for share in shares]
        lines.append(f"{label:<{width}}" + "".join(f"{cell:>10}" for cell in cells))
    return "\n".join(lines)
