"""The command that is run when a run has ended: told of it, and never in its way."""

import json
import sys
import time

import click
import pytest

from evolve.cli import on_end
from evolve.cli.main import Interrupted
from evolve.cli.on_end import calling_at_end, parse
from evolve.errors import StoreError, TrialError

TELL = """
import json, os, sys
told = {key: value for key, value in os.environ.items() if key.startswith("EVOLVE_")}
open(sys.argv[1], "w").write(json.dumps(told))
"""


@pytest.fixture
def told(tmp_path):
    """A command that writes down what it is told, and a way to read that."""
    script, file = tmp_path / "tell.py", tmp_path / "told.json"
    script.write_text(TELL)
    return (sys.executable, str(script), str(file)), lambda: json.loads(file.read_text())


def _parse(text):
    return parse(click.Context(click.Command("run")), click.Option(["--on-end"]), text)


def test_words_are_those_of_a_shell_without_one():
    assert _parse(f"{sys.executable} -c 'a b' $HOME | less") == (
        *(sys.executable, "-c", "a b"),
        *("$HOME", "|", "less"),
    )
    assert _parse(None) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('echo "a', "No closing quotation"),
        ("  ", "empty"),
        ("no-such-program-here x", "no such program: no-such-program-here"),
    ],
)
def test_what_cannot_be_run_is_refused(text, why):
    with pytest.raises(click.BadParameter, match=why):
        _parse(text)


def test_a_finished_run(told, tmp_path, monkeypatch):
    command, read = told
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVOLVE_VERDICT", "of another run")
    with calling_at_end(command, tmp_path.relative_to(tmp_path) / "out") as outcome:
        outcome.code, outcome.verdict = 0, "A gain: ...; $(rm -rf)"
    found = read()
    assert found["EVOLVE_RUN"] == str(tmp_path / "out")
    assert (found["EVOLVE_STATUS"], found["EVOLVE_EXIT_CODE"]) == ("done", "0")
    assert found["EVOLVE_VERDICT"] == "A gain: ...; $(rm -rf)"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Interrupted("go on"), "interrupted", "130"),
        (KeyboardInterrupt(), "interrupted", "130"),
        (StoreError("x", "y", "z"), "failed", "2"),
        (TrialError("x", "y"), "failed", "1"),
        (RuntimeError("x"), "failed", "1"),
    ],
)
def test_a_run_that_did_not_finish(told, tmp_path, monkeypatch, error, status, code):
    command, read = told
    monkeypatch.setenv("EVOLVE_VERDICT", "of another run")
    with pytest.raises(type(error)), calling_at_end(command, tmp_path):
        raise error
    found = read()
    assert (found["EVOLVE_STATUS"], found["EVOLVE_EXIT_CODE"]) == (status, code)
    assert "EVOLVE_VERDICT" not in found


def test_no_completed_trial_is_a_failed_run(told, tmp_path):
    command, read = told
    with calling_at_end(command, tmp_path) as outcome:
        outcome.code = 1
    assert (read()["EVOLVE_STATUS"], read()["EVOLVE_EXIT_CODE"]) == ("failed", "1")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ((sys.executable, "-c", "raise SystemExit(3)"), "exit code 3"),
        (("/no/such/program",), "No such file"),
        ((sys.executable, "-c", "import time; time.sleep(60)"), "it took more than 0.5 s"),
    ],
)
def test_its_failure_is_a_warning_and_hides_nothing(tmp_path, monkeypatch, capsys, command, why):
    monkeypatch.setattr(on_end, "LIMIT_S", 0.5)
    with pytest.raises(StoreError, match="x"), calling_at_end(command, tmp_path):
        raise StoreError("x", "y", "z")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: --on-end {command[0]}: ")
    assert why in line


def test_its_children_end_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(on_end, "LIMIT_S", 1.0)
    note = tmp_path / "pid"
    command = ("sh", "-c", f"sleep 60 & echo $! > {note}; wait")
    with calling_at_end(command, tmp_path):
        pass
    pid = int(note.read_text())
    deadline = time.monotonic() + 60
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_ctrl_c_ends_the_command_only(tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(on_end, "_fault", interrupted)
    with calling_at_end(("true",), tmp_path) as outcome:
        outcome.code = 0
    assert "stopped by Ctrl-C" in capsys.readouterr().err


def test_nothing_is_run_without_the_option(tmp_path):
    with calling_at_end(None, tmp_path) as outcome:
        outcome.code = 0
    assert not list(tmp_path.iterdir())
