"""A training that changed hands is replayed from the configuration in its folder."""

from pathlib import Path

import pytest

from evolve.cards.export import card_of_run
from evolve.errors import CardError
from evolve.findings import find
from evolve.store.folder import RunFolder
from evolve.store.read import read_run
from evolve.testing.curves import follow_curve
from evolve.train_config import build_config
from tests.unit.cards.made_up import curve_request, finish
from tests.unit.engine.made_up import make_space, with_trials


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("pbt")
    space = with_trials(make_space(home, "pbt", epochs=10), 12)
    return finish(curve_request(home, "run", space=space, probes=False))


def test_config_files_hold_the_whole_schedule(folder):
    run = read_run(folder)
    moved = [n for n in run.recipes if run.trials.set_index("number")["state"][n] == "COMPLETE"]
    assert moved
    for number in moved:
        files = RunFolder(folder).trial(number)
        config = build_config(files.config, {}, ())  # as evolve train --config reads it
        assert {str(epoch) for epoch in config.changes} == set(run.recipes[number]["changes"])
        again = [report.metrics["AP"] for report in follow_curve(config, Path("curve-0"))]
        assert again == [row["metrics"]["AP"] for row in files.read_metrics()]


def test_what_is_said_of_parameters_leaves_them_out(folder):
    run, found = read_run(folder), find(folder)
    complete = run.trials[run.trials["state"] == "COMPLETE"]
    assert found.moved == complete["number"].isin(list(run.recipes)).sum() > 0
    assert found.importances.of == len(complete) - found.moved
    best = int(complete.loc[complete["value"].idxmax(), "number"])
    if best in run.recipes:
        assert found.no_path == f"the parameters of trial {best} changed during its training"
    assert found.audit is None  # nothing is stopped
    assert found.cost.search.trials["pauses"].sum() > 0


def test_a_card_tells_none_of_them(folder):
    run = read_run(folder)
    told = {trial.number for trial in card_of_run(folder).trials}
    assert told
    assert told.isdisjoint(run.recipes)


def test_a_card_of_nothing_else_is_none(folder, monkeypatch):
    import evolve.cards.export as export

    real = export.stored_trials
    recipes = set(read_run(folder).recipes)
    monkeypatch.setattr(
        export, "stored_trials", lambda *a: [t for t in real(*a) if t.number in recipes]
    )
    with pytest.raises(CardError, match="changed during its training"):
        card_of_run(folder)
