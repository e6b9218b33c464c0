"""`evolve detect`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evolve.cli import options

if TYPE_CHECKING:
    from model.detect import Found


@click.command("detect")
@click.argument(
    "images", nargs=-1, required=True, metavar="IMAGE|FOLDER...", type=click.Path(path_type=Path)
)
@options.weights
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("detections"),
    show_default=True,
    help="Folder for the drawn images and detections.json.",
)
@click.option(
    "--score",
    type=click.FloatRange(0, 1),
    default=0.25,
    show_default=True,
    help="Lowest score that counts.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what detections.json holds.")
def command(
    images: tuple[Path, ...], weights: Path, out: Path, score: float, as_json: bool
) -> int:
    """Detect objects in images, or in all images of a folder and below it, and draw them.

    Images that cannot be read are named, the others are done, and the exit code is 1. Small
    images are drawn enlarged; detections.json holds pixels of the images as they are.

    \b
    evolve detect --weights runs/train-mydata/best.pt photo.jpg more-photos/
    """  # noqa: D301
    from evolve.cli.main import DONE, FAILED
    from evolve.data_source import find_weights
    from evolve.detections import DetectionFolder, find_images
    from model.detect import images_at_once, load_detector

    detector = load_detector(find_weights(weights))
    paths = find_images(images, leave_out=out)
    folder = DetectionFolder(out, paths)
    folder.begin(detector, weights, score)
    step = images_at_once(detector)
    for start in range(0, len(paths), step):
        for found in folder.add(paths[start : start + step]):
            if isinstance(found, Exception):
                click.echo(str(found), err=True)
            elif not as_json:
                click.echo(_line(found, detector.classes))
    text = folder.finish()
    click.echo(text if as_json else f"drawn images and detections.json in {out}")
    return FAILED if folder.failed else DONE


def _line(found: "Found", classes: tuple[str, ...]) -> str:
    """Name of a picture and what is in it, best score first."""
    from evolve.outside_text import printable

    pairs = zip(found.labels, found.scores, strict=True)
    shown = ", ".join(f"{classes[label]} {score:.2f}" for label, score in pairs)
    count = len(found.labels)
    noun = "object" if count == 1 else "objects"
    return printable(f"{found.path}  {count} {noun}{': ' if count else ''}{shown}")
