"""The storage of the process that alone writes a study, against Optuna's own."""

import math
import sqlite3
from contextlib import contextmanager
from functools import partial

import optuna
import pytest
import sqlalchemy
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial

from evolve.errors import StoreError
from evolve.store import mirror as mirror_module
from evolve.store.mirror import MirroredStorage, together
from evolve.store.study import open_own_storage, open_storage, open_study, sqlite_url, tell
from evolve.store.trials import read_study

KINDS = {
    "lr": FloatDistribution(1e-5, 1.0, log=True),
    "batch": CategoricalDistribution((2, 4, "all")),
    "depth": IntDistribution(1, 9, step=2),
}


@pytest.fixture
def url(tmp_path):
    return sqlite_url(tmp_path / "study.db")


@pytest.fixture
def storage(url):
    return open_own_storage(url)


def read_trials(storage, name="evolve"):
    """Trials of a study as they are stored."""
    study_id = storage.get_study_id_from_name(name)
    return [trial for _, trial in read_study(storage.engine, study_id)]


def plain(trial):
    """A trial but for its identifier and its moments."""
    return (trial.number, trial.state, trial.values, trial.params, trial.distributions,
            trial.user_attrs, trial.system_attrs, str(trial.intermediate_values))  # fmt: skip


def fill(study):
    """Every kind of write that a run makes, and odd values."""
    storage = study._storage
    study.enqueue_trial({"lr": 0.1, "batch": "all", "depth": 3}, user_attrs={"evolve:origin": "x"})
    trials = [study.ask(KINDS) for _ in range(5)]
    for number, trial in enumerate(trials):
        storage.set_trial_user_attr(trial._trial_id, "notes", {"a": [1, None, "é"]})
        storage.set_trial_system_attr(trial._trial_id, "own", number)
        for step in range(number):
            storage.set_trial_intermediate_value(trial._trial_id, step, 0.1 * step)
    storage.set_trial_intermediate_value(trials[3]._trial_id, 1, math.nan)
    storage.set_trial_intermediate_value(trials[3]._trial_id, 7, -math.inf)
    storage.set_trial_user_attr(trials[3]._trial_id, "notes", "again")
    study.tell(trials[0], 0.25)
    study.tell(trials[1], state=TrialState.FAIL)
    study.tell(trials[2], state=TrialState.PRUNED)
    study.tell(trials[3], math.inf)
    study.add_trial(create_trial(params={"lr": 0.5}, distributions={"lr": KINDS["lr"]}, value=2.0))
    study.enqueue_trial({"lr": 0.2})


def sampled(storage):
    return open_study(storage, optuna.samplers.RandomSampler(seed=0))


def test_tells_what_optuna_tells(tmp_path, url):
    told = []
    for place in (url, sqlite_url(tmp_path / "other.db")):
        study = sampled(open_own_storage(place))
        trials = [study.ask(KINDS) for _ in range(4)]
        study._storage.set_trial_intermediate_value(trials[2]._trial_id, 1, 0.75)
        one = study.tell if place == url else partial(tell, study)
        one(0, 0.25)
        one(1, state=TrialState.FAIL)
        one(2, state=TrialState.PRUNED)
        with pytest.raises(ValueError, match="not acceptable"):
            one(3, math.nan, TrialState.COMPLETE)
        told.append([plain(trial) for trial in read_trials(open_storage(place))])
    assert told[0] == told[1]
    assert [values for _, _, values, *_ in told[0]] == [[0.25], None, [0.75], None]


def test_writes_what_optunas_storage_writes(tmp_path, storage):
    other = open_storage(sqlite_url(tmp_path / "other.db"))
    fill(sampled(other))
    study = sampled(storage)
    fill(study)
    theirs = [plain(trial) for trial in sampled(other).get_trials()]
    assert [plain(trial) for trial in study.get_trials()] == theirs
    # as Optuna reads it, and as this storage does when it is opened anew
    fresh = sampled(RDBStorage(storage.backend.url))
    assert [plain(trial) for trial in fresh.get_trials()] == theirs
    mine = sampled(open_own_storage(storage.backend.url))
    assert [plain(trial) for trial in mine.get_trials()] == theirs
    assert mine.best_trial.number == study.best_trial.number == sampled(other).best_trial.number


def test_moments_are_kept(storage):
    fill(sampled(storage))
    here = sampled(storage).get_trials()
    there = sampled(RDBStorage(storage.backend.url)).get_trials()
    assert [t.datetime_start for t in here] == [t.datetime_start for t in there]
    assert [t.datetime_complete for t in here] == [t.datetime_complete for t in there]


def test_read_trials_gives_what_optuna_gives(storage):
    fill(sampled(storage))
    backend = open_storage(storage.backend.url)
    study_id = backend.get_study_id_from_name("evolve")
    theirs = backend.get_all_trials(study_id)
    assert [plain(trial) for trial in read_trials(backend)] == [plain(trial) for trial in theirs]
    assert [trial._trial_id for trial in read_trials(backend)] == [t._trial_id for t in theirs]


