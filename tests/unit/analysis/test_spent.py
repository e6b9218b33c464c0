import math

import pytest

from evolve.analysis.ledger import Devices, make_ledger
from evolve.analysis.spent import worker_time

EVENTS = [
    {"event": "begin", "at": 0.0, "number": 0},
    {"event": "epoch", "at": 6.0, "number": 0},
    {"event": "end", "at": 10.0, "number": 0, "state": "FAIL"},
    {"event": "begin", "at": 10.0, "number": 1},
    {"event": "end", "at": 20.0, "number": 1, "state": "COMPLETE"},
]


def spent(train_s, evaluate_s, devices=Devices("core", 1.0, 2.0, 2)):  # noqa: B008
    frame = worker_time(make_ledger(EVENTS, devices), train_s, evaluate_s)
    return dict(zip(frame["kind"], frame["seconds"], strict=True))


def test_all_time_of_the_workers_is_told():
    found = spent(9.0, 3.0)
    assert found == pytest.approx(
        {"train": 9, "evaluate": 3, "start": 4, "held": 0, "lost": 4, "idle": 20}
    )
    assert sum(found.values()) == pytest.approx(2 * 20)


def test_epochs_never_take_more_than_workers_were_held():
    found = spent(60.0, 20.0)
    assert (found["train"], found["evaluate"], found["start"]) == pytest.approx((12, 4, 0))


def test_what_is_unknown_is_not_guessed():
    found = spent(0.0, 0.0, None)
    assert (found["held"], found["train"], found["start"]) == (16, 0, 0)
    assert math.isnan(found["idle"])
