"""`evolve import-weights`."""

from pathlib import Path

import click

from evolve.cli import complete, options

SIZE_PX = 416


@click.command("import-weights")
@click.argument("file", metavar="FILE.weights", type=click.Path(path_type=Path))
@click.option(
    "--model",
    default=None,
    shell_complete=complete.model,
    help="Model of the zoo that the weights are of.",
)
@click.option(
    "--cfg",
    type=click.Path(path_type=Path),
    default=None,
    help="Darknet's cfg file of the weights, instead of --model.",
)
@click.option(
    "--names",
    type=click.Path(path_type=Path),
    default=None,
    help="File with the name of a class on each line [default: class 0, class 1, ...].",
)
@click.option(
    "--size",
    type=click.IntRange(min=32),
    default=None,
    help=f"Side of the input in pixels [default: that of the cfg file, or {SIZE_PX}].",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    callback=options.in_a_folder,
    help="Checkpoint to write; an older one is replaced.",
)
def command(
    file: Path,
    model: str | None,
    cfg: Path | None,
    names: Path | None,
    size: int | None,
    out: Path,
) -> None:
    """Make of darknet's FILE.weights a checkpoint for `evolve detect` and `evolve eval`.

    \b
    evolve import-weights yolov4.weights --cfg yolov4.cfg --names coco.names --out yolov4.pt
    evolve detect --weights yolov4.pt photo.jpg
    """  # noqa: D301
    from model.config import TrainConfig
    from model.darknet_cfg.read import read_cfg
    from model.darknet_cfg.recognise import recognise
    from model.darknet_import import import_weights, read_names

    if (model is None) == (cfg is None):
        raise click.UsageError("give either --model or --cfg")
    if size is not None and size % 32:
        raise click.UsageError(f"--size {size} is not a multiple of 32")
    found = recognise(read_cfg(cfg)) if cfg else None
    values = dict(found.values) if found else {"model": model, "image_size": SIZE_PX}
    if size is not None:
        values["image_size"] = size
    loaded, titles = import_weights(
        file,
        out,
        TrainConfig().with_values(values),
        anchors_wh_px=found.anchors_wh_px if found else None,
        num_classes=found.num_classes if found else None,
        names=read_names(names) if names else None,
    )
    click.echo(
        f"{values['model']}, {len(titles)} classes, {loaded.layers} layers, "
        f"trained on {loaded.seen:,} images: {out}"
    )
