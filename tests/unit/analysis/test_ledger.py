"""What a run has cost, by hand-written journals."""

import math

import pytest

from evolve.analysis.ledger import Devices, devices_of, make_ledger

TWO_ON_A_GPU = Devices("GPU", 0.5, 1.0, 2)
ON_CORES = Devices("core", 2.0, 4.0, 2)


def events(*lines):
    """Journal from (event, at, number, more) with the last two left out at will."""
    found = []
    for event, at, *rest in lines:
        line = {"event": event, "at": float(at)}
        if rest:
            line["number"] = rest[0]
        found.append(line | (rest[1] if len(rest) > 1 else {}))
    return found


def of_trial(ledger, number):
    (row,) = ledger.trials[ledger.trials["number"] == number].to_dict("records")
    return row


def test_every_segment_counts_and_a_pause_does_not():
    ledger = make_ledger(
        events(
            *[("session", 0), ("begin", 1, 0), ("begin", 2, 1), ("epoch", 4, 0), ("leave", 5, 0)],
            *[("epoch", 6, 1), ("end", 8, 1, {"state": "PRUNED"}), ("begin", 9, 0)],
            *[("epoch", 10, 0), ("end", 12, 0, {"state": "COMPLETE"}), ("close", 12)],
        ),
        ON_CORES,
    )
    first, second = of_trial(ledger, 0), of_trial(ledger, 1)
    assert (first["held_s"], first["segments"], first["pauses"], first["epochs"]) == (7, 2, 1, 2)
    assert (first["device_s"], first["lost_s"], first["state"]) == (14, 0, "COMPLETE")
    assert (second["held_s"], second["state"]) == (6, "PRUNED")
    assert ledger.spent() == {"COMPLETE": (1, 7.0), "PRUNED": (1, 6.0)}
    assert (ledger.wall_s, ledger.held_s, ledger.device_s) == (12, 13, 26)
    assert ledger.idle == pytest.approx(1 - 13 / 24)


@pytest.mark.parametrize("told", [True, False])  # journals had no reasons once
def test_an_interrupt_is_no_pause(told):
    def left(at, number, why):
        return ("leave", at, number, {"why": why} if told else {})

    ledger = make_ledger(
        events(
            *[("session", 0), ("begin", 0, 0), ("epoch", 1, 0, {"says": "pause"})],
            *[left(2, 0, "paused"), ("begin", 3, 1), ("epoch", 4, 1, {"says": "go"})],
            *[left(5, 1, "interrupted"), ("begin", 5, 0), left(6, 0, "interrupted")],
            *[("session", 6), ("begin", 7, 0), ("end", 8, 0, {"state": "COMPLETE"})],
        )
    )
    for number, expected in ((0, (1, 1, 3)), (1, (0, 1, 1))):
        row = of_trial(ledger, number)
        assert (row["pauses"], row["interrupts"], row["segments"]) == expected
        assert (row["kills"], row["lost_s"]) == (0, 0)


def test_a_kill_ends_what_ran_where_the_journal_ends():
    ledger = make_ledger(
        events(
            *[("session", 0), ("begin", 1, 0), ("epoch", 5, 0), ("begin", 6, 1), ("epoch", 9, 1)],
            *[("session", 9), ("begin", 10, 0), ("end", 14, 0, {"state": "COMPLETE"})],
        ),
        ON_CORES,
    )
    first, second = of_trial(ledger, 0), of_trial(ledger, 1)
    assert (first["held_s"], first["kills"], first["lost_s"]) == (8 + 4, 1, 4)
    assert (second["held_s"], second["kills"], second["state"]) == (3, 1, "RUNNING")
    assert ledger.sessions["wall_s"].tolist() == [9, 5]
    assert ledger.sessions["held_s"].tolist() == [11, 4]
    assert ledger.lost_s == 4


def test_what_still_runs_was_not_killed():
    ledger = make_ledger(events(("session", 0), ("begin", 1, 0), ("epoch", 5, 0)))
    assert of_trial(ledger, 0)["held_s"] == 4
    assert of_trial(ledger, 0)["kills"] == 0


def test_retries_are_counted_by_type_and_what_they_lost():
    ledger = make_ledger(
        events(
            *[("session", 0), ("begin", 0, 7), ("epoch", 4, 7), ("retry", 5, 7, {"type": "oom"})],
            *[("begin", 5, 7), ("retry", 7, 7, {"type": "oom"})],
            *[("begin", 8, 7), ("retry", 9, 7, {"type": "killed"})],
            *[("begin", 9, 7), ("epoch", 11, 7), ("end", 12, 7, {"state": "FAIL"})],
        ),
        TWO_ON_A_GPU,
    )
    row = of_trial(ledger, 7)
    assert (row["retries"], row["by_type"]) == (3, "oom 2, killed 1")
    assert (row["held_s"], row["lost_s"]) == (5 + 2 + 1 + 3, 1 + 2 + 1 + 1)
    assert row["device_s"] == 5 * 0.5 + 6 * 1.0  # alone once memory ran out
    assert ledger.retried() == (1, 11.0)


def test_the_costliest_come_first_and_are_bounded():
    lines = [("session", 0)]
    for number in range(30):
        lines += [("begin", 10 * number, number), ("end", 10 * number + number % 7, number)]
    ledger = make_ledger(events(*lines))
    assert ledger.costliest(4)["number"].tolist() == [6, 13, 20, 27]
    assert math.isnan(ledger.device_s)
    assert math.isnan(ledger.idle)


def test_nothing_was_done():
    ledger = make_ledger([], ON_CORES)
    assert (ledger.wall_s, ledger.held_s, ledger.device_s) == (0, 0, 0)
    assert ledger.spent() == {}
    assert math.isnan(ledger.idle)


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        ({"workers": 4, "gpus": 2, "gpus_per_trial": 0.5, "threads": 1, "cpus": 8},
         Devices("GPU", 0.5, 1.0, 4)),
        ({"workers": 2, "gpus": 0, "gpus_per_trial": 0.0, "threads": 1, "cpus": 2},
         Devices("core", 1.0, 2.0, 2)),
        ({"workers": 2}, None),
        (None, None),
    ],
)  # fmt: skip
def test_devices_as_the_manifest_tells_them(placement, expected):
    assert devices_of({"outlook": {"placement": placement}}) == expected
    assert devices_of({}) is None
