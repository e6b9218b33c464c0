"""`evolve data check`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evolve.cli import complete, options

if TYPE_CHECKING:
    from evolve.datasets.check import Check, Tell
    from evolve.datasets.findings import Finding

OUTCOMES = ("error", "dropped", "fixed", "warning")
FAILED, BAD_INPUT = 1, 2
_SHOWN = 3
_MEANINGS = {
    True: {
        "error": "a training refuses the data",
        "dropped": "left out of a training",
        "fixed": "mended when a training reads it",
        "warning": "trained on as it is",
    },
    False: {
        "error": "an import refuses the data",
        "dropped": "left out by 'evolve data import'",
        "fixed": "mended by 'evolve data import'",
        "warning": "imported as it is",
    },
}


@click.command("check")
@click.argument("data")
@options.data_format
@options.split_seed
@options.processes
@click.option(
    "--weights",
    shell_complete=complete.weights,
    type=click.Path(path_type=Path),
    default=None,
    help="Detector that is asked whether labels look forgotten.",
)
@click.option(
    "--fail-on",
    type=click.Choice(OUTCOMES),
    default="error",
    show_default=True,
    help="Exit with 1 from this outcome on; with errors it is always 2.",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, with every finding.")
@click.pass_context
def command(
    ctx: click.Context,
    data: str,
    format_: str | None,
    split_seed: int,
    processes: int | None,
    weights: Path | None,
    fail_on: str,
    as_json: bool,
) -> None:
    """Tell all that is wrong with DATA, and what becomes of it.

    DATA is a data set of any format that 'evolve data import' reads, or 'digits'. Every picture
    is decoded once. The outcome of each fault is what a training makes of COCO data, and of
    other formats what an import does. It is an error (exit code 2), something dropped or fixed,
    or a warning: such as images that are in two splits, which no training can know of.

    \b
    evolve data check mydata
    evolve data check mydata --fail-on warning --json > check.json
    evolve data check mydata --weights best.pt
    """  # noqa: D301
    import json

    from evolve.data_source import find_weights, resolve_data
    from evolve.datasets.check import check_data

    path, tell = resolve_data(data).path, told_pictures(ctx)
    found = None if weights is None else find_weights(weights)
    check = check_data(
        path, format_, seed=split_seed, processes=processes, weights=found, tell=tell
    )
    click.echo(json.dumps(check.to_dict()) if as_json else shown(check))
    ctx.exit(_exit_code(check, fail_on))


def _exit_code(check: "Check", fail_on: str) -> int:
    if check.counts["error"]:
        return BAD_INPUT
    failing = OUTCOMES[: OUTCOMES.index(fail_on) + 1]
    return FAILED if any(check.counts[outcome] for outcome in failing) else 0  # type: ignore[index]


def told_pictures(ctx: click.Context) -> "Tell":
    """Progress on a terminal as one line that is overwritten, elsewhere nothing."""
    quiet = ctx.obj and ctx.obj["quiet"]
    if quiet or not sys.stderr.isatty():
        return lambda _done, _total: None

    def tell(done: int, total: int) -> None:
        end = "\r\x1b[K" if done == total else ""
        click.echo(f"\rpictures {done} of {total}{end}", nl=False, err=True)

    return tell


def shown(check: "Check") -> str:
    """All kinds of faults with their first examples, the worst first."""
    from evolve.ablation.render import clean

    kind = f"{check.format}: {check.reason}" if check.format else "it cannot be read"
    lines = [f"data     {clean(str(check.path))}", f"format   {clean(kind)}"]
    for split, count in check.images.items():
        lines.append(f"{split:<8} {count} images, {check.boxes[split]} boxes")
    for group in check.by_kind:
        lines += ["", *_shown_kind(group)]
    return "\n".join([*lines, "", *_summary(check)])


def _shown_kind(group: "Sequence[Finding]") -> list[str]:
    from evolve.ablation.render import clean

    first = group[0]
    lines = [f"{first.outcome:<8} {first.kind}: {len(group)}"]
    for found in group[:_SHOWN]:
        places = ", ".join(part for part in (found.split, found.file, found.item) if part)
        lines.append("  " + clean(f"{places}: {found.what}" if places else found.what))
    if len(group) > _SHOWN:
        lines.append(f"  and {len(group) - _SHOWN} more")
    if first.mend:
        lines.append(f"  mend {clean(first.mend)}")
    return lines


def _summary(check: "Check") -> list[str]:
    """Number of findings of each outcome, and what that means."""
    if not check.findings:
        return ["nothing is wrong"]
    meanings = _MEANINGS[check.is_trained_as_it_is]
    return [
        f"{count:>6} {outcome:<8} {meanings[outcome]}"
        for outcome, count in check.counts.items()
        if count
    ]
