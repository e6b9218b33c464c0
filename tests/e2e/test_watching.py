"""Watching a run from outside: status beside it, a command at its end, MLflow."""

import itertools
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys

import pytest

from tests.e2e.test_run import (
    EVOLVE,
    ROOT,
    finished,
    on_curves,
    run,
    run_anew,
    start,
    wait_until,
    work,
)
from tests.thorough import thorough

__all__ = ["work"]  # a fixture
TELL = "import os, sys; open(sys.argv[1], 'a').write(os.environ['EVOLVE_STATUS'] + ' ' + "
TELL += "os.environ['EVOLVE_EXIT_CODE'] + ' ' + os.environ.get('EVOLVE_VERDICT', '-') + '\\n')"


def _tell(work):
    return f'{sys.executable} -c "{TELL}" told.txt'


LONG, SHORT = 1000, 20  # trials: to be stopped, and to be watched until the end


def _begin(work, *more, trials=LONG):
    given = ("--trials", str(trials), *more)
    process = start(work, *on_curves("inline", *given, data="curve-0.2"))
    wait_until(lambda: finished(work) >= 1)
    return process


def _end(process, how):
    process.send_signal(how)
    process.communicate(timeout=60)
    return process.returncode


def test_status_beside_a_run_and_after_it(work):
    process = _begin(work)
    beside = json.loads(run(work, "status", "out", "--json").stdout)
    assert (beside["state"], beside["pid"], beside["here"]) == ("running", process.pid, True)
    assert beside["epochs_per_hour"] > 0
    assert beside["seconds_left"] > 0
    text = run(work, "status", "out").stdout
    assert f"out, search; running (pid {process.pid})" in text
    assert "the search ends in" in text
    assert _end(process, signal.SIGINT) == 130
    text = run(work, "status", "out").stdout
    assert "out, search; interrupted: evolve resume out" in text
    states = json.loads(run(work, "status", "out", "--json").stdout)["states"]
    assert (": epoch " in text) == ("RUNNING" in states)  # it may be between two trials


def test_watching_on_a_pipe_prints_what_changed_until_the_end(work):
    process = _begin(work, trials=SHORT)
    lines = run(work, "status", "out", "--watch", "--json", "--every", "0.1").stdout.splitlines()
    assert process.wait(60) == 0
    seen = [json.loads(line) for line in lines]
    assert len(seen) > 3
    still = [{**one, "epochs_per_hour": 0, "seconds_left": 0} for one in seen]
    assert all(a != b for a, b in itertools.pairwise(still))
    assert (seen[0]["state"], seen[-1]["state"]) == ("running", "done")
    assert sum(seen[-1]["states"].values()) == SHORT
    again = run(work, "status", "out", "--watch").stdout
    assert again.count("run      out, done") == 1


@thorough
def test_watching_never_touches_the_run(work):
    process = _begin(work, trials=SHORT)
    watchers = [start(work, "status", "out", "--watch", "--every", "0.1") for _ in range(3)]
    assert process.wait(90) == 0
    assert [watcher.wait(60) for watcher in watchers] == [0, 0, 0]
    before = {path.name: path.stat().st_mtime_ns for path in (work / "out").iterdir()}
    run(work, "status", "out")
    assert {path.name: path.stat().st_mtime_ns for path in (work / "out").iterdir()} == before


def test_ctrl_c_ends_watching_and_not_the_run(work):
    process = _begin(work)
    watcher = start(work, "status", "out", "--watch", "--every", "0.1")
    assert watcher.stdout.readline().startswith("run      out, search; running")
    watcher.send_signal(signal.SIGINT)
    _, said = watcher.communicate(timeout=30)
    assert watcher.returncode == 130
    assert "no longer watched" in said
    assert _end(process, signal.SIGINT) == 130


