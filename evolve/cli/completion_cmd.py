"""`evolve completion`."""

import click

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the script that lets SHELL complete verbs, options, names and run folders.

    Put the line for your shell into its start file: ~/.bashrc, ~/.zshrc (below compinit), or
    ~/.config/fish/config.fish.

    \b
    evolve completion bash       source <(evolve completion bash)
    evolve completion zsh        source <(evolve completion zsh)
    evolve completion fish       evolve completion fish | source
    """  # noqa: D301
    from click.shell_completion import get_completion_class

    from evolve.cli import completion
    from evolve.cli.main import COMPLETE, cli

    completion.use()
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "evolve", COMPLETE).source().strip())
