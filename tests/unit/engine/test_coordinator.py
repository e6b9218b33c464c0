"""Rebuilding a run from its store is the resume."""

import errno
from dataclasses import replace

import pytest
from optuna.trial import TrialState

from evolve.engine.failures import failure
from evolve.engine.inline import run_inline
from evolve.engine.interrupt import Interrupt
from evolve.engine.schedulers import Decision
from evolve.engine.trial import run_trial
from evolve.store.journal import read_journal
from tests.unit.engine.made_up import Notes, make_coordinator, make_space, outcome


@pytest.mark.parametrize("scheduler", ["none", "asha", "median", "hyperband", "pbt", "promote"])
def test_run_stopped_after_any_epoch_ends_as_its_undisturbed_twin(tmp_path, scheduler):
    space = make_space(tmp_path, scheduler, epochs=5)
    twin = make_coordinator(tmp_path / "twin", space)
    run_inline(twin)
    expected = outcome(twin)

    for stop_after in (1, 4, 11):
        out = tmp_path / f"stopped-{stop_after}"
        _run_epochs(make_coordinator(out, space), stop_after)
        again = make_coordinator(out, space)
        run_inline(again)
        assert outcome(again) == expected


def _run_epochs(coordinator, count):
    """Run inline and walk away after `count` epochs, as a kill does."""
    while (task := coordinator.next_task()) is not None:
        rows = run_trial(task)
        row = None
        for row in rows:
            decision = coordinator.take(task.number, row)
            count -= 1
            if count == 0:
                rows.close()
                return
            if decision is not Decision.GO:
                break
        rows.close()
        coordinator.finish(task.number, row)


def test_default_trial_comes_first_and_is_never_stopped(tmp_path):
    space = make_space(tmp_path, "asha", epochs=10)
    coordinator = make_coordinator(tmp_path / "run", space, trials=12)
    run_inline(coordinator)
    trials = coordinator.study.get_trials()
    assert trials[0].params == space.defaults()
    assert trials[0].state == TrialState.COMPLETE
    assert any(t.state == TrialState.PRUNED for t in trials)


@pytest.mark.parametrize("sampler", ["genetic", "tpe", "random", "nsga2"])
def test_every_sampler_starts_with_the_defaults(tmp_path, sampler):
    space = replace(make_space(tmp_path), sampler=sampler)
    coordinator = make_coordinator(tmp_path / "run", space, trials=2)
    run_inline(coordinator)
    first, second = coordinator.study.get_trials()
    assert first.params == space.defaults()
    assert first.user_attrs["evolve:origin"] == "default"
    assert second.params != space.defaults()


def test_trial_killed_while_it_was_asked_for_is_asked_for_again(tmp_path):
    space = make_space(tmp_path)
    twin = make_coordinator(tmp_path / "twin", space)
    run_inline(twin)
    torn = make_coordinator(tmp_path / "run", space, trials=3)
    run_inline(torn)
    torn.study._storage.create_new_trial(torn.study._study_id)  # no parameters yet
    again = make_coordinator(tmp_path / "run", space)
    run_inline(again)
    assert outcome(again) == outcome(twin)


def test_pruned_trial_keeps_its_last_value(tmp_path):
    space = make_space(tmp_path, "asha", epochs=10)
    coordinator = make_coordinator(tmp_path / "run", space, trials=12)
    run_inline(coordinator)
    for trial in coordinator.study.get_trials(states=(TrialState.PRUNED,)):
        rows = coordinator.folder.trial(trial.number).read_metrics()
        assert trial.intermediate_values[rows[-1]["epoch"]] == rows[-1]["objective"]
        assert len(rows) < space.base.epochs


def test_diverged_trial_is_a_failure_with_type_and_place_and_the_run_goes_on(tmp_path):
    space = replace(make_space(tmp_path, high=10.0), sampler="random")
    notes = Notes()
    coordinator = make_coordinator(tmp_path / "run", space, trials=12, notes=notes)
    run_inline(coordinator)
    failed = coordinator.study.get_trials(states=(TrialState.FAIL,))
    assert failed
    failure = failed[0].user_attrs["evolve:failure"]
    assert failure["type"] == "diverged"
    assert failure["where"] == "epoch 2"
    assert failure["log"]
    assert failed[0].value is None
    assert len(notes.ended) == 12
    assert any("diverged: the loss is not finite" in end[3] for end in notes.ended)