def test_tables_are_those_of_the_schema_that_is_known(storage):
    assert storage.backend.get_current_version() == "v3.2.0.a"
    with storage.backend.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT schema_version FROM version_info").scalar() == 12


@contextmanager
def counted(storage):
    """How many transactions are ended inside."""
    ended = []

    def note(connection):
        ended.append(1)

    sqlalchemy.event.listen(storage.backend.engine, "commit", note)
    yield ended
    sqlalchemy.event.remove(storage.backend.engine, "commit", note)


def test_a_group_is_one_transaction(storage):
    study = sampled(storage)
    with counted(storage) as ended:
        with together(storage):
            trial = study.ask(KINDS)
            trial.set_user_attr("a", 1)
        assert len(ended) == 1
        trial.report(0.5, 0)
        assert len(ended) == 2
        with together(storage):
            trial.set_user_attr("b", 1)
            study.tell(trial, 0.5)
        assert len(ended) == 3
        study.get_trials()
        assert study.best_value == 0.5
        assert len(ended) == 3


def test_reading_asks_the_database_nothing(storage):
    study = sampled(storage)
    trials = [study.ask(KINDS) for _ in range(3)]
    asked = []
    sqlalchemy.event.listen(
        storage.backend.engine, "before_cursor_execute", lambda *args: asked.append(args)
    )
    study.get_trials(deepcopy=False)
    study.get_trials(states=(TrialState.RUNNING,))
    storage.get_trial(trials[1]._trial_id)
    assert not asked


def test_an_exception_undoes_its_group(storage):
    study = sampled(storage)
    first = study.ask(KINDS)

    def fail():
        first.set_user_attr("a", 1)
        study.ask(KINDS)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"), together(storage):
        fail()
    for seen in (study, sampled(RDBStorage(storage.backend.url))):
        assert [trial.user_attrs for trial in seen.get_trials()] == [{}]
    assert study.ask(KINDS).number == 1


def test_a_refused_call_leaves_the_rest_of_its_group(storage):
    study = sampled(storage)
    done = study.ask(KINDS)
    study.tell(done, 1.0)
    with together(storage):
        trial = study.ask(KINDS)
        with pytest.raises(UpdateFinishedTrialError):
            storage.set_trial_user_attr(done._trial_id, "a", 1)
        with pytest.raises(ValueError, match="distribution"):
            storage.set_trial_param(trial._trial_id, "lr", 1.0, IntDistribution(1, 2))
    assert [plain(t) for t in sampled(RDBStorage(storage.backend.url)).get_trials()] == [
        plain(t) for t in study.get_trials()
    ]
    assert len(study.get_trials()) == 2


