"""`evolve export-study`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evolve.cli import complete, options

if TYPE_CHECKING:
    from evolve.cards.card import StudyCard


def _yaml_in_a_folder(
    _ctx: click.Context, _param: click.Parameter, path: Path | None
) -> Path | None:
    """A YAML file to write: its folder must be there."""
    if path is not None and path.suffix not in (".yaml", ".yml"):
        raise click.BadParameter(f"a card is YAML; name it {path.stem}.yaml")
    return options.in_a_folder(_ctx, _param, path)


@click.command("export-study")
@click.argument("run", type=click.Path(path_type=Path), shell_complete=complete.run)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    callback=_yaml_in_a_folder,
    default=None,
    help="YAML file to write [default: card.yaml in the run folder].",
)
@click.option(
    "--best",
    type=click.IntRange(1, 500),
    default=20,
    show_default=True,
    help="The best trials; up to 40 others, down to the worst, go with them.",
)
@click.option("--name", default="", help="Of the study [default: the run's].")
@click.option("--data", default=None, help="Where the run's data lie now, if they were moved.")
@click.option("--class-names", is_flag=True, help="Tell the names of the classes too.")
@click.pass_obj
def command(
    obj: dict[str, bool],
    run: Path,
    out: Path | None,
    best: int,
    name: str,
    data: str | None,
    class_names: bool,
) -> None:
    """Write what the run in folder RUN found as a card, to share or to begin other runs with.

    A card holds the space, the best configurations and others, the winner of the final comparison
    and numbers of the data. It names no file, no folder, no user, no machine, and classes only
    with --class-names. 'evolve run --warm-start CARD' begins with it.

    \b
    evolve export-study runs/ga-mydata --out mydata.yaml
    """  # noqa: D301
    from evolve.cards.card import write_card
    from evolve.cards.export import card_of_run
    from evolve.cards.facts import facts_of_run
    from evolve.cli.paths import shown_path
    from evolve.cli.progress import printable
    from evolve.store.folder import RunFolder
    from evolve.store.read import read_manifest

    card = card_of_run(run, best=best, name=name)
    facts, note = facts_of_run(read_manifest(RunFolder.open(run)), data, class_names=class_names)
    card = card.model_copy(update={"data": facts})
    path = out or run / "card.yaml"
    write_card(card, path)
    if note and not obj["quiet"]:
        click.echo(f"note: {printable(note)}", err=True)
    click.echo(f"{shown_path(path)}  {_summary(card)}")


def _summary(card: "StudyCard") -> str:
    confirmed = ", the confirmed winner" if card.confirmed else ""
    return f"{len(card.trials)} trials, {len(card.searched())} parameters{confirmed}"
