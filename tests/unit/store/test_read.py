"""A stored run as frames."""

import math

import pytest

from evolve.engine.inline import run_inline
from evolve.seeds import trial_seed
from evolve.store.read import read_run
from tests.unit.engine.made_up import make_coordinator, make_space


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("read")
    space = make_space(tmp_path, "asha", epochs=10, high=10.0)
    coordinator = make_coordinator(tmp_path / "run", space, trials=10)
    folder = coordinator.folder
    manifest = {
        "seed": 0,
        "objective": "AP",
        "space": space.to_dict(),
        "train": space.base.to_dict(),
    }
    folder.write_json(folder.manifest, manifest)
    run_inline(coordinator)
    return read_run(folder.path)


def test_a_row_a_trial_in_order(run):
    assert list(run.trials["number"]) == list(range(10))
    assert set(run.trials["state"]) == {"COMPLETE", "PRUNED", "FAIL"}
    assert list(run.trials["seed"]) == [trial_seed(0, number) for number in range(10)]


def test_values_reasons_and_parameters(run):
    first = run.trials.iloc[0]
    assert first["origin"] == "default"
    assert first["params.optimizer.lr"] == 2.0e-3
    assert first["value"] == first["AP"]
    failed = run.trials[run.trials["state"] == "FAIL"].iloc[0]
    assert failed["reason"].startswith("diverged: ")
    assert failed["epochs_done"] == 1
    pruned = run.trials[run.trials["state"] == "PRUNED"].iloc[0]
    assert 0 < pruned["epochs_done"] < 10
    assert not math.isnan(pruned["value"])


def test_epochs_of_every_trial(run):
    counts = run.epochs.groupby("number").size()
    assert dict(counts) == dict(zip(run.trials["number"], run.trials["epochs_done"], strict=True))


def test_parameters_as_written(run):
    lr = run.parameters[0]
    assert (lr.path, lr.kind, lr.scale, lr.low) == ("optimizer.lr", "float", "log", 1e-4)
