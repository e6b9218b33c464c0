"""Runs in virtual time: hundreds of workers that do not exist, and their deaths."""

import json
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState

from evolve.engine.schedulers import Decision
from evolve.store.journal import Journal
from evolve.testing.simulated import Fleet, VirtualClock, epochs_of, run_simulated
from model.config import TrainConfig
from tests.unit.engine.made_up import Notes, make_coordinator, make_space
from tests.unit.engine.made_up import outcome as outcome_of


class Desk:
    """A director that hands out trainings and writes down what comes back, and when."""

    def __init__(self, folder, clock, trials, epochs=3):
        self.clock, self.folder = clock, folder
        self.waiting, self.running = list(range(trials)), set()
        self.most, self.story, self.ended = 0, [], Counter()
        self.config = TrainConfig(epochs=epochs).to_dict()

    def over(self):
        return not self.waiting and not self.running

    def next_task(self):
        if not self.waiting:
            return None
        number = self.waiting.pop(0)
        self.running.add(number)
        self.most = max(self.most, len(self.running))
        folder = str(self.folder / "trials" / str(number))
        return SimpleNamespace(
            number=number, folder=folder, config=self.config, objective="AP", data_seed=0
        )

    def take(self, number, row):
        self.story.append((self.clock.now(), number, row["epoch"]))
        return Decision.GO

    def finish(self, number, row, death=None):
        self.running.discard(number)
        self.ended["killed" if death else "whole"] += 1
        if death is not None:
            assert death["type"] == "killed"
            self.waiting.append(number)


def at_desk(folder, fleet, trials=6):
    clock = VirtualClock()
    desk = Desk(folder, clock, trials)
    run_simulated(desk, fleet, clock)
    return desk


def run(out, space, fleet, *, trials=12, notes=None, **settings):
    """A whole run under a director of evolve's."""
    clock = VirtualClock()
    journal = Journal(out.parent / f"{out.name}.jsonl", clock)
    coordinator = make_coordinator(
        out, space, trials=trials, notes=notes, journal=journal, **settings
    )
    watched = []
    run_simulated(coordinator, fleet, clock, lambda: watched.append(clock.now()))
    journal.close()
    return coordinator, [json.loads(line) for line in journal.path.open()], watched


def counted(events):
    return Counter(event["event"] for event in events)


def test_results_come_in_the_order_of_the_clock(tmp_path):
    desk = at_desk(tmp_path, Fleet(workers=4))
    moments = [moment for moment, _, _ in desk.story]
    assert moments == sorted(moments)
    assert moments[0] > 0.0
    assert len(set(moments)) == 18
    for number in range(6):
        own = [(moment, epoch) for moment, one, epoch in desk.story if one == number]
        assert [epoch for _, epoch in own] == [1, 2, 3]
        (first, _), (second, _), (third, _) = own
        assert third - second == pytest.approx(second - first)  # a trial keeps its pace


def test_so_many_run_at_once_as_there_are_workers(tmp_path):
    assert at_desk(tmp_path / "few", Fleet(workers=4)).most == 4
    assert at_desk(tmp_path / "many", Fleet(workers=50)).most == 6


def test_an_epoch_lasts_as_long_as_it_is_said_to(tmp_path):
    short = at_desk(tmp_path / "short", Fleet(workers=1, epoch_s=1.0))
    long = at_desk(tmp_path / "long", Fleet(workers=1, epoch_s=60.0))
    assert long.story[-1][0] == pytest.approx(60.0 * short.story[-1][0])
    assert 0.5 < short.story[-1][0] / 18 < 2.0


def test_workers_share_the_work(tmp_path):
    alone = at_desk(tmp_path / "alone", Fleet(workers=1)).story[-1][0]
    together = at_desk(tmp_path / "together", Fleet(workers=6)).story[-1][0]
    assert together < alone / 3


def test_who_is_killed_goes_on_behind_its_last_epoch(tmp_path):
    desk = at_desk(tmp_path, Fleet(workers=3, deaths=0.4, seed=1))
    assert desk.ended["killed"] > 0
    for number in range(6):
        rows = [json.loads(line) for line in (tmp_path / f"trials/{number}/metrics.jsonl").open()]
        assert [row["epoch"] for row in rows] == [1, 2, 3]
        told = [epoch for _, one, epoch in desk.story if one == number]
        assert told == sorted(set(told))
        assert told[-1] == 3


def test_the_end_of_a_training_that_was_killed_there_is_told(tmp_path):
    desk = Desk(tmp_path, VirtualClock(), trials=2)
    task = desk.next_task()
    whole = list(epochs_of(task))
    assert list(epochs_of(task)) == whole[-1:]


@pytest.mark.parametrize("scheduler", ["asha", "hyperband", "promote"])
def test_a_run_with_deaths_accounts_for_every_trial(tmp_path, scheduler):
    space, notes = replace(make_space(tmp_path, scheduler), sampler="random"), Notes()
    fleet = Fleet(workers=5, deaths=0.1)
    coordinator, events, watched = run(tmp_path / "run", space, fleet, notes=notes)
    trials = coordinator.study.get_trials()
    assert len(trials) == 12
    assert all(trial.state.is_finished() for trial in trials)
    seen = counted(events)
    assert seen["end"] == len(notes.ended) == 12
    assert seen["retry"] == len(notes.retried) > 0
    assert seen["begin"] == len(watched)  # each comes to one end, for now or for good
    moments = [event["at"] for event in events]
    assert moments == sorted(moments)


def test_a_trial_that_always_dies_has_failed_in_the_end(tmp_path):
    fleet = Fleet(workers=2, deaths=1.0)
    coordinator, events, _ = run(tmp_path / "run", make_space(tmp_path), fleet, trials=3)
    trials = coordinator.study.get_trials()
    assert [trial.state for trial in trials] == 3 * [TrialState.FAIL]
    assert {trial.user_attrs["evolve:failure"]["type"] for trial in trials} == {"killed"}
    assert counted(events) == {"session": 1, "begin": 12, "retry": 9, "end": 3, "close": 1}


def test_trainings_that_diverge_fail(tmp_path):
    space = replace(make_space(tmp_path, high=10.0), sampler="random")
    coordinator, *_ = run(tmp_path / "run", space, Fleet(workers=3))
    failed = [trial for trial in coordinator.study.get_trials() if trial.value is None]
    assert failed
    assert all(trial.params["optimizer.lr"] > 0.3 for trial in failed)


def test_the_same_seed_tells_the_same_story(tmp_path):
    space = replace(make_space(tmp_path, "asha", epochs=9), sampler="random")
    fleet = Fleet(workers=4, deaths=0.1)
    first, second = (run(tmp_path / name, space, fleet, trials=8) for name in "ab")
    assert first[1] == second[1]
    assert outcome_of(first[0]) == outcome_of(second[0])


def test_another_seed_tells_another_story(tmp_path):
    fleets = (Fleet(workers=3, deaths=0.3, seed=seed) for seed in (0, 0, 1))
    first, same, other = (at_desk(tmp_path / f"{i}", fleet) for i, fleet in enumerate(fleets))
    assert first.story == same.story
    assert first.ended == same.ended
    assert first.story != other.story
