"""Rows on the same seeds: the store is the resume here too."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState

from evolve.engine import trial as trial_module
from evolve.engine.comparison import Comparison, Row, Training, plan_comparison
from evolve.engine.failures import failure
from evolve.engine.inline import run_inline
from evolve.engine.trial import run_trial
from evolve.errors import EvolveError, StoreError
from evolve.seeds import fresh_seed, trial_seed
from evolve.store.comparison import read_comparison
from evolve.store.folder import RunFolder
from evolve.store.study import open_own_storage, open_study, sqlite_url
from model.config import TrainConfig
from tests.unit.engine.made_up import Notes

EPOCHS = 2
SEEDS = (11, 22)


@pytest.fixture(autouse=True)
def _checkpoint_each_epoch(monkeypatch):
    monkeypatch.setattr(trial_module, "CHECKPOINT_EVERY_S", -1.0)


def row(key, lr=2.0e-3, **more):
    config = TrainConfig().with_values({"epochs": EPOCHS, "image_size": 96, "optimizer.lr": lr})
    return Row(key, key.title(), config, **more)


ROWS = (row("defaults"), row("better", 0.01), row("best", 0.02))


def make(out, rows=ROWS, seeds=SEEDS, *, judged_on="test", notes=None, digest="d", name="final"):
    """A comparison in the run in `out`, new or not."""
    folder = RunFolder.create(out)
    folder.write_json(folder.manifest, {"seed": 0})
    plan = plan_comparison(
        name, "a comparison", rows, seeds, objective="AP", judged_on=judged_on, data_digest=digest
    )
    study = open_study(open_own_storage(sqlite_url(folder.study)), name=f"evolve-{name}")
    training = Training(Path("curve-0"), digest, 0, "curve", threads=1)
    return Comparison(study, plan, folder.comparison(name), training, notes or Notes())


def outcome(out):
    """What must be equal between a disturbed comparison and its twin."""
    frame = read_comparison(out).trainings
    keys = ["row", "seed_index", "seed", "state", "value_val", "value_test", "epochs_done"]
    curves = [
        [json.loads(line)["metrics"] for line in (path / "metrics.jsonl").open()]
        for path in frame["folder"]
    ]
    return frame[keys].to_dict("records"), curves


def test_every_row_is_trained_with_every_seed_and_seeds_come_in_turn(tmp_path):
    comparison = make(tmp_path)
    run_inline(comparison)
    begun = [
        (t.user_attrs["evolve:row"], t.user_attrs["evolve:seed_index"])
        for t in comparison.study.get_trials()
    ]
    keys = [one.key for one in ROWS]
    assert begun == [(key, index) for index in (0, 1) for key in keys]
    record = read_comparison(tmp_path)
    assert record.is_complete
    assert list(record.trainings["row"]) == [key for key in keys for _ in SEEDS]
    assert list(record.trainings["seed"]) == list(SEEDS) * 3
    assert set(record.trainings["state"]) == {"COMPLETE"}
    for one in record.trainings.itertuples():
        assert one.value_val == one.metrics["AP"]
        assert one.value_test == one.metrics["test/AP"]
        assert one.value_test != one.value_val
        for name in ("config.yaml", "metrics.jsonl", "last.pt", "detections-test.json.gz"):
            assert (one.folder / name).is_file()
        assert one.folder == tmp_path / "final" / one.row / str(one.seed_index)


def test_only_the_seed_of_a_configuration_is_replaced(tmp_path):
    comparison = make(tmp_path)
    task = comparison.next_task()
    expected = ROWS[0].config.with_values({"seed": 11}).to_dict()
    assert task.config == expected
    assert task.judged_on == "test"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a comparison that was never killed has found."""
    out = tmp_path_factory.mktemp("twin")
    run_inline(make(out))
    return _plain(outcome(out))


@pytest.mark.parametrize("stop_after", [1, 2, 5, 12])
def test_killed_after_any_epoch_it_ends_as_its_undisturbed_twin(tmp_path, stop_after, undisturbed):
    _run_epochs(make(tmp_path), stop_after)
    run_inline(make(tmp_path))
    assert _plain(outcome(tmp_path)) == undisturbed


def _run_epochs(comparison, count):
    """Run inline and walk away after `count` epochs, before the store is told of the last."""
    while (task := comparison.next_task()) is not None:
        rows = run_trial(task)
        last = None
        for last in rows:
            count -= 1
            if count == 0:
                rows.close()
                return
            comparison.take(task.number, last)
        comparison.finish(task.number, last)


