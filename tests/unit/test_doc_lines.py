"""Every command that README, docs and help texts show is one that there is."""

import importlib.util
import re

import click
import pytest

from docs.generate import commands
from evolve.cli.main import cli
from model.config import is_key
from model.recipes import find_ingredient
from tests.doc_lines import (
    LANGUAGES,
    NEW_INGREDIENT,
    PAGES,
    ROOT,
    Line,
    blocks,
    evolve_lines,
    examples,
    shell_lines,
)

PROGRAMS = {"evolve", "git", "make", "optuna-dashboard", "pip", "pytest", "python", "ray",
            "sbatch", "source", "tensorboard"}  # fmt: skip
OF_A_FILE = {"objective", "trials", "sampler", "scheduler", "confirm", "pretrain.epochs"}
"""What --set takes besides settings of the training configuration."""
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def fault_of(line, *, whole):
    """What click has against a command; of one in prose a value or argument may be missing."""
    words = line.words[1:]
    words = words[: words.index(">")] if ">" in words else words
    while words[:1] in (["--debug"], ["-q"]):
        words = words[1:]
    if not words or words[0] in ("COMMAND", "--version") or {"--help", "-h"} & set(words):
        return ""
    try:
        command, rest = _command(cli, words)
        if isinstance(command, click.Group):  # in prose
            return ""
        context = command.make_context(words[0], rest)
        return "" if line.page == NEW_INGREDIENT else _faults_of_values(context)
    except (click.MissingParameter, click.BadOptionUsage) as error:
        return error.format_message() if whole else ""
    except click.UsageError as error:
        return error.format_message()


def _command(group, words):
    """The command that words name, and what is left of them."""
    found = group.get_command(click.Context(group), words[0])
    if found is None:
        raise click.UsageError(f"there is no command '{words[0]}'")
    inner = isinstance(found, click.Group) and words[1:]
    return _command(found, words[1:]) if inner else (found, words[1:])


def _faults_of_values(context):
    """Settings and ingredients that there are not."""
    for item in context.params.get("overrides") or ():
        path = item.partition("=")[0].removeprefix("train.")
        if not is_key(path) and path not in OF_A_FILE:
            return f"'{path}' is no setting"
    keys = context.params.get("ingredients") or ""
    for key in keys.split(",") if isinstance(keys, str) else ():
        if key not in ("", "none", "KEY"):
            find_ingredient(key.removeprefix("-"))
    return ""


@each_page
def test_blocks_say_what_they_hold(page):
    assert {block.language for block in blocks(page)} <= LANGUAGES


@each_page
def test_a_shell_block_holds_commands_alone(page):
    assert not [str(line) for line in shell_lines(page) if line.words[0] not in PROGRAMS]


@each_page
def test_every_evolve_command_is_one(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    in_blocks = shell_lines(page)
    faults = [
        f"{line}\n  {fault}"
        for line in evolve_lines(page)
        if (fault := fault_of(line, whole=line in in_blocks))
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda value: getattr(value, "name", value)
)
def test_examples_of_help_texts_are_commands(name, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = examples(name, command)
    assert not [f"{line}: {fault}" for line in shown if (fault := fault_of(line, whole=True))]


def test_help_texts_have_examples():
    assert len([line for name, command in commands() for line in examples(name, command)]) > 20


@each_page
def test_other_programs_are_told_what_there_is(page):
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in shell_lines(page):
        program, *words = line.words
        if program == "make":
            assert set(words) <= targets, line
        elif program == "python" and words[0] == "-m" and words[1].split(".")[0] == "tests":
            assert importlib.util.find_spec(words[1]), line
        elif program == "pytest":
            assert all((ROOT / word).exists() for word in words if "/" in word), line


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("evolve rum --space ga.yaml", "rum"),
        ("evolve run --spaces ga.yaml", "--spaces"),
        ("evolve run --trials many", "many"),
        ("evolve data look --out sheet.png", "look"),
        ("evolve run --set optimizer.rate=1", "optimizer.rate"),
        ("evolve resume", "RUN"),
    ],
)
def test_a_wrong_one_is_found(text, what):
    assert what in fault_of(Line("page", 1, text), whole=True)


def test_commands_are_found_wherever_they_stand(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "Say `evolve status RUN --watch`.\n\n"
        "    evolve run --space ga.yaml \\\n        --trials 3  # a few\n\n"
        "- a list\n\n  ```sh\n  # only a comment\n  evolve tables\n  ```\n\n"
        '```bash\nevolve resume "$RUN" &\n```\n\n```text\nevolve says so\n```\n'
    )
    found = [(line.number, " ".join(line.words)) for line in evolve_lines(page)]
    assert found == [
        (3, "evolve run --space ga.yaml --trials 3"),
        (10, "evolve tables"),
        (14, "evolve resume $RUN"),
        (1, "evolve status RUN --watch"),
    ]
