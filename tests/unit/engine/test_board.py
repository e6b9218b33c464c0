"""TensorBoard's events: written while that works, and never the end of a trial."""

import errno
import logging

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboardX.event_file_writer import EventsWriter

from evolve.engine import trial as trial_module
from evolve.engine.board import Board
from evolve.engine.trial import TrialTask, run_trial
from model.config import TrainConfig


def _row(epoch, **metrics):
    return {"epoch": epoch, "time": 1.0 + epoch, "metrics": metrics}


def _full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_finite_metrics_are_written(tmp_path):
    board = Board(tmp_path)
    board.draw(_row(1, AP=0.25, APs=float("nan")))
    board.draw(_row(2, AP=0.5))
    board.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert events.Tags()["scalars"] == ["AP"]
    found = [(e.step, e.value, e.wall_time) for e in events.Scalars("AP")]
    assert found == [(1, 0.25, 2.0), (2, 0.5, 3.0)]


def test_events_of_an_earlier_session_are_replaced(tmp_path):
    (tmp_path / "events.out.tfevents.1.here").write_text("old")
    Board(tmp_path).close()
    assert [path.name for path in tmp_path.glob("*.1.here")] == []


@pytest.mark.parametrize("place", ["__init__", "write_event", "flush", "close"])
def test_a_full_disk_is_told_once_and_stops_nothing(tmp_path, monkeypatch, caplog, place):
    monkeypatch.setattr(EventsWriter, place, _full)
    with caplog.at_level(logging.WARNING):
        board = Board(tmp_path)
        for epoch in range(1, 30):
            board.draw(_row(epoch, AP=0.1))
        board.close()
        board.draw(_row(31, AP=0.1))
    (told,) = caplog.messages
    assert told == (
        "no more TensorBoard events of this trial: OSError: [Errno 28] No space left on device"
    )


def test_a_trial_outlives_its_events(tmp_path, monkeypatch):
    monkeypatch.setattr(EventsWriter, "write_event", _full)
    config = TrainConfig().with_values({"epochs": 12, "image_size": 96}).to_dict()
    task = TrialTask(3, str(tmp_path / "00003"), config, "curve-0", "AP", "curve", 0, 1)
    rows = list(run_trial(task))
    assert [row["epoch"] for row in rows] == list(range(1, 13))
    log = trial_module.TrialFolder(tmp_path / "00003").log.read_text()
    assert log.count("no more TensorBoard events") == 1
