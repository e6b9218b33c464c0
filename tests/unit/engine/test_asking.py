"""Every sampler through the coordinator: what is asked for, what is put aside, what is resumed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import optuna
import pytest
from optuna.trial import TrialState

from evolve.engine import coordinator as coordinator_module
from evolve.engine.coordinator import MOST_REJECTED, Coordinator, Settings
from evolve.engine.schedulers import build_scheduler
from evolve.errors import SpaceError
from evolve.search.factory import build_sampler
from evolve.search.genetic import ORIGIN
from evolve.search.repair import REPAIR
from evolve.space import load_space
from evolve.space.schema import Sampler
from evolve.store.folder import RunFolder
from evolve.store.study import failure_of, is_rejected
from evolve.testing.curves import plateau
from model.config import TrainConfig
from tests.unit.engine.made_up import Notes

SAMPLERS = [
    pytest.param(name, marks=pytest.mark.slow) if name == "gp" else name  # fits a model each time
    for name in get_args(Sampler)
]
SPACE = """
name: conditional
trials: 12
scheduler: none
train: {epochs: 1, image_size: 96}
parameters:
  sat.epsilon: {type: float, low: 0.01, high: 0.1, default: 0.02, when: {sat.kind: fgsm}}
  sat.kind: {type: categorical, choices: [none, darknet, fgsm], default: none}
  sat.strength: {type: float, low: 0.1, high: 1.0, default: 0.5, when: {sat.kind: darknet}}
  optimizer.lr: {type: float, low: 1.0e-4, high: 0.1, scale: log, default: 2.0e-3}
  optimizer.momentum: {type: float, low: 0.8, high: 0.98, default: 0.9}
  batch_size: {type: ordinal, choices: [2, 4, 8], default: 4}
  loss.ohem: {type: int, low: 1, high: 512, scale: log, default: 16}
"""
CONSTRAINTS = """
constraints:
  - 50 * optimizer.lr + optimizer.momentum <= 1.4
  - sat.epsilon * batch_size <= 0.3
"""


@pytest.fixture
def make(tmp_path):
    """Coordinators on one study in memory; each call is a new session of the same run."""
    study = optuna.create_study(direction="maximize")
    notes = Notes()

    def _make(text: str, sampler: str, trials: int = 12) -> Coordinator:
        path = tmp_path / "space.yaml"
        path.write_text(text)
        space = replace(load_space(path), sampler=sampler, trials=trials)
        study.sampler = build_sampler(sampler, 0, space, len(study.trials))
        settings = Settings(trials, 0, Path("curve-0"), "curve", threads=1)
        folder = RunFolder.create(tmp_path / "run")
        return Coordinator(study, space, folder, build_scheduler("none", 1), settings, notes)

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return _make


def run(coordinator: Coordinator, count: int = 1000) -> list[dict]:
    """Finish up to `count` trials with the values of the curves, and give their parameters."""
    params = []
    while len(params) < count and (task := coordinator.next_task()) is not None:
        value = plateau(TrainConfig.model_validate(task.config))
        row = {"epoch": 1, "epochs": 1, "objective": value, "metrics": {}}
        coordinator.finish(task.number, row)
        params.append(coordinator.study.trials[task.number].params)
    return params


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_is_asked_only_for_what_exists(make, sampler):
    coordinator = make(SPACE, sampler)
    space = coordinator.space
    proposed = run(coordinator)
    assert len(proposed) == 12
    assert proposed[0] == space.complete({})
    for params in proposed:
        assert set(params) == set(space.active(params))
        assert params["batch_size"] in (2, 4, 8)
        assert 1 <= params["loss.ohem"] <= 512
    assert {params["sat.kind"] for params in proposed} == {"none", "darknet", "fgsm"}
    assert len({json.dumps(params) for params in proposed}) == 12


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_runs_only_what_the_constraints_allow(make, sampler, monkeypatch):
    monkeypatch.setattr(coordinator_module, "MOST_REJECTED", 3)
    coordinator = make(SPACE + CONSTRAINTS, sampler)
    proposed = run(coordinator)
    assert len(proposed) == 12
    assert all(map(coordinator.space.satisfied, proposed))
    trials = coordinator.study.trials
    aside = [trial for trial in trials if is_rejected(trial)]
    assert len(trials) == 12 + len(aside)
    heard = [number for number, _ in coordinator.listener.started]
    assert heard == [trial.number for trial in trials if trial not in aside]
    assert [end[0] for end in coordinator.listener.ended] == heard
    for trial in aside:
        assert failure_of(trial)["what"] == coordinator.space.violated(trial.params)
    if sampler == "random":  # the constraints must be such that something is put aside
        assert aside


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_kill_between_two_suggestions_is_made_good(make, sampler):
    coordinator = make(SPACE + CONSTRAINTS, sampler, trials=4)
    run(coordinator, 2)
    torn = coordinator.study.ask()
    kinds = coordinator.space.distributions()
    first = {name: torn._suggest(name, kinds[name]) for name in ("optimizer.lr", "batch_size")}
    again = make(SPACE + CONSTRAINTS, sampler, trials=4)
    run(again)
    finished = [trial for trial in again.study.trials if not is_rejected(trial)]
    assert [trial.state for trial in finished] == [TrialState.COMPLETE] * 4
    mended = again.study.trials[torn.number].params
    assert {name: mended[name] for name in first} == first
    for trial in finished:
        assert set(trial.params) == set(again.space.active(trial.params))
        assert again.space.satisfied(trial.params)


def test_a_torn_trial_that_violates_a_constraint_is_put_aside(make):
    coordinator = make(SPACE + CONSTRAINTS, "random", trials=3)
    run(coordinator, 1)
    torn = coordinator.study.ask()
    kind = coordinator.space.distributions()["optimizer.lr"]
    coordinator.study._storage.set_trial_param(torn._trial_id, "optimizer.lr", 0.09, kind)
    again = make(SPACE + CONSTRAINTS, "random", trials=3)
    assert is_rejected(again.study.trials[torn.number])
    assert len(run(again)) == 2
    assert [number for number, _ in again.listener.started].count(torn.number) == 0


class Stubborn(optuna.samplers.RandomSampler):
    """Proposes the same learning rate for ever."""

    def sample_independent(self, study, trial, param_name, param_distribution):
        if param_name == "optimizer.lr":
            return 0.09
        return super().sample_independent(study, trial, param_name, param_distribution)


def test_a_sampler_that_stays_where_nothing_is_allowed_is_helped_out(make):
    coordinator = make(SPACE + CONSTRAINTS, "random", trials=5)
    coordinator.study.sampler = Stubborn(seed=0)
    proposed = run(coordinator)
    assert len(proposed) == 5
    assert all(map(coordinator.space.satisfied, proposed))
    origins = [t.user_attrs.get(ORIGIN) for t in coordinator.study.trials if not is_rejected(t)]
    assert origins == ["default", *[REPAIR] * 4]
    assert sum(map(is_rejected, coordinator.study.trials)) == 4 * MOST_REJECTED
    assert len({params["optimizer.lr"] for params in proposed}) > 2


def test_constraints_that_nothing_satisfies_are_an_error(make):
    coordinator = make(SPACE + CONSTRAINTS, "random", trials=5)
    coordinator.space = replace(coordinator.space, constraints=("optimizer.lr > 1",))
    with pytest.raises(SpaceError, match=r"satisfies 'optimizer.lr > 1'[^$]*sampler genetic"):
        coordinator.next_task()
