"""Ray's schedulers under stable names."""

import numpy as np
import pytest

from evolve.engine.course import rungs
from evolve.engine.schedulers import Decision, build_scheduler
from evolve.errors import SpaceError


def _results(count, epochs, seed=0):
    rng = np.random.default_rng(seed)
    ends = rng.random(count)
    return [
        (number, {"epoch": epoch, "objective": float(ends[number] * epoch / epochs)})
        for epoch in range(1, epochs)
        for number in range(count)
    ]


def _decide(scheduler, results, stopped=()):
    """Decisions in order; trials that were stopped report no more."""
    stopped, decisions = set(stopped), []
    for number, result in results:
        if number in stopped:
            continue
        scheduler.add(number)
        goes_on = scheduler.take(number, result) is Decision.GO
        decisions.append((number, result["epoch"], goes_on))
        if not goes_on:
            stopped.add(number)
    return decisions


@pytest.mark.parametrize("cut", [1, 20, 57])
def test_decisions_after_a_replay_equal_those_without(cut):
    results = _results(12, 20)
    whole = _decide(build_scheduler("asha", 20), results)
    assert not all(goes_on for _, _, goes_on in whole)

    seen = [(n, e) for n, e, _ in whole[:cut]]
    values = {(n, r["epoch"]): r for n, r in results}
    again = build_scheduler("asha", 20)
    stopped = {n for n, _, goes_on in _decide(again, [(n, values[n, e]) for n, e in seen])
               if not goes_on}  # fmt: skip
    rest = [(n, r) for n, r in results if (n, r["epoch"]) not in set(seen)]
    assert _decide(again, rest, stopped) == whole[cut:]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_first_trials_are_spared_and_later_ones_are_not(number):
    scheduler = build_scheduler("asha", 10)
    for other in (3, 4, 5):
        scheduler.add(other)
        assert scheduler.take(other, {"epoch": 3, "objective": 0.5}) is Decision.GO
    scheduler.add(number)
    assert scheduler.take(number, {"epoch": 3, "objective": 0.0}) is Decision.GO
    scheduler.add(6)
    assert scheduler.take(6, {"epoch": 3, "objective": 0.1}) is Decision.STOP


def test_none_stops_nothing():
    assert all(ok for *_, ok in _decide(build_scheduler("none", 20), _results(12, 20)))


def test_unknown_name_lists_the_known():
    with pytest.raises(SpaceError, match="unknown scheduler 'ash'") as caught:
        build_scheduler("ash", 10)
    assert "asha" in caught.value.mend


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(1, (1, 1)), (5, (2, 3)), (10, (3, 7)), (20, (6, 13)), (100, (10, 67)), (300, (30, 201))],
)
def test_rungs_wait_for_a_meaningful_value_and_leave_the_last_third_alone(epochs, expected):
    assert rungs(epochs) == expected


@pytest.mark.parametrize(("epochs", "stops"), [(20, {6}), (100, {10, 30}), (300, {30, 90})])
def test_bad_trials_are_stopped_at_rungs_only(epochs, stops):
    scheduler, seen = build_scheduler("asha", epochs), set()
    values = np.random.default_rng(0).random((60, epochs))
    for number in range(3, 60):
        scheduler.add(number)
        for epoch in range(1, epochs):
            objective = float(values[number, epoch])
            result = {"epoch": epoch, "objective": objective}
            if scheduler.take(number, result) is Decision.STOP:
                seen.add(epoch)
                break
    assert seen == stops