def test_a_terminal_is_drawn_anew(work):
    process = _begin(work, trials=SHORT)
    ours, theirs = pty.openpty()
    watcher = subprocess.Popen(
        [*EVOLVE, "status", "out", "--watch", "--every", "0.1"],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"},
        stdout=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    assert watcher.wait(60) == 0
    assert process.wait(60) == 0
    text = shown.decode()
    assert text.count("run      out") > 3
    assert "\x1b[1A" in text  # it goes up over what it drew before
    assert "out, done" in text
    os.close(ours)


def test_a_killed_driver_is_not_running(work):
    process = _begin(work)
    _end(process, signal.SIGKILL)
    assert "; interrupted: evolve resume out" in run(work, "status", "out").stdout


def test_on_end_of_a_run_that_is_done(work):
    done = run(work, *on_curves("inline", "--trials", "2", "--on-end", _tell(work)))
    assert done.returncode == 0
    (line,) = (work / "told.txt").read_text().splitlines()
    assert line.startswith("done 0 ")
    assert line.removeprefix("done 0 ") in done.stdout
    told = (work / "out" / "manifest.json").read_text()
    assert "told.txt" not in told
    assert "--on-end" not in told
    run(work, "resume", "out", "--trials", "3")
    assert len((work / "told.txt").read_text().splitlines()) == 1  # it is not remembered


def test_on_end_of_a_run_that_is_refused_or_interrupted(work):
    process = _begin(work, "--on-end", _tell(work))
    refused = run(work, "resume", "out", "--engine", "inline", "--on-end", _tell(work))
    assert refused.returncode == 2
    assert _end(process, signal.SIGINT) == 130
    assert (work / "told.txt").read_text() == "failed 2 -\ninterrupted 130 -\n"


def test_on_end_of_a_run_in_which_every_trial_fails(work):
    space = (work / "my.yaml").read_text().replace("low: 1.0e-3, high: 0.1", "low: 1, high: 9")
    (work / "my.yaml").write_text(space.replace("default: 2.0e-3", "default: 2"))
    done = run(work, *on_curves("inline", "--trials", "2", "--on-end", _tell(work)))
    assert done.returncode == 1
    assert (work / "told.txt").read_text().startswith("failed 1 ")
    status = run(work, "status", "out").stdout
    assert "failed   2 diverged (last, trial 1: " in status


def test_on_end_that_fails_changes_nothing(work):
    done = run(work, *on_curves("inline", "--trials", "2", "--on-end", "sh -c 'exit 7'"))
    assert done.returncode == 0
    assert "warning: --on-end sh: exit code 7" in done.stderr


def test_on_end_that_cannot_be_parsed_is_refused_before_anything_starts(work):
    done = run(work, *on_curves("inline", "--on-end", "sh 'x"))
    assert done.returncode == 2
    assert "No closing quotation" in done.stderr
    assert not (work / "out").exists()


FAKE = """
import json
from tests.unit.fake_mlflow import Metric, Param, Server
SERVER = Server()
class MlflowClient:
    def __init__(self, tracking_uri):
        self.uri, self.client = tracking_uri, SERVER.client()
    def __getattr__(self, name):
        if self.uri == "http://nowhere":
            raise ConnectionError("no route to host")
        call = getattr(self.client, name)
        def told(*arguments, **more):
            found = call(*arguments, **more)
            runs = [[r.name, r.status, r.tags, len(r.metrics)] for r in SERVER.runs.values()]
            open("mlflow.json", "w").write(json.dumps(runs))
            return found
        return told
"""


@pytest.fixture
def fake(work):
    """A folder for PYTHONPATH with a package that passes for MLflow."""
    package = work / "packages" / "mlflow"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(FAKE)
    (package / "entities.py").write_text("from tests.unit.fake_mlflow import Metric, Param")
    return {"PYTHONPATH": f"{ROOT}:{package.parent}"}


def test_a_run_is_noted_in_mlflow(work, fake):
    done = run_anew(work, *on_curves("inline", "--mlflow", "file:./mlruns"), **fake)
    assert done.returncode == 0, done.stderr
    assert "MLflow" not in done.stderr
    parent, *children = json.loads((work / "mlflow.json").read_text())
    assert parent[:2] == ["out", "FINISHED"]
    assert len(children) == 6
    states = [row[2]["evolve.state"] for row in children]
    with sqlite3.connect(work / "out" / "study.db") as study:
        assert states == [s for (s,) in study.execute("select state from trials order by number")]
    assert sum(row[3] for row in children) >= 3 * 6
    assert "mlruns" not in (work / "out" / "manifest.json").read_text()


@thorough
def test_a_run_without_its_mlflow_server_goes_on(work, fake):
    done = run_anew(work, *on_curves("inline", "--mlflow", "http://nowhere"), **fake)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("MLflow") == 1
    assert "warning: MLflow: ConnectionError: no route to host" in done.stderr
    assert "[6/6]" in done.stderr
