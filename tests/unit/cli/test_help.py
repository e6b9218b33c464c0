"""Help of every verb: examples that parse; and the nearest name in what is refused."""

import re
import shlex

import click
import pytest

from evolve.cli.main import VERBS, cli, main


def _commands():
    """Every verb and subcommand with the words that call it."""
    context = click.Context(cli, info_name="evolve")
    for name in VERBS:
        command = cli.get_command(context, name)
        yield (name,), command
        if isinstance(command, click.Group):
            yield from (((name, sub), one) for sub, one in command.commands.items())


COMMANDS = dict(_commands())


def _examples(command):
    lines = (command.help or "").split("\b\n")[1:]
    return [
        re.split(r"\s{2,}", line.strip())[0]
        for line in "\n".join(lines).splitlines()
        if line.strip().startswith("evolve ")
    ]


def _parse(words):
    """Find the command for an example, and parse its options and arguments."""
    command, context = cli, None
    while True:
        context = command.make_context(words[0], words[1:], parent=context)
        if not isinstance(command, click.Group):
            return context
        _, command, words = command.resolve_command(context, _rest(context))
        words = [command.name, *words]


def _rest(context):
    return [*context._protected_args, *context.args]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_verb_has_an_example_of_itself_and_all_parse(words):
    examples = [shlex.split(re.split(r" [>|] ", line)[0]) for line in _examples(COMMANDS[words])]
    assert any(tuple(one[1 : 1 + len(words)]) == words for one in examples)
    for example in examples:
        assert _parse(example).command_path.startswith("evolve ")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_has_a_help_text_and_the_common_ones_are_there(words):
    command = COMMANDS[words]
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    assert all(option.help for option in options)
    assert {"--debug", "--quiet", "--verbose"} <= {name for o in options for name in o.opts}


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    assert left.value.code == 2
    return capsys.readouterr().err


NEAREST = {
    "verb": (["rnu"], "'run'"),
    "subcommand": (["data", "shwo", "x"], "'show'"),
    "option": (["run", "--sead", "1"], "'--seed'"),
    "choice": (["eval", "--weights", "x", "--split", "tset"], "did you mean 'test'"),
    "choice of a list": (["tables", "--format", "latx"], "did you mean 'latex'"),
    "shell": (["completion", "bsh"], "did you mean 'bash'"),
    "space": (["spaces", "gaa"], "did you mean 'ga.yaml'"),
    "paper's table": (["tables", "--show", "boff"], "did you mean 'bof"),
    "table": (["ablate", "--table", "boff"], "did you mean 'bof"),
    "model": (["run", "--model", "yolo4-nano"], "did you mean 'yolov4-nano'"),
    "ingredient": (["ingredients", "Mich"], "did you mean 'Mish'"),
    "family": (["ingredients", "--family", "los"], "did you mean 'loss'"),
    "key": (["run", "--set", "optimizer.lrr=1"], "did you mean 'optimizer.lr'"),
    "sampler": (["run", "--sampler", "genetik"], "did you mean 'genetic'"),
    "scheduler": (["run", "--scheduler", "asah"], "did you mean 'asha'"),
    "format": (["report", "x", "--format", "htlm"], "did you mean 'html'"),
}


@pytest.mark.parametrize(("arguments", "said"), NEAREST.values(), ids=NEAREST)
def test_the_nearest_is_named(arguments, said, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert said in refused(capsys, *arguments)
