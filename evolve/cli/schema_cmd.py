"""`evolve schema`."""

from pathlib import Path

import click

from evolve.cli import options

KINDS = ("space", "table", "train")


@click.command("schema")
@click.argument("kind", type=click.Choice(KINDS))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    callback=options.in_a_folder,
    help="JSON file to write [default: print it].",
)
def command(kind: str, out: Path | None) -> None:
    """Write the JSON schema of a space, a table or a training configuration, for editors.

    With a line that names it at the top of the YAML file, an editor with yaml-language-server
    (VS Code's YAML extension, Neovim, Emacs) completes keys, shows what they mean, and marks what
    evolve would refuse.

    \b
    evolve schema space --out space.schema.json
    evolve schema table
    """  # noqa: D301
    import json

    from evolve.schemas import KINDS as SCHEMAS
    from model.files import write_text_atomically

    text = json.dumps(SCHEMAS[kind](), indent=1)
    if out is None:
        click.echo(text)
        return
    write_text_atomically(out, text)
    click.echo(f"{out}\nfirst line of a file beside it:\n"
               f"# yaml-language-server: $schema={out.name}")  # fmt: skip
