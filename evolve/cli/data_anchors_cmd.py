"""`evolve data anchors`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from evolve.cli import options

if TYPE_CHECKING:
    from evolve.datasets.anchor_table import AnchorRow


def _multiple_of_32(_ctx: click.Context, _param: click.Parameter, size: int) -> int:
    if size % 32:
        raise click.BadParameter(f"{size} is no multiple of 32")
    return size


@click.command("anchors")
@click.argument("data")
@click.option(
    "--size",
    type=click.IntRange(32, 4096),
    callback=_multiple_of_32,
    default=416,
    show_default=True,
    help="Side of the network's square input in pixels.",
)
@click.option(
    "--model", default="yolov4", show_default=True, help="Model of the zoo to compare with."
)
@click.option(
    "--count",
    type=click.IntRange(1, 64),
    default=None,
    help="Anchors to find [default: as many as the model has].",
)
@options.split_seed
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def command(
    data: str, size: int, model: str, count: int | None, split_seed: int, as_json: bool
) -> None:
    """Find anchors for the training boxes of DATA, and tell how well they fit.

    DATA is a COCO data set or 'digits'. Mean IoU is that of each box with its best anchor, both
    put in one corner, as darknet's calc_anchors tells it; recall is the share of boxes with an
    anchor above that IoU, so the best that can be reached. The k-means is that of a training with
    the ingredient OA, which finds its anchors by itself: nothing has to be copied.

    \b
    evolve data anchors mydata --size 416
    evolve data anchors mydata --model yolov4-tiny --size 320
    """  # noqa: D301
    import json

    from evolve.data_source import open_data
    from evolve.datasets.anchor_table import anchor_rows, own_anchors

    own = len(own_anchors(model))
    _, name, dataset = open_data(data, split_seed)
    rows = anchor_rows(dataset, size, model, count or own)
    facts = {
        "data": name,
        "model": model,
        "size_px": size,
        "rows": [row.to_dict() for row in rows],
    }
    click.echo(json.dumps(facts) if as_json else _shown(rows, model, size, own))


def _shown(rows: "Sequence[AnchorRow]", model: str, size: int, own: int) -> str:
    width = max(len(row.name) for row in rows)
    heads = ["mean IoU", *(f"IoU > {iou:g}" for iou in rows[0].recall)]
    lines = [f"{'':<{width}}  {'  '.join(heads)}   anchors in px"]
    for row in rows:
        texts = [f"{row.mean_iou:.3f}", *(f"{100 * share:.1f} %" for share in row.recall.values())]
        cells = [text.rjust(len(head)) for text, head in zip(texts, heads, strict=True)]
        lines.append(f"{row.name:<{width}}  {'  '.join(cells)}   {_listed(row)}")
    return "\n".join([*lines, "", _advice(rows, model, size, own)])


def _listed(row: "AnchorRow") -> str:
    return ", ".join(f"{width:.0f}x{height:.0f}" for width, height in row.anchors_wh_px)


def _advice(rows: "Sequence[AnchorRow]", model: str, size: int, own: int) -> str:
    """What to put into the configuration."""
    standing = rows[0]
    found = next((row for row in rows if row.setting == "optimised"), None)
    if found is None:
        count = len(rows[-1].anchors_wh_px)
        return f"{model} has {own} anchors: {count} can be looked at, but not be trained with"
    gain = found.mean_iou - standing.mean_iou
    use = f"--set anchors=optimised --set image_size={size}, or the ingredient OA"
    return f"to train with anchors of the data ({gain:+.3f} mean IoU): {use}"
