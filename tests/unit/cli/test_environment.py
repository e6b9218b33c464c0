"""Options from the environment, and what is told of them when they are wrong."""

import click
import pytest

from evolve.cli.invocation import as_prefix, dressed, variable
from evolve.cli.main import VERBS, cli, main
from evolve.cli.running import as_typed


def parsed(*arguments):
    command = cli.get_command(click.Context(cli), arguments[0])
    return command.make_context(arguments[0], list(arguments[1:]))


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    return left.value.code, capsys.readouterr().err


def test_variables_are_called_as_the_options_are():
    assert variable("--until-no-gain", ("run",)) == "EVOLVE_RUN_UNTIL_NO_GAIN"
    assert variable("--set", ("data", "preview")) == "EVOLVE_DATA_PREVIEW_SET"
    assert variable("--best", ("export-study",)) == "EVOLVE_EXPORT_STUDY_BEST"


def test_no_two_options_share_a_variable_but_those_that_say_so():
    seen = {}
    for name in VERBS:
        command = cli.get_command(click.Context(cli), name)
        for param in command.params:
            for one in param.envvar if isinstance(param.envvar, list) else ():
                seen.setdefault(one, set()).add((name, max(param.opts, key=len)))
    several = {one for one, where in seen.items() if len(where) > 1}
    shared = ("DATA", "ENGINE", "WORKERS", "ADDRESS", "STORAGE", "MLFLOW")
    assert several == {f"EVOLVE_{name}" for name in shared}
    assert all(len({option for _, option in seen[one]}) == 1 for one in several)


def test_an_option_is_taken_from_its_variable_the_line_wins_and_the_own_one_too(monkeypatch):
    monkeypatch.setenv("EVOLVE_RUN_TRIALS", "7")
    monkeypatch.setenv("EVOLVE_RUN_SET", "epochs=3 batch_size=2")
    monkeypatch.setenv("EVOLVE_DATA", "mine")
    assert parsed("run").params["trials"] == 7
    assert parsed("run").params["overrides"] == ("epochs=3", "batch_size=2")
    assert parsed("run", "--trials", "3").params["trials"] == 3
    assert parsed("run").params["data"] == parsed("train").params["data"] == "mine"
    monkeypatch.setenv("EVOLVE_RUN_DATA", "other")
    assert parsed("run").params["data"] == "other"
    assert parsed("train").params["data"] == "mine"


def test_data_that_lie_elsewhere_now_are_not_those_to_train_on(monkeypatch):
    monkeypatch.setenv("EVOLVE_DATA", "mine")
    assert parsed("report", "runs/x").params["data"] is None
    assert parsed("resume", "runs/x").params["data"] is None


def test_a_bad_value_names_its_variable(monkeypatch, capsys):
    monkeypatch.setenv("EVOLVE_RUN_TRIALS", "many")
    monkeypatch.setenv("EVOLVE_RUN_SEED", "1")
    code, error = refused(capsys, "run")
    assert code == 2
    assert "Invalid value for '--trials'" in error
    assert "from the environment: EVOLVE_RUN_TRIALS=many\n" in error
    assert "SEED" not in error


def test_so_does_one_that_is_found_wrong_later_and_secrets_stay(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVOLVE_DATA", "nowhere")
    monkeypatch.setenv("EVOLVE_STORAGE", "postgresql://me:hush@host/db")
    code, error = refused(capsys, "run")
    assert code == 2
    assert "no data set at 'nowhere'" in error
    assert "from the environment: EVOLVE_DATA=nowhere EVOLVE_STORAGE=***" in error
    assert "hush" not in error


def test_help_shows_the_shared_ones_and_how_the_others_are_called(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "[env var: EVOLVE_RUN_DATA, EVOLVE_DATA]" in said
    assert "EVOLVE_RUN_SPACE for --space" in said
    assert "EVOLVE_RUN_TRIALS" not in said


def test_the_stored_command_line_has_what_came_from_the_environment(monkeypatch):
    monkeypatch.setattr("sys.argv", ["evolve", "run"])
    monkeypatch.setenv("EVOLVE_RUN_SEED", "4")
    monkeypatch.setenv("EVOLVE_RUN_OUT", "a b")
    monkeypatch.setenv("EVOLVE_MLFLOW", "http://me:hush@host")
    with parsed("run"):
        typed, _ = as_typed(None)
    assert typed == "EVOLVE_RUN_SEED=4 EVOLVE_RUN_OUT='a b' evolve run"
    assert as_prefix(None) == ""


def test_a_verb_may_have_an_option_of_the_same_name():
    @click.command("x")
    @click.option("-v", "deep", is_flag=True, help="Its own.")
    def command(deep: bool) -> None:
        click.echo(deep)

    names = [name for param in dressed(command, ("x",)).params for name in param.opts]
    assert names.count("-v") == 1
    assert "--debug" in names


@pytest.mark.parametrize("arguments", [["--debug", "spaces", "no"], ["spaces", "no", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands_and_keeps_the_code(arguments, capsys):
    code, error = refused(capsys, *arguments)
    assert code == 2
    assert "Traceback" in error
    assert "SpaceError: there is no space file 'no'" in error
    code, error = refused(capsys, "spaces", "no")
    assert (code, "Traceback" in error) == (2, False)
