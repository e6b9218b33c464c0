"""Studies on a database server: a real PostgreSQL, and what goes wrong with one."""

import socket
import sys
import time

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from evolve.errors import StoreError
from evolve.store import servers
from evolve.store.mirror import MirroredStorage, together
from evolve.store.servers import keep_password, shown
from evolve.store.study import open_own_storage, open_storage, open_study
from tests.postgres import PASSWORD, a_server, free_port
from tests.unit.store.test_mirror import read_trials

KINDS = {"lr": FloatDistribution(1e-5, 1.0, log=True), "kind": CategoricalDistribution(("a", 2))}


@pytest.fixture(autouse=True)
def _forgets():
    servers._PASSWORDS.clear()


@pytest.fixture(scope="module")
def server():
    with a_server() as running:
        yield running


def sampled(storage, name="evolve"):
    return open_study(storage, optuna.samplers.RandomSampler(seed=0), name=name)


def plain(trial):
    return (trial.number, trial.state, trial.values, trial.params, trial.user_attrs,
            str(trial.intermediate_values), trial.datetime_start)  # fmt: skip


def work(study):
    """One trial of each ending, and one under way."""
    for end in (0.5, float("inf"), TrialState.PRUNED, TrialState.FAIL, None):
        with together(study._storage):
            trial = study.ask(KINDS)
            trial.set_user_attr("notes", {"a": [1, None]})
        trial.report(float("nan"), 0)
        trial.report(0.25, 1)
        if isinstance(end, TrialState):
            study.tell(trial, state=end)
        elif end is not None:
            study.tell(trial, end)


def test_a_study_on_postgresql_is_as_one_in_a_file(server, tmp_path):
    url = server.make("whole")
    storage = open_own_storage(url)
    work(sampled(storage))
    here = sampled(storage).get_trials()
    backend = open_storage(url)
    theirs = backend.get_all_trials(backend.get_study_id_from_name("evolve"))
    assert [plain(t) for t in here] == [plain(t) for t in theirs]
    assert [plain(t) for t in read_trials(backend)] == [plain(t) for t in theirs]
    file = open_own_storage(f"sqlite:///{tmp_path}/study.db")
    work(sampled(file))
    assert [t.params for t in sampled(file).get_trials()] == [t.params for t in here]


def test_two_writers_of_a_study_are_told(server):
    url = server.make("shared")
    first, second = (sampled(open_own_storage(url)) for _ in range(2))
    first.ask(KINDS)
    with pytest.raises(StoreError, match="another process writes to this study"):
        second.ask(KINDS)
    other = sampled(open_own_storage(url), "another")
    other.ask(KINDS)
    first.ask(KINDS)
    assert len(read_trials(open_storage(url))) == 2


def test_a_server_that_comes_back_is_waited_for(server):
    url = server.make("restarted")
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            server.start()

    study = sampled(MirroredStorage(open_storage(url), sleep=sleep))
    trial = study.ask(KINDS)
    server.stop()
    study.tell(trial, 0.5)
    assert len(pauses) >= 2
    assert read_trials(open_storage(url))[0].value == 0.5


def test_a_server_that_stays_away_is_an_error_and_damages_nothing(server):
    url = server.make("gone")
    now_s = [0.0]
    storage = MirroredStorage(
        open_storage(url),
        20.0,
        sleep=lambda seconds: now_s.__setitem__(0, now_s[0] + seconds),
        clock=lambda: now_s[0],
    )
    study = sampled(storage)
    trial = study.ask(KINDS)
    server.stop()
    try:
        with pytest.raises(StoreError, match="cannot be written"):
            study.tell(trial, 0.5)
    finally:
        server.start()
    assert study.get_trials()[0].state == TrialState.RUNNING
    assert read_trials(open_storage(url))[0].state == TrialState.RUNNING
    study.tell(trial, 0.5)
    assert read_trials(open_storage(url))[0].value == 0.5


# -- what goes wrong at the door -----------------------------------------------------------


def refused(url):
    begin = time.monotonic()
    with pytest.raises(StoreError) as caught:
        open_storage(url)
    assert time.monotonic() - begin < 10
    told = "\n".join(str(part) for part in (caught.value, *caught.value.args))
    assert PASSWORD not in told
    assert "s3cr" not in told
    assert caught.value.__cause__ is None or "s3cr" not in str(caught.value.__cause__)
    return told


def test_a_wrong_password_is_told_without_it(server):
    told = refused(server.url("s3cr-wrong"))
    assert "password authentication failed" in told
    assert "PGPASSWORD" in told


def test_a_missing_password_is_told(server, monkeypatch):
    monkeypatch.delenv("PGPASSWORD", raising=False)
    public = keep_password(server.url(PASSWORD))
    servers._PASSWORDS.clear()
    assert "PGPASSWORD" in refused(public)


def test_an_unknown_database_is_told(server):
    told = refused(server.url(PASSWORD, "nowhere"))
    assert 'database "nowhere" does not exist' in told
    assert "createdb" in told


def test_a_server_that_is_not_there_is_told():
    pytest.importorskip("psycopg")
    told = refused(f"postgresql+psycopg://evolve:s3cr@127.0.0.1:{free_port()}/runs")
    assert "the server running?" in told


def test_a_server_that_says_nothing_is_told():
    pytest.importorskip("psycopg")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        told = refused(f"postgresql+psycopg://evolve:s3cr@127.0.0.1:{port}/runs")
    assert "timeout" in told


def test_a_missing_driver_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    told = refused("postgresql+psycopg://evolve:s3cr@127.0.0.1:1/runs")
    assert "not installed" in told
    assert "evolve-yolo[postgres]" in told


@pytest.mark.parametrize("url", ["nonsense://evolve:s3cr@host/runs", "://evolve:s3cr@b", "runs"])
def test_what_is_no_storage_is_told(url):
    assert "cannot be opened" in refused(url)


def test_a_password_is_kept_out_of_the_url_and_remembered(server):
    url = server.url(PASSWORD)
    public = keep_password(url)
    assert "s3cr" not in public
    assert keep_password(public) == public
    open_storage(public)
    servers._PASSWORDS.clear()


def test_a_password_among_the_options_is_kept_out_too():
    public = keep_password("postgresql+psycopg://evolve@host/runs?password=s3cr&connect_timeout=3")
    assert public == "postgresql+psycopg://evolve@host/runs?connect_timeout=3"


def test_the_password_of_the_environment_is_taken(server, monkeypatch):
    public = keep_password(server.url(PASSWORD))
    servers._PASSWORDS.clear()
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    open_storage(public)


def test_urls_are_shown_without_passwords():
    assert shown("a://b:c@d@e/f?sslpassword=g&h=i") == "a://b@e/f?sslpassword=***&h=i"
    assert shown("sqlite:////a/b.db") == "sqlite:////a/b.db"
    assert keep_password("sqlite:////a/b.db") == "sqlite:////a/b.db"
