"""`evolve export`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evolve.cli import options

if TYPE_CHECKING:
    from model.export import Exported, Shape


def _read_batch(_ctx: click.Context, _param: click.Parameter, text: str) -> int | None:
    """A positive number, or `dynamic`, which becomes None."""
    if text == "dynamic":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise click.BadParameter(f"'{text}' is neither a number from 1 on nor 'dynamic'")
    return int(text)


@click.command("export")
@options.weights
@click.option(
    "--onnx",
    "path",
    type=click.Path(path_type=Path),
    default=None,
    help="ONNX file to write; replaced if it is there.",
)
@click.option(
    "--darknet",
    "cfg",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE.cfg",
    help="cfg file to write for darknet or OpenCV, with .weights and .names beside it.",
)
@click.option("--raw", is_flag=True, help="Give the network's maps, not boxes and scores.")
@click.option(
    "--batch",
    callback=_read_batch,
    default="dynamic",
    metavar="N|dynamic",
    show_default=True,
    help="Images at once; dynamic: any number.",
)
@click.option("--dynamic-size", is_flag=True, help="Let images have any multiples of 32 as sides.")
@click.option("--opset", type=int, default=None, help="Of ONNX [default: PyTorch's choice].")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def command(
    weights: Path,
    path: Path | None,
    cfg: Path | None,
    raw: bool,
    batch: int | None,
    dynamic_size: bool,
    opset: int | None,
    as_json: bool,
) -> None:
    """Write a trained detector as an ONNX file, or as darknet's files.

    The ONNX file is checked to compute the same. Its input is RGB from 0 to 1; boxes are corners
    relative to the input, scores one a class; suppression is left to you. Classes, sizes and
    anchors stand in the file's metadata.

    \b
    evolve export --weights runs/train-mydata/best.pt --onnx mydata.onnx
    evolve export --weights runs/train-mydata/best.pt --darknet mydata.cfg
    """  # noqa: D301
    from evolve.data_source import find_weights
    from evolve.store.folder import to_line
    from model.darknet_export import export_darknet
    from model.detect import load_detector
    from model.export import export_onnx

    if (path is None) == (cfg is None):
        raise click.UsageError("give one of --onnx FILE and --darknet FILE.cfg")
    detector = load_detector(find_weights(weights), "cpu")
    if path is None:
        written = [str(file) for file in export_darknet(detector, cfg or Path())]
        text = to_line({"files": written}) if as_json else "\n".join(written)
        click.echo(text, nl=not as_json)
        return
    done = export_onnx(
        detector, path, raw=raw, opset=opset, batch=batch, dynamic_size=dynamic_size
    )
    click.echo(to_line(done.to_dict()) if as_json else _summary(done), nl=not as_json)


def _summary(done: "Exported") -> str:
    rows = [("in", name, shape) for name, shape in done.inputs.items()]
    rows += [("out", name, shape) for name, shape in done.outputs.items()]
    width = max(len(name) for _, name, _ in rows)
    lines = [f"{done.path}  {done.size_bytes / 1e6:.1f} MB, opset {done.opset}"]
    lines += [f"  {way:<4} {name:<{width}}  {_extents(shape)}" for way, name, shape in rows]
    if done.difference is None:
        check = "passed onnx.checker; not compared with PyTorch, as onnxruntime is not installed"
    else:
        check = f"passed onnx.checker; differs from PyTorch by at most {done.difference:.1e}"
    return "\n".join([*lines, f"  {check}"])


def _extents(shape: "Shape") -> str:
    return " x ".join(map(str, shape))
