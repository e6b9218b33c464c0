"""A run whose study lies on a PostgreSQL server, as a user types it."""

import json

import pytest

from evolve.store.servers import keep_password
from evolve.store.study import open_storage
from tests.e2e import test_ablate
from tests.e2e.test_run import SPACE, on_curves, run
from tests.postgres import PASSWORD, a_server
from tests.thorough import thorough
from tests.unit.store.test_mirror import read_trials


@pytest.fixture(scope="module")
def server():
    with a_server() as running:
        yield running


@pytest.fixture
def work(tmp_path):
    (tmp_path / "my.yaml").write_text(SPACE)
    (tmp_path / "curve-0").mkdir()
    return tmp_path


def stored(url, run_folder):
    """Trials of a run's search on the server."""
    manifest = json.loads((run_folder / "manifest.json").read_text())
    return read_trials(open_storage(url), manifest["study"])


def test_a_run_and_its_continuation(server, work):
    url = server.make("runs")
    done = run(work, *on_curves("inline", "--storage", url, "--trials", "4"))
    assert done.returncode == 0, done.stderr
    assert not (work / "out" / "study.db").exists()
    first = stored(url, work / "out")
    assert [trial.number for trial in first] == [0, 1, 2, 3]
    more = run(work, *on_curves("inline", "--storage", url, "--trials", "6"))
    assert more.returncode == 0, more.stderr
    trials = stored(url, work / "out")
    assert [trial.params for trial in trials[:4]] == [trial.params for trial in first]
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "PRUNED"}
    assert len(trials) == 6
    straight = run(work, *on_curves("inline", "--trials", "6", "--out", "file"))
    assert straight.returncode == 0, straight.stderr
    in_file = read_trials(open_storage(f"sqlite:///{work}/file/study.db"))
    assert [t.params for t in in_file] == [t.params for t in trials]
    assert [t.values for t in in_file] == [t.values for t in trials]
    assert [t.intermediate_values for t in in_file] == [t.intermediate_values for t in trials]


def test_status_report_and_resume_find_the_study(server, work):
    url = server.make("read")
    assert run(work, *on_curves("inline", "--storage", url, "--trials", "3")).returncode == 0
    status = json.loads(run(work, "status", "out", "--json").stdout)
    assert "3" in json.dumps(status)
    report = run(work, "report", "out")
    assert report.returncode == 0, report.stderr
    assert (work / "out" / "report" / "index.html").is_file()
    resumed = run(work, "resume", "out", "--trials", "4", "--engine", "inline")
    assert resumed.returncode == 0, resumed.stderr
    assert len(stored(url, work / "out")) == 4


@thorough
def test_two_runs_of_one_name_share_a_database(server, work):
    url = server.make("both")
    for folder, seed in (("a/out", "1"), ("b/out", "2")):
        arguments = on_curves("inline", "--storage", url, "--trials", "3", "--seed", seed)
        done = run(work, *arguments, "--out", folder, "--confirm", "1x2")
        assert done.returncode == 0, done.stderr
    first, second = stored(url, work / "a/out"), stored(url, work / "b/out")
    assert [t.number for t in first] == [t.number for t in second] == [0, 1, 2]
    assert [t.params for t in first] != [t.params for t in second]
    status = json.loads(run(work, "status", "a/out", "--json").stdout)
    assert status["final"]["trainings"] == status["final"]["ended"] == 4


@thorough
def test_two_tables_of_one_name_share_a_database(server, work):
    (work / "rates.yaml").write_text(test_ablate.ROWS)
    table = ("--storage", server.make("tables"), "--seeds", "2")
    for folder, seed in (("a/out", "1"), ("b/out", "2")):
        done = run(work, *test_ablate.on_curves(*table, "--seed", seed, out=folder))
        assert done.returncode == 0, done.stderr
        assert not (work / folder / "study.db").exists()
    before = test_ablate.outcome(work / "a/out")
    more = run(work, "resume", "a/out", "--seeds", "3")
    assert more.returncode == 0, more.stderr
    after = test_ablate.outcome(work / "a/out")
    assert len(after) == 9
    assert [one for one in after if one in before] == before
    other = test_ablate.outcome(work / "b/out")
    assert len(other) == 6
    assert {one["seed"] for one in other}.isdisjoint(one["seed"] for one in after)


def test_a_password_is_written_nowhere(server, work):
    server.make("secret")
    url = server.url(PASSWORD, "secret")
    done = run(work, *on_curves("inline", "--storage", url, "--trials", "2"))
    assert done.returncode == 0, done.stderr
    assert run(work, "report", "out", PGPASSWORD=PASSWORD).returncode == 0
    told = [done.stdout, done.stderr, run(work, "status", "out", PGPASSWORD=PASSWORD).stdout]
    files = [path for path in (work / "out").rglob("*") if path.is_file()]
    told += [path.read_text(errors="replace") for path in files]
    typed = url.split("evolve:", 1)[1].split("@", 1)[0]
    for secret in (PASSWORD, typed, "s3cr"):
        assert not any(secret in text for text in told)
    manifest = json.loads((work / "out" / "manifest.json").read_text())
    assert manifest["storage"] == keep_password(url)
    refused = run(work, "status", "out", PGPASSWORD="wrong")
    assert refused.returncode == 2
    assert "password authentication failed" in refused.stderr
    again = run(work, *on_curves("inline", "--storage", url, "--trials", "3"))
    assert again.returncode == 0, again.stderr


def test_a_server_that_is_not_there_is_one_message(work):
    pytest.importorskip("psycopg")
    url = "postgresql+psycopg://evolve:s3cr@127.0.0.1:1/runs"
    done = run(work, *on_curves("inline", "--storage", url))
    assert done.returncode in (1, 2)
    assert "the study cannot be opened" in done.stderr
    assert "s3cr" not in done.stderr + done.stdout
