"""Trials read in bulk are those that Optuna reads, and reading leaves no trace."""

import sqlite3

import optuna
import pytest

from evolve.errors import StoreError
from evolve.space import find_space_file, load_space
from evolve.store.read import read_run
from evolve.store.study import STUDY_NAME, open_storage, open_study, sqlite_url
from evolve.store.trials import read_trials
from evolve.testing.large_run import make_large_run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    space = load_space(find_space_file("ga.yaml"))
    return make_large_run(tmp_path_factory.mktemp("large") / "run", space, 60)


def _add_every_kind(study):
    def objective(trial):
        trial.suggest_categorical("box", ["giou", "ciou", None, 3])
        trial.suggest_int("batch", 1, 8)
        trial.suggest_float("lr", 1e-4, 1e-1, log=True)
        trial.report(float("nan"), 1)
        trial.report(float("inf"), 2)
        trial.report(0.5, 3)
        trial.set_user_attr("note", {"deep": [1, None]})
        if trial.number == 1:
            raise optuna.TrialPruned
        return float("-inf") if trial.number == 2 else 0.25

    study.optimize(objective, n_trials=4)
    study.enqueue_trial({"lr": 0.01})
    study.ask()


def test_equal_to_what_optuna_reads(tmp_path):
    url = sqlite_url(tmp_path / "study.db")
    study = open_study(open_storage(url))
    open_study(open_storage(url), name="another").ask()
    _add_every_kind(study)
    ours, theirs = read_trials(url, STUDY_NAME), study.get_trials()
    for our, their in zip(ours, theirs, strict=True):
        steps = our.intermediate_values, their.intermediate_values
        assert [*map(repr, steps[0].items())] == [*map(repr, steps[1].items())]  # NaN is not NaN
        our.intermediate_values = their.intermediate_values = {}
        assert our == their
        assert list(our.params) == list(their.params)


def test_made_up_run_is_what_optuna_reads(made):
    url = sqlite_url(made.study)
    storage = open_storage(url)
    theirs = storage.get_all_trials(storage.get_study_id_from_name(STUDY_NAME))
    storage.remove_session()
    storage.engine.dispose()
    assert read_trials(url, STUDY_NAME) == theirs
    assert len(read_run(made.path).epochs) == sum(len(t.intermediate_values) for t in theirs)


def test_parts_of_trials(made):
    url = sqlite_url(made.study)
    whole, part = read_trials(url, STUDY_NAME), read_trials(url, STUDY_NAME, whole=False, first=50)
    assert [trial.number for trial in part] == list(range(50, 60))
    assert [trial.value if trial.values else None for trial in part] == [
        trial.value if trial.values else None for trial in whole[50:]
    ]
    assert not part[0].params
    assert part[0].user_attrs == whole[50].user_attrs


def test_study_that_was_not_begun(made):
    assert read_trials(sqlite_url(made.study), "another") == []


def test_reading_leaves_no_file_behind(made):
    before = sorted(made.path.iterdir())
    read_trials(sqlite_url(made.study), STUDY_NAME)
    assert sorted(made.path.iterdir()) == before


def test_reading_beside_a_writer(tmp_path):
    path = tmp_path / "a folder # 1" / "study.db"
    path.parent.mkdir()
    study = open_study(open_storage(sqlite_url(path)))
    study.ask()  # the connection stays open, and what it wrote is in the log beside the file
    assert path.with_name("study.db-wal").exists()
    writer = sqlite3.connect(path, timeout=0)
    writer.execute("BEGIN IMMEDIATE")
    assert len(read_trials(sqlite_url(path), STUDY_NAME)) == 1
    writer.rollback()
    writer.close()
    study.ask()
    assert len(read_trials(sqlite_url(path), STUDY_NAME)) == 2


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b""])
def test_file_that_is_no_study(tmp_path, content):
    path = tmp_path / "study.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="cannot be opened"):
        read_trials(sqlite_url(path), STUDY_NAME)
    assert path.read_bytes() == content


def test_study_that_is_not_there(tmp_path):
    with pytest.raises(StoreError, match="cannot be opened"):
        read_trials(sqlite_url(tmp_path / "study.db"), STUDY_NAME)
