"""What is known of one call of `evolve`, and what every verb of it takes.

Options that say how it is told (-q, -v, --debug) stand before the verb or behind it, and every
option has a variable of the environment: EVOLVE_RUN_TRIALS for --trials of 'evolve run'.
"""

import os
from pathlib import Path

import click

from evolve.cli.choices import NearChoice
from evolve.cli.logs import set_up_logs

PREFIX = "EVOLVE"
SECRET = ("--on-end", "--mlflow", "--storage")
TOLD = {
    "debug": (["--debug"], "Show tracebacks and debug logs."),
    "verbose": (["-v", "--verbose"], "Show what happens as log lines of key=value."),
    "quiet": (["-q", "--quiet"], "Show results and errors only."),
}


class Invocation(dict[str, bool]):
    """What commands get as `obj`: quiet, verbose and debug by their names.

    Attributes
    ----------
    context : click.Context or None
        Of the verb that was called.
    folder : Path or None
        Where it works, once that is known.
    """

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(TOLD, False))
        self.context: click.Context | None = None
        self.folder: Path | None = None

    def from_environment(self) -> dict[str, str]:
        """Variables that options of the verb were taken from, with their values."""
        return {} if self.context is None else from_environment(self.context)


def current() -> Invocation | None:
    """The call that is going on; None where a command is called by others."""
    context = click.get_current_context(silent=True)
    return context.obj if context and isinstance(context.obj, Invocation) else None


def works_in(folder: Path) -> None:
    """Note where the verb works, for a report of a fault of ours."""
    if (call := current()) is not None:
        call.folder = folder


# -- how it is told --------------------------------------------------------------------------


def with_told(group: click.Group) -> click.Group:
    """The group of all verbs with options that say how it is told."""
    group.params = [*_told_options(is_group=True), *group.params]
    return group


def _told_options(*, is_group: bool) -> list[click.Option]:
    """Those options; only those of the group have variables of their own."""
    return [
        click.Option(
            names,
            is_flag=True,
            help=text,
            expose_value=False,
            is_eager=True,
            callback=_note,
            envvar=f"{PREFIX}_{name.upper()}" if is_group else None,
            show_envvar=is_group,
        )
        for name, (names, text) in TOLD.items()
    ]


def _note(context: click.Context, param: click.Parameter, wanted: bool) -> None:
    if context.obj is None and context.parent is None:
        context.obj = Invocation()
    call = context.obj
    if not isinstance(call, Invocation) or context.resilient_parsing:
        return
    call.context = context
    if wanted and param.name is not None:
        call[param.name] = True
    set_up_logs(verbose=call["verbose"], debug=call["debug"])


# -- the environment -------------------------------------------------------------------------


def dressed(command: click.Command, words: tuple[str, ...]) -> click.Command:
    """A verb with all that every verb takes; `words` are it and those before it."""
    taken = {name for param in command.params for name in param.opts}
    for param in command.params:
        _name_variables(param, words)
        if type(param.type) is click.Choice:
            param.type = NearChoice(param.type.choices, param.type.case_sensitive)
    command.params += [
        option for option in _told_options(is_group=False) if not taken & {*option.opts}
    ]
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            dressed(one, (*words, name))
    elif command.epilog is None and (example := _example(command)):
        command.epilog = f"Options can be given in the environment, too: {example}."
    return command


def _name_variables(param: click.Parameter, words: tuple[str, ...]) -> None:
    """Give an option its own variable, before those that it shares with other verbs."""
    if not isinstance(param, click.Option) or param.hidden:
        return
    shared = [param.envvar] if isinstance(param.envvar, str) else list(param.envvar or ())
    param.envvar = [variable(_long(param), words), *shared]
    param.show_envvar = bool(shared)


def variable(option: str, words: tuple[str, ...]) -> str:
    """Name of an option's variable."""
    return "_".join((PREFIX, *words, option.lstrip("-"))).replace("-", "_").upper()


def _long(param: click.Parameter) -> str:
    return max(param.opts, key=len)


def _example(command: click.Command) -> str:
    """The first option that takes a value, and its variable."""
    for param in command.params:
        if isinstance(param, click.Option) and param.envvar and not param.is_flag:
            return f"{param.envvar[0]} for {_long(param)}"
    return ""


def from_environment(context: click.Context) -> dict[str, str]:
    """Variables that options of a command were taken from, with their values."""
    found = {}
    for param in context.command.params:
        source = context.get_parameter_source(param.name or "")
        if source is click.core.ParameterSource.ENVIRONMENT:
            name = variable_of(param)
            found[name] = "***" if _long(param) in SECRET else os.environ.get(name, "")
    return found


def variable_of(param: click.Parameter) -> str:
    """The variable that an option takes its value from now."""
    names = [param.envvar] if isinstance(param.envvar, str) else list(param.envvar or ())
    return next((name for name in names if os.environ.get(name)), "")


def as_prefix(context: click.Context | None) -> str:
    """Options from the environment, as a shell has them before a command; none that is secret."""
    import shlex

    found = {} if context is None else from_environment(context)
    kept = (f"{name}={shlex.quote(value)} " for name, value in found.items() if value != "***")
    return "".join(kept)
