"""`evolve pareto`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from evolve.cli import complete, options
from evolve.cli.speed_cmd import read_sizes

if TYPE_CHECKING:
    from evolve.pareto.records import Pareto

FAILED = 1


@click.command("pareto")
@click.argument(
    "runs",
    nargs=-1,
    metavar="[RUN]...",
    type=click.Path(path_type=Path),
    shell_complete=complete.run,
)
@click.option(
    "--weights",
    multiple=True,
    shell_complete=complete.weights,
    type=click.Path(path_type=Path),
    help="best.pt or last.pt of a training; may be repeated.",
)
@click.option(
    "--size",
    "sizes",
    callback=read_sizes,
    default=None,
    metavar="N,N,...",
    help="Sides of the input in pixels, for all [default: what each was trained for].",
)
@click.option(
    "--max-latency",
    default=None,
    metavar="TIME",
    help="Name the best that takes no longer, such as 8ms or 0.02s.",
)
@click.option("--data", default=None, help="Data to measure AP on [default: those of the run].")
@click.option(
    "--split",
    type=click.Choice(["val", "test"]),
    default=None,
    help="Images to measure AP on [default: test where the runs have opened it, else val; test "
    "of weights].",
)
@click.option("--split-seed", type=click.IntRange(min=0), default=None, hidden=True)
@click.option(
    "--metric",
    type=click.Choice(["AP", "AP50", "AP75"]),
    default=None,
    help="[default: what the runs were judged by, else AP]",
)
@click.option("--device", default=None, help="cpu or cuda [default: a GPU where there is one].")
@options.repeats
@click.option(
    "--axis",
    type=click.Choice(["latency", "fps"]),
    default="latency",
    show_default=True,
    help="What the figure has from left to right.",
)
@click.option(
    "--anchors/--no-anchors",
    default=None,
    help="Show these points beside the paper's, or leave the paper's figure out [default: the "
    "paper's alone].",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder of the report [default: RUN/pareto, or runs/pareto of several].",
)
@click.option("--json", "as_json", is_flag=True, help="Print the points; AP from 0 to 1.")
def command(
    runs: tuple[Path, ...],
    weights: tuple[Path, ...],
    sizes: tuple[int, ...] | None,
    max_latency: str | None,
    data: str | None,
    split: str | None,
    split_seed: int | None,
    metric: str | None,
    device: str | None,
    repeats: int,
    axis: Literal["latency", "fps"],
    anchors: bool | None,
    out: Path | None,
    as_json: bool,
) -> int | None:
    """Find the detectors of runs and weights files that none beats in both latency and AP.

    Latency is measured on this machine as by 'evolve speed'; AP is that of a run's own
    comparison or table, or measured. What was measured is kept beside the weights. The exit code
    is 1 where --max-latency is given and none fits.

    \b
    evolve pareto runs/ga-mydata --max-latency 8ms
    evolve pareto runs/ablate-bof runs/ga-mydata --out front
    evolve pareto --weights a/best.pt --weights b/best.pt --size 416,512,608 --data mydata
    """  # noqa: D301
    import json

    from evolve.cli.paths import shown_path
    from evolve.pareto.join import Asked, make_front
    from evolve.pareto.words import parse_latency
    from model.speed import check_size
    from reports.pareto_page import render_pareto
    from reports.place import check_place

    if not runs and not weights:
        raise click.UsageError("give a run folder or --weights")
    limit = None if max_latency is None else parse_latency(max_latency)
    for size in sizes or ():
        check_size(size)
    place = out or (runs[0] / "pareto" if len(runs) == 1 else Path("runs/pareto"))
    check_place(place)
    asked = Asked(
        runs=tuple(dict.fromkeys(runs)),
        weights=weights,
        sizes=sizes or (),
        data=data,
        split=split,
        split_seed=split_seed,
        metric=metric,
        device=_checked(device),
        repeats=repeats,
        max_latency_ms=limit,
    )
    found = make_front(asked, _teller())
    page = render_pareto(found, place, axis=axis, anchors=anchors)[0]
    if as_json:
        click.echo(json.dumps(found.to_dict() | {"page": shown_path(page)}))
    else:
        click.echo(f"{_text(found)}\n\n{shown_path(page)}")
    return FAILED if found.choice is not None and not found.choice.key else None


def _checked(device: str | None) -> str | None:
    """A device that torch has here."""
    if device is None:
        return None
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        said = str(error).split(". ")[0].splitlines()[0]
        raise click.UsageError(f"'{device}' is no device of this machine ({said})") from error
    return device


def _teller() -> Any:
    context = click.get_current_context().obj
    quiet = bool(context and context["quiet"])
    return (lambda _: None) if quiet else (lambda line: click.echo(f"measuring {line}", err=True))


def _text(found: "Pareto") -> str:
    """The table, what it was measured on, and the sentence."""
    from reports.pareto_page import point_table

    table = point_table(found)
    lines = [tuple(column.head for column in table.columns), *(row.cells for row in table.rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    numeric = [column.kind == "number" for column in table.columns]
    shown = [
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    ]
    images = f", {found.images} images" if found.images else ""
    about = f"{found.metric} on {found.split} of {found.data}{images}; latency on {found.device}"
    notes = [f"note: {note}" for note in found.notes]
    return "\n".join([*shown, "", about, *notes, "", found.sentence])