def test_an_interrupt_in_a_group_leaves_what_is_stored(storage, monkeypatch):
    study = sampled(storage)
    study.ask(KINDS)
    write = mirror_module.write_changes

    def interrupted(*args, **kwargs):
        write(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(mirror_module, "write_changes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study.ask()
    monkeypatch.undo()
    assert [trial.number for trial in study.get_trials()] == [0, 1]
    assert study.ask().number == 2


def test_trials_that_are_held_do_not_change(storage):
    study = sampled(storage)
    trial = study.ask(KINDS)
    held = study.get_trials(deepcopy=False)[0]
    trial.report(0.5, 1)
    study.tell(trial, 1.0)
    assert held.state == TrialState.RUNNING
    assert held.intermediate_values == {}


def test_trials_of_another_process_are_refused(url, storage):
    study, other = sampled(storage), sampled(open_own_storage(url))
    study.ask(KINDS)
    with pytest.raises(StoreError, match="another process writes to this study"):
        other.ask(KINDS)
    assert len(read_trials(open_storage(url))) == 1


def test_a_trial_that_was_ended_elsewhere_is_not_ended_again(url, storage):
    study = sampled(storage)
    trial = study.ask(KINDS)
    sampled(open_own_storage(url)).tell(0, 3.0)
    with pytest.raises(StoreError, match="ended elsewhere"):
        study.tell(trial, 1.0)
    assert read_trials(open_storage(url))[0].value == 3.0


class Broken:
    """Writes that fail so many times, before or after the transaction is done."""

    def __init__(self, times, after):
        self.times, self.after, self.write = times, after, mirror_module.write_changes

    def __call__(self, engine, changes, again=False):
        failing, self.times = self.times > 0, self.times - 1
        if not failing or self.after:
            keys = self.write(engine, changes, again=again)
        if failing:
            raise sqlalchemy.exc.OperationalError("INSERT", {}, sqlite3.OperationalError("gone"))
        return keys


class Time:
    def __init__(self):
        self.now_s = 0.0

    def sleep(self, seconds):
        self.now_s += seconds

    def __call__(self):
        return self.now_s


@pytest.mark.parametrize("after", [False, True])
def test_a_broken_connection_is_tried_again(url, monkeypatch, after):
    clock = Time()
    storage = MirroredStorage(open_storage(url), sleep=clock.sleep, clock=clock)
    study = sampled(storage)
    with monkeypatch.context() as patched:
        patched.setattr(mirror_module, "write_changes", Broken(3, after))
        trial = study.ask()
        trial.suggest_float("lr", 1e-5, 1.0, log=True)
        patched.setattr(mirror_module, "write_changes", Broken(2, after))
        trial.report(0.5, 1)
        patched.setattr(mirror_module, "write_changes", Broken(2, after))
        study.tell(trial, 0.75)
    assert 0 < clock.now_s < 10
    stored = read_trials(open_storage(url))
    assert [plain(one) for one in stored] == [plain(one) for one in study.get_trials()]
    assert stored[0].value == 0.75


def test_a_database_that_is_gone_is_an_error_in_the_end(url, monkeypatch):
    clock = Time()
    storage = MirroredStorage(open_storage(url), 60.0, clock.sleep, clock)
    study = sampled(storage)
    trial = study.ask(KINDS)
    with monkeypatch.context() as patched:
        patched.setattr(mirror_module, "write_changes", Broken(10**6, after=False))
        with pytest.raises(StoreError, match="cannot be written: gone"):
            study.tell(trial, 0.75)
    assert 50 < clock.now_s <= 60
    assert study.get_trials()[0].state == TrialState.RUNNING
    assert read_trials(open_storage(url))[0].state == TrialState.RUNNING
    study.tell(trial, 0.5)  # as soon as it is there again
    assert read_trials(open_storage(url))[0].value == 0.5


def test_other_studies_of_the_database_are_left_alone(url, storage):
    others = [open_study(storage, name="evolve:final"), sampled(storage)]
    for study in (*others, *others):
        study.tell(study.ask(KINDS), 1.0)
    assert [len(read_trials(open_storage(url), name)) for name in ("evolve", "evolve:final")] == [
        2,
        2,
    ]
    assert [t.number for t in others[0].get_trials()] == [0, 1]


def test_sqlite_flushes_its_log_at_checkpoints(url):
    for storage in (open_storage(url), open_own_storage(url).backend):
        with storage.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


@pytest.fixture
def clocked(url):
    """A storage whose clock stands at `storage.time`."""
    storage = MirroredStorage(open_storage(url), clock=lambda: storage.time)
    storage.time = 0.0
    return storage


def report(storage, trial, step):
    with together(storage, unhurried=True):
        storage.set_trial_intermediate_value(trial._trial_id, step, step / 10)


def stored_steps(storage):
    return [list(trial.intermediate_values) for trial in read_trials(storage.backend)]


def test_unhurried_writes_wait_for_company_for_a_second(clocked):
    study = sampled(clocked)
    trial, other = study.ask(KINDS), study.ask(KINDS)
    report(clocked, trial, 1)
    report(clocked, other, 1)
    assert stored_steps(clocked) == [[], []]
    assert list(study.get_trials()[0].intermediate_values) == [1]
    study.tell(other, 0.5)
    assert stored_steps(clocked) == [[1], [1]]
    clocked.time = 1.0
    report(clocked, trial, 2)
    assert stored_steps(clocked) == [[1, 2], [1]]
    report(clocked, trial, 3)
    assert stored_steps(clocked) == [[1, 2], [1]]
    clocked.remove_session()
    assert stored_steps(clocked) == [[1, 2, 3], [1]]


def test_a_value_that_its_owner_changes_is_written_again(storage):
    study = sampled(storage)
    trial, notes = study.ask(KINDS), [1]
    for count in (2, 3):
        storage.set_trial_user_attr(trial._trial_id, "notes", notes)
        notes.append(count)
    stored = [t.user_attrs["notes"] for t in (*study.get_trials(), *read_trials(storage.backend))]
    assert stored == [[1, 2], [1, 2]]


def test_what_waits_is_not_undone_with_another_group(clocked):
    study = sampled(clocked)
    trial, other = study.ask(KINDS), study.ask(KINDS)
    report(clocked, trial, 1)

    def fail():
        trial.set_user_attr("a", 1)
        other.set_user_attr("a", 1)
        study.ask(KINDS)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"), together(clocked):
        fail()
    assert [list(t.intermediate_values) for t in study.get_trials()] == [[1], []]
    other.set_user_attr("b", 2)
    assert [t.user_attrs for t in study.get_trials()] == [{}, {"b": 2}]
    assert [plain(t) for t in read_trials(clocked.backend)] == [
        plain(t) for t in study.get_trials()
    ]
