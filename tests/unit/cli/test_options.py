"""Options that several verbs share, and those that exclude each other."""

import click
import pytest

from evolve.cli.main import cli, main


def option(verb, name):
    command = cli.get_command(click.Context(cli), verb)
    return next(param for param in command.params if name in param.opts)


def test_timed_passes_are_the_same_option_of_both_verbs():
    speed, pareto = option("speed", "--repeats"), option("pareto", "--repeats")
    assert (speed.default, speed.help) == (pareto.default, pareto.help) == (200, "Timed passes.")


def test_reuse_without_sharing_is_refused(capsys):
    with pytest.raises(SystemExit) as left:
        main(["ablate", "--table", "bof", "--reuse", "runs/x", "--no-share"])
    assert left.value.code == 2
    assert "leave --reuse out" in capsys.readouterr().err


def test_an_unknown_model_is_told_before_other_faults(capsys):
    with pytest.raises(SystemExit) as left:
        main(["ablate", "--table", "bof", "--model", "yolo4", "--data", "nowhere", "--seeds", "1"])
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert "no such model: 'yolo4'" in error
    assert "did you mean" in error


def test_machines_of_a_cluster_get_no_option_that_may_be_secret(monkeypatch):
    from evolve.engine.cluster import _our_code

    monkeypatch.setenv("EVOLVE_STORAGE", "postgresql://me:hush@host/db")
    monkeypatch.setenv("EVOLVE_RUN_MLFLOW", "http://me:hush@host")
    monkeypatch.setenv("EVOLVE_CHECKPOINT_EVERY_S", "5")
    told = _our_code()["env_vars"]
    assert told["EVOLVE_CHECKPOINT_EVERY_S"] == "5"
    assert "hush" not in str(told)