def _plain(tree):
    return json.loads(json.dumps(tree))


@pytest.mark.parametrize("begun", [0, 4])
def test_killed_as_a_training_was_begun(tmp_path, begun, undisturbed):
    killed = make(tmp_path)
    for _ in range(begun):
        task = killed.next_task()
        killed.finish(task.number, list(run_trial(task))[-1])
    killed.next_task()
    run_inline(make(tmp_path))
    assert _plain(outcome(tmp_path)) == undisturbed
    assert len(make(tmp_path).study.get_trials()) == 6


def test_trainings_side_by_side_end_as_one_after_another(tmp_path, undisturbed):
    many = make(tmp_path)
    tasks = [many.next_task() for _ in range(3)]
    for task in reversed(tasks):
        for last in run_trial(task):
            many.take(task.number, last)
        many.finish(task.number, last)
    run_inline(many)
    assert _plain(outcome(tmp_path)) == undisturbed


def test_a_finished_comparison_has_nothing_left(tmp_path):
    run_inline(make(tmp_path))
    notes = Notes()
    again = make(tmp_path, notes=notes)
    assert again.over()
    run_inline(again)
    assert notes.started == []
    assert again.phase().ended == {"COMPLETE": 6}


def test_equal_trainings_are_done_once_and_shown_for_both(tmp_path):
    rows = (
        *ROWS,
        row("same"),
        replace(row("seeded"), config=row("x").config.with_values({"seed": 9})),
    )
    comparison = make(tmp_path, rows)
    assert comparison.phase().trainings == 6
    run_inline(comparison)
    assert len(comparison.study.get_trials()) == 6
    record = read_comparison(tmp_path)
    assert record.is_complete
    for key in ("same", "seeded"):
        assert list(record.of_row(key)["value_test"]) == list(
            record.of_row("defaults")["value_test"]
        )
        assert list(record.of_row(key)["folder"]) == list(record.of_row("defaults")["folder"])


def test_a_failed_training_is_a_typed_failure_without_a_value(tmp_path):
    run_inline(make(tmp_path, (row("defaults"), row("wild", lr=1.0))))
    record = read_comparison(tmp_path)
    wild = record.of_row("wild")
    assert list(wild["state"]) == ["FAIL", "FAIL"]
    assert wild["reason"].str.startswith("diverged: ").all()
    assert wild["value_val"].isna().all()
    assert wild["value_test"].isna().all()
    assert record.is_complete
    assert record.winner().key == "defaults"


def test_a_value_that_cannot_be_judged_is_a_failure_of_the_data(tmp_path):
    comparison = make(tmp_path)
    task = comparison.next_task()
    metrics = {"AP": 0.4, "test/AP": math.nan}
    last = {"epoch": 2, "epochs": 2, "objective": 0.4, "metrics": metrics}
    comparison.finish(task.number, last)
    trial = comparison.study.get_trials()[0]
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["evolve:failure"]["what"].endswith("test has no truth for it")


def test_a_process_that_dies_is_a_killed_training(tmp_path):
    comparison = make(tmp_path)
    number = comparison.next_task().number
    for _ in range(4):  # it is tried three times more
        comparison.finish(number, None, failure("killed", "its process ended unexpectedly"))
        comparison.next_task()
    first = read_comparison(tmp_path).trainings.iloc[0]
    assert (first["state"], first["reason"]) == ("FAIL", "killed: its process ended unexpectedly")


def test_without_a_test_split_val_is_what_is_judged(tmp_path):
    comparison = make(tmp_path, judged_on="val")
    run_inline(comparison)
    record = read_comparison(tmp_path)
    assert record.judged_on == "val"
    assert list(record.trainings["value_test"]) == list(record.trainings["value_val"])
    assert not any("test/AP" in metrics for metrics in record.trainings["metrics"])
    assert "judged on val" in comparison.phase().about


def test_more_rows_and_seeds_keep_what_is_there(tmp_path):
    run_inline(make(tmp_path, ROWS[:2], SEEDS[:1]))
    before = outcome(tmp_path)[0]
    notes = Notes()
    run_inline(make(tmp_path, ROWS, SEEDS, notes=notes))
    assert len(notes.started) == 4
    after = {(r["row"], r["seed_index"]): r for r in outcome(tmp_path)[0]}
    assert all(after[r["row"], r["seed_index"]] == r for r in before)
    assert read_comparison(tmp_path).is_complete


