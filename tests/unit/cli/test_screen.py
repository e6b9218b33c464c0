"""What reaches a terminal: no codes of others, and colours where they are wanted."""

import io
import json
import sys

import click
import pytest

from evolve.cli.main import cli, main
from evolve.cli.screen import Screen, console, draws_live, has_colours, screened, unfiltered
from evolve.cli.terminal import terminal_of
from evolve.errors import EvolveError
from tests.unit.model.test_harmless import HOSTILE

NAMES = "".join(text for text, _ in HOSTILE.values())
CODES = set("\x1b\x07\x9b\u202e\u2028\r")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Let stdout and stderr be terminals from when it is called."""
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")

    def begin():  # in the test itself: pytest sets its own streams after the fixtures
        out, err = Terminal(), Terminal()
        monkeypatch.setattr("sys.stdout", out)
        monkeypatch.setattr("sys.stderr", err)
        return out, err

    return begin


def test_nothing_of_others_commands_it_and_lines_and_tabs_stay(terminal):
    out, err = terminal()
    with screened():
        click.echo(f"a\tb\n{NAMES}")
        click.echo(NAMES, err=True)
        print(NAMES, file=sys.stderr)  # noqa: T201  (a library may)
    said = out.getvalue() + err.getvalue()
    assert said.startswith("a\tb\n")
    assert not CODES & set(said)
    assert sys.stdout is out


def test_a_stream_of_few_characters_gets_a_question_mark_for_others():
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    screen = Screen(file)
    assert screen.write("Δ AP\n") == 5
    assert file.buffer.getvalue() == b"? AP\n"
    assert screen.encoding == "ascii"


def _failing(monkeypatch, error):
    def fail(**_):
        raise error

    command = cli.get_command(click.Context(cli), "spaces")
    monkeypatch.setattr(command, "callback", fail)


@pytest.mark.parametrize(
    "error",
    [
        EvolveError(NAMES, NAMES, NAMES),
        ValueError(NAMES),
        OSError(28, "full", NAMES),
        click.UsageError(NAMES),
        click.BadParameter(NAMES),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_error_brings_codes_along(terminal, monkeypatch, tmp_path, error):
    _out, err = terminal()
    monkeypatch.chdir(tmp_path)
    _failing(monkeypatch, error)
    with pytest.raises(SystemExit):
        main(["spaces"])
    said = err.getvalue()
    assert "a?[2Jb" in said
    assert not CODES & set(said)


def test_arguments_bring_none_along_either(terminal):
    out, err = terminal()
    for arguments in (
        [NAMES],
        ["spaces", NAMES],
        ["run", f"--{NAMES}"],
        ["tables", "--show", NAMES],
    ):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 2
    assert not CODES & set(err.getvalue() + out.getvalue())


HOSTILE_CLASS = "cat\x1b[2J\nnote: all is well\u202e"


@pytest.fixture
def hostile_data(tmp_path):
    """Give data whose class names and file names would command a terminal."""
    from tests.tiny_data import write_tiny_coco

    folder = write_tiny_coco(tmp_path / "tiny", {"train": 4, "val": 2, "test": 2})
    for file in (folder / "annotations").glob("*.json"):
        tree = json.loads(file.read_text())
        tree["categories"][0]["name"] = HOSTILE_CLASS
        file.write_text(json.dumps(tree))
    return folder


def test_data_show_has_a_class_on_one_line(terminal, hostile_data):
    out, _err = terminal()
    with pytest.raises(SystemExit) as left:
        main(["data", "show", str(hostile_data)])
    said = out.getvalue()
    assert left.value.code == 0
    assert not CODES & set(said)
    assert any(line.startswith("  cat?[2J?note: all is well?") for line in said.splitlines())
    assert not any(line.startswith("note: all is well") for line in said.splitlines())


def test_detect_and_eval_have_one_line_for_a_thing():
    from pathlib import Path
    from types import SimpleNamespace

    from evolve.cli import detect_cmd, eval_cmd

    found = SimpleNamespace(path=Path("a\nb\x1b[2J.png"), labels=[0], scores=[0.5])
    line = detect_cmd._line(found, (HOSTILE_CLASS,))
    assert line == "a?b?[2J.png  1 object: cat?[2J?note: all is well? 0.50"
    assert eval_cmd._columns({HOSTILE_CLASS: 0.5}).count("\n") == 1


@pytest.mark.parametrize(
    ("environment", "on_terminal", "in_pipe"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"CLICOLOR_FORCE": "1"}, True, True),
        ({"CLICOLOR": "0"}, False, False),
        ({"CLICOLOR": "1"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
    ],
)
def test_colours_are_where_they_are_wanted(
    terminal, monkeypatch, environment, on_terminal, in_pipe
):
    terminal()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert has_colours(Terminal()) is on_terminal
    assert has_colours(io.StringIO()) is in_pipe
    assert terminal_of(Terminal())["ansi"] is on_terminal


def test_rich_keeps_to_that_and_draws_around_the_screen(terminal, monkeypatch):
    _out, err = terminal()
    with screened():
        console().print("[red]x[/red]")
    assert "\x1b[31m" in err.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    with screened():
        assert unfiltered(sys.stderr) is err
        console().print("[red]y[/red]")
    assert err.getvalue().endswith("y\n")


@pytest.mark.parametrize(("value", "coloured"), [("", False), ("1", True)])
def test_tables_are_coloured_in_a_pipe_if_that_is_forced(terminal, monkeypatch, value, coloured):
    terminal()
    pipe = io.StringIO()
    monkeypatch.setattr("sys.stdout", pipe)
    monkeypatch.setenv("FORCE_COLOR", value)
    with pytest.raises(SystemExit):
        main(["tables", "--show", "bof"])
    assert "Freebies" in pipe.getvalue()
    assert ("\x1b[" in pipe.getvalue()) is coloured


def test_nothing_is_drawn_live_beside_log_lines(terminal):
    terminal()
    from evolve.cli.logs import set_up_logs

    try:
        assert draws_live()
        set_up_logs(verbose=True, debug=False)
        assert not draws_live()
    finally:
        set_up_logs(verbose=False, debug=False)
    assert draws_live()


def test_verbose_shows_what_happens_as_key_value_lines(terminal, monkeypatch):
    import logging

    from evolve.cli.logs import set_up_logs

    _, err = terminal()
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    def said(**how):
        set_up_logs(**how)
        err.truncate(0)
        logging.getLogger("evolve.engine.director").info("trial=3 state=COMPLETE")
        logging.getLogger("somebody.else").info("chatter=1")
        return err.getvalue().strip("\0")

    assert said(verbose=False, debug=False) == ""
    assert said(verbose=True, debug=False) == (
        "INFO evolve.engine.director trial=3 state=COMPLETE\n"
    )
    assert "chatter=1" in said(verbose=False, debug=True)
    assert said(verbose=False, debug=False) == ""
