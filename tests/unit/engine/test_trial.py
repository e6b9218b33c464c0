"""One trial's folder, continued after a kill at any place."""

import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from evolve.engine import trial as trial_module
from evolve.engine.trial import TrialTask, failure_type, run_trial
from evolve.store.folder import TrialFolder
from model.config import TrainConfig
from model.errors import DataError, Diverged


@pytest.fixture
def task(tmp_path):
    config = TrainConfig().with_values({"epochs": 6, "image_size": 96})
    folder = tmp_path / "00003"
    return TrialTask(3, str(folder), config.to_dict(), "curve-0", "AP", "curve", 0, 1)


@pytest.fixture(autouse=True)
def _checkpoint_each_epoch(monkeypatch):
    monkeypatch.setattr(trial_module, "CHECKPOINT_EVERY_S", -1.0)


def _numbers(rows):
    return [(row["epoch"], row["metrics"]) for row in rows]


def _take(task, count):
    rows = run_trial(task)
    taken = [next(rows) for _ in range(count)]
    rows.close()
    return taken


def test_yields_a_row_an_epoch_and_writes_every_file(task):
    rows = list(run_trial(task))
    folder = TrialFolder(trial_module.Path(task.folder))
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1]["objective"] == rows[-1]["metrics"]["AP"]
    assert _numbers(folder.read_metrics()) == _numbers(rows)
    for path in (folder.config, folder.log, folder.last, folder.best, folder.detections):
        assert path.is_file()


@pytest.mark.parametrize("stop_after", [1, 3, 5])
def test_continues_from_the_checkpoint_with_the_same_numbers(task, tmp_path, stop_after):
    straight = list(run_trial(TrialTask(**{**task.to_dict(), "folder": str(tmp_path / "twin")})))
    first = _take(task, stop_after)
    rest = list(run_trial(task))
    assert _numbers(first + rest) == _numbers(straight)
    assert _numbers(TrialFolder(tmp_path / "00003").read_metrics()) == _numbers(straight)


def test_epochs_after_the_checkpoint_are_made_again(task, monkeypatch):
    _take(task, 2)
    monkeypatch.setattr(trial_module, "CHECKPOINT_EVERY_S", 1000.0)
    _take(task, 2)  # epochs 3 and 4, without a checkpoint
    rows = list(run_trial(task))
    assert [row["epoch"] for row in rows] == [3, 4, 5, 6]
    folder = TrialFolder(trial_module.Path(task.folder))
    assert [row["epoch"] for row in folder.read_metrics()] == [1, 2, 3, 4, 5, 6]


def test_torn_last_line_and_torn_checkpoint_are_survived(task):
    _take(task, 3)
    folder = TrialFolder(trial_module.Path(task.folder))
    with folder.metrics.open("a") as file:
        file.write('{"epoch": 4, "obj')
    folder.last.write_text("torn")
    assert [row["epoch"] for row in run_trial(task)] == [3, 4, 5, 6]  # from the one before
    assert "cannot go on from last.pt" in folder.log.read_text()
    assert not folder.previous.exists()


def test_without_any_whole_checkpoint_it_starts_again(task):
    _take(task, 3)
    folder = TrialFolder(trial_module.Path(task.folder))
    folder.last.write_text("torn")
    folder.previous.write_text("torn")
    assert [row["epoch"] for row in run_trial(task)] == [1, 2, 3, 4, 5, 6]


def test_finished_trial_gives_its_last_row_again(task):
    rows = list(run_trial(task))
    again = list(run_trial(task))
    assert _numbers(again) == _numbers(rows[-1:])


def test_failure_is_the_last_word_and_leaves_the_process_usable(task):
    config = TrainConfig().with_values({"epochs": 6, "optimizer.lr": 1.0}).to_dict()
    rows = list(run_trial(TrialTask(**{**task.to_dict(), "config": config})))
    assert rows[0]["epoch"] == 1
    failure = rows[-1]["failure"]
    assert failure["type"] == "diverged"
    assert failure["mend"] == "lower optimizer.lr"
    assert any("Traceback" in line or "Diverged" in line for line in failure["log"])


def test_events_are_what_tensorboard_reads(task):
    _take(task, 4)
    rows = list(run_trial(task))
    board = EventAccumulator(task.folder)
    board.Reload()
    events = board.Scalars("AP")
    assert [event.step for event in events] == [1, 2, 3, 4, 5, 6]
    assert events[-1].value == pytest.approx(rows[-1]["objective"])


def test_metrics_file_is_strict_json(task):
    list(run_trial(task))
    folder = TrialFolder(trial_module.Path(task.folder))

    def refuse(_):
        raise AssertionError("not JSON")

    for line in folder.metrics.read_text().splitlines():
        json.loads(line, parse_constant=refuse)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Diverged("x"), "diverged"),
        (DataError("x"), "data"),
        (MemoryError(), "oom"),
        (OSError(28, "No space left on device"), "disk"),
        (ValueError("x"), "error"),
    ],
)
def test_failures_are_typed(error, kind):
    assert failure_type(error) == kind
