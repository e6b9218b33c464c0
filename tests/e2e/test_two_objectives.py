"""AP against latency as a user types it, on learning curves: killed, resumed, told."""

import json
import os
import signal

import optuna
import pytest
import yaml

from evolve.store.study import STUDY_NAME, sqlite_url
from model.config import TrainConfig
from tests.e2e.test_run import finished, run, start, wait_until

SPACE = """
objective: [AP, latency]
trials: 7
scheduler: none
confirm: 2x2
train: {epochs: 3, image_size: 96}
parameters:
  optimizer.lr: {type: float, low: 1.0e-3, high: 0.1, scale: log, default: 2.0e-3, why: step}
  optimizer.momentum: {type: float, low: 0.8, high: 0.98, default: 0.9, why: memory}
"""
COMMON = ("run", "--space", "my.yaml", "--trainer", "curve", "--engine", "inline", "--no-probe")


def trials(folder):
    storage = optuna.storages.RDBStorage(sqlite_url(folder / "study.db"))
    study = optuna.load_study(study_name=STUDY_NAME, storage=storage)
    found = [(t.number, t.state.name, t.params, t.values) for t in study.get_trials()]
    storage.remove_session()
    storage.engine.dispose()
    return found


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    (folder / "my.yaml").write_text(SPACE)
    for name in ("curve-0", "curve-0.1"):
        (folder / name).mkdir()
    return folder


def test_killed_and_resumed_it_ends_as_its_undisturbed_twin(work):
    twin = run(work, *COMMON, "--data", "curve-0", "--out", "twin")
    assert twin.returncode == 0, twin.stderr
    assert "front  AP against latency, which changes with optimizer.momentum" in twin.stderr
    assert "[7/7] trial 6 complete: AP " in twin.stderr
    assert " on the front, " in twin.stderr

    process = start(work, *COMMON, "--data", "curve-0.1", "--out", "out")
    wait_until(lambda: finished(work) >= 3)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    status = run(work, "status", "out")
    assert "front    trial " in status.stdout
    again = run(work, "resume", "out", "--data", "curve-0")
    assert again.returncode == 0, again.stderr
    assert trials(work / "out") == trials(work / "twin")

    ours, theirs = (json.loads((work / one / "front.json").read_text()) for one in ("out", "twin"))
    assert ours == theirs
    assert ours["objectives"] == ["AP", "latency, ms"]
    assert ours["directions"] == ["maximize", "minimize"]
    for entry in ours["front"]:
        text = (work / "out" / entry["config"]).read_text()
        assert text.startswith(f"# trial {entry['trial']} of out, on the front: AP ")
        TrainConfig.model_validate(yaml.safe_load(text))
    confirmed = [one["confirmed"] for one in ours["front"] if one["confirmed"]]
    assert confirmed
    assert {one["seeds"] for one in confirmed} == {2}
    assert "front of AP and latency" in again.stdout
    assert "With 2 fresh seeds each on test, " in again.stdout


def test_its_report_has_the_front_and_another_objective_is_another_run(work):
    page = (work / "twin" / "report" / "index.html").read_text()
    assert '<section id="front">' in page
    assert "are non-dominated in AP and latency, from AP " in page
    rows = (work / "twin" / "report" / "tables" / "front.csv").read_text().splitlines()
    assert rows[0] == "trial,AP,latency,on_front,dominated_by,hypervolume"
    assert len(rows) == 8
    other = run(
        work, *COMMON, "--data", "curve-0", "--out", "twin", "--set", "objective=[AP,BFLOPs]"
    )
    assert other.returncode == 2
    assert "cost: 'latency' in the folder, 'BFLOPs' asked for" in other.stderr
