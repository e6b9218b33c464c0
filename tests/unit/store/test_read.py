"""A stored run as frames."""

import math
from dataclasses import replace

import pytest

from evolve.engine.inline import run_inline
from evolve.seeds import trial_seed
from evolve.space import load_space
from evolve.store.read import read_run
from tests.unit.engine.made_up import make_coordinator, make_space


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("read")
    # at random, so that some diverge
    space = replace(make_space(tmp_path, "asha", epochs=10, high=10.0), sampler="random")
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


CONDITIONAL = """
name: conditional
trials: 8
sampler: random
scheduler: none
train: {epochs: 1, image_size: 96}
parameters:
  sat.kind: {type: categorical, choices: [none, fgsm], default: none}
  batch_size: {type: ordinal, choices: [2, 4, 8], default: 4, when: {sat.kind: fgsm}}
  sat.epsilon: {type: float, low: 0.01, high: 0.1, default: 0.02, when: {sat.kind: fgsm}}
  optimizer.lr: {type: float, low: 1.0e-4, high: 0.1, scale: log, default: 2.0e-3}
  loss.box: {type: fixed, value: giou}
constraints: [optimizer.lr < 0.01]
"""


def test_a_run_whose_trials_lack_parameters_or_were_never_run(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(CONDITIONAL)
    space = load_space(path)
    coordinator = make_coordinator(tmp_path / "run", space, trials=8)
    folder = coordinator.folder
    folder.write_json(folder.manifest, {"seed": 0, "space": space.to_dict(), "train": {}})
    run_inline(coordinator)
    stored = len(coordinator.study.get_trials())
    run = read_run(folder.path)
    assert len(run.trials) == 8 < stored
    assert set(run.trials["state"]) == {"COMPLETE"}
    assert [p.path for p in run.parameters] == [p.path for p in space.parameters]
    assert [(p.kind, dict(p.when)) for p in run.parameters][1] == (
        "ordinal",
        {"sat.kind": ("fgsm",)},
    )
    active = run.trials["params.sat.kind"] == "fgsm"
    assert set(active) == {True, False}
    assert list(run.trials["params.sat.epsilon"].notna()) == list(active)
    sizes = list(run.trials["params.batch_size"])
    assert {type(size) for size in sizes} == {int, type(None)}
    assert [size is not None for size in sizes] == list(active)
