"""What is said and written when the fault is ours, or the machine's."""

import errno
import logging

import click
import pytest

from evolve.cli import crash
from evolve.cli.invocation import Invocation, works_in
from evolve.cli.logs import set_up_logs
from evolve.cli.main import cli, main
from evolve.masks import masked


@pytest.fixture
def verb(monkeypatch, tmp_path):
    """Let `evolve spaces` raise what is put into the list."""
    raised = []

    def fail():
        error = raised.pop()
        if callable(error):
            error = error()
        raise error

    command = cli.get_command(click.Context(cli), "spaces")
    monkeypatch.setattr(command, "callback", lambda **_: fail())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["evolve", "spaces"])
    return raised


def end(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(["spaces", *arguments])
    return left.value.code, capsys.readouterr().err


def reports(folder):
    return sorted(folder.glob("evolve-crash-*.txt"))


def test_a_report_tells_what_ran_on_what_and_where_it_failed(verb, capsys, tmp_path, monkeypatch):
    url = "postgresql+psycopg://me:s3cr@t@host/db"
    line = ["evolve", "run", "--storage", url, "--mlflow=http://u:hush@h", "--seed", "1"]
    monkeypatch.setattr("sys.argv", line)
    set_up_logs(verbose=False, debug=False)
    logging.getLogger("evolve.somewhere").info("trial=3 state=complete url=%s", url)
    verb.append(ValueError(f"no good: {url}\nsecond line"))
    code, error = end(capsys)
    (path,) = reports(tmp_path)
    assert code == 1
    assert f"at   {path}" in error
    assert "issues" in error
    assert "Traceback" not in error
    text = path.read_text()
    assert "evolve run --storage '***' '--mlflow=***' --seed 1" in text
    assert "Traceback (most recent call last)" in text
    assert "ValueError: no good: postgresql+psycopg://me@host/db" in text
    assert "trial=3 state=complete" in text
    assert all(f"\n{name} " in text for name in ("platform", "python", "torch", "evolve-yolo"))
    for secret in ("s3cr", "hush"):
        assert secret not in text + error


def test_an_older_report_is_kept_and_the_run_folder_is_the_first_place(verb, capsys, tmp_path):
    run = tmp_path / "runs" / "mine"
    run.mkdir(parents=True)

    def in_run():
        works_in(run)
        return KeyError("x")

    for _ in range(3):
        verb.append(in_run)
        assert end(capsys)[0] == 1
    assert len(reports(run)) == 3
    assert not reports(tmp_path)


def test_where_nothing_can_be_written_it_says_how_to_see_it(monkeypatch, tmp_path):
    monkeypatch.setattr(crash, "_folders", lambda _: [tmp_path / "gone"])
    lines = crash.told_crash(ValueError("x"), Invocation(), ["evolve"])
    assert "--debug" in lines[-1]
    assert "at" not in lines[-1].split()[:1]


def test_places_are_the_run_then_here_then_the_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call = Invocation()
    call.folder = tmp_path / "not made yet"
    assert crash._folders(call)[0] == tmp_path
    call.folder.mkdir()
    assert crash._folders(call)[:2] == [call.folder, tmp_path]


PLAIN = {
    "memory": (MemoryError(), "memory ran out"),
    "depth": (RecursionError("maximum recursion depth exceeded"), "nested too deeply"),
    "full": (OSError(errno.ENOSPC, "No space left on device", "/x/study.db"), "no space left"),
    "closed": (PermissionError(errno.EACCES, "Permission denied", "/x"), "not allowed"),
}


@pytest.mark.parametrize(("error", "said"), PLAIN.values(), ids=PLAIN)
def test_what_the_machine_refuses_is_told_in_plain_words(verb, capsys, tmp_path, error, said):
    verb.append(error)
    code, told = end(capsys)
    assert code == 1
    assert said in told
    assert "mend" in told
    assert "Error" not in told
    assert not reports(tmp_path)


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (click.Abort(), 130)])
def test_an_interrupt_is_no_fault_of_ours(verb, capsys, tmp_path, error, code):
    verb.append(error)
    assert end(capsys) == (code, "interrupted\n") or error.__class__ is KeyboardInterrupt
    assert not reports(tmp_path)


def test_neither_is_a_closed_pipe(verb, tmp_path, monkeypatch):
    import io

    monkeypatch.setattr("sys.stderr", io.StringIO())
    verb.append(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    with pytest.raises(SystemExit) as left:
        main(["spaces"])
    assert left.value.code == 1
    assert not reports(tmp_path)


def test_debug_shows_the_traceback_too(verb, capsys, tmp_path):
    verb.append(ValueError("x"))
    code, error = end(capsys, "--debug")
    assert (code, "Traceback" in error, len(reports(tmp_path))) == (1, True, 1)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see postgresql://u:p@ss@h/db now", "see postgresql://u@h/db now"),
        ("mysql://u@h/db?password=x&a=1", "mysql://u@h/db?password=***&a=1"),
        ("token = abc", "token = ***"),
        ("{'api_key': 'abc'}", "{'api_key': ***}"),
        ("https://example.org/a@b", "https://example.org/a@b"),
    ],
)
def test_passwords_are_masked(text, shown):
    assert masked(text) == shown
