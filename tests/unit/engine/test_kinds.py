"""What each scheduler does with trials, on curves that are known."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from ray.tune.experiment import Trial

from evolve.engine.course import CONTROLS
from evolve.engine.inline import run_inline
from evolve.engine.recipes import config_of, recipe_of
from evolve.engine.schedulers import Decision, Setting, build_scheduler
from evolve.engine.schedulers.kinds import REDUCTION, _Rung, _Rungs
from evolve.engine.trainers import train_curve
from evolve.errors import SpaceError
from evolve.runs import build_run_scheduler
from tests.unit.engine.made_up import Notes, make_coordinator, make_space

NAMES = ("none", "asha", "median", "hyperband", "pbt", "promote")
LR = {"lr": FloatDistribution(1e-4, 1e-1, log=True)}


class Play:
    """Runs trials of given final values under a scheduler, so many at once, in turns."""

    def __init__(self, name, finals, epochs=27, workers=1, **more):
        self.setting = Setting(epochs, trials=len(finals), changeable=LR, **more)
        self.scheduler = build_scheduler(name, epochs, self.setting)
        self.finals, self.epochs, self.workers = finals, epochs, workers
        self.reached = dict.fromkeys(range(len(finals)), 0)
        self.ends, self.told, self.moves = {}, [], []
        self.begun, self.running, self.story = 0, [], []

    def next(self):
        number = self.scheduler.choose()
        if number is None and self.begun < len(self.finals):
            number, self.begun = self.begun, self.begun + 1
        elif number is None:
            self.tell("close")
            number = self.scheduler.choose()
        if number is not None:
            self.tell("add", number, {"lr": 1e-2})
        return number

    def tell(self, event, *about):
        self.story.append((event, *about))
        getattr(self.scheduler, event)(*about)

    def go(self):
        while True:
            while len(self.running) < self.workers and (number := self.next()) is not None:
                self.running.append(number)
            if not self.running:
                return self
            self.step(self.running.pop(0))

    def step(self, number):
        self.reached[number] += 1
        epoch, value = self.reached[number], self.finals[number]
        if epoch == self.epochs:
            self.ends[number] = epoch
            self.tell("end", number, {"epoch": epoch, "objective": value})
            return
        value *= 1 - np.exp(-3 * epoch / self.epochs)
        result = {"epoch": epoch, "objective": float(value)}
        said = self.scheduler.take(number, result)
        self.story.append(("take", number, result, said))
        self.told.append((number, epoch, said))
        if said is Decision.GO:
            self.running.append(number)
        elif said is Decision.STOP:
            self.ends[number] = epoch
        elif move := self.scheduler.move_of(number):
            self.moves.append(move)
            self.reached[number] = move.epoch
        for stopped in self.scheduler.stopped():
            self.ends[stopped] = self.reached[stopped]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_every_trial_comes_to_an_end(name, workers):
    finals = list(np.random.default_rng(0).random(20))
    play = Play(name, finals, workers=workers).go()
    assert sorted(play.ends) == list(range(20))


@pytest.mark.parametrize("name", NAMES)
def test_draws_leave_the_module_random_as_it_was(name):
    random.seed(0)
    before = random.getstate()
    Play(name, list(np.random.default_rng(0).random(20)), workers=3).go()
    assert random.getstate() == before


@pytest.mark.filterwarnings("ignore:All-NaN slice")
def test_ashas_cutoff_is_to_the_bit_what_ray_takes_it_from():
    rng, rung = np.random.default_rng(0), _Rung()
    rungs = _Rungs(3, 9)
    assert [epoch for epoch, _ in rungs._rungs] == [9, 3]
    assert rungs.cutoff(rung) is None
    for number in range(400):
        rung[str(number)] = float(rng.choice([0.5, math.nan, *rng.normal(0.3, 0.2, 6)]))
        percentile = np.nanpercentile(list(rung.values()), (1 - 1 / REDUCTION) * 100)
        assert rungs.cutoff(rung) == (None if math.isnan(percentile) else percentile)


@pytest.mark.parametrize("name", ["asha", "median", "hyperband", "promote"])
def test_the_best_trial_is_not_stopped_and_much_is_saved(name):
    finals = list(np.random.default_rng(1).random(30))
    play = Play(name, finals, workers=4).go()
    assert play.ends[int(np.argmax(finals))] == 27
    assert sum(play.ends.values()) < 0.8 * 30 * 27


def test_hyperband_fills_brackets_and_halves_them_by_three():
    finals = list(np.linspace(0.1, 0.9, 10))
    play = Play("hyperband", finals, epochs=9).go()
    assert [play.ends[n] for n in range(3)] == [9, 9, 9]  # the bracket that stops nobody
    assert [play.ends[n] for n in range(3, 8)] == [3, 3, 3, 9, 9]  # five, of which two go on
    pauses = [(n, e) for n, e, said in play.told if said is Decision.PAUSE]
    assert [one for one in pauses if one[0] < 8] == [(3, 3), (4, 3), (5, 3), (6, 3)]


def test_hyperband_goes_on_when_the_trial_that_all_wait_for_fails():
    scheduler = build_scheduler("hyperband", 9, Setting(9, trials=8))
    for number in range(8):
        scheduler.add(number)
        if number < 3:
            scheduler.end(number, {"epoch": 9, "objective": 0.1})
    for number in range(3, 7):
        result = {"epoch": 3, "objective": number / 10}
        assert scheduler.take(number, result) is Decision.PAUSE
    assert scheduler.choose() is None
    scheduler.end(7, None)
    assert scheduler.stopped() == [3, 4]
    assert scheduler.choose() == 5


def test_promotion_trains_the_best_the_defaults_and_a_few_by_lot():
    finals = [0.1, *np.linspace(0.2, 0.9, 29)]
    play = Play("promote", finals, workers=2, fidelity=0.2, promote=4).go()
    whole = {number for number, epoch in play.ends.items() if epoch == 27}
    assert {0, 26, 27, 28, 29} <= whole
    assert len(whole) == 5 + CONTROLS
    assert {epoch for epoch in play.ends.values() if epoch < 27} == {5}
    other = Play("promote", finals, workers=2, fidelity=0.2, promote=4, seed=1).go()
    assert {n for n, epoch in other.ends.items() if epoch == 27} != whole


def test_promotion_waits_for_the_last_trial_and_not_for_a_failed_one():
    scheduler = build_scheduler("promote", 10, Setting(10, trials=4, promote=1))
    for number in range(4):
        scheduler.add(number)
    for number in range(3):
        assert scheduler.take(number, {"epoch": 1, "objective": 0.1}) is Decision.PAUSE
    scheduler.close()
    assert scheduler.choose() is None
    scheduler.end(3, None)
    assert scheduler.choose() == 0


def test_a_population_clones_its_best_and_stays_in_the_ranges():
    finals = list(np.linspace(0.05, 0.9, 12))
    play = Play("pbt", finals, epochs=30, workers=3).go()
    assert play.moves
    for move in play.moves:
        assert finals[move.donor] > finals[move.number]
        assert LR["lr"].low <= move.params["lr"] <= LR["lr"].high
    assert {move.epoch for move in play.moves} <= set(range(6, 30, 3))
    assert {0.008, 0.012} < {round(move.params["lr"], 9) for move in play.moves}  # and a draw


@pytest.mark.parametrize("workers", [1, 4])
def test_a_population_larger_than_the_workers_never_stands_still(workers):
    play = Play("pbt", [0.5] * 9, epochs=20, workers=workers).go()
    assert len(play.ends) == 9
    assert len(play.told) < 9 * 20 * 3


def test_a_population_needs_something_to_change():
    with pytest.raises(SpaceError, match="no parameter of the space can change"):
        build_scheduler("pbt", 20, Setting(20, trials=4))


def test_perturbed_choices_and_numbers_keep_to_their_kind():
    kinds = {
        "a": IntDistribution(2, 20, step=2),
        "b": CategoricalDistribution([1, 2, 4, 8]),
        "c": FloatDistribution(0.0, 1.0),
    }
    scheduler = build_scheduler("pbt", 20, Setting(20, trials=8, changeable=kinds))
    for number in range(8):
        scheduler.add(number, {"a": 10, "b": 2, "c": 0.5})
    moves = []
    for epoch in range(1, 20):
        for number in range(8):
            said = scheduler.take(number, {"epoch": epoch, "objective": number / 10})
            if said is Decision.PAUSE:
                moves += [move] if (move := scheduler.move_of(number)) else []
                scheduler.add(number)
    assert len(moves) > 5
    for move in moves:
        assert move.params["a"] in range(2, 21, 2)
        assert move.params["b"] in (1, 2, 4, 8)
        assert 0.0 <= move.params["c"] <= 1.0


@pytest.mark.parametrize("name", NAMES)
def test_what_it_was_told_decides_all_that_it_says(name):
    """One that hears the same story again says the same, and stands where the first one stood."""
    finals = list(np.random.default_rng(2).random(14))
    for cut in (5, 60, 160, 10_000):
        first = Play(name, finals, workers=2)
        while len(first.story) < cut and (first.running or first.begun < 14):
            while len(first.running) < 2 and (number := first.next()) is not None:
                first.running.append(number)
            first.step(first.running.pop(0))
        again, moves = build_scheduler(name, 27, first.setting), []
        for event, *about in first.story:
            if event == "take":
                number, result, said = about
                assert again.take(number, result) is said
                moves += [move] if (move := again.move_of(number)) else []
            else:
                getattr(again, event)(*about)
        assert moves == first.moves
        numbers = range(first.begun)
        for question in ("is_paused", "is_stopped"):
            ours, theirs = (getattr(one, question) for one in (first.scheduler, again))
            assert [ours(n) for n in numbers] == [theirs(n) for n in numbers]
        assert again.choose() == first.scheduler.choose()


def test_the_median_of_three_stops_a_bad_trial_but_none_of_the_first():
    scheduler = build_scheduler("median", 20)
    for number, value in enumerate((0.1, 0.5, 0.6, 0.7)):
        scheduler.add(number)
        for epoch in range(1, 20):
            result = {"epoch": epoch, "objective": value}
            assert scheduler.take(number, result) is Decision.GO
    scheduler.add(4)
    assert scheduler.take(4, {"epoch": 6, "objective": 0.4}) is Decision.STOP
    assert scheduler.take(0, {"epoch": 20, "objective": 0.1}) is Decision.GO


def test_a_place_without_a_trial_is_no_trial():
    scheduler = build_scheduler("hyperband", 9, Setting(9, trials=2))
    scheduler.add(0)
    assert not scheduler.is_paused(0)
    assert [t.status for t in scheduler._stage.trials].count(Trial.PENDING) == 2
    scheduler.close()
    assert Trial.PENDING not in [t.status for t in scheduler._stage.trials]


# -- with a coordinator --------------------------------------------------------------------


def a_population(tmp_path, trials=6):
    space = replace(make_space(tmp_path, "pbt", epochs=12), sampler="random")
    coordinator = make_coordinator(tmp_path / "run", space, trials=trials)
    run_inline(coordinator)
    return space, coordinator


def test_a_taken_over_training_is_replayed_by_its_recipe(tmp_path):
    space, coordinator = a_population(tmp_path)
    moved = [t for t in coordinator.study.get_trials() if recipe_of(t)]
    assert moved
    for trial in moved:
        recipe = recipe_of(trial)
        assert recipe["lineage"]
        config = config_of(space, trial.number, trial.params, recipe, 0)
        assert len(config.changes) == len(recipe["lineage"])
        reports = list(train_curve(config, tmp_path / "curve-0", data_seed=0, resume=None))
        rows = coordinator.files(trial.number).read_metrics()
        assert [row["metrics"]["AP"] for row in rows] == [r.metrics["AP"] for r in reports]
        assert trial.value == reports[-1].metrics["AP"]


def test_a_population_leaves_no_checkpoints_behind(tmp_path):
    _, coordinator = a_population(tmp_path)
    folder = coordinator.folder.path / "trials"
    assert not list(folder.rglob("checkpoint-*.pt"))
    assert not list(folder.rglob("previous.pt"))


def test_a_missing_checkpoint_of_a_donor_is_trained_again(tmp_path, monkeypatch):
    monkeypatch.setattr("evolve.engine.trial.link_or_copy", lambda *_: None)
    _, coordinator = a_population(tmp_path)
    states = {t.state for t in coordinator.study.get_trials()}
    assert states == {TrialState.COMPLETE}
    moved = next(t for t in coordinator.study.get_trials() if recipe_of(t))
    rows = coordinator.files(moved.number).read_metrics()
    assert [row["epoch"] for row in rows] == list(range(1, 13))


def test_the_best_configuration_of_a_population_has_its_changes(tmp_path):
    from evolve.errors import SpaceError as Refused
    from evolve.yaml_marks import read_marked, undotted, validate
    from model.config import TrainConfig

    space, coordinator = a_population(tmp_path, trials=8)
    best = coordinator.study.best_trial
    read = validate(undotted(read_marked(coordinator.folder.best_config)), TrainConfig, Refused)
    assert read == config_of(space, best.number, best.params, recipe_of(best), 0)


def test_promoted_trials_continue_their_long_schedule(tmp_path):
    space = replace(make_space(tmp_path, "promote", epochs=10), fidelity=0.3, promote=2)
    notes = Notes()
    coordinator = make_coordinator(tmp_path / "run", space, trials=9, notes=notes)
    run_inline(coordinator)
    states = [t.state for t in coordinator.study.get_trials()]
    assert states.count(TrialState.COMPLETE) in (4, 5)
    assert states.count(TrialState.PRUNED) == 9 - states.count(TrialState.COMPLETE)
    assert (0, 3) in notes.started
    for trial in coordinator.study.get_trials(states=(TrialState.COMPLETE,)):
        rows = coordinator.files(trial.number).read_metrics()
        assert [row["epoch"] for row in rows] == list(range(1, 11))
    for trial in coordinator.study.get_trials(states=(TrialState.PRUNED,)):
        assert not coordinator.files(trial.number).last.exists()


@pytest.mark.parametrize("name", NAMES)
def test_space_files_name_every_scheduler(tmp_path, name):
    space = make_space(tmp_path, name, epochs=12)
    assert build_run_scheduler(space, 0).choose() is None
