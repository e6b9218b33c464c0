"""How far a run is, from its folder."""

import fcntl
import json
import os
import threading

import pytest
from optuna.trial import TrialState

from evolve.space import find_space_file, load_space
from evolve.store.read import read_manifest
from evolve.store.status import Failures, StatusReader
from evolve.store.study import failure_of, open_storage, sqlite_url
from evolve.testing.large_run import EPOCHS, make_large_run

NOW = 1_800_000_000.0


@pytest.fixture
def folder(tmp_path):
    return make_large_run(tmp_path / "run", load_space(find_space_file("ga.yaml")), 60)


def test_an_interrupted_run(folder):
    status = StatusReader(folder.path).read()
    assert (status.state, status.phase, status.pid, status.here) == (
        *("interrupted", "search", None),
        False,
    )
    assert sum(status.states.values()) == status.asked == 60
    assert status.states["RUNNING"] == 2
    assert [one.name for one in status.running] == ["trial 58", "trial 59"]
    assert all(3 <= one.epoch < EPOCHS == one.epochs for one in status.running)
    assert sum(one.count for one in status.failures) == status.states["FAIL"]
    assert status.epochs_per_hour is status.seconds_left is status.final is None
    tree = json.loads(json.dumps(status.to_dict(), allow_nan=False))
    assert tree["running"][0]["value"] == pytest.approx(status.running[0].value)


def test_the_best_and_the_failures_are_those_of_the_study(folder):
    status = StatusReader(folder.path).read()
    storage = open_storage(sqlite_url(folder.study))
    trials = storage.get_all_trials(1)
    storage.engine.dispose()
    best = max((t for t in trials if t.values), key=lambda t: t.value)
    assert (status.best_trial, status.best) == (best.number, best.value)
    for one in status.failures:
        same = [t for t in trials if failure_of(t).get("type") == one.type]
        what = same[-1].user_attrs["evolve:failure"]["what"]
        assert one == Failures(one.type, len(same), same[-1].number, what)


def test_a_run_that_is_held_tells_pace_and_end(folder):
    with folder.lock():
        os.utime(folder.lock_file, (0, 0))  # as if taken before the first trial
        status = StatusReader(folder.path).read(NOW)
        assert (status.state, status.pid, status.here) == ("running", os.getpid(), True)
        trials = StatusReader(folder.path)._trials(read_manifest(folder))
    ended = [len(t.intermediate_values) for t in trials if t.state.is_finished()]
    under_way = sum(one.epoch for one in status.running)
    pace = (sum(ended) + under_way) / NOW
    assert status.epochs_per_hour == pytest.approx(3600 * pace, abs=0.01)
    usual = sum(ended) / len(ended)
    rest = sum((usual if one.epoch < usual else one.epochs) - one.epoch for one in status.running)
    assert status.seconds_left == pytest.approx(rest / pace, abs=0.1)
    assert StatusReader(folder.path).read().state == "interrupted"


def test_no_pace_before_the_first_epoch_of_a_session(folder):
    with folder.lock():
        status = StatusReader(folder.path).read()
    assert status.state == "running"
    assert status.epochs_per_hour is None


def test_a_reader_sees_what_came_since(folder):
    reader = StatusReader(folder.path)
    before = reader.read()
    storage = open_storage(sqlite_url(folder.study))
    storage.set_trial_state_values(59, TrialState.PRUNED)  # trial 58, pruned
    storage.create_new_trial(1)
    storage.remove_session()
    storage.engine.dispose()
    after = reader.read()
    assert after.states["PRUNED"] == before.states["PRUNED"] + 1
    assert [one.name for one in after.running] == ["trial 59", "trial 60"]
    assert after == StatusReader(folder.path).read()


def test_done_when_nothing_is_left(folder):
    _ask_for(folder, 58)
    assert StatusReader(folder.path).read().state == "done"


def test_a_final_comparison_that_was_not_begun_is_left_to_do(folder):
    _ask_for(folder, 58, confirm="3x3")
    status = StatusReader(folder.path).read()
    assert (status.state, status.phase) == ("interrupted", "final comparison")


def test_looking_at_the_lock_leaves_it_free(folder):
    assert folder.holder() is None
    assert not folder.lock_file.exists()
    with folder.lock():
        assert folder.holder() == os.getpid()
        assert folder.holder() == os.getpid()
    assert folder.holder() is None
    with folder.lock():
        pass


def test_the_lock_is_taken_although_somebody_looks(folder):
    with folder.lock():
        pass
    with folder.lock_file.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        threading.Timer(0.05, lambda: fcntl.flock(file, fcntl.LOCK_UN)).start()
        with folder.lock():
            assert folder.holder() == os.getpid()


def _ask_for(folder, trials, **more):
    """Let a run be one of fewer trials."""
    folder.write_json(folder.manifest, read_manifest(folder) | {"trials": trials} | more)
