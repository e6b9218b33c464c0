"""`evolve speed`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evolve.cli import complete, options
from evolve.cli.options import PROTOCOL_REPEATS

if TYPE_CHECKING:
    from torch import Tensor

    from model.build import Detector
    from model.speed import Speed

CLASSES = 80


def read_sizes(
    _ctx: click.Context, _param: click.Parameter, text: str | None
) -> tuple[int, ...] | None:
    """Whole numbers between commas."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise click.BadParameter(f"'{text}' is no list of sizes such as 416,512")
    return tuple(map(int, parts))


@click.command("speed")
@click.option(
    "--model",
    default=None,
    shell_complete=complete.model,
    help="Model of the zoo, with random weights.",
)
@click.option(
    "--weights",
    shell_complete=complete.weights,
    type=click.Path(path_type=Path),
    default=None,
    help="best.pt or last.pt of a training.",
)
@click.option(
    "--size",
    "sizes",
    callback=read_sizes,
    default=None,
    metavar="N,N,...",
    help="Sides in pixels [default: 416,512,608, or the size of the training].",
)
@click.option(
    "--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Images at once."
)
@click.option(
    "--classes",
    type=click.IntRange(min=1),
    default=None,
    help=f"With --model [default: {CLASSES}].",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
    default="auto",
    show_default=True,
    help="auto: whatever is fastest.",
)
@click.option(
    "--compile/--no-compile",
    "compile_too",
    default=None,
    help="Try torch.compile, which takes minutes [default: on a GPU].",
)
@options.repeats
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=None,
    help="Threads to compute with [default: one per core].",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="JSON file for figures and protocol.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what that file holds.")
def command(
    model: str | None,
    weights: Path | None,
    sizes: tuple[int, ...] | None,
    batch: int,
    classes: int | None,
    precision: Any,
    compile_too: bool | None,
    repeats: int,
    threads: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure the latency of a detector on this machine, NMS included.

    Ways to run it are tried first (batch normalisation folded, memory layout, precision, and
    CUDA graphs and torch.compile on a GPU); the fastest is taken and named.

    \b
    evolve speed --model yolov4-small
    evolve speed --weights runs/train-mydata/best.pt --out speed.json
    """  # noqa: D301
    import json

    import torch

    from model.files import write_text_atomically
    from model.speed import Wanted, check_size, describe_protocol, measure_speed
    from model.training import pick_device

    _check_together(model, weights, classes, out)
    network, anchors_wh_px, own_sizes, subject = _load(model, weights, classes or CLASSES)
    for size in sizes or own_sizes:
        check_size(size)
    if threads:
        torch.set_num_threads(threads)
    device = pick_device()
    if compile_too is None:
        compile_too = device.type == "cuda"
    wanted = Wanted(batch, precision, compile_too, repeats)
    rows = []
    for size in sizes or own_sizes:
        if not _quiet():
            click.echo(f"measuring at {size} px", err=True)
        rows.append(measure_speed(network, anchors_wh_px, size, wanted, device))
        _tell_failed(rows[-1])
    protocol = subject | describe_protocol(device, wanted)
    text = json.dumps({"protocol": protocol, "results": [row.to_dict() for row in rows]})
    if out:
        write_text_atomically(out, text + "\n")
    click.echo(text if as_json else f"{_heading(protocol)}\n\n{_table(rows)}")


def _quiet() -> bool:
    context = click.get_current_context().obj
    return bool(context and context["quiet"])


def _check_together(
    model: str | None, weights: Path | None, classes: int | None, out: Path | None
) -> None:
    if (model is None) == (weights is None):
        raise click.UsageError("give either --model or --weights")
    if weights is not None and classes is not None:
        raise click.UsageError("--classes goes with --model; weights have their own classes")
    if out is not None and not out.parent.is_dir():
        raise click.UsageError(f"there is no folder '{out.parent}' for --out")


def _load(
    model: str | None, weights: Path | None, classes: int
) -> "tuple[Detector, Tensor, tuple[int, ...], dict[str, Any]]":
    """Network on the CPU, anchors in pixels, sizes if none are given, and what it is."""
    import torch

    from evolve.data_source import find_weights
    from model.build import build_detector
    from model.detect import load_detector

    if weights is None:
        assert model is not None
        torch.manual_seed(0)
        network = build_detector(model, classes).eval()
        anchors = torch.tensor(network.geometry.anchors_wh_px)
        about = {"model": model, "weights": None, "classes": classes}
        return network, anchors, (416, 512, 608), about
    detector = load_detector(find_weights(weights), "cpu")
    side = int(detector.config.image_size)
    about = {
        "model": detector.config.model,
        "weights": str(weights),
        "classes": len(detector.classes),
    }
    return detector.network, detector.anchors_wh * side, (side,), about


def _tell_failed(row: "Speed") -> None:
    for trial in row.trials:
        if trial.latency_ms is None:
            click.echo(f"note: cannot be run here: {trial.mode} ({trial.error})", err=True)


def _heading(protocol: Mapping[str, Any]) -> str:
    """What was measured, where and how, in lines for a terminal."""
    weights = protocol["weights"] or "random weights"
    threads = "" if protocol["cuda"] else f", {protocol['threads']} threads"
    cuda = f", CUDA {protocol['cuda']}" if protocol["cuda"] else ""
    nms = protocol["nms"]
    few = protocol["repeats"] < PROTOCOL_REPEATS
    short = f" (fewer than the {PROTOCOL_REPEATS} of the protocol)" if few else ""
    return "\n".join(
        [
            f"{protocol['model']}, {weights}, {protocol['classes']} classes, "
            f"batch {protocol['batch']}",
            f"on {protocol['device']}{threads}, torch {protocol['torch']}{cuda}",
            f"timed: {protocol['timed']}",
            f"{protocol['warm_up']} passes to warm up, {protocol['repeats']} timed{short}",
            f"NMS at IoU {nms['iou_threshold']} of the {nms['candidates_per_image']} best boxes "
            f"an image ({protocol['images']} has no real scores)",
            f"memory: {protocol['memory']}",
        ]
    )


def _table(rows: Sequence["Speed"]) -> str:
    cells = [("size", "parameters", "BFLOPs", "median ms", "p95 ms", "FPS", "MiB")]
    cells += [
        (
            str(row.size),
            f"{row.parameters:,}",
            f"{row.bflops:.2f}",
            f"{row.latency_ms:.2f}",
            f"{row.latency_p95_ms:.2f}",
            f"{row.fps:.1f}",
            f"{row.memory_mib:.0f}",
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    modes = ["fastest mode", *(str(row.mode) for row in rows)]
    return "\n".join(
        "  ".join([*(text.rjust(width) for text, width in zip(line, widths, strict=True)), mode])
        for line, mode in zip(cells, modes, strict=True)
    )
