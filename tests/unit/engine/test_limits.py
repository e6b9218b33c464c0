"""When a run begins no more trials, and what it keeps for its end."""

from dataclasses import replace

import pytest
from optuna.trial import TrialState

from evolve.budget import Budget
from evolve.engine.allowance import Allowance
from evolve.engine.inline import run_inline
from evolve.store.journal import Journal
from tests.unit.engine import made_up
from tests.unit.engine.made_up import Notes, make_space


class Ticking:
    """A clock that gains a second whenever a trial has an epoch behind it."""

    def __init__(self):
        self.time = 0.0

    def now(self):
        return self.time


class Ticks(Notes):
    """A listener that lets the clock go on: an epoch takes a second."""

    def __init__(self, clock, seconds=1.0):
        super().__init__()
        self.clock, self.seconds = clock, seconds

    def on_epoch(self, number, row):
        super().on_epoch(number, row)
        self.clock.time += self.seconds


def run(tmp_path, budget, *, trials=50, finals=0, workers=1, **more):
    clock = Ticking()
    notes = Ticks(clock)
    space = replace(make_space(tmp_path), sampler="random")
    coordinator = made_up.make_coordinator(
        tmp_path / "run",
        space,
        trials=trials,
        notes=notes,
        journal=Journal(tmp_path / "run.jsonl", clock),
        allowance=Allowance(budget and Budget.parse(budget), workers, cpus=2.0, gpus=0.5),
        final_trainings=finals,
        **more,
    )
    run_inline(coordinator)
    return coordinator, clock


def test_a_budget_of_time_holds_and_is_used(tmp_path):
    coordinator, clock = run(tmp_path, "60s")
    assert 50 < clock.time <= 60
    assert coordinator.closed == "budget"
    assert {t.state for t in coordinator.study.get_trials()} == {TrialState.COMPLETE}


@pytest.mark.parametrize(("budget", "seconds"), [("1gpum", 120), ("2cpum", 60)])
def test_budgets_of_devices_count_what_trials_hold(tmp_path, budget, seconds):
    _, clock = run(tmp_path, budget)
    assert seconds - 10 < clock.time <= seconds


def test_time_is_kept_for_the_final_comparison(tmp_path):
    coordinator, clock = run(tmp_path, "60s", finals=6)  # of four seconds each, and a margin
    assert clock.time <= 60 - 6 * 4
    assert coordinator.left() >= coordinator.cost(6, 4)


def test_a_slow_trial_is_stopped_when_the_time_is_over(tmp_path):
    clock = Ticking()
    notes = Ticks(clock)
    coordinator = made_up.make_coordinator(
        tmp_path / "run",
        make_space(tmp_path),
        trials=3,
        notes=notes,
        journal=Journal(tmp_path / "run.jsonl", clock),
        allowance=Allowance(Budget.parse("10s"), 1),
    )
    notes.seconds = 6.0
    run_inline(coordinator)
    (trial,) = coordinator.study.get_trials()
    assert trial.state == TrialState.PRUNED
    assert len(trial.intermediate_values) == 3


def test_a_search_without_gain_ends(tmp_path):
    coordinator, _ = run(tmp_path, None, until_no_gain=4)
    trials = coordinator.study.get_trials()
    assert coordinator.closed == "no gain"
    best = max(range(len(trials)), key=lambda n: trials[n].value)
    assert len(trials) == best + 1 + 4


def test_what_was_closed_stays_closed_after_a_restart(tmp_path):
    first, _ = run(tmp_path, None, until_no_gain=4)
    count = len(first.study.get_trials())
    again, _ = run(tmp_path, None, until_no_gain=4)
    assert len(again.study.get_trials()) == count


def test_a_larger_limit_opens_the_search_again(tmp_path):
    run(tmp_path, "30s")
    coordinator, clock = run(tmp_path, "60s")
    assert clock.time > 20  # of this session; the journal remembers the first
    assert coordinator.journal.now() <= 60
