"""A run noted in MLflow: what is noted, and that no trouble there reaches the run."""

import threading
import time
from functools import partial

import pytest

from evolve import tracking
from evolve.engine.director import Phase
from evolve.errors import EvolveError
from evolve.tracking import Background, MlflowListener, tracked
from tests.unit import fake_mlflow
from tests.unit.fake_mlflow import Server

MANIFEST = {"name": "my 'run'", "created": "2026-05-09", "objective": "AP", "seed": 0}


@pytest.fixture
def server(monkeypatch):
    fake_mlflow.install(monkeypatch)
    return Server()


def _listener(server, warn=pytest.fail):
    return MlflowListener(server.client, Background(warn))


def _row(epoch, **metrics):
    return {"epoch": epoch, "time": float(epoch), "objective": 0.1, "metrics": metrics}


def _follow(listener):
    listener.on_begin(MANIFEST)
    listener.on_start(0, {"optimizer.lr": 0.01, "loss.box": "ciou"}, 0, 2)
    listener.on_epoch(0, _row(1, AP=0.1, APs=float("nan")))
    listener.on_start(1, {"optimizer.lr": 0.5}, 0, 2)
    listener.on_epoch(0, _row(2, AP=0.2))
    listener.on_end(0, "COMPLETE", 0.2, "")
    listener.on_end(1, "FAIL", None, "diverged: the loss: not finite")


def _by_name(server):
    return {run.name: run for run in server.runs.values()}


def test_a_parent_and_a_child_a_trial(server):
    listener = _listener(server)
    _follow(listener)
    listener.finish("FINISHED")
    runs = _by_name(server)
    assert list(runs) == ["my 'run'", "trial 0", "trial 1"]
    parent = runs["my 'run'"]
    assert (parent.status, parent.tags["evolve.objective"]) == ("FINISHED", "AP")
    assert [(m.key, m.value, m.step) for m in parent.metrics] == [("best", 0.2, 0)]
    first, second = runs["trial 0"], runs["trial 1"]
    assert first.params == {"optimizer.lr": "0.01", "loss.box": "ciou"}
    assert first.metrics == [("AP", 0.1, 1000, 1), ("AP", 0.2, 2000, 2)]
    assert (first.status, first.tags["evolve.state"]) == ("FINISHED", "COMPLETE")
    assert first.tags["mlflow.parentRunId"] == second.tags["mlflow.parentRunId"] == parent.id
    assert second.status == "FAILED"
    assert second.tags["evolve.failure"] == "diverged"
    assert second.tags["evolve.reason"] == "the loss: not finite"


def test_a_phase_has_children_of_its_own(server):
    listener = _listener(server)
    _follow(listener)
    phase = Phase("final comparison", "", 2, lambda number: f"the defaults, seed {number}", {})
    listener.on_phase(phase)
    listener.on_start(0, {}, 0, 2)
    listener.on_end(0, "COMPLETE", 0.9, "")
    listener.finish("FINISHED")
    runs = _by_name(server)
    assert runs["the defaults, seed 0"].tags["evolve.phase"] == "final comparison"
    assert [m.value for m in runs["my 'run'"].metrics] == [0.2]


def test_a_run_that_goes_on_is_found_again(server):
    first = _listener(server)
    _follow(first)
    first.finish("KILLED")
    assert _by_name(server)["my 'run'"].status == "KILLED"
    again = _listener(server)
    again.on_begin(MANIFEST)
    again.on_start(1, {"optimizer.lr": 0.5}, 1, 2)
    again.on_epoch(1, _row(2, AP=0.3))
    again.on_start(2, {}, 0, 2)
    again.finish("FINISHED")
    runs = _by_name(server)
    assert len(server.runs) == 4
    assert [m.value for m in runs["trial 1"].metrics] == [0.3]
    assert runs["my 'run'"].status == "FINISHED"


def test_trouble_is_told_once_and_given_up(server):
    lines = []

    def refuse(name):
        raise ConnectionError("no route to host\nand more")

    server.broken = refuse
    listener = _listener(server, lines.append)
    _follow(listener)
    listener.finish("FINISHED")
    assert lines == ["MLflow: ConnectionError: no route to host; the run goes on without"]
    assert len(server.calls) == tracking.GIVE_UP_AFTER


def test_a_passing_trouble_loses_little(server):
    lines = []

    def refuse_first(name):
        if len(server.calls) == 1:
            raise ConnectionError("not yet")

    server.broken = refuse_first
    listener = _listener(server, lines.append)
    _follow(listener)
    listener.finish("FINISHED")
    assert len(lines) == 1
    assert _by_name(server)["trial 0"].status == "FINISHED"


def test_a_server_that_hangs_keeps_nobody_waiting(server, monkeypatch):
    monkeypatch.setattr(tracking, "FLUSH_S", 0.2)
    lines, let_go = [], threading.Event()
    server.broken = lambda _: let_go.wait(20) and None
    background = Background(lines.append, most=5)
    listener = MlflowListener(server.client, background)
    began = time.monotonic()
    for _ in range(50):
        _follow(listener)
    assert time.monotonic() - began < 1
    listener._background.do(partial(listener._finish, "FINISHED"))
    background.close(0.2)
    assert time.monotonic() - began < 2
    let_go.set()
    assert lines == [
        "MLflow: it is slower than the run; what does not fit is left out; the run goes on without"
    ]


def test_slow_end_is_told(server):
    lines, let_go = [], threading.Event()
    server.broken = lambda _: let_go.wait(20) and None
    listener = _listener(server, lines.append)
    listener.on_begin(MANIFEST)
    listener._background.close(0.1)
    let_go.set()
    assert lines == ["MLflow: it did not take the rest within 0.1 s; the run goes on without"]


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt, "KILLED"), (ValueError, "FAILED")]
)
def test_how_the_run_ended(server, monkeypatch, error, status):
    monkeypatch.setattr(tracking, "check_mlflow", lambda: None)
    monkeypatch.setattr(tracking, "connect", lambda _: server.client())
    context = tracked("file:./x", pytest.fail)
    (listener,) = context.__enter__()
    listener.on_begin(MANIFEST)
    assert not context.__exit__(error, error(), None)
    assert _by_name(server)["my 'run'"].status == status


def test_without_the_option_and_without_the_package(monkeypatch):
    with tracked(None, pytest.fail) as rest:
        assert rest == ()
    monkeypatch.setattr(tracking.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EvolveError, match="mlflow is not installed"), tracked("x", pytest.fail):
        pass
