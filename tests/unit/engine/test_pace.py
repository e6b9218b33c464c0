"""Time that trainings took."""

import math

import pytest

from evolve.engine.pace import Pace


def test_seconds_of_each_training_and_of_an_epoch():
    pace = Pace()
    assert math.isnan(pace.epoch_s)
    pace.begin(0, 10.0)
    pace.begin(1, 12.0)
    pace.epoch(0, 14.0)
    pace.epoch(0, 16.0)
    assert pace.total_s(18.0) == 6 + 2 + 6
    pace.leave(0, 17.0)
    pace.epoch(1, 20.0)
    assert pace.spent == {0: 7.0, 1: 8.0}
    assert pace.epoch_s == 5.0
    assert pace.total_s(21.0) == 16.0


def test_what_a_kill_cut_off_counts_up_to_the_last_word():
    pace = Pace()
    pace.replay(
        [
            {"event": "session", "at": 0.0},
            {"event": "begin", "number": 4, "at": 1.0},
            {"event": "begin", "number": 5, "at": 1.0},
            {"event": "epoch", "number": 4, "at": 3.0},
            {"event": "session", "at": 3.0},
            {"event": "begin", "number": 5, "at": 4.0},
            {"event": "epoch", "number": 5, "at": 6.0},
            {"event": "end", "number": 5, "at": 6.5},
        ]
    )
    assert pace.spent == {4: 2.0, 5: pytest.approx(2.0 + 2.5)}
    assert pace.total_s(100.0) == 6.5