def test_trials_are_seeded_one_by_one(tmp_path):
    space = make_space(tmp_path)
    coordinator = make_coordinator(tmp_path / "run", space, trials=3)
    seeds = [coordinator.next_task().config["seed"] for _ in range(3)]
    assert len(set(seeds)) == 3
    other = make_coordinator(tmp_path / "other", space, trials=3)
    assert [other.next_task().config["seed"] for _ in range(3)] == seeds


def test_trial_that_died_is_killed_not_zero(tmp_path):
    coordinator = make_coordinator(tmp_path / "run", make_space(tmp_path), trials=1)
    task = coordinator.next_task()
    for _ in range(4):  # it is tried three times more
        coordinator.finish(task.number, None, failure("killed", "its process ended unexpectedly"))
        again = coordinator.next_task()
    assert again is None
    trial = coordinator.study.get_trials()[0]
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["evolve:failure"]["type"] == "killed"
    assert coordinator.over()


def test_trial_whose_objective_cannot_be_measured_is_a_data_failure(tmp_path):
    coordinator = make_coordinator(tmp_path / "run", make_space(tmp_path), trials=1)
    task = coordinator.next_task()
    row = {"number": 0, "epoch": 4, "epochs": 4, "objective": float("nan"), "metrics": {}}
    coordinator.take(task.number, row)
    coordinator.finish(task.number, row)
    trial = coordinator.study.get_trials()[0]
    assert trial.user_attrs["evolve:failure"]["type"] == "data"


def test_best_configuration_is_written_and_can_be_loaded(tmp_path):
    from evolve.errors import SpaceError
    from evolve.yaml_marks import read_marked, undotted, validate
    from model.config import TrainConfig

    space = make_space(tmp_path)
    coordinator = make_coordinator(tmp_path / "run", space)
    run_inline(coordinator)
    marked = undotted(read_marked(coordinator.folder.best_config))
    config = validate(marked, TrainConfig, SpaceError)
    assert config.optimizer.lr == coordinator.study.best_params["optimizer.lr"]


def test_trial_killed_between_its_last_epoch_and_its_end_is_complete(tmp_path):
    space = make_space(tmp_path, "asha", epochs=1)  # the only rung is the last epoch
    coordinator = make_coordinator(tmp_path / "run", space, trials=6)
    while (task := coordinator.next_task()) is not None:
        for row in run_trial(task):
            coordinator.take(task.number, row)
        if task.number < 3:
            coordinator.finish(task.number, row)
    again = make_coordinator(tmp_path / "run", space, trials=6)
    run_inline(again)
    assert [t.state for t in again.study.get_trials()] == [TrialState.COMPLETE] * 6


# -- why a trial left ------------------------------------------------------------------------


class Asks(Notes):
    """A listener that asks all trainings to stop once a trial has come past its pause."""

    def __init__(self, interrupt):
        super().__init__()
        self.interrupt = interrupt

    def on_epoch(self, number, row):
        super().on_epoch(number, row)
        if row["epoch"] == 3:
            self.interrupt.ask()


def _reasons(coordinator):
    return [e["why"] for e in read_journal(coordinator.journal.path) if e["event"] == "leave"]


def test_the_journal_tells_a_pause_from_an_interrupt(tmp_path, monkeypatch):
    monkeypatch.setattr("evolve.engine.interrupt.LOOK_EVERY_S", 0.0)
    space = replace(make_space(tmp_path, "promote", epochs=6), fidelity=0.3, promote=1)
    interrupt = Interrupt(tmp_path / "halt")
    stopped = make_coordinator(tmp_path / "run", space, trials=4, notes=Asks(interrupt))
    stopped.interrupt = interrupt
    run_inline(stopped)
    assert _reasons(stopped) == [*["paused"] * 4, "interrupted"]
    again = make_coordinator(tmp_path / "run", space, trials=4)
    run_inline(again)
    assert _reasons(again) == _reasons(stopped)
    twin = make_coordinator(tmp_path / "twin", space, trials=4)
    run_inline(twin)
    assert outcome(again) == outcome(twin)


def test_the_journal_tells_what_left_because_the_run_failed(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    coordinator = make_coordinator(tmp_path / "run", make_space(tmp_path), trials=2)
    monkeypatch.setattr("evolve.engine.trial.to_line", full)
    run_inline(coordinator)
    assert coordinator.fatal is not None
    assert _reasons(coordinator) == ["stopped"]