def test_fewer_rows_leave_the_others_out_and_an_interrupted_one_alone(tmp_path):
    _run_epochs(make(tmp_path), 2 * EPOCHS + 1)  # the third row is interrupted
    notes = Notes()
    run_inline(make(tmp_path, ROWS[:2], notes=notes))
    assert len(notes.started) == 2
    record = read_comparison(tmp_path)
    assert set(record.trainings["row"]) == {"defaults", "better"}
    assert record.is_complete
    notes = Notes()
    run_inline(make(tmp_path, notes=notes))
    assert notes.started[0] == (2, 1)  # it goes on where it was


@pytest.mark.parametrize("change", ["configuration", "data"])
def test_another_training_under_the_name_of_a_stored_one_is_refused(tmp_path, change):
    run_inline(make(tmp_path))
    other = (
        {"rows": (ROWS[0], row("better", 0.03))} if change == "configuration" else {"digest": "e"}
    )
    with pytest.raises(StoreError, match="was trained with another configuration or on other"):
        make(tmp_path, **other)


def test_several_comparisons_share_a_run(tmp_path):
    run_inline(make(tmp_path))
    run_inline(make(tmp_path, ROWS[:2], (33,), name="table"))
    assert len(read_comparison(tmp_path).trainings) == 6
    assert len(read_comparison(tmp_path, "table").trainings) == 2
    assert (tmp_path / "table" / "better" / "0" / "metrics.jsonl").is_file()


def test_a_comparison_that_has_not_begun(tmp_path):
    folder = RunFolder.create(tmp_path)
    folder.write_json(folder.manifest, {"seed": 0})
    assert read_comparison(tmp_path) is None
    make(tmp_path)
    record = read_comparison(tmp_path)
    assert set(record.trainings["state"]) == {"WAITING"}
    assert not record.is_complete
    assert record.winner() is None
    assert record.trainings.iloc[0]["folder"] == tmp_path / "final" / "defaults" / "0"


def test_a_torn_plan_is_told(tmp_path):
    make(tmp_path)
    RunFolder(tmp_path).comparison("final").plan.write_text("{")
    with pytest.raises(StoreError, match="plan of the comparison cannot be read"):
        read_comparison(tmp_path)


@pytest.mark.parametrize("keys", [("a/b",), ("..",), ("",), ("a", "A")])
def test_rows_need_folders_of_their_own(keys):
    with pytest.raises(EvolveError, match="cannot have a folder of its own"):
        plan_comparison(
            "t", "t", [row(k) for k in keys], (1,), objective="AP", judged_on="val", data_digest=""
        )


def test_the_winner_is_the_best_mean_on_val_and_a_failed_seed_counts_against_it(tmp_path):
    run_inline(make(tmp_path))
    record = read_comparison(tmp_path)
    assert record.winner().key == "best"
    frame = record.trainings
    frame.loc[frame["row"] == "better", "value_test"] = 1.0
    assert record.winner().key == "best"  # test has no say
    frame.loc[(frame["row"] == "best") & (frame["seed_index"] == 0), "value_val"] = math.nan
    assert record.winner().key == "better"
    frame["value_val"] = 0.5
    assert record.winner().key == "defaults"  # the first of equals


def test_rows_tell_where_they_come_from(tmp_path):
    make(tmp_path, (ROWS[0], row("trial-00004", 0.01, trial=4, search_value=0.4)))
    first, second = read_comparison(tmp_path).rows
    assert (first.trial, first.search_value) == (None, None)
    assert (second.trial, second.search_value, second.title) == (4, 0.4, "Trial-00004")
    assert TrainConfig.model_validate(second.config).optimizer.lr == 0.01


def test_trainings_are_named_for_people(tmp_path):
    comparison = make(tmp_path, ROWS[:2])
    numbers = [comparison.next_task().number for _ in range(3)]
    names = [comparison.phase().name_of(number) for number in numbers]
    assert names == ["Defaults, seed 1 of 2", "Better, seed 1 of 2", "Defaults, seed 2 of 2"]


def test_fresh_seeds_are_no_trials_seeds():
    fresh = {fresh_seed(0, index) for index in range(100)}
    assert len(fresh) == 100
    assert not fresh & {trial_seed(0, number) for number in range(1000)}
    assert fresh_seed(0, 3) == fresh_seed(0, 3) != fresh_seed(1, 3)
    TrainConfig().with_values({"seed": max(fresh)})
