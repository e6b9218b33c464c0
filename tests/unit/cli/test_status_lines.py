"""What `evolve status` prints."""

from dataclasses import replace
from pathlib import Path

from evolve.cli.status_cmd import _text
from evolve.store.status import Failures, Retries, RunningTrial, Status

STATUS = Status(
    run="r", objective="AP", asked=20, states={"COMPLETE": 3, "RUNNING": 3}, best=0.4,
    best_trial=1, trial_seconds=60.0, phase="search", state="running", pid=1, here=True,
    running=(RunningTrial("trial 4", 2, 10, 0.2),),
    paused=(RunningTrial("trial 3", 2, 10, 0.1), RunningTrial("trial 5", 2, 10, 0.3)),
    search_closed="", failures=(), retries=(), epochs_per_hour=None, seconds_left=None,
    final=None, warm_start=[],
)  # fmt: skip


def lines(status):
    return _text(status, Path("r"), as_json=False).splitlines()


def test_what_waits_is_not_called_running():
    said = lines(STATUS)
    assert said[1] == "trials   3 complete, 2 paused, 1 running, of 20"
    assert said[-3:] == [
        "         trial 4: epoch 2 of 10, AP 20.0",
        "         trial 3: epoch 2 of 10, AP 10.0, paused",
        "         trial 5: epoch 2 of 10, AP 30.0, paused",
    ]


def test_many_that_wait_are_counted():
    many = tuple(RunningTrial(f"trial {n}", 1, 10, 0.1) for n in range(40))
    assert lines(replace(STATUS, paused=many))[-1] == "         and 25 more"


def test_why_a_search_ended():
    assert "search   is ending: budget" in lines(replace(STATUS, search_closed="budget"))
    done = replace(STATUS, search_closed="no gain", phase="done")
    assert "search   ended: no gain" in lines(done)


def test_retries_and_failures_come_with_their_last_lines():
    retries = (Retries("oom", 2, {"alone": 2, "smaller": 1}, 4, "no room", ("one", "two")),)
    said = lines(
        replace(STATUS, retries=retries, failures=(Failures("oom", 1, 6, "none", ("x",)),))
    )
    at = said.index("retried  2 trials after oom: alone 2, smaller 1 (last, trial 4: no room)")
    assert said[at + 1 : at + 3] == ["         | one", "         | two"]
    assert said[said.index("failed   1 oom (trial 6: none)") + 1] == "         | x"
