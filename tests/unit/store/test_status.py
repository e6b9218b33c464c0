"""How far a run is, from its folder."""

import fcntl
import json
import os
import threading

import pytest
from optuna.trial import TrialState

from evolve.space import find_space_file, load_space
from evolve.store.read import read_manifest
from evolve.store.status import Failures, FinalStatus, StatusReader
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
        failure = same[-1].user_attrs["evolve:failure"]
        log = tuple(failure["log"][-3:])
        assert one == Failures(one.type, len(same), same[-1].number, failure["what"], log)


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


def _write(path, *events):
    path.parent.mkdir(exist_ok=True)
    lines = [json.dumps({"event": kind, "at": 1.0, **more}) for kind, more in events]
    with path.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize("why", ["budget", "no gain"])
def test_a_search_that_was_closed_early_is_over(folder, why):
    _ask_for(folder, 100)
    assert StatusReader(folder.path).read().phase == "search"
    _write(folder.journal, ("close", {"why": why}))
    status = StatusReader(folder.path).read()
    assert (status.phase, status.search_closed) == ("search", why)  # two trials have not ended
    storage = open_storage(sqlite_url(folder.study))
    for trial in (59, 60):
        storage.set_trial_state_values(trial, TrialState.PRUNED)
    storage.remove_session()
    storage.engine.dispose()
    status = StatusReader(folder.path).read()
    assert (status.phase, status.state) == ("done", "done")


def test_a_search_that_had_all_its_trials_was_not_closed_early(folder):
    _write(folder.journal, ("close", {"why": "trials"}))
    assert StatusReader(folder.path).read().search_closed == ""


def test_trials_that_wait_are_told_apart(folder):
    reader = StatusReader(folder.path)
    assert [one.name for one in reader.read().running] == ["trial 58", "trial 59"]
    _write(
        folder.journal,
        ("begin", {"number": 58}),
        ("epoch", {"number": 58, "epoch": 3, "says": "pause"}),
        ("leave", {"number": 58}),
        ("begin", {"number": 59}),
    )
    status = reader.read()
    assert [one.name for one in status.paused] == ["trial 58"]
    assert [one.name for one in status.running] == ["trial 59"]
    _write(folder.journal, ("begin", {"number": 58}))
    assert reader.read().paused == ()
    folder.journal.unlink()
    _write(folder.journal, ("retry", {"number": 59}))
    assert [one.name for one in reader.read().paused] == ["trial 59"]


@pytest.mark.parametrize("why", [{"why": "interrupted"}, {"why": "stopped"}, {}])
def test_what_was_interrupted_waits_only_when_the_run_goes_on(folder, why):
    reader = StatusReader(folder.path)
    _write(folder.journal, ("begin", {"number": 58}), ("leave", {"number": 58} | why))
    status = reader.read()
    assert [one.name for one in status.running] == ["trial 58", "trial 59"]
    assert status.paused == ()
    _write(folder.journal, ("session", {}), ("begin", {"number": 59}))
    assert [one.name for one in reader.read().paused] == ["trial 58"]
    _write(folder.journal, ("begin", {"number": 58}))
    assert reader.read().paused == ()


def test_retries_are_counted_with_what_was_done(folder):
    storage = open_storage(sqlite_url(folder.study))
    tries = [
        {"type": "oom", "what": "no room", "remedy": "alone", "log": list("abcd")},
        {"type": "oom", "what": "no room yet", "remedy": "smaller", "log": []},
        {"type": "killed", "what": "signal 9", "remedy": "again", "log": []},
    ]
    for trial, several in ((59, tries), (60, tries[:1])):
        storage.set_trial_user_attr(trial, "evolve:attempts", several)
    storage.remove_session()
    storage.engine.dispose()
    oom, killed = StatusReader(folder.path).read().retries
    assert (oom.type, oom.count, oom.remedies) == ("oom", 2, {"alone": 2, "smaller": 1})
    assert (oom.last_trial, oom.last, oom.log) == (59, "no room", ("b", "c", "d"))
    assert (killed.count, killed.remedies) == (1, {"again": 1})


def test_a_comparison_that_its_budget_ended_is_over():
    states = {"COMPLETE": 4, "FAIL": 1, "WAITING": 4}
    assert FinalStatus("test", 9, 5, states, "budget").over
    assert not FinalStatus("test", 9, 5, states).over
    assert not FinalStatus("test", 9, 5, states | {"RUNNING": 1}, "budget").over


def _ask_for(folder, trials, **more):
    """Let a run be one of fewer trials."""
    folder.write_json(folder.manifest, read_manifest(folder) | {"trials": trials} | more)
