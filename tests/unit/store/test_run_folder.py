"""The run folder, its lock, and the manifest that guards it."""

import multiprocessing
import sqlite3
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest

from evolve.errors import StoreError
from evolve.store import study
from evolve.store.folder import RunFolder, from_line, to_line
from evolve.store.manifest import check_same_run, differences, flatten
from evolve.store.read import read_manifest, read_run
from evolve.store.study import open_storage, open_study, sqlite_url


def _hold(path, held, done):
    with RunFolder.create(path).lock():
        held.set()
        done.wait(30)


def test_second_process_is_refused_and_a_dead_one_lets_go(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path / "run", held, done))
    holder.start()
    assert held.wait(30)
    folder = RunFolder.create(tmp_path / "run")
    with pytest.raises(StoreError, match=f"in use by another process .pid {holder.pid}"):
        folder.lock().__enter__()
    holder.kill()
    holder.join()
    with folder.lock():
        pass


def test_file_in_the_way(tmp_path):
    (tmp_path / "run").write_text("x")
    with pytest.raises(StoreError, match="a file stands where"):
        RunFolder.create(tmp_path / "run")
    with pytest.raises(StoreError, match="a file stands where"):
        RunFolder.create(tmp_path / "run" / "deeper")


def test_folder_that_cannot_be_made(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(StoreError, match="cannot be made: Permission denied") as caught:
        RunFolder.create(tmp_path / "run")
    assert "--out" in caught.value.mend


def test_no_run_names_those_beside_it(tmp_path):
    other = RunFolder.create(tmp_path / "other")
    other.write_json(other.manifest, {})
    with pytest.raises(StoreError, match="no such run folder") as caught:
        RunFolder.open(tmp_path / "othr")
    assert "other" in caught.value.mend


def test_lines_are_strict_json_and_keep_nan():
    row = {"epoch": 1, "metrics": {"AP": float("nan"), "loss": 0.5}}
    assert "NaN" not in to_line(row)
    back = from_line(to_line(row))
    assert back["metrics"]["AP"] != back["metrics"]["AP"]
    assert back["metrics"]["loss"] == 0.5


MANIFEST = {
    "format": 1,
    "objective": "AP",
    "seed": 0,
    "sampler": "genetic",
    "scheduler": "asha",
    "trainer": "curve",
    "trials": 5,
    "train": {"epochs": 3, "optimizer": {"lr": 0.01}},
    "space": {"parameters": {"optimizer.lr": {"low": 0.1}}},
    "data": {"digest": "abc", "path": "/here"},
}


def test_same_run_may_move_grow_and_change_workers(tmp_path):
    wanted = {**MANIFEST, "trials": 9, "engine": "ray", "data": {"digest": "abc", "path": "/x"}}
    check_same_run(MANIFEST, wanted, tmp_path)


def test_every_difference_is_listed(tmp_path):
    wanted = {**MANIFEST, "seed": 1, "train": {"epochs": 3, "optimizer": {"lr": 0.02}}}
    assert [d.path for d in differences(MANIFEST, wanted)] == ["seed", "train.optimizer.lr"]
    with pytest.raises(StoreError, match=r"optimizer\.lr: 0\.01 in the folder, 0\.02 asked"):
        check_same_run(MANIFEST, wanted, tmp_path)


def test_newer_format_is_refused(tmp_path):
    with pytest.raises(StoreError, match="newer version"):
        check_same_run({**MANIFEST, "format": 99}, MANIFEST, tmp_path)


def test_flatten_keeps_lists_and_empty_dictionaries():
    assert flatten({"a": {"b": [1, 2]}, "c": {}}) == {"a.b": [1, 2], "c": {}}


def test_broken_manifest(tmp_path):
    folder = RunFolder.create(tmp_path / "run")
    folder.manifest.write_text("{")
    with pytest.raises(StoreError, match="manifest cannot be read"):
        read_manifest(folder)


def test_file_that_is_no_database(tmp_path):
    path = tmp_path / "study.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="cannot be opened"):
        open_storage(sqlite_url(path))


def test_study_is_kept_in_write_ahead_mode(tmp_path):
    open_study(open_storage(sqlite_url(tmp_path / "study.db")))
    connection = sqlite3.connect(tmp_path / "study.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.parametrize("attempt", range(3))
def test_study_opened_by_many_at_once_is_made_once(tmp_path, attempt):
    together = threading.Barrier(4)

    def open_it(_):
        together.wait()
        open_storage(sqlite_url(tmp_path / "study.db"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(open_it, range(4)))
    assert {path.name.split("-")[0] for path in tmp_path.iterdir()} == {"study.db"}


def test_half_made_study_is_never_seen(tmp_path, monkeypatch):
    path = tmp_path / "study.db"
    study._empty_database.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(study, "_open_sqlite", lambda _: sys.exit("killed"))
        with pytest.raises(SystemExit):
            open_storage(sqlite_url(path))
    assert not path.exists()
    monkeypatch.setattr(study.os, "fsync", lambda _: sys.exit("killed"))  # it is written by then
    with pytest.raises(SystemExit):
        open_storage(sqlite_url(path))
    assert list(tmp_path.iterdir()) == []


def test_studies_that_are_made_one_after_the_other_are_their_own(tmp_path):
    names = ("one", "two")
    for name in names:
        open_study(open_storage(sqlite_url(tmp_path / f"{name}.db")), name=name).add_trial(
            optuna.trial.create_trial(value=1.0 + len(name))
        )
    for name in names:
        storage = open_storage(sqlite_url(tmp_path / f"{name}.db"))
        assert [one.study_name for one in storage.get_all_studies()] == [name]
        assert len(storage.get_all_trials(1)) == 1


def test_study_in_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(StoreError, match="cannot be opened"):
        open_storage(sqlite_url(tmp_path / "nowhere" / "study.db"))


def test_run_without_trials_is_read_as_empty(tmp_path):
    folder = RunFolder.create(tmp_path / "run")
    folder.write_json(folder.manifest, MANIFEST | {"space": {"parameters": {}}})
    run = read_run(tmp_path / "run")
    assert run.trials.empty
    assert run.epochs.empty
