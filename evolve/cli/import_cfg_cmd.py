"""`evolve import-cfg`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evolve.cli import options

if TYPE_CHECKING:
    from model.darknet_cfg.recognise import Recognised


@click.command("import-cfg")
@click.argument("file", metavar="FILE.cfg", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    callback=options.in_a_folder,
    help="File to write instead of printing; an older one is replaced.",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def command(file: Path, out: Path | None, as_json: bool) -> None:
    """Turn darknet's FILE.cfg into a training configuration.

    The network is named, training settings are taken over, and what has no counterpart here is
    listed with its line.

    \b
    evolve import-cfg yolov4-custom.cfg --out yolov4.yaml
    evolve train --data mydata --config yolov4.yaml --epochs 100
    """  # noqa: D301
    import json

    from model.darknet_cfg.read import read_cfg
    from model.darknet_cfg.recognise import recognise
    from model.files import write_text_atomically

    found = recognise(read_cfg(file))
    text = _yaml(found, file)
    if out is not None:
        write_text_atomically(out, text)
    if as_json:
        click.echo(json.dumps(_facts(found)))
    elif out is None:
        click.echo(text, nl=False)
    else:
        click.echo(
            f"{found.model}, {found.num_classes} classes; {len(found.notes)} notes in {out}"
        )


def _yaml(found: "Recognised", file: Path) -> str:
    """Training configuration, with the notes as comments."""
    import yaml

    from evolve.outside_text import printable

    head = [
        f"{file.name}: {found.model}, {found.num_classes} classes, {found.width}x{found.height}",
        *(f"note: {note}" for note in found.notes),
    ]
    comments = "".join(f"# {printable(line)}\n" for line in head)
    return comments + yaml.safe_dump(_nested(found.values), sort_keys=False)


def _nested(values: dict[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        section, dot, key = path.partition(".")
        if dot:
            tree.setdefault(section, {})[key] = value
        else:
            tree[path] = value
    return tree


def _facts(found: "Recognised") -> dict[str, Any]:
    return {
        "model": found.model,
        "classes": found.num_classes,
        "width": found.width,
        "height": found.height,
        "anchors": found.anchors_wh_px,
        "config": found.values,
        "notes": found.notes,
    }
