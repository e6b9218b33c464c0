"""`evolve simulate-boxes`."""

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import click

if TYPE_CHECKING:
    import pandas as pd

NAMES = {"iou": "IoU", "giou": "GIoU", "diou": "DIoU", "ciou": "CIoU"}  # worst first, by the paper
POINTS, ITERATIONS = 5000, 200


@click.command("simulate-boxes")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs/simulate-boxes"),
    show_default=True,
    help="Folder for curves.csv, curves.svg and curves.png.",
)
@click.option(
    "--losses",
    default=",".join(NAMES),
    show_default=True,
    help="Box losses to compare, separated by commas.",
)
@click.option(
    "--iterations", type=click.IntRange(min=1), default=ITERATIONS, show_default=True,
    help="Steps of gradient descent.",
)  # fmt: skip
@click.option(
    "--points", type=click.IntRange(min=1), default=POINTS, show_default=True,
    help="Points with 343 cases each.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the points."
)
@click.option(
    "--gradient",
    type=click.Choice(["darknet", "autograd"]),
    default="darknet",
    show_default=True,
    help="darknet: as the paper's authors did it; autograd: the losses' own.",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@click.pass_context
def command(
    context: click.Context,
    out: Path,
    losses: str,
    iterations: int,
    points: int,
    seed: int,
    gradient: str,
    as_json: bool,
) -> None:
    """Compare box losses in the experiment of the DIoU paper (arXiv:1911.08287, sec. 3).

    Anchors of many shapes at many points around a target are moved onto it by gradient descent
    on each loss; what counts is the error that is left. No data and no GPU are needed.

    The paper's order comes with darknet's gradients, which its authors used. With the losses'
    own, DIoU ends behind GIoU.

    \b
    evolve simulate-boxes --out boxes
    """  # noqa: D301
    from evolve.store.folder import to_line
    from model.box_simulation import CASES_A_POINT, simulate

    cases = points * CASES_A_POINT
    if not (context.obj or {}).get("quiet"):
        click.echo(
            f"{cases:,} cases, {iterations} iterations each; this may take a minute", err=True
        )
    start = time.perf_counter()
    errors = simulate(
        cast("Any", [name.strip() for name in losses.split(",")]),  # it checks the names
        points=points,
        iterations=iterations,
        seed=seed,
        gradient=cast("Any", gradient),
    )
    wall_time_s = time.perf_counter() - start
    frame = _frame(errors, cases)
    _write(frame, out, iterations)
    final = {loss: float(sums[-1]) / cases for loss, sums in errors.items()}
    result = {
        "cases": cases, "iterations": iterations, "seed": seed, "gradient": gradient,
        "initial_error": float(frame["mean_error"].iloc[0]), "final_error": final,
        "order": sorted(final, key=lambda loss: -final[loss]), "wall_time_s": wall_time_s,
        "out": str(out),
    }  # fmt: skip
    click.echo(to_line(result) if as_json else _shown(result), nl=not as_json)


def _frame(errors: dict[Any, Any], cases: int) -> "pd.DataFrame":
    """A row for each iteration of each loss; iteration 0 is the start."""
    import pandas as pd

    parts = [
        pd.DataFrame(
            {"iteration": range(len(sums)), "loss": loss, "sum_error": sums,
             "mean_error": sums / cases}
        )
        for loss, sums in errors.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _write(frame: "pd.DataFrame", out: Path, iterations: int) -> None:
    from evolve.errors import StoreError
    from model.box_simulation import STEPS
    from model.files import write_atomically
    from reports.figures import draw_box_errors, to_png, to_svg

    marks = {round(share * iterations): f"step {step:g}" for share, step in STEPS if share}
    figure = draw_box_errors(frame, marks)
    files = {
        "curves.csv": frame.to_csv(index=False, float_format="%.9g").encode(),
        "curves.svg": to_svg(figure).encode(),
        "curves.png": to_png(figure),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomically(out / name, partial(_fill, content))
    except OSError as error:
        raise StoreError(
            f"cannot write the curves: {error.strerror}", str(out), "choose another --out"
        ) from error


def _fill(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def _shown(result: dict[str, Any]) -> str:
    """Table of the final errors, their order, and what it took."""
    final, start = result["final_error"], result["initial_error"]
    rows = [("loss", "mean error", "of the start")]
    rows += [(NAMES[k], f"{v:.6f}", f"{100 * v / start:.3f} %") for k, v in final.items()]
    table = [f"  {name:<6}{error:>12}{share:>14}" for name, error, share in rows]
    order = " > ".join(NAMES[loss] for loss in result["order"])
    expected = [loss for loss in NAMES if loss in final]
    verdict = "as in the paper" if result["order"] == expected else "not the paper's order"
    head = (
        f"{result['cases']:,} cases after {result['iterations']} iterations, "
        f"{result['gradient']} gradient, seed {result['seed']}"
    )
    files = f"curves.csv, curves.svg and curves.png in {result['out']}"
    tail = [f"{order}, {verdict}" if len(final) > 1 else "",
            f"{result['wall_time_s']:.1f} s; {files}"]  # fmt: skip
    return "\n".join([head, "", *table, "", *filter(None, tail)])
