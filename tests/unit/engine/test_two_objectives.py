"""A search for AP against a cost, on learning curves."""

import math
from dataclasses import replace

import optuna
import pytest
import yaml
from optuna.study import StudyDirection
from optuna.trial import TrialState

from evolve.cost_book import Pretending
from evolve.engine.inline import run_inline
from evolve.engine.ray_tune import DirectedSearch
from evolve.engine.schedulers import Decision
from evolve.engine.trial import TrialTask, run_trial
from evolve.errors import StoreError, TrialError
from evolve.store.folder import RunFolder, to_line
from evolve.store.journal import read_journal
from evolve.store.study import COST_ATTR, STUDY_NAME, sqlite_url
from evolve.testing.curves import made_up_costs
from model.config import TrainConfig
from tests.unit.engine.made_up import Notes, make_coordinator, make_space, outcome


def two(tmp_path, cost="latency", **more):
    return replace(make_space(tmp_path, **more), cost=cost)


def cost_of_trial(coordinator, number, figure="latency_ms"):
    text = coordinator.folder.trial(number).config.read_text()
    return made_up_costs(TrainConfig.model_validate(yaml.safe_load(text)))[figure]


@pytest.mark.parametrize(
    ("cost", "figure"),
    [("latency", "latency_ms"), ("BFLOPs", "bflops"), ("parameters", "parameters")],
)
def test_optuna_sees_both_values_with_their_directions_and_names(tmp_path, cost, figure):
    coordinator = make_coordinator(tmp_path / "run", two(tmp_path, cost), trials=4)
    run_inline(coordinator)
    storage = optuna.storages.RDBStorage(sqlite_url(coordinator.folder.study))
    study = optuna.load_study(study_name=STUDY_NAME, storage=storage)
    assert study.directions == [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
    label = {"latency": "latency, ms"}.get(cost, cost)
    assert study.metric_names == ["AP", label]
    for trial in study.trials:
        rows = coordinator.folder.trial(trial.number).read_metrics()
        assert trial.values == [rows[-1]["objective"],
                                cost_of_trial(coordinator, trial.number, figure)]  # fmt: skip
        assert trial.intermediate_values == {}  # of which Optuna takes none
        assert trial.user_attrs[COST_ATTR][figure] == trial.values[1]
    assert {t.number for t in study.best_trials} <= {0, 1, 2, 3}
    storage.remove_session()


def test_epochs_stand_in_folder_and_journal_instead(tmp_path):
    coordinator = make_coordinator(tmp_path / "run", two(tmp_path), trials=2)
    run_inline(coordinator)
    rows = coordinator.folder.trial(1).read_metrics()
    noted = [event for event in read_journal(coordinator.folder.journal)
             if event["event"] == "epoch" and event["number"] == 1]  # fmt: skip
    assert [event["value"] for event in noted] == [row["objective"] for row in rows]
    assert coordinator.study.get_trials()[1].user_attrs["evolve:epochs"] == 4


@pytest.mark.parametrize("stop_after", [1, 5, 8, 19])
def test_stopped_after_any_epoch_it_ends_as_its_undisturbed_twin(tmp_path, stop_after):
    space = two(tmp_path)
    twin = make_coordinator(tmp_path / "twin", space, trials=7)
    run_inline(twin)
    left = stop_after
    first = make_coordinator(tmp_path / "run", space, trials=7)
    while left > 0:
        task = first.next_task()
        for row in run_trial(task):
            assert first.take(task.number, row) is Decision.GO
            left -= 1
            if not left:
                break
        else:
            first.finish(task.number, row)
    again = make_coordinator(tmp_path / "run", space, trials=7)
    run_inline(again)
    assert outcome(again) == outcome(twin)
    assert again.folder.costs.read_text() == twin.folder.costs.read_text()
    assert (
        again.folder.best_config.read_text().partition("\n")[2]
        == (twin.folder.best_config.read_text().partition("\n")[2])
    )


@pytest.mark.parametrize("sampler", ["genetic", "tpe", "nsga2", "random", "qmc"])
def test_samplers_that_know_several_objectives_go_on_after_failures(tmp_path, sampler):
    space = replace(two(tmp_path, high=1.0), sampler=sampler)
    coordinator = make_coordinator(tmp_path / "run", space, trials=14)
    run_inline(coordinator)
    states = {t.state for t in coordinator.study.get_trials()}
    assert TrialState.COMPLETE in states
    assert len(coordinator.study.get_trials()) == 14


class Counted(Pretending):
    """A meter that writes down when it was asked, and can be made to refuse."""

    def __init__(self, wrong=(), device="none"):
        self.asked, self.running, self.wrong, self.device = [], [], wrong, device
        self.coordinator = None

    def measure(self, config):
        self.asked.append(self.network(config))
        if self.coordinator is not None:
            self.running.append(len(self.coordinator._running))
        if round(config.optimizer.momentum, 2) in self.wrong:
            raise TrialError("it does not run")
        return super().measure(config) | {"device": self.device}


def test_each_network_is_measured_once_and_never_again(tmp_path):
    meter = Counted()
    coordinator = make_coordinator(tmp_path / "run", two(tmp_path), trials=12, meter=meter)
    run_inline(coordinator)
    networks = {round(t.params["optimizer.momentum"], 2) for t in coordinator.study.get_trials()}
    assert len(meter.asked) == len(set(meter.asked)) == len(networks)
    later = Counted()
    more = make_coordinator(tmp_path / "run", two(tmp_path), trials=14, meter=later)
    run_inline(more)
    assert not set(later.asked) & set(meter.asked)


def test_a_new_network_waits_until_nothing_runs(tmp_path):
    meter = Counted()
    coordinator = make_coordinator(tmp_path / "run", two(tmp_path), trials=4, meter=meter)
    meter.coordinator = coordinator
    first = coordinator.next_task()
    assert (first.number, meter.running) == (0, [0])
    assert coordinator.next_task() is None  # trial 1 has another network
    assert coordinator.next_task() is None
    assert len(coordinator.study.get_trials()) == 2  # and no further one is asked for
    assert not coordinator.over()
    for row in run_trial(first):
        coordinator.take(0, row)
    coordinator.finish(0, row)
    assert coordinator.next_task().number == 1
    assert meter.running == [0, 0]


def test_what_is_only_counted_waits_for_nobody(tmp_path):
    space = two(tmp_path, "BFLOPs")
    coordinator = make_coordinator(tmp_path / "run", space, trials=4, meter=Counted())
    assert [coordinator.next_task().number for _ in range(3)] == [0, 1, 2]


def test_a_network_that_cannot_be_measured_fails_its_trial_alone(tmp_path):
    notes = Notes()
    coordinator = make_coordinator(
        tmp_path / "run", two(tmp_path), trials=3, meter=Counted(wrong=(0.9,)), notes=notes
    )
    run_inline(coordinator)
    trials = coordinator.study.get_trials()
    assert trials[0].state == TrialState.FAIL
    failure = trials[0].user_attrs["evolve:failure"]
    assert failure["what"] == "latency cannot be measured: it does not run"
    assert failure["type"] == "error"  # the data are as good as before
    assert "evolve:attempts" not in trials[0].user_attrs
    assert {t.state for t in trials[1:]} == {TrialState.COMPLETE}


def test_figures_of_two_devices_are_never_mixed(tmp_path):
    run_inline(make_coordinator(tmp_path / "run", two(tmp_path), trials=2, meter=Counted()))
    other = make_coordinator(
        tmp_path / "run", two(tmp_path), trials=4, meter=Counted(device="faster")
    )
    run_inline(other)
    assert isinstance(other.fatal, StoreError)
    assert "the latency of this run was measured with another device" in other.fatal.what
    assert other.fatal.where == str(RunFolder(tmp_path / "run").costs)
    back = make_coordinator(tmp_path / "run", two(tmp_path), trials=4, meter=Counted())
    run_inline(back)
    assert [t.state for t in back.study.get_trials()] == [TrialState.COMPLETE] * 4


def test_a_trial_that_widens_the_front_is_a_gain(tmp_path):
    coordinator = make_coordinator(tmp_path / "run", two(tmp_path), until_no_gain=3)
    for values, since in [
        ([0.4, 5.0], 0),
        ([0.3, 6.0], 1),  # dominated
        ([0.4, 5.0], 2),  # the same again
        ([0.1, 1.0], 0),  # cheaper
        ([0.5, 5.0], 0),  # dominates the first
        (None, 1),
        ([0.4, 5.0], 2),
    ]:
        coordinator._note_values(values)
        assert coordinator._since_best == since
    assert sorted(coordinator._front) == [(0.1, 1.0), (0.5, 5.0)]
    assert math.isclose(coordinator._best, 0.5)


def test_best_configuration_has_the_highest_first_objective(tmp_path):
    coordinator = make_coordinator(tmp_path / "run", two(tmp_path))
    run_inline(coordinator)
    best = max(coordinator.study.get_trials(), key=lambda t: t.values[0])
    config = TrainConfig.model_validate(yaml.safe_load(coordinator.folder.best_config.read_text()))
    assert config.optimizer.lr == best.params["optimizer.lr"]


def test_ray_is_told_to_ask_again_while_a_network_waits(tmp_path):
    coordinator = make_coordinator(tmp_path / "run", two(tmp_path), trials=2, meter=Counted())
    search = DirectedSearch(coordinator)
    first = search.suggest("a")
    assert first["task"]["number"] == 0
    assert [search.suggest("b"), search.suggest("b")] == [None, None]  # not the end
    for row in run_trial(TrialTask(**first["task"])):
        result = {"row": to_line(row)}
        search.take("a", result)
    search.on_trial_complete("a", result)
    assert search.suggest("b")["task"]["number"] == 1
